"""Registry of the facts: catching a request, and answering a call of one as a function. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from offline.llm.tool_calls import matches_schema

from .arithmetic_phrases import CALCULATE
from .calendar_facts import CALENDAR_DATE, DAYS_BETWEEN
from .clock import CURRENT_TIME
from .currency import EXCHANGE_MONEY
from .fact import Arguments, Fact, Locale, read_request
from .unit_phrases import CONVERT_UNITS

FACTS = {
    fact.name: fact for fact in (CURRENT_TIME, CALENDAR_DATE, DAYS_BETWEEN, EXCHANGE_MONEY, CONVERT_UNITS, CALCULATE)
}
"""Facts by name, in the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class CaughtFact:
    """Request that code answers."""

    fact: Fact
    arguments: Arguments
    locale: Locale

    def answer(self, now: datetime) -> str:
        """Return the answer as one sentence. Raises `ValueError`; see `answer_fact`."""
        return answer_fact(self.fact.name, self.arguments, self.locale, now)


def catch_fact(text: str, now: datetime) -> CaughtFact | None:
    """Return the fact that the whole of `text` asks for; None for anything else. `now` has the time zone."""
    request = read_request(text, now)
    if request is None:
        return None
    for fact in FACTS.values():
        arguments = fact.catch(request)
        if arguments is not None:
            locale = request.locale
            # "1+1=?" has no words: the marks of a Chinese keyboard show the language.
            if locale == "en" and any(mark in text for mark in "？！。，＋＝"):
                locale = "zh"
            return CaughtFact(fact, arguments, locale)
    return None


def answer_fact(name: str, arguments: Arguments, locale: Locale, now: datetime) -> str:
    """Return the answer of one fact. Raises `ValueError` for an unknown name or arguments without an answer."""
    fact = FACTS.get(name)
    if fact is None:
        raise ValueError("there is no such function")
    if not matches_schema(dict(arguments), fact.parameters):
        raise ValueError("the arguments do not match the schema")
    return fact.answer(arguments, locale, now)


def fact_answer(text: str, now: datetime) -> str | None:
    """Return the answer to `text` when code knows it, else None."""
    caught = catch_fact(text, now)
    if caught is None:
        return None
    try:
        return caught.answer(now)
    except ValueError:  # e.g. a time zone that this computer does not have
        return None
