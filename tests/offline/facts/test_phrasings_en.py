"""English phrasings with their answers, asked on Wednesday, 25 November 2026 at 14:20 in Taipei."""

from __future__ import annotations

import pytest

from offline.facts.registry import fact_answer
from tests.support.facts.moment import NOW

PHRASINGS = (
    ("What is twelve times three?", "12 times 3 is 36."),
    ("what's twelve times three", "12 times 3 is 36."),
    ("Can you tell me what 17 plus 25 is?", "17 plus 25 is 42."),
    ("Hey, could you please tell me what two plus two is", "2 plus 2 is 4."),
    ("Please calculate 3.5 times 4.", "3.5 times 4 is 14."),
    ("How much is one hundred minus thirty seven?", "100 minus 37 is 63."),
    ("how much is a hundred divided by 8", "100 divided by 8 is 12.5."),
    ("What is ten divided by three?", "10 divided by 3 is about 3.33."),
    ("What's ten divided by zero?", "Nothing can be divided by zero."),
    ("What is 15 percent of 300?", "15 percent of 300 is 45."),
    ("what's fifteen per cent of three hundred, please", "15 percent of 300 is 45."),
    ("what is 20% of 50", "20 percent of 50 is 10."),
    ("What's 20 percent off 500?", "It is 400."),
    ("What is two to the power of ten?", "2 to the power of 10 is 1,024."),
    ("what is 2 to the tenth power", "2 to the power of 10 is 1,024."),
    ("what is seven squared", "7 squared is 49."),
    ("What's three cubed?", "3 cubed is 27."),
    ("square root of 81", "The square root of 81 is 9."),
    ("What's the square root of two?", "The square root of 2 is about 1.41."),
    ("what is half of 86", "It is 43."),
    ("what's (3+4)*2", "It is 14."),
    ("12 x 12", None),
    ("what is 12 x 12", "12 times 12 is 144."),
    ("2+2", "2 plus 2 is 4."),
    ("to plus for", "2 plus 4 is 6."),
    ("what is two plus too", "2 plus 2 is 4."),
    ("divide 10 by 4", "10 divided by 4 is 2.5."),
    ("subtract 3 from 10", "10 minus 3 is 7."),
    ("add 3 and 4", "3 plus 4 is 7."),
    ("multiply six by seven", "6 times 7 is 42."),
    ("What is the sum of 3 and 4?", "3 plus 4 is 7."),
    ("what does 3 plus 4 equal", "3 plus 4 is 7."),
    ("3 plus 4 equals what", "3 plus 4 is 7."),
    ("what is 3 minus 5", "3 minus 5 is minus 2."),
    ("What is 1,000 times 2?", "1,000 times 2 is 2,000."),
    ("what is 2 to the power of 500", "That number is too large for me."),
    ("How many centimetres are in 2 metres?", "2 meters is 200 centimeters."),
    ("How many minutes are in three hours?", "3 hours is 180 minutes."),
    ("how many seconds are there in a day", "1 day is 86,400 seconds."),
    ("Convert 10 kilometers to miles.", "10 kilometers is about 6.21 miles."),
    ("Could you convert ten kilometres into miles for me?", "10 kilometers is about 6.21 miles."),
    ("How many pounds is 5 kilograms?", "5 kilograms is about 11.02 pounds."),
    ("what's five pounds in kilos", "5 pounds is about 2.27 kilograms."),
    ("What is 100 degrees Fahrenheit in Celsius?", "100 degrees Fahrenheit is about 37.8 degrees Celsius."),
    ("what is minus 40 celsius in fahrenheit", "Minus 40 degrees Celsius is minus 40 degrees Fahrenheit."),
    ("how many feet in a mile", "1 mile is 5,280 feet."),
    ("how tall is 5 feet 10 inches in centimeters", "70 inches is 177.8 centimeters."),
    ("half a kilo in grams", "0.5 kilograms is 500 grams."),
    ("one and a half hours in minutes", "1.5 hours is 90 minutes."),
    ("How many ping is 100 square meters?", "100 square meters is 30.25 ping."),
    ("how many liters in a gallon", "1 US gallon is about 3.79 liters."),
    ("How many megabytes are in 2 gigabytes?", "2 gigabytes is 2,000 megabytes."),
    ("60 mph in kilometers per hour", "60 miles per hour is about 96.56 kilometers per hour."),
    ("how many days are in a week", "1 week is 7 days."),
    ("If one dollar is 31.5 NT, how much is 20 dollars?", "At that rate, 20 US dollars is 630 Taiwan dollars."),
    (
        "if a euro is thirty four nt dollars how many euros is 100 nt dollars",
        "At that rate, 100 Taiwan dollars is about 2.94 euros.",
    ),
    ("What time is it?", "It is 2:20 PM."),
    ("do you know what time it is", "It is 2:20 PM."),
    ("What's the time right now?", "It is 2:20 PM."),
    ("what time is it in tokyo", "In Tokyo, it is 3:20 PM."),
    ("What is the current time in New York?", "In New York, it is 1:20 AM."),
    ("What day is it?", "Today is Wednesday, November 25, 2026."),
    ("What day of the week is it to-day?", "Today is Wednesday, November 25, 2026."),
    ("What's to-morrow's date?", "Tomorrow is Thursday, November 26."),
    ("what's the date today", "Today is Wednesday, November 25, 2026."),
    ("What is tomorrow's date?", "Tomorrow is Thursday, November 26."),
    ("what day was yesterday", "Yesterday was Tuesday, November 24."),
    ("What day is March 3, 2027?", "March 3, 2027 is a Wednesday."),
    ("what day is 3 march 2027", "March 3, 2027 is a Wednesday."),
    ("what day is march third twenty twenty seven", "March 3, 2027 is a Wednesday."),
    ("What day of the week was January 1, 2000?", "January 1, 2000 was a Saturday."),
    ("How many days until Christmas?", "It is 30 days until Christmas."),
    ("how long until new year's eve", "It is 36 days until New Year's Eve."),
    ("how many days since january 1 2026", "It has been 328 days since January 1."),
    ("How many days are there between March 1 and March 31, 2027?", "From March 1 to March 31 is 30 days."),
    ("When is Christmas?", "Christmas is Friday, December 25."),
    ("what date is next wednesday", "Next Wednesday is December 2."),
    ("what's the date three weeks from now", "3 weeks from now is Wednesday, December 16."),
    ("what day will it be in ten days", "10 days from now is Saturday, December 5."),
)
"""A phrasing, and its answer; None for one that is left to the language model."""

