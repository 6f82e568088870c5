"""Scoring of the answer benchmark: its rules, and what facts and gate make of an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.answers import build_report
from benchmarks.support.answers.generation import GeneratedAnswer, read_recording
from benchmarks.support.answers.questions import QUESTIONS, Question, QuestionKind
from benchmarks.support.answers.scoring import AnswerOutcome, held_pieces, score, score_with_gate

BY_TEXT = {question.text: question for question in QUESTIONS}
CAPITAL = BY_TEXT["What is the capital of Australia?"]
SUM = BY_TEXT["What is twelve times three?"]
TALK = BY_TEXT["How are you today?"]


def generated(question: Question, text: str, log_probability: float | None) -> GeneratedAnswer:
    words = text.split(" ")
    pieces = [(word if not n else f" {word}", log_probability) for n, word in enumerate(words)]
    return GeneratedAnswer(question.text, tuple(pieces))


@pytest.mark.parametrize(
    ("question", "text", "outcome"),
    [
        (CAPITAL, "It is Canberra.", AnswerOutcome.RIGHT),
        (CAPITAL, "It is Perth.", AnswerOutcome.WRONG),
        (CAPITAL, "It is Canberra, not Sydney.", AnswerOutcome.WRONG),
        (CAPITAL, "I'm not sure, but it is Canberra.", AnswerOutcome.HEDGED_RIGHT),
        (CAPITAL, "I'm not sure, but it is Perth.", AnswerOutcome.HEDGED_WRONG),
        (CAPITAL, "I'm sorry, I don't know.", AnswerOutcome.REFUSED),
        (TALK, "I am fine.", AnswerOutcome.TALKED),
        (TALK, "I'm not sure, but I am fine.", AnswerOutcome.HEDGED_WRONG),
        (BY_TEXT["日本的首都是哪裡？"], "日本的首都是东京。", AnswerOutcome.RIGHT),
    ],
)
def test_outcome_of_an_answer(question: Question, text: str, outcome: AnswerOutcome) -> None:
    assert score(question, text).outcome is outcome


def test_gate_changes_unsure_answers_and_code_answers_what_it_knows() -> None:
    assert score_with_gate(CAPITAL, generated(CAPITAL, "It is Perth.", -0.6)).outcome is AnswerOutcome.HEDGED_WRONG
    assert score_with_gate(CAPITAL, generated(CAPITAL, "It is Perth.", -4)).outcome is AnswerOutcome.REFUSED
    assert score_with_gate(CAPITAL, generated(CAPITAL, "It is Canberra.", -0.01)).outcome is AnswerOutcome.RIGHT
    assert score_with_gate(TALK, generated(TALK, "I am fine.", -4)).outcome is AnswerOutcome.TALKED
    by_code = score_with_gate(SUM, generated(SUM, "It is 100.", -0.01))
    assert (by_code.outcome, by_code.is_by_code) == (AnswerOutcome.RIGHT, True)


def test_only_answers_to_factual_questions_are_held() -> None:
    assert held_pieces(TALK, generated(TALK, "I am fine, and how are you today, my friend?", -1)) is None
    assert held_pieces(SUM, generated(SUM, "It is 100.", -1)) is None
    words = "The capital is a city with a long name, and it is Canberra. Yes."
    assert (held_pieces(CAPITAL, generated(CAPITAL, words, -0.01)) or 0) > 0


def test_questions_are_two_hundred_with_equal_halves() -> None:
    counts = {kind: [q for q in QUESTIONS if q.kind is kind] for kind in QuestionKind}
    assert {kind: len(found) for kind, found in counts.items()} == {
        QuestionKind.COMPUTABLE: 60,
        QuestionKind.FACTUAL: 90,
        QuestionKind.SMALL_TALK: 50,
    }
    assert len(BY_TEXT) == 200
    assert all(question.accepted for question in QUESTIONS if question.kind is not QuestionKind.SMALL_TALK)
    assert 98 <= sum(question.is_tuning for question in QUESTIONS) <= 102


def test_report_of_a_recording_counts_both_ways(tmp_path: Path) -> None:
    recording = tmp_path / "words.jsonl"
    answers = [generated(CAPITAL, "It is Perth.", -4), generated(SUM, "It is 100.", -0.01)]
    recording.write_text("".join(f"{answer.to_json()}\n" for answer in answers), "utf-8")
    report = build_report(QUESTIONS, read_recording(recording), is_remote=False)
    rows = {(row["way"], row["half"], row["group"]): row for row in report["rows"]}
    assert rows["without", "all", "both"]["wrong"] == 2
    gated = rows["with facts and gate", "all", "both"]
    assert (gated["right"], gated["wrong"], gated["refused"], gated["right_share"]) == (1, 0, 1, 1.0)
