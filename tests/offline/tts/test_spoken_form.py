"""Spoken form: the examples of each rule, the table of readings, and texts of any characters."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.protocol.worker_messages import LanguageCode
from offline.tts.spoken_form import RULES, spoken_form, spoken_language
from offline.tts.spoken_form.rule import Rule
from tests.support.paths import ROOT

LANGUAGES: dict[str, LanguageCode | None] = {"zh": "zh", "en": "en", "mix": None}
TABLE = [
    tuple(row.split("\t")) for row in (ROOT / "tests" / "data" / "spoken_forms.tsv").read_text("utf-8").splitlines()[1:]
]
RULES_BY_NAME = [(language, each) for language, rules in RULES.items() for each in rules]
DIGITS_HEAVY = st.text(
    alphabet=st.sampled_from(
        list("0123456789012345678901234.,:/-–~$%°CFkgmKMB()+*×=^ '\"#@&<>|_[]{}\\\n年月日號個點第折２½²Ⅳ٣aAPMv")
    ),
    max_size=60,
)
ANY_TEXT = st.one_of(st.text(st.characters(), max_size=60), DIGITS_HEAVY)
"""Texts over all of Unicode, lone surrogates included, and texts of digits and signs."""


def words_of(spoken: str, language: LanguageCode) -> str:
    """Return what is compared: English words; in Mandarin all characters but marks and spaces."""
    if language == "en":
        return " ".join(re.findall(r"[\w']+", spoken.lower()))
    return re.sub(r"[\W_]+", "", spoken).lower()


def has_digit(text: str) -> bool:
    return any(c.isdigit() or c.isdecimal() or (c.isnumeric() and not "\u3400" <= c <= "\u9fff") for c in text)


@pytest.mark.parametrize(
    ("language", "rule"), RULES_BY_NAME, ids=[f"{lang}-{rule.name}" for lang, rule in RULES_BY_NAME]
)
def test_rule_says_its_examples(language: LanguageCode, rule: Rule) -> None:
    used: list[str] = []
    assert [spoken_form(written, language, used) for written, _ in rule.examples] == [said for _, said in rule.examples]
    assert rule.name in used


def test_rules_have_unique_names_in_their_language() -> None:
    for rules in RULES.values():
        assert len({rule.name for rule in rules}) == len(rules)


@pytest.mark.parametrize(("language", "written", "readings", "kind"), TABLE, ids=[row[1] for row in TABLE])
def test_spoken_form_is_an_accepted_reading(language: str, written: str, readings: str, kind: str) -> None:
    said, compared = spoken_form(written, LANGUAGES[language]), LANGUAGES[language] or spoken_language(written)
    assert words_of(said, compared) in [words_of(reading, compared) for reading in readings.split(" | ")], kind


@settings(max_examples=300)
@given(ANY_TEXT, st.sampled_from(["zh", "en", None]))
def test_spoken_form_of_any_text_has_no_digit(text: str, language: LanguageCode | None) -> None:
    assert not has_digit(spoken_form(text, language))


@pytest.mark.parametrize("text", ["0" * 40, "7" * 40, "0" * 5000, "1," * 3000, "9" * 400 + "." + "9" * 400])
def test_spoken_form_of_a_long_number_is_said_by_the_digit(text: str) -> None:
    for language in RULES:
        said = spoken_form(text, language)
        assert said and not has_digit(said)


def test_spoken_form_of_more_than_sixty_digits_names_the_first_twenty() -> None:
    assert spoken_form("0" * 61, "zh") == "零" * 20 + "等等"
    assert spoken_form("0" * 61, "en") == "zero " * 20 + "and so on"


@pytest.mark.parametrize(
    "text", ["", " \n", "👍🎉", "🇹🇼", "---", "***", "こんにちは", "Привет", "\ud800", "\x00\x1b", "|", "```"]
)
def test_spoken_form_of_unspeakable_text_is_empty(text: str) -> None:
    assert [spoken_form(text, language) for language in RULES] == ["", ""]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好", "zh"),
        ("Hello", "en"),
        ("12。", "zh"),
        ("12.", "en"),
        ("The word 你好 means hello", "en"),
        ("我用 Python", "zh"),
    ],
)
def test_spoken_language_is_that_of_most_words(text: str, language: LanguageCode) -> None:
    assert spoken_language(text) == language


def test_command_line_prints_how_each_line_is_said() -> None:
    command = [sys.executable, "-m", "offline.tts.spoken_form"]
    done = subprocess.run([*command, "zh"], input="有 2 個\n100%\n".encode(), capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.decode().splitlines() == ["有 兩 個", "百分之百"]
    refused = subprocess.run([*command, "fr"], input=b"", capture_output=True, cwd=ROOT)
    assert refused.returncode == 2 and b"zh" in refused.stderr