NOT_CAUGHT = (
    "I have two cats.",
    "What's two plus two and why do people like cats?",
    "I ate two and you ate three.",
    "Tom has three apples and buys four more, how many does he have?",
    "What is love?",
    "What is five?",
    "twenty four seven",
    "24/7",
    "What is 24/7?",
    "Call 911.",
    "10/4",
    "3-2",
    "My number is 0912 345 678.",
    "I ran five miles.",
    "What is 5 pounds in dollars?",
    "How much is 20 dollars?",
    "How many miles is the moon away?",
    "How many people live in a mile?",
    "Convert the PDF to Word.",
    "What time is the meeting?",
    "What time is it in your dream?",
    "Time flies.",
    "the time",
    "What's the time difference between Taipei and London?",
    "When is my birthday?",
    "When is Chinese New Year?",
    "What day is trash day?",
    "How many days until the war ends?",
    "What's the date of the Battle of Hastings?",
    "today",
    "Tomorrow is my birthday.",
    "for",
    "to",
    "one",
    "What is the difference between cats and dogs?",
    "You can count on me, one hundred percent.",
    "What is 100 percent?",
    "Tell me a story about the number seven.",
    "How do you say twelve in Chinese?",
    "What is one plus?",
    "add milk and sugar",
    "two to one",
    "Happy New Year!",
    "Merry Christmas",
    "It's five o'clock somewhere.",
    "Is it Friday already?",
    "a minute please",
    "I'll be there in ten minutes.",
    "Which year did the war end?",
    "",
    "   ",
    "?!",
)


def test_table_has_at_least_sixty_phrasings() -> None:
    assert len({text for text, _ in PHRASINGS}) >= 60


@pytest.mark.parametrize(("text", "answer"), PHRASINGS)
def test_english_phrasing_is_answered(text: str, answer: str | None) -> None:
    assert fact_answer(text, NOW) == answer


@pytest.mark.parametrize(("text", "answer"), [row for row in PHRASINGS if "'" not in row[0]])
def test_phrasing_without_punctuation_and_capitals_has_the_same_answer(text: str, answer: str | None) -> None:
    heard = text.rstrip("?.!").replace(", ", " ").lower()
    assert fact_answer(heard, NOW) == answer
    assert fact_answer(f"  {text.upper()}", NOW) == answer


@pytest.mark.parametrize("text", NOT_CAUGHT)
def test_other_english_text_is_left_to_the_model(text: str) -> None:
    assert fact_answer(text, NOW) is None
