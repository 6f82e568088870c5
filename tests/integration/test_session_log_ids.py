"""Session ids in the log: each line of a session carries its id, whichever session or transport caused it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from realtime_handler import CallStage, RealtimeHandler
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at, running_call
from tests.support.sessions.fake_websocket_page import make_registry, running_websocket_call
from voicechat.config.settings import Endpoint, Settings
from voicechat.limits.admission import ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.logs import SessionFormatter
from voicechat.upstream import connection


class LineCollector(logging.Handler):
    """Log handler that formats each record where it is logged, as the app's own does."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(SessionFormatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def session_ids(self, text: str) -> list[str]:
        """Session ids of the lines that contain `text`; "" for a line without one."""
        found = [re.search(r" session=(\w+)$", line) for line in self.lines if text in line]
        return [match[1] if match else "" for match in found]


@pytest.fixture
def log_lines() -> Iterator[LineCollector]:
    collector, logger = LineCollector(), logging.getLogger("voicechat")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(collector)
    yield collector
    logger.removeHandler(collector)
    logger.setLevel(before)


async def test_session_log_two_calls_have_ids_of_their_own(log_lines: LineCollector) -> None:
    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url:
        admission = AdmissionController(ConcurrencyLimits(1, queue_length=1))
        prototype = RealtimeHandler(Settings(), endpoint_at(url), admission)
        first, queued = FakeRtcPage(prototype), FakeRtcPage(prototype)
        await first.start()
        await first.wait_for_stage(CallStage.LISTENING)
        await queued.start()
        await queued.wait_for_stage(CallStage.QUEUED)
        await server.abort_connection()
        await first.wait_for_stage(CallStage.RECONNECTING)
        await first.wait_for_stage(CallStage.LISTENING)
        await first.hang_up()  # which admits the queued call
        await queued.wait_for_stage(CallStage.LISTENING)
        await server.abort_connection()
        await queued.wait_for_stage(CallStage.RECONNECTING)
        await queued.hang_up()
    ids = list(dict.fromkeys(log_lines.session_ids("voicechat.upstream")))
    assert len(ids) == 2 and all(ids)


async def test_internal_error_in_microphone_frame_is_logged_with_session_id(
    log_lines: LineCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Endpoint:
        raise RuntimeError

    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        monkeypatch.setattr(page.session._call, "push_audio", fail)
        await page.wait_for_stage(CallStage.FAILED)
    assert len(log_lines.session_ids("session: internal error")) >= 1
    assert all(log_lines.session_ids("session: internal error"))


async def test_page_actions_are_logged_with_session_id(
    log_lines: LineCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        with monkeypatch.context() as full_queue:
            full_queue.setattr(connection, "try_send_nowait", lambda *_: False)
            full_queue.setattr(connection, "MAX_QUEUED_EVENTS", 0)
            page.session.send_text("Hello")
        log = logging.getLogger("voicechat.limits")
        monkeypatch.setattr(page.session._billing, "close", lambda reason: log.info("closed reason=%s", reason))
        page.session.end_by_user()
    for text in ("send queue full", "closed reason=hung_up"):
        ids = log_lines.session_ids(text)
        assert ids and all(ids), text


async def test_audio_socket_messages_are_logged_with_session_id(log_lines: LineCollector) -> None:
    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.send(b"")
        await page.wait_until(lambda: page.close_code is not None)
    [session_id] = log_lines.session_ids("audio socket: invalid message")
    assert session_id
