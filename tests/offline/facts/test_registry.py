"""Registry of the facts: declarations, validated arguments, and talk that is never caught."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.answers.questions import QUESTIONS, QuestionKind
from offline.facts.fact import MAX_REQUEST_CHARS
from offline.facts.registry import FACTS, answer_fact, catch_fact, fact_answer
from offline.llm.tool_calls import matches_schema, parse_tool_declarations
from tests.support.facts.moment import NOW

QUESTIONS_FOR_CODE = (
    *("what is two plus two", "what time is it", "how many days until Christmas", "convert 3 miles to km"),
    *("what day is it", "what is 15 percent of 300"),
)
CHINESE_QUESTIONS_FOR_CODE = ("二加二是多少", "現在幾點", "離聖誕節還有幾天", "三英里是幾公里", "今天星期幾")
SUBJECTS = ("I", "my sister", "the old man", "everybody", "a friend of mine", "the teacher")
VERBS = ("have", "bought", "ran", "lost", "want", "counted", "dreamed of", "ate")
THINGS = ("cats", "miles", "dollars", "kilos of rice", "days", "degrees", "minutes", "apples", "percent")
TAILS = ("", " yesterday", " and was happy", " on Monday", " for Christmas", " at two o'clock", " in March")
SUBJECTS_ZH = ("我", "我姊姊", "老師", "大家", "隔壁的小明")
VERBS_ZH = ("買了", "跑了", "養了", "吃了", "想要", "數了")
THINGS_ZH = ("隻貓", "公里", "美元", "公斤米", "天", "顆蘋果", "坪", "分鐘")
TAILS_ZH = ("", "，很開心", "，為什麼呢", "，你覺得呢", "，今天好累", "，加油")


@given(
    st.sampled_from(SUBJECTS),
    st.sampled_from(VERBS),
    st.integers(0, 1000),
    st.sampled_from(THINGS),
    st.sampled_from(TAILS),
)
def test_generated_english_talk_with_numbers_is_never_caught(
    subject: str, verb: str, count: int, thing: str, tail: str
) -> None:
    assert catch_fact(f"{subject} {verb} {count} {thing}{tail}.", NOW) is None


@given(
    st.sampled_from(SUBJECTS_ZH),
    st.sampled_from(VERBS_ZH),
    st.integers(0, 1000),
    st.sampled_from(THINGS_ZH),
    st.sampled_from(TAILS_ZH),
)
def test_generated_chinese_talk_with_numbers_is_never_caught(
    subject: str, verb: str, count: int, thing: str, tail: str
) -> None:
    assert catch_fact(f"{subject}{verb}{count}{thing}{tail}", NOW) is None


TALK = st.sampled_from([question.text for question in QUESTIONS if question.kind is not QuestionKind.COMPUTABLE])


@given(TALK)
def test_small_talk_and_other_questions_are_never_caught(text: str) -> None:
    assert catch_fact(text, NOW) is None


@given(st.sampled_from(QUESTIONS_FOR_CODE), TALK, st.booleans())
def test_question_beside_other_talk_is_never_caught(question: str, talk: str, is_first: bool) -> None:
    assert catch_fact(f"{question} and {talk}" if is_first else f"{talk} {question}", NOW) is None


@given(st.sampled_from(CHINESE_QUESTIONS_FOR_CODE), TALK, st.booleans())
def test_chinese_question_beside_other_talk_is_never_caught(question: str, talk: str, is_first: bool) -> None:
    assert catch_fact(f"{question}，{talk}" if is_first else f"{talk}{question}", NOW) is None


@given(st.text(max_size=MAX_REQUEST_CHARS + 5))
def test_any_text_is_answered_with_a_sentence_or_left_to_the_model(text: str) -> None:
    answer = fact_answer(text, NOW)
    assert answer is None or answer.endswith((".", "。"))


@given(st.sampled_from([q for q in QUESTIONS if q.kind is QuestionKind.COMPUTABLE]))
def test_caught_arguments_match_the_schema_and_are_json(question: object) -> None:
    assert isinstance(question, type(QUESTIONS[0]))
    caught = catch_fact(question.text, NOW)
    assert caught is not None
    arguments = json.loads(json.dumps(dict(caught.arguments)))
    assert matches_schema(arguments, caught.fact.parameters)
    assert answer_fact(caught.fact.name, arguments, caught.locale, NOW) == caught.answer(NOW)


def test_declarations_are_those_of_function_tools() -> None:
    texts = [json.dumps(fact.declaration()) for fact in FACTS.values()]
    assert parse_tool_declarations(texts).keys() == FACTS.keys()
    assert all(fact.description.endswith(".") for fact in FACTS.values())


@pytest.mark.parametrize("text", ["what is 2 plus 2" + " " * MAX_REQUEST_CHARS, "現在幾點" * 50])
def test_long_text_is_not_read(text: str) -> None:
    assert catch_fact(text, NOW) is None


def test_function_call_with_an_invalid_expression_raises() -> None:
    with pytest.raises(ValueError, match="missing"):
        answer_fact("calculate", {"expression": "1 +"}, "en", NOW)
