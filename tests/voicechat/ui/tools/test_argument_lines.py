"""Arguments of a tool call as plain text."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.ui.tools.argument_lines import argument_lines, reveal_hidden


def test_arguments_of_an_object_are_names_and_values() -> None:
    arguments = '{"to": "Anna", "count": 2, "days": ["Mon", "週二"], "urgent": true}'
    assert argument_lines(arguments) == [
        ("to", "Anna"),
        ("count", "2"),
        ("days", '["Mon", "週二"]'),
        ("urgent", "true"),
    ]
    assert argument_lines(json.loads(arguments)) == argument_lines(arguments)


@pytest.mark.parametrize("arguments", ["", "{}", " {} ", {}])
def test_arguments_that_are_empty_give_no_line(arguments: str | dict[str, str]) -> None:
    assert argument_lines(arguments) == []


@pytest.mark.parametrize("arguments", ['{"to": "An', "[1, 2]", "null", "[" * 10_000])
def test_arguments_that_are_no_object_are_shown_as_they_are(arguments: str) -> None:
    assert argument_lines(arguments) == [("", arguments)]


def test_hidden_characters_are_shown_as_codes() -> None:
    assert reveal_hidden("pay\u202e100\u200b\x07 \U000e0041") == "pay\\u202e100\\u200b\\u0007 \\U000e0041"
    assert reveal_hidden("one\n\ttwo 👩\u200d🚀 é") == "one\n\ttwo 👩\u200d🚀 é"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))
def test_argument_lines_hide_nothing(arguments: dict[str, str]) -> None:
    lines = argument_lines(arguments)
    assert len(lines) == len(arguments)
    for text in (part for line in lines for part in line):
        hidden = {character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co")}
        assert hidden <= set("\n\t\u200c\u200d")
