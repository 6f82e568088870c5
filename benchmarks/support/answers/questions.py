"""Questions of the answer benchmark: 100 English and 100 Traditional Chinese ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from zoneinfo import ZoneInfo

from .questions_en import COMPUTABLE_EN, FACTUAL_EN, SMALL_TALK_EN
from .questions_zh import COMPUTABLE_ZH, FACTUAL_ZH, SMALL_TALK_ZH

ASKED_AT = datetime(2026, 11, 25, 14, 20, tzinfo=ZoneInfo("Asia/Taipei"))
"""Time at which the questions are asked: a Wednesday."""


class QuestionKind(Enum):
    """What a question asks for."""

    COMPUTABLE = "computable"
    """Arithmetic, dates and units."""
    FACTUAL = "factual"
    """A fact with one checkable answer."""
    SMALL_TALK = "small talk"
    """Small talk, opinions and requests: there is no right answer, and a hedge is a mistake."""


@dataclass(frozen=True, slots=True)
class Question:
    """Question and the patterns of its answer, as regular expressions without regard to case."""

    text: str
    language: str
    kind: QuestionKind
    accepted: str = ""
    """A right answer contains a match."""
    rejected: str = ""
    """A right answer contains no match; "" rejects nothing."""
    is_tuning: bool = False
    """Whether the thresholds were chosen with this question. The others measure them."""


def _build() -> tuple[Question, ...]:
    sources: tuple[tuple[str, QuestionKind, tuple[tuple[str, ...], ...]], ...] = (
        ("en", QuestionKind.COMPUTABLE, COMPUTABLE_EN),
        ("en", QuestionKind.FACTUAL, FACTUAL_EN),
        ("en", QuestionKind.SMALL_TALK, tuple((text,) for text in SMALL_TALK_EN)),
        ("zh", QuestionKind.COMPUTABLE, COMPUTABLE_ZH),
        ("zh", QuestionKind.FACTUAL, FACTUAL_ZH),
        ("zh", QuestionKind.SMALL_TALK, tuple((text,) for text in SMALL_TALK_ZH)),
    )
    return tuple(
        Question(row[0], language, kind, *row[1:], is_tuning=index % 2 == 0)
        for language, kind, rows in sources
        for index, row in enumerate(rows)
    )


QUESTIONS = _build()
