"""What a conversation costs: usage reported by the server -> tokens and seconds -> US dollars. Pure.

Prices stand in `prices.json`, with their date. They are list prices; the bill is the provider's.
"""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .fields import Event, content_index, number, string, table

MILLION = 1_000_000
TOKENS_PER_SECOND = 10
"""Audio tokens of a second of speech heard: a token is 100 ms."""
MOST = 256
"""Responses and transcripts remembered, so that an event that comes twice is paid once."""
DAY_S = 86_400
SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
MODALITIES = ("text", "image", "audio")
"""In the order in which tokens that a server does not sort are attributed."""
COMPLETED = "conversation.item.input_audio_transcription.completed"
TELLING = frozenset({"response.done", COMPLETED, "session.created", "session.updated"})
"""Events that say something of what was used."""


# ---------------------------------------------------------------- prices


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """USD per million tokens."""

    text_in: float
    text_cached: float
    text_out: float
    audio_in: float
    audio_cached: float
    audio_out: float
    image_in: float
    image_cached: float


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table and where it is from."""

    date: str
    """The day on which the prices were looked up, YYYY-MM-DD."""
    sources: tuple[str, ...]
    models: Mapping[str, ModelPrice]
    transcription: Mapping[str, float]
    """USD per minute of speech."""

    def of(self, model: str) -> ModelPrice | None:
        """The price of a model; None when it is not known. Dated snapshots cost what their model costs."""
        return self.models.get(_family(model))

    def of_transcription(self, model: str) -> float | None:
        """USD per minute; None when it is not known."""
        return self.transcription.get(_family(model))


def _family(model: str) -> str:
    """A model without the provider that gateways put before it and without the date of its snapshot."""
    return SNAPSHOT.sub("", model.strip().lower().rsplit("/", 1)[-1])


def load_prices(path: Path) -> Prices:
    """Read a price table. Raises OSError, ValueError, KeyError or TypeError when it is not one."""
    data = json.loads(path.read_text("utf-8"))
    models = {name: ModelPrice(**price) for name, price in data["usd_per_million_tokens"].items()}
    minutes = {name: float(price) for name, price in data["usd_per_minute"].items()}
    return Prices(data["date"], tuple(data["sources"]), MappingProxyType(models), MappingProxyType(minutes))


PRICES = load_prices(Path(__file__).with_name("prices.json"))


# ---------------------------------------------------------------- counting


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts so far. What is cached is a part of what came in: never more than it, never beside it."""

    text_in: int = 0
    text_cached: int = 0
    text_out: int = 0
    audio_in: int = 0
    audio_cached: int = 0
    audio_out: int = 0
    image_in: int = 0
    image_cached: int = 0
    transcription_seconds: float = 0.0
    """Speech transcribed, as reported in seconds."""
    transcription_tokens: int = 0
    """Speech transcribed, as reported in audio tokens of 100 ms."""

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(**{key: value + getattr(other, key) for key, value in asdict(self).items()})

    def since(self, before: Tokens) -> Tokens:
        """What was added since `before`; nothing falls below 0."""
        return Tokens(**{key: max(0, value - getattr(before, key)) for key, value in asdict(self).items()})


NO_TOKENS = Tokens()


def tokens_of(usage: Event) -> Tokens:
    """The usage of one response. Any part may be missing or misshapen; nothing raises.

    Tokens a server counts without saying of what (reasoning, or no details at all) are text; unsorted cached tokens are
    text first too, where the discount is smallest: an estimate that errs upwards.
    """
    came = table(usage, "input_token_details") or table(usage, "input_tokens_details")
    went = table(usage, "output_token_details") or table(usage, "output_tokens_details")
    into = _by_modality(came, number(usage.get("input_tokens")))
    out = _by_modality(went, number(usage.get("output_tokens")))
    details = table(came, "cached_tokens_details")
    cached = {kind: min(number(details.get(f"{kind}_tokens")), into[kind]) for kind in MODALITIES}
    rest = number(came.get("cached_tokens")) - sum(cached.values())
    for kind in MODALITIES:
        more = max(0, min(rest, into[kind] - cached[kind]))
        cached[kind] += more
        rest -= more
    return Tokens(
        text_in=into["text"],
        text_cached=cached["text"],
        text_out=out["text"] + out["image"],
        audio_in=into["audio"],
        audio_cached=cached["audio"],
        audio_out=out["audio"],
        image_in=into["image"],
        image_cached=cached["image"],
    )


def _by_modality(details: Event, total: int) -> dict[str, int]:
    counts = {kind: number(details.get(f"{kind}_tokens")) for kind in MODALITIES}
    counts["text"] += max(0, total - sum(counts.values()))
    return counts


def transcribed(usage: Event) -> Tokens:
    """The usage of one transcript: seconds, or else tokens."""
    if "seconds" in usage:
        return Tokens(transcription_seconds=_seconds(usage["seconds"]))
    details = table(usage, "input_token_details")
    heard = details.get("audio_tokens") if "audio_tokens" in details else usage.get("input_tokens")
    return Tokens(transcription_tokens=number(heard))


