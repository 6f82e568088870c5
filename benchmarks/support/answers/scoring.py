"""Scoring of answers by rules: right, wrong, hedged or refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from offline.answers.answer_filter import AnswerFilter
from offline.answers.confidence import HEDGES, admits_ignorance
from offline.chinese_text import to_traditional
from offline.facts.registry import fact_answer
from offline.llm.clause_splitter import ClauseSplitter

from .generation import GeneratedAnswer, spoken_request
from .questions import ASKED_AT, Question, QuestionKind


class AnswerOutcome(Enum):
    """What became of an answer."""

    RIGHT = "right"
    WRONG = "wrong"
    HEDGED_RIGHT = "hedged, right"
    HEDGED_WRONG = "hedged, wrong"
    REFUSED = "refused"
    TALKED = "talked"
    """Small talk without a hedge or a refusal."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """Answer to one question."""

    question: Question
    text: str
    outcome: AnswerOutcome
    is_by_code: bool = False
    """Whether the facts answered, and no model."""


def filtered_text(question: Question, answer: GeneratedAnswer) -> str:
    """Return what a call delivers of a generated answer, with the confidence gate."""
    answer_filter = AnswerFilter(spoken_request(question), is_small_model=True)
    total, text = 0.0, ""
    for piece, log_probability in answer.pieces:
        total += log_probability or 0.0
        is_known = answer_filter.needs_probabilities and log_probability is not None
        text += answer_filter.push(piece, total if is_known else None)
    return text + answer_filter.flush()


def held_pieces(question: Question, answer: GeneratedAnswer) -> int | None:
    """Return the tokens by which the gate delays the first words; None where it holds nothing.

    Without the gate, speech starts with the first clause.
    """
    answer_filter = AnswerFilter(spoken_request(question), is_small_model=True)
    if not answer_filter.needs_probabilities or fact_answer(question.text, ASKED_AT) is not None:
        return None
    splitter, total = ClauseSplitter(), 0.0
    first_clause = first_words = len(answer.pieces)
    for number, (piece, log_probability) in enumerate(answer.pieces):
        total += log_probability or 0.0
        if splitter.push(piece):
            first_clause = min(first_clause, number)
        if answer_filter.push(piece, total):
            first_words = min(first_words, number)
    return max(0, first_words - first_clause)


def score(question: Question, text: str, *, is_by_code: bool = False) -> ScoredAnswer:
    """Return the answer with its outcome."""
    text = to_traditional(text).strip()
    is_hedged = text.startswith(tuple(hedge.strip() for hedge in HEDGES.values()))
    if question.kind is QuestionKind.SMALL_TALK:
        is_refused = admits_ignorance(text) and not is_hedged
        outcome = (
            AnswerOutcome.HEDGED_WRONG if is_hedged else AnswerOutcome.REFUSED if is_refused else AnswerOutcome.TALKED
        )
        return ScoredAnswer(question, text, outcome)
    is_right = re.search(question.accepted, text, re.IGNORECASE) is not None
    if question.rejected and re.search(question.rejected, text, re.IGNORECASE):
        is_right = False
    if is_hedged:
        outcome = AnswerOutcome.HEDGED_RIGHT if is_right else AnswerOutcome.HEDGED_WRONG
    elif admits_ignorance(text) and not is_right:
        outcome = AnswerOutcome.REFUSED
    else:
        outcome = AnswerOutcome.RIGHT if is_right else AnswerOutcome.WRONG
    return ScoredAnswer(question, text, outcome, is_by_code)


def score_with_gate(question: Question, answer: GeneratedAnswer) -> ScoredAnswer:
    """Return the answer of a call: by the facts, else by the model through the gate."""
    by_code = fact_answer(question.text, ASKED_AT)
    if by_code is not None:
        return score(question, by_code, is_by_code=True)
    return score(question, filtered_text(question, answer))


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Counts of a group of answers."""

    counts: Counter[AnswerOutcome]

    @property
    def claimed(self) -> int:
        """Answers stated as facts."""
        return self.counts[AnswerOutcome.RIGHT] + self.counts[AnswerOutcome.WRONG]

    @property
    def right_share(self) -> float | None:
        """Share of the claimed answers that are right; None when nothing is claimed."""
        return self.counts[AnswerOutcome.RIGHT] / self.claimed if self.claimed else None


def figures(answers: Iterable[ScoredAnswer], kinds: Sequence[QuestionKind]) -> AnswerFigures:
    """Return the counts of the answers to questions of `kinds`."""
    return AnswerFigures(Counter(answer.outcome for answer in answers if answer.question.kind in kinds))
