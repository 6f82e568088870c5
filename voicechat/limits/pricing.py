"""Pricing: usage reported by the server -> tokens and seconds -> US dollars; spend limits and daily spend. Pure.

`prices.json` holds dated list prices. The provider's bill may differ.
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
from typing import Protocol

from voicechat.protocol.event_fields import Event, get_object, get_string, to_count
from voicechat.protocol.server_events import (
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionEvent,
    SessionUpdated,
    TranscriptCompleted,
)

MILLION = 1_000_000
AUDIO_TOKENS_PER_S = 10
"""Audio tokens per second of input speech: a token is 100 ms."""
MAX_REMEMBERED = 256
"""Responses and transcripts remembered, so that a repeated event is counted once."""
DAY_S = 86_400
DATED_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
MODALITIES = ("text", "image", "audio")
"""Modalities, in the order in which tokens without one are attributed."""
USAGE_EVENTS = (ResponseDone, TranscriptCompleted, SessionCreated, SessionUpdated)
"""Events from which usage is counted."""


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
class PriceTable:
    """Price table with its source."""

    date: str
    """Date of the prices, YYYY-MM-DD."""
    sources: tuple[str, ...]
    models: Mapping[str, ModelPrice]
    transcription: Mapping[str, float]
    """USD per minute of speech."""

    def for_model(self, model: str) -> ModelPrice | None:
        """Return the price of a model, or None if unknown. A dated snapshot costs the same as its model."""
        return self.models.get(_base_model(model))

    def for_transcription(self, model: str) -> float | None:
        """Return USD per minute, or None if unknown."""
        return self.transcription.get(_base_model(model))


def _base_model(model: str) -> str:
    """Return the model name without a provider prefix and without a snapshot date."""
    return DATED_SNAPSHOT.sub("", model.strip().lower().rsplit("/", 1)[-1])


def load_prices(path: Path) -> PriceTable:
    """Read a price table. Raise OSError, ValueError, KeyError or TypeError if it is invalid."""
    data = json.loads(path.read_text("utf-8"))
    models = {name: ModelPrice(**price) for name, price in data["usd_per_million_tokens"].items()}
    minutes = {name: float(price) for name, price in data["usd_per_minute"].items()}
    return PriceTable(data["date"], tuple(data["sources"]), MappingProxyType(models), MappingProxyType(minutes))


PRICES = load_prices(Path(__file__).with_name("prices.json"))


# ---------------------------------------------------------------- counting


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Used tokens and seconds. Cached tokens are part of the input tokens, never more."""

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

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(**{key: value + getattr(other, key) for key, value in asdict(self).items()})

    def since(self, before: TokenUsage) -> TokenUsage:
        """Return the difference to `before`; no field falls below 0."""
        return TokenUsage(**{key: max(0, value - getattr(before, key)) for key, value in asdict(self).items()})


NO_TOKENS = TokenUsage()


def parse_response_usage(usage: Event) -> TokenUsage:
    """Return the usage of one response. Any part may be missing or malformed; never raise.

    Tokens a server counts without saying of what (reasoning, or no details at all) are text; unsorted cached tokens are
    text first too, where the discount is smallest: an estimate that errs upwards.
    """
    input_details = get_object(usage, "input_token_details") or get_object(usage, "input_tokens_details")
    output_details = get_object(usage, "output_token_details") or get_object(usage, "output_tokens_details")
    inputs = _by_modality(input_details, to_count(usage.get("input_tokens")))
    out = _by_modality(output_details, to_count(usage.get("output_tokens")))
    details = get_object(input_details, "cached_tokens_details")
    cached = {kind: min(to_count(details.get(f"{kind}_tokens")), inputs[kind]) for kind in MODALITIES}
    rest = to_count(input_details.get("cached_tokens")) - sum(cached.values())
    for kind in MODALITIES:
        more = max(0, min(rest, inputs[kind] - cached[kind]))
        cached[kind] += more
        rest -= more
    return TokenUsage(
        text_in=inputs["text"],
        text_cached=cached["text"],
        text_out=out["text"] + out["image"],
        audio_in=inputs["audio"],
        audio_cached=cached["audio"],
        audio_out=out["audio"],
        image_in=inputs["image"],
        image_cached=cached["image"],
    )


def _by_modality(details: Event, total: int) -> dict[str, int]:
    counts = {kind: to_count(details.get(f"{kind}_tokens")) for kind in MODALITIES}
    counts["text"] += max(0, total - sum(counts.values()))
    return counts


def parse_transcription_usage(usage: Event) -> TokenUsage:
    """Return the usage of one transcript: seconds, or else tokens."""
    if "seconds" in usage:
        return TokenUsage(transcription_seconds=_parse_seconds(usage["seconds"]))
    details = get_object(usage, "input_token_details")
    audio_tokens = details.get("audio_tokens") if "audio_tokens" in details else usage.get("input_tokens")
    return TokenUsage(transcription_tokens=to_count(audio_tokens))


def _parse_seconds(value: object) -> float:
    """Return seconds from 0 to a day; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 <= value <= DAY_S else 0.0


def model_cost_usd(tokens: TokenUsage, price: ModelPrice) -> float:
    """Return USD for the model's tokens, without transcription."""
    counts = {field.name: getattr(tokens, field.name) for field in fields(ModelPrice)}
    for kind in MODALITIES:
        counts[f"{kind}_in"] -= counts[f"{kind}_cached"]
    usd: float = sum(count * getattr(price, name) for name, count in counts.items())
    return usd / MILLION


