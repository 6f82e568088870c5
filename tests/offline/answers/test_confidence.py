"""Confidence: which questions are for facts, what is a claim, and what becomes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.answers.questions import QUESTIONS, Question, QuestionKind
from offline.answers.confidence import (
    HEDGES,
    REFUSALS,
    THRESHOLDS,
    Confidence,
    ScoredToken,
    admits_ignorance,
    hedge,
    is_factual_question,
    judge,
    lowest_answer_token,
    makes_claim,
    refusal,
)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.kind is QuestionKind.FACTUAL], ids=lambda q: q.text)
def test_question_for_a_fact_is_factual(question: Question) -> None:
    assert is_factual_question(question.text)


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.kind is QuestionKind.SMALL_TALK], ids=lambda q: q.text)
def test_small_talk_is_not_factual(question: Question) -> None:
    assert not is_factual_question(question.text)


@pytest.mark.parametrize(
    "text",
    [
        "What is my name?",
        "Where did I say I live?",
        "What did you say?",
        "What's up?",
        "What's new?",
        "What if it rains?",
        "Translate: where is the station?",
        "How do you say who in Chinese?",
        "What should we eat?",
        "Thanks!",
        "",
        "我叫什麼名字？",
        "你剛剛說什麼？",
        "今天吃什麼？",
        "這句英文怎麼說？",
        "要去哪裡玩比較好？",
        "說個笑話",
    ],
)
def test_question_about_the_speakers_or_for_advice_is_not_factual(text: str) -> None:
    assert not is_factual_question(text)


@pytest.mark.parametrize(
    "frame", ["Can you tell me ", "Do you know ", "Please tell me ", "Hey, ", "Could you tell me "]
)
def test_polite_frame_does_not_make_a_question_personal(frame: str) -> None:
    assert is_factual_question(f"{frame}what the capital of Australia is?")


@pytest.mark.parametrize(
    ("sentence", "question", "said_before", "is_claim"),
    [
        ("The capital is Sydney.", "What is the capital of Australia?", "", True),
        ("Sydney.", "What is the capital of Australia?", "", True),
        ("I don't know.", "What is the capital of Australia?", "", False),
        ("Do you mean Australia?", "What is the capital of Australia?", "", False),
        ("Sure!", "What is the capital of Australia?", "", False),
        ("That's a good question.", "What is the capital of Australia?", "", False),
        ("The dog is called Rex.", "What is the dog called?", "The dog is Rex, he is three.", False),
        ("The dog is called Max.", "What is the dog called?", "The dog is Rex, he is three.", True),
        ("日本的首都是大阪。", "日本的首都是哪裡？", "", True),
        ("很抱歉，我不知道。", "日本的首都是哪裡？", "", False),
        ("好的。", "日本的首都是哪裡？", "", False),
        ("那隻狗叫來福。", "那隻狗叫什麼？", "那隻狗叫來福", False),
        ("...", "日本的首都是哪裡？", "", False),
    ],
)
def test_claim_is_a_statement_that_was_not_said_before(
    sentence: str, question: str, said_before: str, is_claim: bool
) -> None:
    assert makes_claim(sentence, question, said_before) is is_claim


TOKENS = st.lists(
    st.tuples(st.sampled_from(["The", " capital", " Sydney", " is", "."]), st.floats(-5, 0)), min_size=1
).map(lambda rows: [ScoredToken(text, value) for text, value in rows])


@given(TOKENS, st.floats(0, 5))
def test_less_probable_tokens_never_raise_the_confidence(tokens: list[ScoredToken], loss: float) -> None:
    order = [Confidence.NOT_CLAIMED, Confidence.HEDGED, Confidence.SAID]
    question = "What is the capital?"
    worse = [ScoredToken(token.text, token.log_probability - loss) for token in tokens]
    assert order.index(judge(worse, question)) <= order.index(judge(tokens, question))


@pytest.mark.parametrize(
    ("values", "confidence"),
    [
        ((-0.01, -0.01, THRESHOLDS.said_lowest + 0.01), Confidence.SAID),
        ((-0.01, -0.01, THRESHOLDS.said_lowest - 0.05), Confidence.HEDGED),
        ((-0.3, -0.3, -0.3), Confidence.HEDGED),
        ((-1.0, -1.0, -1.5), Confidence.NOT_CLAIMED),
    ],
)
def test_thresholds_decide(values: tuple[float, ...], confidence: Confidence) -> None:
    tokens = [ScoredToken(text, value) for text, value in zip(("The", " capital", " Sydney"), values, strict=True)]
    assert judge(tokens, "What is the capital?") is confidence


def test_words_of_the_question_and_marks_do_not_count_as_the_answer() -> None:
    tokens = [ScoredToken("Capital", -3), ScoredToken(".", -4), ScoredToken(" Sydney", -0.2), ScoredToken("國", -5)]
    assert lowest_answer_token(tokens, "capital of 國") == -0.2
    assert lowest_answer_token([], "capital") == 0
    assert judge([], "capital") is Confidence.SAID


def test_hedge_and_refusal_are_in_the_language_of_the_words() -> None:
    assert hedge(" The capital is Sydney.") == " I'm not sure, but the capital is Sydney."
    assert hedge("Today is Friday.") == "I'm not sure, but today is Friday."
    assert hedge("Sydney is.") == "I'm not sure, but Sydney is."
    assert hedge("23×17=409", "23×17是多少？") == f"{HEDGES['zh']}23×17=409"
    assert hedge("是東京。") == f"{HEDGES['zh']}是東京。"
    assert refusal("What is it?") == REFUSALS["en"] and refusal("是什麼") == REFUSALS["zh"]
    assert all(map(admits_ignorance, (*HEDGES.values(), *REFUSALS.values())))