def _seconds(value: object) -> float:
    """From 0 to a day; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= DAY_S else 0.0


def price_of(tokens: Tokens, price: ModelPrice) -> float:
    """USD for the model's tokens; the transcription is not in it."""
    counts = {field.name: getattr(tokens, field.name) for field in fields(ModelPrice)}
    for kind in MODALITIES:
        counts[f"{kind}_in"] -= counts[f"{kind}_cached"]
    usd: float = sum(count * getattr(price, name) for name, count in counts.items())
    return usd / MILLION


class Meter:
    """What one call or chat has used and cost."""

    def __init__(self, model: str, transcription_model: str, *, free: bool, prices: Prices = PRICES) -> None:
        """`free`: the server is our own. Where a name is "" (the server chooses), the session it reports is asked."""
        self.tokens = NO_TOKENS
        self._model = model
        self._transcription_model = transcription_model
        self._free = free
        self._prices = prices
        self._paid: OrderedDict[tuple[str, int], Tokens] = OrderedDict()
        """By response, or by part of an item, what was counted already."""

    def reconnected(self) -> None:
        """Another connection: nothing is told again over it, and a server may begin anew to number its replies."""
        self._paid.clear()

    def receive(self, event: Mapping[str, Any]) -> None:
        """Fold a server event; those without usage change nothing. Never raises for what a server may send."""
        kind = event.get("type")
        if kind == "response.done":
            response = table(event, "response")
            # xAI puts it beside the response instead of into it.
            usage = table(response, "usage") or table(event, "usage")
            self._count((string(response, "id"), -1), tokens_of(usage))
        elif kind == COMPLETED:
            self._count((string(event, "item_id"), content_index(event)), transcribed(table(event, "usage")))
        elif kind in ("session.created", "session.updated"):
            self._learn(table(event, "session"))

    def _count(self, what: tuple[str, int], tokens: Tokens) -> None:
        """Add what is new. Some servers complete one transcript several times, each time with all of it."""
        before = self._paid.pop(what, NO_TOKENS) if what[0] else NO_TOKENS
        if what[0]:
            self._paid[what] = before + tokens.since(before)
            if len(self._paid) > MOST:
                self._paid.popitem(last=False)
        self.tokens += tokens.since(before)

    def _learn(self, session: Event) -> None:
        self._model = self._model or string(session, "model")
        heard = table(table(table(session, "audio"), "input"), "transcription")
        self._transcription_model = self._transcription_model or string(heard, "model")

    @property
    def cost(self) -> float | None:
        """USD so far; 0.0 on our own server; None when the price of what was used is not known."""
        if self._free:
            return 0.0
        price = self._prices.of(self._model)
        if price is None:
            return None
        seconds = self.tokens.transcription_seconds + self.tokens.transcription_tokens / TOKENS_PER_SECOND
        a_minute = self._prices.of_transcription(self._transcription_model)
        if a_minute is None:
            if seconds:
                return None
            a_minute = 0.0
        return price_of(self.tokens, price) + seconds / 60 * a_minute


# ---------------------------------------------------------------- bounds


class Budget(StrEnum):
    """How the money stands; what is worse goes first."""

    FINE = "fine"
    CALL_NEAR = "call_near"
    """80 % of a call's cap are spent."""
    DAY_NEAR = "day_near"
    CALL_SPENT = "call_spent"
    """The call has to end."""
    DAY_SPENT = "day_spent"
    """Every call has to end, and none may begin before the next day (UTC)."""

    @property
    def spent(self) -> bool:
        return self in (Budget.CALL_SPENT, Budget.DAY_SPENT)

    @property
    def near(self) -> bool:
        return self in (Budget.CALL_NEAR, Budget.DAY_NEAR)


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be spent, in USD; 0: no cap."""

    call: float = 0.0
    day: float = 0.0

    WARN_AT = 0.8

    def judge(self, call_usd: float | None, today_usd: float) -> Budget:
        """`call_usd`: of this call, None when unknown (no cap of money can hold then); `today_usd`: of all calls."""
        if self._share(today_usd, self.day) >= 1:
            return Budget.DAY_SPENT
        if self._share(call_usd or 0.0, self.call) >= 1:
            return Budget.CALL_SPENT
        if self._share(today_usd, self.day) >= self.WARN_AT:
            return Budget.DAY_NEAR
        if self._share(call_usd or 0.0, self.call) >= self.WARN_AT:
            return Budget.CALL_NEAR
        return Budget.FINE

    @staticmethod
    def _share(usd: float, cap: float) -> float:
        return usd / cap if cap > 0 else 0.0


class Ledger:
    """Money the operator spent today (UTC), by all calls of this process. Not for threads: it lives in one loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds since 1970, as `time.time`."""
        self._clock = clock
        self._day = self._now()
        self._usd = 0.0

    def _now(self) -> int:
        return int(self._clock() // DAY_S)

    def _turn_page(self) -> None:
        # Only forwards: a clock set back by a second at midnight must not forgive a day's spending.
        if self._now() > self._day:
            self._day, self._usd = self._now(), 0.0

    def add(self, usd: float) -> None:
        """More was spent. What is no amount of money (negative, nan) is not booked."""
        self._turn_page()
        if math.isfinite(usd) and usd > 0:
            self._usd += usd

    @property
    def today(self) -> float:
        """USD since midnight UTC."""
        self._turn_page()
        return self._usd
