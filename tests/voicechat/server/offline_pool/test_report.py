"""Reports of embedded servers: what any answer of `/health` becomes, and the summary of several."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.server import RealtimeServer
from tests.support.offline.scripted_models import make_loaded_server
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.server.offline_pool.report import (
    MAX_SESSIONS,
    EmbeddedReport,
    parse_report,
    summarize,
    unreachable,
)
from voicechat.upstream.model_news import EmbeddedPart, ModelKind, ModelNews, ModelNewsStage

HOST = "10.0.0.5:8765"
NAMES = st.lists(st.sampled_from(["en", "zh", "ja"]), max_size=3, unique=True).map(tuple)
REPORTS = st.builds(
    EmbeddedReport,
    st.sampled_from(
        [
            EmbeddedServerPhase.READY,
            EmbeddedServerPhase.LOADING,
            EmbeddedServerPhase.FAILED,
            EmbeddedServerPhase.UNREACHABLE,
        ]
    ),
    st.sampled_from(["", "One sentence."]),
    st.integers(0, 5),
    st.integers(1, 5),
    st.sampled_from(["small", "medium"]),
    NAMES,
    NAMES,
    fallbacks=st.frozensets(st.sampled_from(EmbeddedPart), max_size=2),
)


def test_report_has_what_the_health_of_a_ready_server_says() -> None:
    server = make_loaded_server(capacity=3)
    server.news = [{"stage": "fetching", "kind": "stt", "percent": 5, "megabytes": 486}]
    assert parse_report(HOST, 200, json.loads(json.dumps(server.health()))) == EmbeddedReport(
        EmbeddedServerPhase.READY,
        capacity=3,
        model="scripted",
        languages=("en", "zh"),
        voices=("hibari",),
        news=(ModelNews(ModelNewsStage.FETCHING, ModelKind.STT, 5, 486),),
    )


def test_report_follows_the_start_of_a_server_to_its_failure() -> None:
    server = RealtimeServer(capacity=2)
    server.set_progress("Reading the language model.")
    loading = parse_report(HOST, 503, server.health())
    assert (loading.phase, loading.detail) == (EmbeddedServerPhase.LOADING, "Reading the language model.")
    server.mark_failed("The models cannot be loaded.")
    failed = parse_report(HOST, 503, server.health())
    assert (failed.phase, failed.detail) == (EmbeddedServerPhase.FAILED, "The models cannot be loaded.")


def test_report_names_the_parts_that_the_server_does_itself() -> None:
    health = {"status": "ok", "capacity": 1, "endpoint_faults": {"llm": "unreachable", "tts": "", "other": "timeout"}}
    assert parse_report(HOST, 200, health).fallbacks == {EmbeddedPart.LLM}


@pytest.mark.parametrize(
    ("status", "health", "sentence"),
    [
        (401, None, f"The embedded server at {HOST} refuses OFFLINE_KEY."),
        (404, None, f"The embedded server at {HOST} is not an embedded server."),
        (
            200,
            {"status": "ok", "server": "openai", "calls": 1},
            f"The embedded server at {HOST} is not an embedded server.",
        ),
        (200, ["ok"], f"The embedded server at {HOST} is not an embedded server."),
    ],
    ids=["another key", "not found", "health of an app", "another shape"],
)
def test_report_of_another_answer_says_what_is_wrong(status: int, health: object, sentence: str) -> None:
    report = parse_report(HOST, status, health)
    assert (report.phase, report.detail, report.capacity) == (EmbeddedServerPhase.UNREACHABLE, sentence, 0)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["ok", "loading"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
HEALTHS = VALUES | st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("status", "sessions", "capacity", "model", "languages", "voices", "news"), VALUES),
)


@given(st.integers(100, 599), HEALTHS)
def test_report_of_any_answer_is_bounded(status: int, health: object) -> None:
    report = parse_report(HOST, status, health)
    assert 0 <= report.capacity <= MAX_SESSIONS and report.sessions >= 0
    assert all(isinstance(name, str) for name in (*report.languages, *report.voices, report.model, report.detail))
    assert (report.capacity > 0) == (report.phase is not EmbeddedServerPhase.UNREACHABLE)


@given(st.lists(REPORTS, min_size=1, max_size=5))
def test_summary_counts_the_servers_that_are_ready_and_promises_what_all_of_them_have(
    reports: list[EmbeddedReport],
) -> None:
    ready = [report for report in reports if report.phase is EmbeddedServerPhase.READY]
    whole = summarize(reports)
    assert (whole.phase is EmbeddedServerPhase.READY) == bool(ready)
    assert whole.capacity == sum(report.capacity for report in ready)
    assert whole.sessions == sum(report.sessions for report in ready)
    if not ready:
        assert whole.phase in {report.phase for report in reports} and not whole.model
        return
    assert set(whole.languages) == set.intersection(*(set(report.languages) for report in ready))
    assert set(whole.voices) == set.intersection(*(set(report.voices) for report in ready))
    assert whole.model == ready[0].model
    assert all(report.fallbacks <= whole.fallbacks for report in ready)
    assert len(ready) == len(reports) or f"{len(ready)} of {len(reports)}" in whole.detail


def test_summary_without_a_ready_server_prefers_the_state_that_ends_by_itself() -> None:
    loading = EmbeddedReport(EmbeddedServerPhase.LOADING, "Warming up")
    failed = EmbeddedReport(EmbeddedServerPhase.FAILED, "A file is missing.")
    away = unreachable(HOST)
    assert summarize([away, failed, loading]) == loading
    assert summarize([away, failed]).phase is EmbeddedServerPhase.FAILED
    assert summarize([away]).detail == f"The embedded server at {HOST} does not answer."
