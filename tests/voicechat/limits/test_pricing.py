"""Pricing: usage counted once, cached tokens at their price, unknown prices, spend limits."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from voicechat.config.settings import Settings
from voicechat.limits.pricing import (
    DAY_S,
    NO_TOKENS,
    PRICES,
    DailySpend,
    SpendLimits,
    SpendStatus,
    TokenUsage,
    UsageMeter,
    parse_response_usage,
)
from voicechat.protocol.server_events import parse_event

RECORDED = ROOT / "tests" / "data" / "recorded_sessions"
MINI, WHISPER = "gpt-realtime-2.1-mini", "gpt-realtime-whisper"

USAGE = {
    "total_tokens": 1500,
    "input_tokens": 1300,
    "output_tokens": 200,
    "input_token_details": {
        "text_tokens": 300,
        "audio_tokens": 1000,
        "image_tokens": 0,
        "cached_tokens": 700,
        "cached_tokens_details": {"text_tokens": 200, "audio_tokens": 500, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 150},
}


def done(usage: Any, reply: str = "resp_1") -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": reply, "usage": usage}}


def completed(usage: Any, item: str = "item_1") -> dict[str, Any]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item, "content_index": 0, "usage": usage}


def make_meter(*events: dict[str, Any], model: str = MINI, heard_by: str = WHISPER, free: bool = False) -> UsageMeter:
    made = UsageMeter(model, heard_by, free=free)
    for event in events:
        made.apply(parse_event(event))
    return made


def test_response_costs_table_price() -> None:
    # (100 text x 0.60 + 200 cached x 0.06 + 500 audio x 10 + 500 cached x 0.30 + 50 x 2.40 + 150 x 20) / 1e6
    assert make_meter(done(USAGE)).cost_usd == pytest.approx((60 + 12 + 5000 + 150 + 120 + 3000) / 1e6)


def test_transcription_costs_table_price_per_minute() -> None:
    assert make_meter(completed({"type": "duration", "seconds": 60})).cost_usd == pytest.approx(0.017)
    in_tokens = {"type": "tokens", "input_tokens": 610, "input_token_details": {"text_tokens": 10, "audio_tokens": 600}}
    assert make_meter(completed(in_tokens), heard_by="gpt-4o-transcribe").cost_usd == pytest.approx(0.006)


def test_usage_in_two_places_counts_once() -> None:
    beside = {"type": "response.done", "response": {"id": "r"}, "usage": USAGE}
    assert make_meter(beside).tokens == parse_response_usage(USAGE)
    assert make_meter({**done(USAGE), "usage": USAGE}).tokens == parse_response_usage(USAGE)


def test_repeated_event_counts_once() -> None:
    assert make_meter(done(USAGE), done(USAGE)).tokens == make_meter(done(USAGE)).tokens
    assert make_meter(done(USAGE), done(USAGE, "resp_2")).tokens.text_in == 600


def test_transcript_completed_again_adds_only_the_difference() -> None:
    growing = [completed({"type": "duration", "seconds": seconds}) for seconds in (2, 5, 5)]
    assert make_meter(*growing).tokens.transcription_seconds == 5


def test_tokens_without_details_count_as_text() -> None:
    assert parse_response_usage({"input_tokens": 10, "output_tokens": 4}) == TokenUsage(text_in=10, text_out=4)
    reasoned = {"output_tokens": 30, "output_token_details": {"text_tokens": 10, "audio_tokens": 5}}
    assert parse_response_usage(reasoned) == TokenUsage(text_out=25, audio_out=5)


def test_cached_tokens_without_details_never_exceed_input() -> None:
    usage = {"input_tokens": 30, "input_token_details": {"text_tokens": 10, "audio_tokens": 20, "cached_tokens": 99}}
    assert parse_response_usage(usage) == TokenUsage(text_in=10, text_cached=10, audio_in=20, audio_cached=20)


@pytest.mark.parametrize("model", ["", "my-deployment", "gpt-realtime-99"])
def test_unknown_model_has_unknown_cost(model: str) -> None:
    assert make_meter(done(USAGE), model=model).cost_usd is None


def test_unknown_transcription_price_matters_only_when_used() -> None:
    assert make_meter(done(USAGE), heard_by="mine").cost_usd == make_meter(done(USAGE)).cost_usd
    assert make_meter(completed({"seconds": 3}), heard_by="mine").cost_usd is None


def test_offline_server_costs_nothing_and_is_counted() -> None:
    own = make_meter(done(USAGE), completed({"seconds": 3}), model="whatever", free=True)
    assert (own.cost_usd, own.tokens.audio_out, own.tokens.transcription_seconds) == (0.0, 150, 3.0)


@pytest.mark.parametrize("name", ["gpt-realtime-mini-2025-10-06", "openai/gpt-realtime-mini", "GPT-Realtime-Mini"])
def test_snapshot_and_provider_prefix_cost_the_same(name: str) -> None:
    assert PRICES.for_model(name) == PRICES.models["gpt-realtime-mini"]


def test_model_chosen_by_server_is_read_from_session() -> None:
    session = {"model": MINI, "audio": {"input": {"transcription": {"model": WHISPER}}}}
    events = [{"type": "session.created", "session": session}, done(USAGE), completed({"seconds": 60})]
    assert make_meter(*events, model="", heard_by="").cost_usd == make_meter(*events).cost_usd
    assert make_meter(*events).cost_usd is not None


def test_price_table_has_default_models_and_a_date() -> None:
    settings = Settings.from_env({"OPENAI_API_KEY": "sk-x"})
    assert PRICES.for_model(settings.model) and PRICES.for_transcription(WHISPER)
    assert PRICES.date.startswith("20") and PRICES.sources
    for name, price in PRICES.models.items():
        assert all(usd > 0 for usd in asdict(price).values()), name
        assert price.text_cached <= price.text_in and price.audio_cached <= price.audio_in, name


@pytest.mark.parametrize("name", ["openai_spoken_turn", "openai_tool_call"])
def test_recorded_sessions_have_a_cost(name: str) -> None:
    events = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))["received"]
    recorded = make_meter(*events, model="gpt-realtime", heard_by=WHISPER)
    usages = [event["response"]["usage"] for event in events if event["type"] == "response.done"]
    assert usages
    counted = recorded.tokens
    assert counted.text_in + counted.audio_in + counted.image_in == sum(usage["input_tokens"] for usage in usages)
    assert counted.text_out + counted.audio_out == sum(usage["output_tokens"] for usage in usages)
    assert recorded.cost_usd is not None and 0 < recorded.cost_usd < 0.1


# ---------------------------------------------------------------- whatever comes

NAMES = st.sampled_from(
    [
        *(f"{kind}_tokens" for kind in ("text", "audio", "image", "cached", "input", "output")),
        *(f"{kind}_details" for kind in ("input_token", "output_token", "cached_tokens")),
        *("seconds", "type", "usage"),
    ]
)
JUNK_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=12,
)
IDS = st.sampled_from(["", "a", "b"])
EVENTS = st.lists(
    st.builds(done, JUNK_VALUES, IDS)
    | st.builds(completed, JUNK_VALUES, IDS)
    | st.builds(lambda usage: {"type": "response.done", "response": usage, "usage": usage}, JUNK_VALUES)
    | st.builds(lambda session: {"type": "session.created", "session": session}, JUNK_VALUES),
    max_size=8,
)


@given(EVENTS)
def test_any_usage_never_raises_and_cost_never_falls(events: list[dict[str, Any]]) -> None:
    running, before, paid = UsageMeter(MINI, WHISPER, free=False), NO_TOKENS, 0.0
    for event in events:
        running.apply(parse_event(event))
        now = running.tokens
        assert all(value >= getattr(before, key) for key, value in asdict(now).items())
        for kind in ("text", "audio", "image"):
            assert getattr(now, f"{kind}_cached") <= getattr(now, f"{kind}_in")
        assert running.cost_usd is not None and running.cost_usd >= paid
        before, paid = now, running.cost_usd


COUNT = st.integers(0, 10_000)


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_cached_tokens_are_billed_once(text: int, audio: int, text_cached: int, audio_cached: int, said: int) -> None:
    cached = {"text_tokens": min(text, text_cached), "audio_tokens": min(audio, audio_cached)}
    details = {"text_tokens": text, "audio_tokens": audio}
    came = {"input_tokens": text + audio, "output_tokens": said, "output_token_details": {"audio_tokens": said}}
    full = make_meter(done({**came, "input_token_details": details})).cost_usd
    some = {**details, "cached_tokens": sum(cached.values()), "cached_tokens_details": cached}
    less = make_meter(done({**came, "input_token_details": some})).cost_usd
    price = PRICES.models[MINI]
    saved = cached["text_tokens"] * (price.text_in - price.text_cached)
    saved += cached["audio_tokens"] * (price.audio_in - price.audio_cached)
    assert full is not None and less is not None
    assert full - less == pytest.approx(saved / 1e6, abs=1e-12)


@given(st.permutations([done(USAGE, "a"), done({"input_tokens": 7}, "b"), completed({"seconds": 4}), done(None, "c")]))
def test_event_order_does_not_change_tokens(events: list[dict[str, Any]]) -> None:
    assert make_meter(*events).tokens == parse_response_usage(USAGE) + TokenUsage(text_in=7, transcription_seconds=4)


# ---------------------------------------------------------------- caps


@pytest.mark.parametrize(
    ("call", "today", "budget"),
    [
        (0.0, 0.0, SpendStatus.OK),
        (0.79, 0.79, SpendStatus.OK),
        (0.8, 0.8, SpendStatus.CALL_WARNING),
        (1.0, 1.0, SpendStatus.CALL_EXCEEDED),
        (0.1, 8.0, SpendStatus.DAY_WARNING),
        (1.0, 8.0, SpendStatus.CALL_EXCEEDED),
        (0.0, 10.0, SpendStatus.DAY_EXCEEDED),
        (None, 3.0, SpendStatus.OK),
    ],
)
def test_spend_limits_evaluate_to_status(call: float | None, today: float, budget: SpendStatus) -> None:
    found = SpendLimits(call_usd=1.0, day_usd=10.0).evaluate(call, today)
    assert found is budget
    assert found.is_exceeded == budget.value.endswith("spent")


def test_spend_limits_of_zero_are_never_exceeded() -> None:
    assert SpendLimits().evaluate(1e9, 1e9) is SpendStatus.OK


def test_daily_spend_is_reset_at_midnight_utc_and_never_back() -> None:
    now = [10.0 * DAY_S + 5]
    ledger = DailySpend(lambda: now[0])
    for usd in (0.25, 0.5, -3.0, float("nan"), float("inf")):
        ledger.add(usd)
    assert ledger.today_usd == 0.75
    now[0] -= 10
    assert ledger.today_usd == 0.75
    now[0] = 11.0 * DAY_S
    assert ledger.today_usd == 0.0
