"""Metrics of several replicas, added up: which series are added, and one sentence for a replica that is missing."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replicas.metrics import ADDED_GAUGES, ADDED_TYPES, CREATED_SUFFIX, add_up, main
from tests.support.app.app_process import free_port
from tests.support.app.prometheus_samples import parse_metrics
from voicechat.config.session_update import SessionMode
from voicechat.limits.admission import AdmissionKind
from voicechat.server.prometheus import Metrics
from voicechat.server.replica_status import SharedStateStatus, SlotUse

TOKEN = "token-canary"
GAUGES_OF_EACH = {
    "voice_chat_slots_taken_everywhere",
    "voice_chat_slots_limit",
    "voice_chat_replica_info",
    "voice_chat_shared_state",
    "process_start_time_seconds",
    "process_max_fds",
}
"""Gauges that keep a line for each replica. A new gauge belongs here or in `ADDED_GAUGES`."""


def page_of(conversations: int, latencies_s: list[float], slots_here: int) -> str:
    """Return the metrics of a replica with these conversations and turns."""
    metrics = Metrics()
    for _ in range(conversations):
        metrics._started.labels(SessionMode.VOICE.value).inc()
        metrics._open.labels(SessionMode.VOICE.value).inc()
    for latency_s in latencies_s:
        metrics._latency.observe(latency_s)
    slots = {AdmissionKind.CALL: SlotUse(slots_here, 5, 8)}
    metrics.set_shared_state(f"replica{conversations}", SharedStateStatus.OK, slots)
    return metrics.render().decode()


ONE, TWO = page_of(2, [0.25, 2.5], 2), page_of(3, [0.25], 3)


def test_counters_histograms_and_gauges_of_one_replica_are_added() -> None:
    found = parse_metrics(add_up({"a:1": ONE, "b:2": TWO}))
    assert found[("voice_chat_conversations_total", "voice")] == 5
    assert found[("voice_chat_conversations_open", "voice")] == 5
    assert found[("voice_chat_slots_taken", "call")] == 5
    assert found[("voice_chat_turn_latency_seconds_count",)] == 3
    assert found[("voice_chat_turn_latency_seconds_sum",)] == 3.0
    assert found[("voice_chat_turn_latency_seconds_bucket", "0.3")] == 2
    assert found[("voice_chat_turn_latency_seconds_bucket", "+Inf")] == 3


def test_limits_states_and_names_keep_a_line_for_each_replica() -> None:
    found = parse_metrics(add_up({"a:1": ONE, "b:2": TWO}))
    for instance in ("a:1", "b:2"):
        assert found[("voice_chat_slots_taken_everywhere", instance, "call")] == 5
        assert found[("voice_chat_slots_limit", instance, "call")] == 8
        assert found[("voice_chat_shared_state", instance, "ok")] == 1
    assert found[("voice_chat_replica_info", "replica2", "a:1")] == 1
    assert found[("voice_chat_replica_info", "replica3", "b:2")] == 1


def test_sum_of_one_replica_is_its_own() -> None:
    found, own = parse_metrics(add_up({"a:1": ONE})), parse_metrics(ONE)
    assert {key[0] for key in found} == {name for name, *_ in own if not name.endswith(CREATED_SUFFIX)}
    added = {key: value for key, value in own.items() if key in found}
    assert added and all(found[key] == value for key, value in added.items())


def test_every_gauge_of_the_app_is_added_or_kept_for_a_reason() -> None:
    families = list(text_string_to_metric_families(ONE))
    gauges = {each.name for each in families if each.type == "gauge" and not each.name.endswith(CREATED_SUFFIX)}
    assert gauges == ADDED_GAUGES | GAUGES_OF_EACH
    assert {each.type for each in families} == ADDED_TYPES | {"gauge"}


@contextmanager
def served(page: str, token: str = "") -> Iterator[str]:
    """Serve a page of metrics, to those who send the token; yield the address."""

    class MetricsPageHandler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_allowed = not token or self.headers["Authorization"] == f"Bearer {token}"
            self.send_response(200 if is_allowed and self.path == "/metrics" else 401)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MetricsPageHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_command_prints_the_sum(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with served(ONE, TOKEN) as one, served(TWO) as two:
        assert main([one, f"{two}/", "--token-file", str(tmp_path / "token")]) == 0
    out, err = capsys.readouterr()
    assert parse_metrics(out)[("voice_chat_conversations_total", "voice")] == 5 and not err


def test_command_adds_up_the_others_and_names_the_replica_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with served(ONE, TOKEN) as locked, served(TWO) as two:
        assert main([locked, two, away]) == 1
    out, err = capsys.readouterr()
    assert parse_metrics(out)[("voice_chat_conversations_total", "voice")] == 3
    assert err.splitlines() == [
        f"{locked} answers HTTP 401 in place of metrics.",
        f"{away} does not answer: ConnectError.",
    ]


def test_command_refuses_another_page_with_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with served("<!doctype html><p>No metrics {here</p>\n") as other:
        assert main([other]) == 1
    assert capsys.readouterr().err.strip() == "An answer has another form than Prometheus' metrics."
