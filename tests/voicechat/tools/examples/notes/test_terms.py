"""Terms of documents and questions, in English and Chinese."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.tools.examples.notes.terms import MAX_QUERY_TERMS, read_query, stem, terms_of


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("watering", "water"),
        ("tomatoes", "tomato"),
        ("services", "service"),
        ("policies", "policy"),
        ("stopped", "stop"),
        ("stopping", "stops"),
        ("pressure", "pressures"),
        ("boiler's", "boilers"),
    ],
)
def test_forms_of_one_word_have_one_stem(first: str, second: str) -> None:
    assert stem(first) == stem(second)


@pytest.mark.parametrize("word", ["glass", "bus", "sing", "red", "E133", "1.5", "naïve", "this"])
def test_stem_of_a_word_without_an_ending_keeps_it(word: str) -> None:
    assert stem(word).startswith(word[:3])


def test_terms_of_chinese_are_pairs_in_simplified_characters() -> None:
    assert list(terms_of("鍋爐壓力")) == list(terms_of("锅炉压力")) == ["锅炉", "炉压", "压力"]
    assert list(terms_of("Haruka 特急，2 次")) == ["haruka", "特急", "2", "次"]


@pytest.mark.parametrize(
    ("question", "words", "runs"),
    [
        ("What should the boiler's pressure be?", ("boiler", "pressur"), ()),
        ("Can you tell me what my notes say about tomatoes?", ("tomato",), ()),
        ("請問鍋爐的壓力應該是多少？", (), ("锅炉", "压力")),
        ("告訴我筆記裡關於會議室的內容", (), ("会议室", "内容")),
        ("為什麼 E133 會出現", ("e133",), ("会出现",)),
        ("what is it?", (), ()),
    ],
)
def test_query_keeps_the_subject_of_a_question(question: str, words: tuple[str, ...], runs: tuple[str, ...]) -> None:
    query = read_query(question)
    assert (query.words, query.runs) == (words, runs)


@given(st.text(max_size=600))
def test_query_of_any_text_is_bounded(question: str) -> None:
    assert len(read_query(question).terms) <= MAX_QUERY_TERMS