class UsageMeter:
    """Usage and cost of one session."""

    def __init__(self, model: str, transcription_model: str, *, free: bool, prices: PriceTable = PRICES) -> None:
        """`free`: the offline server. A name may be "": then the session reported by the server has it."""
        self.tokens = NO_TOKENS
        self._model = model
        self._transcription_model = transcription_model
        self._free = free
        self._prices = prices
        self._counted: OrderedDict[tuple[str, int], TokenUsage] = OrderedDict()
        """Counted usage, by response or by part of an item."""

    def forget_counted(self) -> None:
        """Forget counted ids for a new connection, whose server may number its responses from one again."""
        self._counted.clear()

    def apply(self, event: ServerEvent) -> None:
        """Count the usage of an event, and learn the models that the server chose. Never raise."""
        match event:
            case ResponseDone():
                self._add_usage((event.response_id, -1), parse_response_usage(event.usage))
            case TranscriptCompleted():
                self._add_usage((event.item_id, event.content_index), parse_transcription_usage(event.usage))
            case SessionEvent():
                self._model = self._model or event.session.model
                model = get_string(event.session.transcription, "model")
                self._transcription_model = self._transcription_model or model

    def _add_usage(self, source: tuple[str, int], tokens: TokenUsage) -> None:
        """Add new usage. Some servers complete one transcript several times, each time in full."""
        before = self._counted.pop(source, NO_TOKENS) if source[0] else NO_TOKENS
        if source[0]:
            self._counted[source] = before + tokens.since(before)
            if len(self._counted) > MAX_REMEMBERED:
                self._counted.popitem(last=False)
        self.tokens += tokens.since(before)

    @property
    def cost_usd(self) -> float | None:
        """USD so far; 0.0 on the offline server; None if a price is unknown."""
        if self._free:
            return 0.0
        price = self._prices.for_model(self._model)
        if price is None:
            return None
        seconds = self.tokens.transcription_seconds + self.tokens.transcription_tokens / AUDIO_TOKENS_PER_S
        a_minute = self._prices.for_transcription(self._transcription_model)
        if a_minute is None:
            if seconds:
                return None
            a_minute = 0.0
        return model_cost_usd(self.tokens, price) + seconds / 60 * a_minute


# ---------------------------------------------------------------- bounds


class SpendStatus(StrEnum):
    """State of the budget, in rising severity."""

    OK = "fine"
    CALL_WARNING = "call_near"
    """80 % of the call's limit are spent."""
    DAY_WARNING = "day_near"
    CALL_EXCEEDED = "call_spent"
    """The call has to end."""
    DAY_EXCEEDED = "day_spent"
    """Every call has to end; new ones start on the next day (UTC)."""

    @property
    def is_exceeded(self) -> bool:
        return self in (SpendStatus.CALL_EXCEEDED, SpendStatus.DAY_EXCEEDED)


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """Limits in USD; 0: no limit."""

    call_usd: float = 0.0
    day_usd: float = 0.0

    WARNING_SHARE = 0.8

    def evaluate(self, spent_call_usd: float | None, spent_today_usd: float) -> SpendStatus:
        """Return the status. `spent_call_usd`: None when unknown (no limit can hold then)."""
        if self._share(spent_today_usd, self.day_usd) >= 1:
            return SpendStatus.DAY_EXCEEDED
        if self._share(spent_call_usd or 0.0, self.call_usd) >= 1:
            return SpendStatus.CALL_EXCEEDED
        if self._share(spent_today_usd, self.day_usd) >= self.WARNING_SHARE:
            return SpendStatus.DAY_WARNING
        if self._share(spent_call_usd or 0.0, self.call_usd) >= self.WARNING_SHARE:
            return SpendStatus.CALL_WARNING
        return SpendStatus.OK

    @staticmethod
    def _share(usd: float, cap: float) -> float:
        return usd / cap if cap > 0 else 0.0


class DailySpendLedger(Protocol):
    """Spending of the operator today (UTC), of this process or of all replicas. For one event loop, not for threads."""

    def add(self, usd: float) -> None:
        """Book an amount. Ignore negative and non-finite ones."""

    @property
    def today_usd(self) -> float:
        """USD since midnight UTC, as far as they are known here."""


class DailySpend:
    """Spending of the operator today (UTC), over all sessions of this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds since 1970, as `time.time`."""
        self._clock = clock
        self._day = self._current_day()
        self._usd = 0.0

    def _current_day(self) -> int:
        return int(self._clock() // DAY_S)

    def _roll_over(self) -> None:
        # Never back: a clock set back by a second at midnight must not forgive a day's spending.
        if self._current_day() > self._day:
            self._day, self._usd = self._current_day(), 0.0

    def add(self, usd: float) -> None:
        """Book an amount. Ignore negative and non-finite ones."""
        self._roll_over()
        if math.isfinite(usd) and usd > 0:
            self._usd += usd

    @property
    def today_usd(self) -> float:
        """USD since midnight UTC."""
        self._roll_over()
        return self._usd
