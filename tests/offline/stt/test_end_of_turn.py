"""End-of-turn policy: verdicts on words, and the silence by words and voice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.stt.end_of_turn import (
    COMPLETE_PROBABILITY,
    HARD_END_MS,
    SILENCE_POLICIES,
    VOICED_SILENCE_POLICIES,
    WordsVerdict,
    judge_words,
    semantic_silence_ms,
)

FINISHED, UNCLEAR, UNFINISHED = WordsVerdict
EAGERNESS = st.sampled_from(list(SILENCE_POLICIES))
WORDS = st.lists(st.sampled_from([*"ab 12.,?!。，？把給我對是和", "and ", "um", "因為", "的話"]), max_size=12).map(
    "".join
)


@pytest.mark.parametrize(
    ("transcript", "verdict"),
    [
        ("", UNCLEAR),
        ("I want tea.", FINISHED),
        ("I want tea", UNCLEAR),
        ("I want tea and.", UNFINISHED),
        ("I want tea, um...", UNFINISHED),
        ("I think so.", UNCLEAR),
        ("I think so", UNFINISHED),
        ("My number is 0912 345", UNFINISHED),
        ("My number is 0912345.", UNFINISHED),
        ("I was born in 1990.", UNCLEAR),
        ("Do you know whether?", UNFINISHED),
        ("He asked me to 'get to.'", UNCLEAR),
        ("Who?", UNCLEAR),
        ("If it rains tomorrow.", UNFINISHED),
        ("If it rains, we stay at home.", FINISHED),
        ("如果明天下雨。", UNFINISHED),
        ("如果下雨我們就回家。", FINISHED),
        ("我一直覺得", UNFINISHED),
        ("我一直覺得。", UNCLEAR),
        ("雨已經停了。", FINISHED),
        ("My number is 0912345678.", FINISHED),
        ("I am 35.", FINISHED),
        ("我想喝茶。", FINISHED),
        ("我想喝茶", UNCLEAR),
        ("我想喝茶，因為", UNFINISHED),
        ("如果明天下雨的話", UNFINISHED),
        ("如果明天下雨的話。", UNFINISHED),
        ("請你告訴我", UNFINISHED),
        ("明天早上提醒我。", UNFINISHED),
        ("我想要把", UNFINISHED),
        ("我昨天去了", UNFINISHED),
        ("我昨天去了。", UNCLEAR),
        ("請幫我打電話給", UNFINISHED),
        ("這附近有沒有", UNFINISHED),
        ("我要買蘋果以及", UNFINISHED),
        ("你覺得茶跟咖啡比", UNFINISHED),
        ("我的電話是零九一二三四五", UNFINISHED),
        ("我的電話是0912-345", UNFINISHED),
        ("我的電話是0912345678", UNCLEAR),
        ("對", FINISHED),
        ("是。", FINISHED),
        ("不要", FINISHED),
        ("我說的對", UNFINISHED),
        ("我說的對。", UNCLEAR),
    ],
)
def test_judge_words_by_their_end(transcript: str, verdict: WordsVerdict) -> None:
    assert judge_words(transcript) is verdict


@pytest.mark.parametrize(
    ("words", "probability", "wait_ms"),
    [
        ("I want tea.", 0.9, 250),
        ("I want tea", 0.9, 450),
        ("", 0.9, 450),
        ("I want tea.", 0.1, 1000),
        ("I want tea", 0.1, 1000),
        ("I want tea and", 0.9, 1500),
        ("I want tea and", 0.1, 1500),
        ("I want tea.", None, 400),
        ("I want tea", None, 800),
        ("", None, 800),
        ("I want tea and", None, 4000),
    ],
)
def test_semantic_silence_by_words_and_voice(words: str, probability: float | None, wait_ms: int) -> None:
    assert semantic_silence_ms("auto", words, probability) == semantic_silence_ms("medium", words, probability)
    assert semantic_silence_ms("auto", words, probability) == wait_ms


@given(WORDS, st.floats(0, 1))
def test_semantic_silence_grows_with_patience_and_with_doubt(words: str, probability: float) -> None:
    waits = {each: semantic_silence_ms(each, words, probability) for each in SILENCE_POLICIES}
    assert waits["high"] < waits["medium"] == waits["auto"] < waits["low"] <= HARD_END_MS
    for each, wait_ms in waits.items():
        assert semantic_silence_ms(each, words, 0.0) >= wait_ms >= semantic_silence_ms(each, words, 1.0)


@given(EAGERNESS, WORDS, st.floats(0, 1))
def test_semantic_silence_is_one_of_the_policy_of_its_judges(eagerness: str, words: str, probability: float) -> None:
    alone, voiced = SILENCE_POLICIES[eagerness], VOICED_SILENCE_POLICIES[eagerness]
    verdict = judge_words(words)
    by_words = {FINISHED: alone.finished_ms, UNCLEAR: alone.unclear_ms, UNFINISHED: alone.unfinished_ms}
    assert semantic_silence_ms(eagerness, words) == by_words[verdict]
    complete = {FINISHED: voiced.complete_ms, UNCLEAR: voiced.unclear_ms, UNFINISHED: voiced.unfinished_ms}
    expected = complete[verdict]
    if probability < COMPLETE_PROBABILITY and verdict is not UNFINISHED:
        expected = voiced.incomplete_ms
    assert semantic_silence_ms(eagerness, words, probability) == expected
