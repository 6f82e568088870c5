"""Rules of English for amounts, arithmetic, names with digits and the remaining signs, in order."""

from __future__ import annotations

from ..roman import roman_value
from ..rule import rule
from .forms import (
    ABBREVIATIONS,
    COMPARISONS,
    MONEY,
    NA,
    NB,
    OPERATORS,
    STREETS,
    TITLES,
    TO,
    UNITS,
    N,
    alternatives,
    equation_words,
    money_words,
    percent_words,
    power_words,
    scaled_words,
    slashed_words,
    temperature_words,
    unit_words,
)
from .numbers import number_en, ordinal_en, street_number_en, whole_en, year_en

RULES = (
    # ---- money, temperature, percent
    rule(
        "money",
        rf"(?:(?<![A-Za-z])(?P<sign>{alternatives(MONEY)})\s?(?P<n>{N})|{NB}(?P<n2>{N})\s?"
        rf"(?P<code>USD|EUR|GBP|JPY|NTD|TWD|€))(?:{TO}(?:[$€£])?(?P<to>{N}))?(?:\s?"
        rf"(?P<big>thousand|million|billion|trillion|[kKmMbB]n?)\b)?",
        money_words,
        ("It costs $1,500.", "It costs one thousand five hundred dollars."),
        ("Lunch was $3.50.", "Lunch was three dollars and fifty cents."),
        ("They raised $1.2M.", "They raised one point two million dollars."),
        ("That is NT$250.", "That is two hundred fifty New Taiwan dollars."),
        ("About €20.", "About twenty euros."),
        ("Pay 20 USD.", "Pay twenty dollars."),
        ("$5 million", "five million dollars"),
        ("$20-30", "twenty to thirty dollars"),
        ("Only $0.99.", "Only ninety-nine cents."),
        ("It is $1.", "It is one dollar."),
    ),
    rule(
        "cents",
        rf"{NB}({N})\s?¢",
        lambda m: number_en(m[1]) + (" cent" if m[1] == "1" else " cents"),
        ("Just 50¢.", "Just fifty cents."),
    ),
    rule(
        "temperature",
        rf"(?P<minus>(?<![\w.)])-)?(?<![\w.])(?P<n>{N})(?:{TO}(?P<to>{N}))?\s?(?:°"
        rf"|degrees?\s(?=[CF]\b))\s?(?P<scale>[CF]\b)?",
        temperature_words,
        ("It is 72°F.", "It is seventy-two degrees Fahrenheit."),
        ("It is -5°C.", "It is minus five degrees Celsius."),
        ("20-25 °C", "twenty to twenty-five degrees Celsius"),
        ("Turn 90°.", "Turn ninety degrees."),
    ),
    rule(
        "percent",
        rf"(?P<minus>(?<![\w.)])-)?(?<![\w.])(?P<n>{N})\s?%?(?:{TO}(?P<to>{N}))?\s?%",
        percent_words,
        ("Sales grew 12.5%.", "Sales grew twelve point five percent."),
        ("About 20-30%.", "About twenty to thirty percent."),
    ),
    # ---- arithmetic
    rule(
        "unit",
        rf"{NB}(?P<n>{N})(?:{TO}(?P<to>{N}))?(?:\s|-(?=(?:km|mile|kg)\b))?(?P<unit>{alternatives(UNITS)})"
        rf"(?:\^?(?P<power>[23]))?(?![\w/])",
        unit_words,
        ("Run 5 km.", "Run five kilometers."),
        ("He weighs 70 kg.", "He weighs seventy kilograms."),
        ("Drive 60 mph.", "Drive sixty miles per hour."),
        ("16GB of RAM.", "sixteen gigabytes of RAM."),
        ("1 ft", "one foot"),
        ("50 m² of floor", "fifty square meters of floor"),
        ("5-10 kg", "five to ten kilograms"),
    ),
    rule(
        "power",
        rf"(?<![\w.])([A-Za-z]{{1,3}}|{N})\s?\^\s?\{{?(-?\d+)\}}?",
        power_words,
        ("2^10 = 1024.", "two to the tenth power equals one thousand twenty-four."),
        ("x² + 1", "x squared plus one"),
    ),
    rule(
        "square root",
        rf"√\s*({N}|[A-Za-z])",
        lambda m: "the square root of " + (m[1] if m[1].isalpha() else number_en(m[1])),
        ("√2 is irrational.", "the square root of two is irrational."),
    ),
    rule(
        "equation",
        rf"{NB}(?:{N})(?:\s?[+\-×x*÷/]\s?(?:{N})){{1,12}}\s?=(?:\s?-?(?:{N}))?(?!\w)",
        equation_words,
        ("3 + 5 = 8.", "three plus five equals eight."),
        ("12 × 3 = 36.", "twelve times three equals thirty-six."),
        ("2-5=-3", "two minus five equals minus three"),
    ),
    rule(
        "calculation",
        rf"{NB}(?:{N})(?:\s?[+×x*÷]\s?(?:{N})){{1,12}}{NA}(?!\w)",
        equation_words,
        ("2 * 3 * 4", "two times three times four"),
        ("A 4x4 car.", "A four times four car."),
    ),
    rule(
        "comparison",
        rf"\s*(?<![-<>=])(>=|<=|!=|==|[=≠≥≤≈]|(?<=[\w)]\s)[<>](?=\s))\s*(-?(?:{N}))?{NA}(?=\s|\w|$|[.,;)])",
        lambda m: f" {COMPARISONS[m[1]]} " + (number_en(m[2]) if m[2] else ""),
        ("x = 1024", "x equals one thousand twenty-four"),
        ("5 > 3", "five is greater than three"),
    ),
    # ---- fractions, amounts
    rule(
        "feet and inches",
        r"(?<![\w.])(\d{1,2})['’]\s?(\d{1,2})(?:\"|”|'')",
        lambda m: f"{number_en(m[1])} foot {number_en(m[2])}",
        ("He is 6'2\" tall.", "He is six foot two tall."),
    ),
    rule(
        "fraction or date",
        r"(?<![\w/.])(?P<before>(?:[Oo]n|[Bb]y|[Dd]ue|[Uu]ntil|[Bb]efore|[Aa]fter"
        r"|[Ff]rom|[Ss]ince)\s)?(?:(?P<whole>\d{1,3})\s)?(?P<a>\d{1,3})/(?P<b>\d{1,4})"
        r"(?!\w|/|\.\d)",
        slashed_words,
        ("Add 1/2 cup.", "Add one half cup."),
        ("It is 3/4 full.", "It is three quarters full."),
        ("Due 11/26.", "Due November twenty-sixth."),
        ("See you 5/1.", "See you May first."),
        ("2 1/2 cups", "two and a half cups"),
        ("½ cup", "one half cup"),
    ),
    rule(
        "range of years",
        r"(?<![\w.,/-])((?:1[1-9]|20)\d\d)(?:" + TO + "|/)" + r"((?:1[1-9]|20)\d\d|\d\d)(?![\w-]|[.,]\d)",
        lambda m: f"{year_en(m[1])} to {year_en(m[2]) if len(m[2]) == 4 else number_en(m[2])}",
        ("From 1990-1995.", "From nineteen ninety to nineteen ninety-five."),
    ),
    rule(
        "range",
        rf"(?<![\w.,-])({N}){TO}({N})(?![\w-]|[.,]\d)",
        lambda m: f"{number_en(m[1])} to {number_en(m[2])}",
        ("Wait 5-10 minutes.", "Wait five to ten minutes."),
        ("It takes 2–3 days.", "It takes two to three days."),
    ),
    rule(
        "ordinal",
        r"(?<![\w.,])(\d{1,3}(?:,\d{3})*|\d{1,15})(?:st|nd|rd|th)\b",
        lambda m: ordinal_en(int(m[1].replace(",", ""))),
        ("She came 1st, he came 22nd.", "She came first, he came twenty-second."),
    ),
    rule(
        "street",
        rf"(?<![\w.,])(\d{{1,5}})\s((?:[NSEW]\.?\s)?(?:[A-Z][a-z]+\s){{1,3}})({alternatives(STREETS)}"
        rf"|Street|Avenue|Road|Boulevard|Lane|Drive)\b(\.?)(?=(\s+[A-Z]|\s*$)?)",
        lambda m: (
            f"{street_number_en(m[1])} {m[2]}{STREETS.get(m[3], m[3])}"
            + (m[4] if m[5] is not None or m[3] not in STREETS else "")
        ),
        ("123 Main St.", "one twenty-three Main Street."),
        ("I live at 1205 Oak Ave in town.", "I live at twelve oh five Oak Avenue in town."),
    ),
    rule(
        "scaled number",
        rf"{NB}({N})([kKMB])\b(?=\s+(?:people|users|followers|views|downloads|likes|lines|words|steps|tokens))",
        scaled_words,
        ("10k users", "ten thousand users"),
        ("1.5M views", "one point five million views"),
    ),
    rule(
        "software version",
        rf"\b(Python|Java|Node|iOS|Android|macOS|Chrome|Firefox|Linux|[Vv]ersion|[Rr]elease)\s"
        rf"(\d{{1,4}})\.(\d{{1,4}}){NA}",
        lambda m: f"{m[1]} {number_en(m[2])} point {number_en(m[3])}",
        ("Use Python 3.11.", "Use Python three point eleven."),
    ),
    rule(
        "year",
        r"(?<![\w.,/-])((?:1[1-9]|20)\d\d)(?!\w|[.,/:-]\d|,\d|\s+(?!was\b|is\b|has\b"
        r"|its\b|as\b|this\b|elections?\b)(?:[a-z]{2,}s|people|men|women|children"
        r"|more|of)\b)",
        lambda m: year_en(m[1]),
        ("Since 2026.", "Since twenty twenty-six."),
        ("Born in 1905.", "Born in nineteen oh five."),
        ("1500 people came.", "one thousand five hundred people came."),
    ),
    # ---- letters with digits, Roman numerals, abbreviations
    rule(
        "Roman numeral",
        r"\b(World War|Chapter|chapter|Part|part|Act|Section|section|Volume|Book|Phase"
        r"|Article|Type|type|Level|Stage|Episode|Round|Super Bowl)\s([IVXLC]+)\b(?!['’.]\w)",
        lambda m: f"{m[1]} {whole_en(roman_value(m[2])).capitalize()}" if roman_value(m[2]) else m[0],
        ("World War II ended.", "World War Two ended."),
        ("Read Chapter IV.", "Read Chapter Four."),
    ),
    rule(
        "name with a Roman numeral",
        r"\b(Henry|Louis|Edward|George|William|Charles|James|Richard|Elizabeth|Napoleon"
        r"|Pius|Philip|Peter|John Paul|Benedict|King [A-Z][a-z]+|Queen [A-Z][a-z]+"
        r"|Pope [A-Z][a-z]+)\s([IVX]+)\b(?!['’.]\w)",
        lambda m: f"{m[1]} the {ordinal_en(roman_value(m[2]))}" if roman_value(m[2]) else m[0],
        ("King Henry VIII ruled.", "King Henry the eighth ruled."),
        ("Charles III", "Charles the third"),
    ),
    rule(
        "title",
        rf"\b({alternatives(TITLES)})\.?\s(?=[A-Z])",
        lambda m: TITLES[m[1]] + " ",
        ("Dr. Smith vs. Mr. Lee.", "Doctor Smith versus Mister Lee."),
        ("Go to St. Louis.", "Go to Saint Louis."),
    ),
    rule(
        "number sign",
        r"\b(?:No|Nos|no)\.\s?(?=\d)|(?<![\w&])#(?=\d)",
        "number ",
        ("We are #1.", "We are number one."),
        ("No. 5 is mine.", "number five is mine."),
    ),
    rule(
        "abbreviation",
        rf"(?<![\w.])({alternatives(ABBREVIATIONS)})\.(?!\w)(\s*$)?",
        lambda m: ABBREVIATIONS[m[1]] + ("." if m[2] is not None else ""),
        ("Apples, pears, etc.", "Apples, pears, et cetera."),
        ("Fruit, e.g. pears.", "Fruit, for example pears."),
    ),
    rule(
        "below zero",
        rf"(?<![^\s(])-({N}){NA}",
        lambda m: "minus " + number_en(m[1]),
        ("I got -5.", "I got minus five."),
    ),
    rule(
        "plus sign",
        r"(?<![\w)])±\s?(?=[\d.])|(?<![\w)])\+(?=[\d.])",
        lambda m: "plus or minus " if m[0][0] == "±" else "plus ",
        ("I got +5.", "I got plus five."),
        ("±3", "plus or minus three"),
    ),
    rule(
        "letter and digits",
        r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)-?(?=(?!(?:st|nd|rd|th)\b)[A-Za-z])",
        " ",
        ("I use GPT-4o.", "I use GPT four o."),
        ("The F-16 flew over.", "The F sixteen flew over."),
        ("H2O on A4 in 3D", "H two O on A four in three D"),
    ),
    # ---- the rest
    rule(
        "number",
        rf"(?:{N})",
        lambda m: f" {number_en(m[0])} ",
        ("Pi is 3.14159.", "Pi is three point one four one five nine."),
        ("1,234,567 people.", "one million two hundred thirty-four thousand five hundred sixty-seven people."),
    ),
    rule(
        "for each",
        r"(?<=[a-z])\s?/\s?(?=(?:month|year|week|day|hour|night|person|minute|second|item|kilogram)\b)",
        " per ",
        ("$20/month", "twenty dollars per month"),
    ),
    rule("arrow", r"\s*(?:->|=>|→)\s*", " to ", ("Go from A→B.", "Go from A to B."), ("A -> B", "A to B")),
    rule("and", r"\s*&\s*", " and ", ("R&D", "R and D")),
    rule(
        "operator",
        r"(?<=[\w)])\s*([+×÷=])\s*(?=[\w(])|(?<=[\w)])\s-\s(?=[a-z]\b)",
        lambda m: f" {OPERATORS[m[0].strip()]} ",
        ("a + b = c", "a plus b equals c"),
        ("x - y", "x minus y"),
    ),
    rule("about", r"~(?=\s?[a-z])", "about ", ("~5 apples", "about five apples")),
    rule("percent sign", r"%", " percent ", ("a few %", "a few percent")),
)
"""Rules in order."""
