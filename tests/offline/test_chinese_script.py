"""Script of a reply: what decides between the messages of a conversation and the instructions."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.chinese_script import UserText, reply_script


@pytest.mark.parametrize(
    ("messages", "script"),
    [
        ([], "traditional"),
        ([("我们后天见", True)], "simplified"),
        ([("我们后天见", False)], "traditional"),
        ([("我们后天见", True), ("好", True)], "simplified"),
        ([("我们后天见", True), ("我們後天見", True)], "traditional"),
        ([("用簡體字", True), ("我們後天見", True)], "simplified"),
        ([("用简体字", False)], "simplified"),
        ([("请用繁体字", True), ("我们后天见", True)], "traditional"),
        ([("用簡體字", True), ("請用繁體字", True)], "traditional"),
        ([("把這句翻成簡體字：後天見", True)], "simplified"),
        ([("把這句翻成簡體字：後天見", True), ("謝謝，今天還有什麼事？", True)], "traditional"),
    ],
)
def test_latest_request_decides_else_the_latest_typed_script(messages: list[tuple[str, bool]], script: str) -> None:
    assert reply_script([UserText(*message) for message in messages]) == script


def test_instructions_decide_only_where_the_person_gave_no_evidence() -> None:
    assert reply_script([], "You are kind. Answer in Simplified Chinese.") == "simplified"
    assert reply_script([UserText("我們", True)], "请用简体中文回答。") == "traditional"


@given(st.text(max_size=60), st.booleans())
def test_any_text_has_a_script(text: str, is_typed: bool) -> None:
    assert reply_script([UserText(text, is_typed)]) in ("traditional", "simplified")


@pytest.mark.parametrize(
    "part", ["中文的", "「", "“", "請", "用", "`", "```\n", ">", "please ", "write in ", "how ", '"']
)
def test_long_text_of_one_part_is_read_in_linear_time(part: str) -> None:
    started = time.process_time()
    reply_script([UserText(part * (60_000 // len(part)) + "簡體字", is_typed=True)])
    assert time.process_time() - started < 2.0, "quadratic patterns take ten times as long"
