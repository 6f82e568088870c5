"""Clause splitting: a growing reply cut into clauses for speech synthesis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.llm.clause_splitter import (
    CHINESE_CLAUSE_OVERHEAD_CHARS,
    CHINESE_FIRST_CLAUSE_CHARS,
    CHINESE_LATER_CLAUSE_CHARS,
    CHINESE_OVERSHOOT_CHARS,
    CHINESE_REAL_TIME_FACTOR,
    ClauseSplitter,
)

TEXT = st.text(alphabet=st.sampled_from(list("ab cd,.!?\n *1Dr台灣今天很好，。！ ")), max_size=120)

# ------------------------------------------------------------------ clauses


def split_clauses(text: str, pieces: list[int] | None = None) -> list[str]:
    clauses, given_out, at = ClauseSplitter(), [], 0
    for size in [*(pieces or []), len(text)]:
        given_out += clauses.push(text[at : at + size])
        at += size
    return given_out + clauses.flush()


@given(TEXT, st.lists(st.integers(1, 9)))
def test_clause_splitter_with_any_pieces_keeps_the_text(text: str, pieces: list[int]) -> None:
    assert "".join(split_clauses(text, pieces)) == text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It's important to remember that even he may change.", "It's important to remember"),
        ("The numbers you said just now are all odd ones.", "The numbers you said just now are all"),
        ("The capital of France is Paris.", "The capital of France is Paris."),
        ("Sure, what would you like to do in town?", "Sure, what would you like"),
        ("Mr. John Dashwood had then leisure to consider it.", "Mr. John Dashwood had then leisure"),
    ],
)
def test_clause_splitter_without_punctuation_ends_the_first_clause_at_a_phrase(text: str, first: str) -> None:
    clauses, given = ClauseSplitter(), []
    for letter in text:
        given += clauses.push(letter)
    given += clauses.flush()
    assert given[0] == first
    assert "".join(given) == text


def test_clause_splitter_ends_the_first_clause_early_and_later_ones_at_sentences() -> None:
    text = "Well, my dear old friend, that is a long story. It began, as you know, in May, when the sun came out."
    clauses = split_clauses(text, [1] * len(text))
    assert clauses[0] == "Well, my dear old friend,"
    assert clauses[1] == " that is a long story."


def test_clause_splitter_does_not_split_after_titles() -> None:
    assert split_clauses("Dr. Smith met Mrs. Jones. They talked.") == ["Dr. Smith met Mrs. Jones.", " They talked."]


def test_clause_splitter_cuts_chinese_without_punctuation_between_words() -> None:
    text = "我們明天早上一起到台北市立動物園去看可愛的大熊貓然後再去吃飯聊天散步看電影買東西喝咖啡"
    clauses = split_clauses(text, [1] * len(text))
    assert len(clauses) > 2
    lead = float(len(clauses[0]))
    assert lead <= CHINESE_FIRST_CLAUSE_CHARS[1] + CHINESE_OVERSHOOT_CHARS
    for clause in clauses[1:]:
        assert len(clause) <= CHINESE_LATER_CLAUSE_CHARS[1] + CHINESE_OVERSHOOT_CHARS
        lead -= CHINESE_REAL_TIME_FACTOR * len(clause) + CHINESE_CLAUSE_OVERHEAD_CHARS
        assert lead > -CHINESE_OVERSHOOT_CHARS, "the audio of earlier clauses has run out"
        lead += len(clause)
    assert "".join(clauses) == text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("好的，請告訴我明天早上八點的時間是什麼？", "好的，請告訴我"),
        ("你好！我是小明。很高興認識你。", "你好！我是小明。"),
        ("當然可以！你可以嘗試一些簡單的菜。", "當然可以！"),
        ("好的。", "好的。"),
    ],
)
def test_clause_splitter_first_chinese_clause_has_the_minimum_length(text: str, first: str) -> None:
    assert split_clauses(text, [1] * len(text))[0] == first


WHOLE = [
    "3.5",
    "1,500",
    "www.example.com",
    "2:30",
    "Dr. Smith",
    "3.11.7",
    "amy@example.com",
    "https://example.com/a.b?c=1,2",
]
"""Texts that are said as one."""


@pytest.mark.parametrize("whole", [*WHOLE, "Nov. 26, 2026", "2：30", "1，500", "No. 5", "5 - 3", "at 7:30 p.m. today"])
@pytest.mark.parametrize(
    "frame", ["It is {} or so, as far as I can see.", "我覺得應該是 {} 左右，你覺得呢？", "{}", "Now {}. Then {}."]
)
def test_clause_splitter_keeps_numbers_and_addresses_whole(whole: str, frame: str) -> None:
    text = frame.format(whole, whole)
    cuts = [
        len("".join(clauses[:i])) for clauses in [split_clauses(text, [1] * len(text))] for i in range(1, len(clauses))
    ]
    starts = [i for i in range(len(text)) if text.startswith(whole, i)]
    assert not [cut for cut in cuts for start in starts if start < cut < start + len(whole)]


@pytest.mark.parametrize(
    ("piece", "rest"),
    [
        ("The value is 3.", "5 or less. "),
        ("It costs $1,", "500 or more, "),
        ("See you at 2:", "30 or later. "),
        ("It ends Nov. 26, ", "2026. "),
    ],
)
def test_clause_splitter_waits_for_the_character_after_a_number(piece: str, rest: str) -> None:
    splitter = ClauseSplitter()
    assert splitter.push(piece) == []
    assert "".join(splitter.push(rest) + splitter.flush()) == piece + rest


def test_clause_splitter_keeps_a_number_with_its_measure_word_and_its_context() -> None:
    for text, whole in (
        ("我們昨天下午在超市一共買了 12 公斤的蘋果和香蕉", "12 公斤"),
        ("請記得明天登入的時候驗證碼是 402918", "驗證碼是 402918"),
    ):
        assert [clause for clause in split_clauses(text, [1] * len(text)) if whole in clause]
    assert split_clauses("您的驗證碼：402918。")[0] == "您的驗證碼：402918。"


def test_clause_splitter_cuts_after_an_address_longer_than_a_clause() -> None:
    text = "請看https://www.example.com/a/very/long/path/to/a/page，然後告訴我。我會等你的消息，謝謝你。"
    clauses = split_clauses(text, [1] * len(text))
    assert max(map(len, clauses)) < 60
    assert "".join(clauses) == text


@given(st.text(alphabet=st.sampled_from(list("ab ,.:!\n12好，。：個「」Dr")), max_size=80), st.lists(st.integers(1, 9)))
def test_clause_splitter_with_any_pieces_gives_the_same_clauses(text: str, pieces: list[int]) -> None:
    assert split_clauses(text, pieces) == split_clauses(text)


@pytest.mark.parametrize("word", ["word ", "12 ", "好2個", "0"])
def test_clause_splitter_bounds_the_clauses_of_text_without_marks(word: str) -> None:
    text = word * 2000
    clauses = split_clauses(text)
    assert "".join(clauses) == text
    assert max(map(len, clauses)) <= (500 if len(word) > 1 else len(text))
