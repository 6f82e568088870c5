"""Speech blocks: code blocks and tables of a growing reply."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.llm.speech_blocks import PartKind, ReplyPart, ReplySplitter

PIECES = [
    "```",
    "`",
    "````",
    "~~~",
    "|",
    "|---|\n",
    "| a | b |\n",
    "--- | ---\n",
    "\n",
    " ",
    "a",
    "b. ",
    "3.5",
    "好，",
    "。",
    "- ",
    "> ",
    "python",
]
MARKDOWN = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def split_parts(text: str, sizes: list[int] | None = None) -> list[ReplyPart]:
    splitter, parts, at = ReplySplitter(), list[ReplyPart](), 0
    for size in [*(sizes or []), len(text)]:
        parts += splitter.push(text[at : at + size])
        at += size
    return parts + splitter.flush()


def prose_of(text: str) -> list[str]:
    """Return the clauses of prose, with the kind of a block where one begins."""
    starts = (PartKind.CODE_START, PartKind.TABLE_START)
    parts = [part for part in split_parts(text) if part.kind is PartKind.CLAUSE or part.kind in starts]
    return [part.text.strip() if part.kind is PartKind.CLAUSE else part.kind.value for part in parts]


@settings(max_examples=300)
@given(MARKDOWN, st.lists(st.integers(1, 9)))
def test_reply_splitter_with_any_pieces_gives_the_same_parts_and_the_whole_text(text: str, sizes: list[int]) -> None:
    parts = split_parts(text)
    assert "".join(part.text for part in parts) == text
    assert split_parts(text, sizes) == parts


@given(MARKDOWN)
def test_reply_splitter_begins_each_block_once(text: str) -> None:
    before: PartKind = PartKind.CLAUSE
    for part in split_parts(text):
        if part.kind is PartKind.CODE:
            assert before in (PartKind.CODE_START, PartKind.CODE)
        if part.kind is PartKind.TABLE:
            assert before in (PartKind.TABLE_START, PartKind.TABLE)
        before = part.kind


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Here is code:\n```python\nprint('a. b')\n\nx = 1\n```\nIt prints.",
            ["Here is code:", "code_start", "It prints."],
        ),
        ("Sure! ```js\nf()\n``` Done.", ["Sure!", "code_start", "Done."]),
        ("Run ```git status``` first.", ["Run", "code_start", "first."]),
        ("~~~\nx\n~~~\nEnd.", ["code_start", "End."]),
        ("````\n```\nin\n```\n````\nOut.", ["code_start", "Out."]),
        ("```\nnot closed\nat all", ["code_start"]),
        ("1. Do:\n   ```sh\n   ls\n   ```\n2. End.", ["1. Do:", "code_start", "2. End."]),
        ("```\na\n```\n```\nb\n```", ["code_start", "code_start"]),
        ("> ```\n> a\n> ```\nEnd.", ["code_start", "End."]),
        (
            "好的，程式如下：\n```python\nprint('你好。')\n```\n這樣就好了。",
            ["好的，程式如下：", "code_start", "這樣就好了。"],
        ),
        ("See:\n\n| a | b |\n|---|:-:|\n| 1. | 2 |\n\nThat is it.", ["See:", "table_start", "That is it."]),
        ("Name | Age\n--- | ---\nTom | 3\nDone now.", ["table_start", "Done now."]),
        ("| a |\n| b |\nEnd.", ["table_start", "End."]),
        ("| a |\n|---|", ["table_start"]),
        ("Use `a`, ``b`` and ~c~.", ["Use `a`, ``b`` and ~c~."]),
        ("P(A|B) is 3.5. Yes.", ["P(A|B) is 3.5.", "Yes."]),
        ("a | b\nc - d", ["a | b", "c - d"]),
    ],
)
def test_reply_splitter_separates_blocks_from_prose(text: str, said: list[str]) -> None:
    assert prose_of(text) == said


def test_reply_splitter_announces_a_code_block_at_its_opening() -> None:
    splitter = ReplySplitter()
    assert [part.kind for part in splitter.push("Look:\n```p")] == [PartKind.CLAUSE, PartKind.CODE_START]
    assert splitter.push("ython\nx") == [ReplyPart("python\n", PartKind.CODE)]


def test_reply_splitter_holds_back_a_possible_table_for_a_bounded_length() -> None:
    splitter = ReplySplitter()
    assert splitter.push("a|" + "b" * 300) == []
    assert [part.text for part in splitter.push("c" * 200 + ". Next one. ")] == [
        "a|" + "b" * 300 + "c" * 200 + ".",
        " Next one.",
    ]
