"""Figures for Prometheus, read with Prometheus' own parser."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from tests.support.app.prometheus_samples import parse_metrics, read_metrics
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Settings
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.limits.pricing import TokenUsage
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.server.prometheus import MAX_LABEL_VALUES, Metrics
from voicechat.server.routes import Health, build_router


def test_conversations_are_counted_open_and_in_total() -> None:
    metrics = Metrics()
    assert read_metrics(metrics)[("voice_chat_conversations_open", "voice")] == 0
    metrics.record_call_started()
    metrics.record_call_started()
    metrics.record_call_started(SessionMode.TEXT)
    metrics.record_call_ended("hung_up")
    metrics.set_queue_length(3)
    found = read_metrics(metrics)
    assert found[("voice_chat_visitors_waiting",)] == 3
    assert found[("voice_chat_conversations_open", "voice")] == 1
    assert found[("voice_chat_conversations_open", "text")] == 1
    assert found[("voice_chat_conversations_total", "voice")] == 2
    assert found[("voice_chat_conversations_ended_total", "voice", "hung_up")] == 1


def test_latency_is_recorded_for_spoken_turns_only() -> None:
    metrics = Metrics()
    for latency_s in (0.55, 0.95, None, 30.0):
        metrics.record_turn(latency_s)
    found = read_metrics(metrics)
    assert found[("voice_chat_turns_total", "spoken")] == 3
    assert found[("voice_chat_turns_total", "typed")] == 1
    assert found[("voice_chat_turn_latency_seconds_bucket", "0.6")] == 1
    assert found[("voice_chat_turn_latency_seconds_bucket", "1.0")] == 2
    assert found[("voice_chat_turn_latency_seconds_count",)] == 3
    assert found[("voice_chat_turn_latency_seconds_sum",)] == pytest.approx(31.5)


def test_tokens_are_counted_by_kind_and_cost_is_added() -> None:
    metrics = Metrics()
    metrics.record_tokens(TokenUsage(text_in=10, text_cached=4, audio_out=7, transcription_seconds=2.5))
    metrics.record_tokens(TokenUsage(text_in=1))
    for usd in (0.25, None, 0.5, -1.0, float("nan")):
        metrics.record_cost(usd)
    found = read_metrics(metrics)
    assert found[("voice_chat_tokens_total", "text_in")] == 7
    assert found[("voice_chat_tokens_total", "text_cached")] == 4
    assert found[("voice_chat_tokens_total", "audio_out")] == 7
    assert found[("voice_chat_transcription_seconds_total",)] == 2.5
    assert found[("voice_chat_spent_usd_total",)] == 0.75


def test_reconnects() -> None:
    metrics = Metrics()
    metrics.record_reconnect()
    found = read_metrics(metrics)
    assert found[("voice_chat_reconnects_total",)] == 1


def test_process_metrics_say_how_busy_a_replica_is() -> None:
    found = read_metrics(Metrics())
    assert found[("process_cpu_seconds_total",)] > 0
    assert found[("process_resident_memory_bytes",)] > 1e6


def test_incomplete_messages_are_counted_by_a_fixed_set_of_reasons() -> None:
    metrics = Metrics()
    metrics.record_incomplete(IncompleteReason.CONTENT_FILTER)
    found = {
        key[1]: value
        for key, value in read_metrics(metrics).items()
        if key[0] == "voice_chat_messages_incomplete_total"
    }
    assert found == {reason.value: float(reason is IncompleteReason.CONTENT_FILTER) for reason in IncompleteReason}


def test_label_values_are_bounded_in_form_and_number() -> None:
    metrics = Metrics()
    metrics.record_call_ended("My name is Ada, and my key is sk-123")
    for number in range(3 * MAX_LABEL_VALUES):
        metrics.record_call_ended(f"code_{number}")
    text = metrics.render().decode()
    codes = {
        key[2]: value for key, value in parse_metrics(text).items() if key[0] == "voice_chat_conversations_ended_total"
    }
    assert "Ada" not in text and "sk-123" not in text
    assert len(codes) == MAX_LABEL_VALUES + 1
    assert codes["other"] == 2 * MAX_LABEL_VALUES + 1


def test_embedded_phase_is_one_at_a_time_and_absent_without_a_server() -> None:
    metrics = Metrics()
    assert "embedded" not in metrics.render().decode()
    metrics.set_embedded_phase(EmbeddedServerPhase.LOADING)
    metrics.set_embedded_phase(EmbeddedServerPhase.READY)
    phases = {key[1]: value for key, value in read_metrics(metrics).items() if key[0] == "voice_chat_embedded_server"}
    assert phases == {phase.value: float(phase is EmbeddedServerPhase.READY) for phase in EmbeddedServerPhase}


def test_two_applications_share_no_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.record_call_started()
    assert read_metrics(other)[("voice_chat_conversations_total", "voice")] == 0
    assert not any(family.name.startswith("voice_chat") for family in REGISTRY.collect())


@pytest.mark.parametrize("with_metrics", [True, False])
async def test_metrics_route_returns_the_text_format(with_metrics: bool) -> None:
    async def health() -> Health:
        return Health("ok", "custom", "m", 0, 0, 0.0, "0")

    settings, metrics = Settings(), Metrics()
    metrics.record_turn(0.8)
    app = FastAPI(openapi_url=None)
    app.include_router(
        build_router(health, RealtimeGateway(settings, settings.endpoint), metrics.render if with_metrics else None)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        answer = await http.get("/metrics")
    assert answer.status_code == (200 if with_metrics else 404)
    if with_metrics:
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert parse_metrics(answer.text)[("voice_chat_turn_latency_seconds_count",)] == 1


def test_tool_calls_are_counted_by_tool_and_outcome() -> None:
    metrics = Metrics()
    metrics.record_tool_call("current_time", "done", 0.2)
    metrics.record_tool_call("current_time", "refused", None)
    text = metrics.render().decode()
    assert 'voice_chat_tool_calls_total{outcome="done",tool="current_time"} 1.0' in text
    assert 'voice_chat_tool_calls_total{outcome="refused",tool="current_time"} 1.0' in text
    assert 'voice_chat_tool_seconds_count{tool="current_time"} 1.0' in text
