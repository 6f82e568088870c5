"""Rules of English for addresses, dates, times and identifiers, in order."""

from __future__ import annotations

import re

from ..rule import rule
from ..web import DOTTED_NAME, EMAIL, URL, plain_path, spell, split_url
from .forms import (
    MONTH,
    NA,
    NB,
    SMALL_CODES,
    TO,
    N,
    date_words,
    day_month_words,
    month_day_words,
    month_number,
    time_range_words,
    time_words,
)
from .numbers import MONTHS, decade_en, digits_en, groups_en, number_en, whole_en

RULES = (
    # ---- addresses of the network, fixed names
    rule(
        "e-mail",
        EMAIL,
        lambda m: spell(m[0], " dot ", " at "),
        ("Mail amy@example.com.", "Mail amy at example dot com."),
        ("Ask tom.lee@mail.example.org now.", "Ask tom dot lee at mail dot example dot org now."),
    ),
    rule(
        "web address",
        URL,
        lambda m: (
            spell(split_url(m[0])[0].replace("www.", "W W W."), " dot ", " at ")
            + (f" slash {plain_path(split_url(m[0])[1])}" if plain_path(split_url(m[0])[1]) else "")
        ),
        ("See https://example.com/docs.", "See example dot com slash docs."),
        ("See https://example.com/a/b?c=1.", "See example dot com."),
        ("Open www.example.com.", "Open W W W dot example dot com."),
        ("Ask example.org, then.", "Ask example dot org, then."),
    ),
    rule(
        "dotted name", DOTTED_NAME, lambda m: m[0].replace(".", " dot "), ("Edit main.py now.", "Edit main dot py now.")
    ),
    rule(
        "fixed phrase",
        r"(?<![\w/.])(24/7|9/11|50/50|20/20)(?![\w/]|\.\d)",
        lambda m: " ".join(number_en(n) for n in m[1].split("/")),
        ("Open 24/7.", "Open twenty-four seven."),
        ("A 50/50 chance.", "A fifty fifty chance."),
    ),
    rule(
        "name of a language",
        r"(?<![A-Za-z0-9])([CF])(\+\+|#)|(?<!\w)\.NET\b|\bNode\.js\b",
        lambda m: (
            f"{m[1]} {'plus plus' if m[2] == '++' else 'sharp'}"
            if m[1]
            else "dot NET"
            if m[0][0] == "."
            else "Node J S"
        ),
        ("I write C++ and C#.", "I write C plus plus and C sharp."),
        ("Try .NET.", "Try dot NET."),
    ),
    # ---- dates
    rule(
        "ISO date",
        NB + r"(?P<y>\d{4})[-/.](?P<a>0?[1-9]|1[0-2])[-/.](?P<b>\d{1,2})" + NA,
        date_words,
        ("Due 2026-11-26.", "Due November twenty-sixth, twenty twenty-six."),
    ),
    rule(
        "American date",
        NB + r"(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4}|\d\d)(?![\d/])",
        date_words,
        ("Due 11/26/2026.", "Due November twenty-sixth, twenty twenty-six."),
        ("On 26/11/26.", "On November twenty-sixth, twenty twenty-six."),
    ),
    rule(
        "month and day",
        rf"\b{MONTH}\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:{TO}(?P<to>[1-9]|[12]\d|3[01]))?\b"
        rf"(?![:%]\d|\.\d)(?:,?\s(?P<y>\d{{4}})\b)?",
        month_day_words,
        ("See you on Nov. 26.", "See you on November twenty-sixth."),
        ("May 3, 2026 is a Sunday.", "May third, twenty twenty-six is a Sunday."),
        ("July 4-6", "July fourth to sixth"),
    ),
    rule(
        "day and month",
        rf"\b(?:[Tt]he\s)?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?{MONTH}(?![A-Za-z])(?:,?\s(?P<y>\d{{4}})\b)?",
        day_month_words,
        ("On 26 November 2026.", "On the twenty-sixth of November twenty twenty-six."),
        ("The 4th of July", "the fourth of July"),
    ),
    rule(
        "month name",
        r"\b(Jan|Feb|Aug|Sept?|Oct|Nov|Dec)\.(?=\s)",
        lambda m: MONTHS[month_number(m[1]) - 1],
        ("In Nov. we met.", "In November we met."),
    ),
    rule(
        "decade",
        r"(?<![\w.,])['’]?((?:1[1-9]|20)\d0|\d0)['’]?s\b",
        lambda m: decade_en(m[1]),
        ("Back in the 1990s.", "Back in the nineteen nineties."),
        ("The '80s.", "The eighties."),
    ),
    # ---- times
    rule(
        "range of times",
        NB
        + r"(?P<h>\d{1,2})(?::(?P<min>\d\d))?\s?(?:(?P<half>[AaPp])\.?[Mm]\b\.?)?"
        + TO
        + r"(?P<h2>\d{1,2})(?::(?P<min2>\d\d))\s?(?:(?P<half2>[AaPp])\.?[Mm]\b)?(?![\d:])",
        time_range_words,
        ("Open 10:00-18:00.", "Open ten to eighteen."),
        ("From 9:30 am - 5:00 pm.", "From nine thirty A M to five P M."),
    ),
    rule(
        "range of hours",
        NB
        + r"(?P<h>\d{1,2})(?P<min>)\s?(?:(?P<half>[AaPp])\.?[Mm]\b\.?)?"
        + TO
        + r"(?P<h2>\d{1,2})(?P<min2>)\s?(?P<half2>[AaPp])\.?[Mm]\b",
        time_range_words,
        ("Open 9-5pm.", "Open nine to five P M."),
    ),
    rule(
        "time",
        NB + r"(?P<h>\d{1,2}):(?P<min>\d\d)(?::(?P<s>\d\d))?(?:\s?(?P<half>[AaPp])\.?[Mm]\b\.?(?!\w))?(?![\d:])",
        time_words,
        ("The train leaves at 7:30 PM.", "The train leaves at seven thirty P M"),
        ("Meet at 9:05 am.", "Meet at nine oh five A M"),
        ("It starts at 19:30.", "It starts at nineteen thirty."),
        ("At 8:00 we eat.", "At eight o'clock we eat."),
        ("At 2:30 p.m. we go.", "At two thirty P M we go."),
    ),
    rule(
        "hour",
        NB + r"(?P<h>\d{1,2})(?P<min>)(?P<s>)\s?(?P<half>[AaPp])\.?[Mm]\b\.?(?!\w)",
        time_words,
        ("At 5pm.", "At five P M"),
        ("It is 10 a.m. now.", "It is ten A M now."),
    ),
    rule(
        "score or ratio",
        NB + rf"({N})\s?:\s?({N})(?:\s?:\s?({N}))?{NA}(?!\w)",
        lambda m: " to ".join(number_en(n) for n in m.groups() if n),
        ("We won 3:2.", "We won three to two."),
        ("A 16:9 screen.", "A sixteen to nine screen."),
    ),
    # ---- telephones and other identifiers
    rule(
        "groups of digits",
        r"(?<![\w.,-])\d{1,20}(?:-\d{1,20}){2,12}(?![\w-])|(?<![\w.,])\d{4}(?: \d{4}){2,12}(?! ?\d)",
        lambda m: groups_en(re.split(r"\D", m[0])),
        ("It is 123-45-6789.", "It is one two three, four five, six seven eight nine."),
    ),
    rule(
        "telephone",
        r"(?<![\w.,/-])(?:\+?\d{1,3}[- .]?)?(?:\(\d{2,4}\)\s?|\d{2,4}[- ])\d{3,4}[- ]\d{3,4}"
        r"(?![\w-])|(?<![\w.,/-])\d{3}-\d{4}(?![\w-])|(?<![\w.,/-])0\d{8,10}(?!\d)"
        r"|(?<![\w.,/-])\+\d{1,3}(?:[- ]\d{1,4}){2,5}(?!\w)",
        lambda m: groups_en(re.split(r"\D+", m[0])),
        ("Call (415) 555-0132.", "Call four one five, five five five, zero one three two."),
        ("Call 415-555-0132.", "Call four one five, five five five, zero one three two."),
        ("Call 02-2345-6789.", "Call zero two, two three four five, six seven eight nine."),
        ("Call +1 (415) 555-0132.", "Call one, four one five, five five five, zero one three two."),
        ("Ring 555-0132.", "Ring five five five, zero one three two."),
        ("It is 0912-345-678.", "It is zero nine one two, three four five, six seven eight."),
    ),
    rule(
        "network address",
        NB + r"\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)",
        lambda m: " dot ".join(digits_en(n) for n in m[0].split(".")),
        ("Use 192.168.1.1.", "Use one nine two dot one six eight dot one dot one."),
    ),
    rule(
        "version",
        r"(?<![\w.,])([vV]?)(\d{1,6}(?:\.\d{1,6}){2})(?!\.?\d)",
        lambda m: ("version " if m[1] else "") + " point ".join(whole_en(int(n)) for n in m[2].split(".")),
        ("Install v3.11.7.", "Install version three point eleven point seven."),
        ("Python 3.11.7 is out.", "Python three point eleven point seven is out."),
    ),
    rule(
        "short version",
        rf"(?<![\w.,])[vV](\d{{1,6}}(?:\.\d{{1,6}})?){NA}",
        lambda m: "version " + " point ".join(whole_en(int(n)) for n in m[1].split(".")),
        ("Use v2.", "Use version two."),
        ("Use v3.11 here.", "Use version three point eleven here."),
    ),
    rule(
        "code",
        rf"(\b(?:{SMALL_CODES})(?:\s(?:is|was|number|of))?\s?[:#]?\s?)(\d[\d -]*\d|\d)(?![\d%]|[.,:/]\d)",
        lambda m: m[1] + (number_en(m[2]) if len(m[2]) < 3 and m[2][0] != "0" else digits_en(m[2])),
        ("Dial 911.", "Dial nine one one."),
        ("Your PIN is 0042.", "Your PIN is zero zero four two."),
        ("Agent 007 is in room 302.", "Agent zero zero seven is in room three zero two."),
        ("The code is 402918.", "The code is four zero two nine one eight."),
        ("ZIP 94105.", "ZIP nine four one zero five."),
    ),
    rule(
        "number to call",
        r"(\b(?:[Cc]all|[Rr]ing|[Pp]hone|[Nn]umber is|[Ee]rror|HTTP|[Ss]tatus(?: code)?)\s)"
        r"(\d{3,})(?![\d%]|[.,:/-]\d)(?=\s*(?:[.,;!?)]|$|or\b|for\b|if\b|now\b|and\b"
        r"|in\b|means\b))",
        lambda m: m[1] + digits_en(m[2]),
        ("Call 911 now.", "Call nine one one now."),
        ("Error 404.", "Error four zero four."),
        ("Call 500 people.", "Call five hundred people."),
    ),
)
"""Rules in order."""
