"""Figures for Prometheus, read with Prometheus' own parser."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from realtime.session import Mode
from realtime.settings import Settings
from realtime.usage import Tokens
from web.embedded import Phase
from web.metrics import MOST_WORDS, Metrics
from web.relay import Relay
from web.routes import Health, routes

Figures = dict[tuple[str, ...], float]


def figures(text: str) -> Figures:
    """(name, label values...) -> value."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def read(metrics: Metrics) -> Figures:
    return figures(metrics.render().decode())


def test_calls_and_chats_open_and_in_all() -> None:
    metrics = Metrics()
    assert read(metrics)[("voice_chat_conversations_open", "voice")] == 0
    metrics.call_began()
    metrics.call_began()
    metrics.call_began(Mode.TEXT)
    metrics.call_ended("hung_up")
    metrics.waiting(3)
    found = read(metrics)
    assert found[("voice_chat_visitors_waiting",)] == 3
    assert found[("voice_chat_conversations_open", "voice")] == 1
    assert found[("voice_chat_conversations_open", "text")] == 1
    assert found[("voice_chat_conversations_total", "voice")] == 2
    assert found[("voice_chat_conversations_ended_total", "voice", "hung_up")] == 1


def test_latency_of_spoken_turns_only() -> None:
    metrics = Metrics()
    for latency_s in (0.55, 0.95, None, 30.0):
        metrics.turn(latency_s)
    found = read(metrics)
    assert found[("voice_chat_turns_total", "spoken")] == 3
    assert found[("voice_chat_turns_total", "typed")] == 1
    assert found[("voice_chat_turn_latency_seconds_bucket", "0.6")] == 1
    assert found[("voice_chat_turn_latency_seconds_bucket", "1.0")] == 2
    assert found[("voice_chat_turn_latency_seconds_count",)] == 3
    assert found[("voice_chat_turn_latency_seconds_sum",)] == pytest.approx(31.5)


def test_tokens_by_kind_with_the_cached_apart_and_money() -> None:
    metrics = Metrics()
    metrics.tokens(Tokens(text_in=10, text_cached=4, audio_out=7, transcription_seconds=2.5))
    metrics.tokens(Tokens(text_in=1))
    for usd in (0.25, None, 0.5, -1.0, float("nan")):
        metrics.money(usd)
    found = read(metrics)
    assert found[("voice_chat_tokens_total", "text_in")] == 7
    assert found[("voice_chat_tokens_total", "text_cached")] == 4
    assert found[("voice_chat_tokens_total", "audio_out")] == 7
    assert found[("voice_chat_transcription_seconds_total",)] == 2.5
    assert found[("voice_chat_spent_usd_total",)] == 0.75


def test_reconnects() -> None:
    metrics = Metrics()
    metrics.reconnected()
    found = read(metrics)
    assert found[("voice_chat_reconnects_total",)] == 1


def test_a_label_takes_no_sentences_and_not_any_number_of_words() -> None:
    metrics = Metrics()
    metrics.call_ended("My name is Ada, and my key is sk-123")
    for number in range(3 * MOST_WORDS):
        metrics.call_ended(f"code_{number}")
    text = metrics.render().decode()
    codes = {key[2]: value for key, value in figures(text).items() if key[0] == "voice_chat_conversations_ended_total"}
    assert "Ada" not in text and "sk-123" not in text
    assert len(codes) == MOST_WORDS + 1
    assert codes["other"] == 2 * MOST_WORDS + 1


def test_the_embedded_server_has_one_phase_at_a_time_and_none_where_there_is_none() -> None:
    metrics = Metrics()
    assert "embedded" not in metrics.render().decode()
    metrics.embedded(Phase.LOADING)
    metrics.embedded(Phase.READY)
    phases = {key[1]: value for key, value in read(metrics).items() if key[0] == "voice_chat_embedded_server"}
    assert phases == {phase.value: float(phase is Phase.READY) for phase in Phase}


def test_two_houses_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.call_began()
    assert read(other)[("voice_chat_conversations_total", "voice")] == 0
    assert not any(family.name.startswith("voice_chat") for family in REGISTRY.collect())


@pytest.mark.parametrize("with_metrics", [True, False])
async def test_the_route(with_metrics: bool) -> None:
    async def health() -> Health:
        return Health("ok", "custom", "m", 0, 0, 0.0, "0")

    settings, metrics = Settings(), Metrics()
    metrics.turn(0.8)
    app = FastAPI(openapi_url=None)
    app.include_router(routes(health, Relay(settings, settings.endpoint), metrics.render if with_metrics else None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        answer = await http.get("/metrics")
    assert answer.status_code == (200 if with_metrics else 404)
    if with_metrics:
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert figures(answer.text)[("voice_chat_turn_latency_seconds_count",)] == 1
