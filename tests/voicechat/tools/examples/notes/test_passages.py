"""Passages: headings, lists, tables, wrapped lines, and bounds for any text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.tools.sample_notes import NOTES
from voicechat.tools.examples.notes.passages import MAX_PASSAGE_CHARS, markdown_passages, text_passages


def test_markdown_passages_name_the_headings_above() -> None:
    passages = list(markdown_passages("boiler.md", NOTES["boiler_manual.md"]))
    assert [passage.heading for passage in passages] == [
        "Boiler manual",
        "Boiler manual › Pressure",
        "Boiler manual › Error codes",
        "Boiler manual › Service",
    ]
    assert "open the filling loop" in passages[1].text
    assert passages[2].text.splitlines()[1:] == [
        "E119, Low water pressure",
        "E133, Gas supply interrupted; check the meter",
    ]


def test_markdown_passages_are_plain_text_without_front_matter() -> None:
    tomatoes = next(markdown_passages("vegetables.md", NOTES["garden/vegetables.md"]))
    assert tomatoes.text == (
        "Water the tomatoes every morning, never on the leaves.\n"
        "Feed them with seaweed once a week after the first fruit sets."
    )


def test_markdown_headings_within_code_are_text() -> None:
    passages = list(markdown_passages("a.md", "# One\n```sh\n# not a heading\nls *.txt\n```\n"))
    assert [(passage.heading, passage.text) for passage in passages] == [("One", "# not a heading\nls *.txt")]


def test_text_passages_join_wrapped_lines() -> None:
    text = "The router restarts by itself every Sunday, which inter-\nrupts the telephone.\nShort\nlines stay"
    assert next(text_passages("a.txt", text)).text == (
        "The router restarts by itself every Sunday, which interrupts the telephone.\nShort\nlines stay"
    )
    chinese = "每年十月請大同水電行來保養熱水器和鍋爐並且檢查瓦斯管\n線有沒有漏氣。"
    assert next(text_passages("a.txt", chinese)).text == chinese.replace("\n", "")


@given(st.text(max_size=4000) | st.text("# \n-*`|x中。.", max_size=4000))
def test_passages_of_any_text_are_bounded_and_not_empty(text: str) -> None:
    for split in (markdown_passages, text_passages):
        for passage in split("a", text):
            assert 0 < len(passage.text) <= MAX_PASSAGE_CHARS


def test_passages_of_a_text_without_a_break_are_cut() -> None:
    passages = list(text_passages("a.txt", "x" * 5000))
    assert sum(len(passage.text) for passage in passages) == 5000
    assert max(len(passage.text) for passage in passages) <= MAX_PASSAGE_CHARS
