"""Resource leaks: thirty lost connections, calls and clients in a row, and computers that sleep."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realtime_handler import RealtimeHandler
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_chat_page import FakeChatPage
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at
from tests.support.sessions.fake_websocket_page import FakeWebSocketPage
from tests.support.sessions.running_gateway import connected_client, running_gateway
from tests.support.sessions.session_users import IN_CALL_AND_CHAT, SessionFactory, is_listening
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.notices import Notice
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.text_session import TextSession
from voicechat.session.visitor import Visitor
from voicechat.turn_taking.snapshot import CallStage

pytestmark = pytest.mark.usefixtures("no_secrets_logged", "no_tasks_left")
REPETITIONS = 30


def open_files() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


@pytest.fixture(autouse=True)
async def no_resources_leaked() -> AsyncIterator[None]:
    tasks, files = len(asyncio.all_tasks()), open_files()
    yield
    deadline = time.monotonic() + 5
    while len(asyncio.all_tasks()) > tasks or open_files() > files:
        assert time.monotonic() < deadline, asyncio.all_tasks()
        await asyncio.sleep(0.02)


@IN_CALL_AND_CHAT
async def test_connection_lost_repeatedly_leaves_nothing(start_session: SessionFactory) -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        start_session(url, reconnect_attempts=REPETITIONS) as person,
    ):
        await person.wait_for_snapshot(is_listening)
        assert await person.send_text("One")
        await there.wait_for("response.create")
        await there.send(server_events.complete_response("r1", "a1", "Two.", 20))
        await person.wait_for_snapshot(lambda s: is_listening(s) and len(s.bubbles) == 2)
        tasks, files = len(asyncio.all_tasks()), open_files()
        for number in range(REPETITIONS):
            await there.abort_connection()
            await there.wait_for("conversation.item.create", 3 + 2 * number)
            last = await person.wait_for_snapshot(is_listening)
            assert [bubble.text for bubble in last.bubbles] == ["One", "Two."]
            assert len(there.received_of("response.create")) == 1, "what was answered is not asked again"
        # One more: a socket that has just been closed may still be on its way out.
        assert (len(asyncio.all_tasks()), open_files()) <= (tasks + 1, files + 1)
    assert there.connection_count == REPETITIONS + 1


async def test_audio_socket_lost_repeatedly_leaves_nothing() -> None:
    there, visitor = ScriptedRealtimeServer(), Visitor()
    async with running_server(there.handle_connection) as url:
        sockets = AudioSocketRegistry(RealtimeHandler(Settings(), endpoint_at(url)), grace_s=5)
        before = None
        for _ in range(REPETITIONS):
            page = FakeWebSocketPage(sockets, visitor)
            page.connect(page.request_ticket())
            await page.wait_until(lambda page=page: len(page.frames) > 3)
            if before is not None:
                await before.wait_until_done()
            page.disconnect(1006)
            before = page
        assert sockets.prototype.admission.count_admitted(AdmissionKind.CALL) == 1
        last = FakeWebSocketPage(sockets, visitor)
        last.connect(last.request_ticket())
        await last.wait_for_stage(CallStage.LISTENING)
        last.disconnect()
        await last.wait_until_done()
        assert (there.connection_count, sockets.prototype.admission.count_admitted(AdmissionKind.CALL)) == (1, 0)


async def test_calls_in_a_row_leave_nothing() -> None:
    there, visitor = ScriptedRealtimeServer(), Visitor()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(max_calls=1), endpoint_at(url))
        for _ in range(REPETITIONS):
            page = FakeRtcPage(prototype, visitor)
            await page.start()
            await page.wait_for_stage(CallStage.LISTENING)
            await page.hang_up()
            assert (prototype.admission.count_admitted(AdmissionKind.CALL), visitor.call) == (0, None)
    assert there.connection_count == REPETITIONS


async def test_gateway_clients_in_a_row_leave_nothing() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_gateway(url, MAX_SOCKETS="1") as ours:
        for number in range(REPETITIONS):
            async with connected_client(ours.url()) as client:
                assert (await client.next_event())["type"] == "session.created"
                if number % 2:
                    client.socket.transport.abort()
            await ours.wait_until_empty()
    assert there.connection_count == REPETITIONS


# -------------------------------------------------------------------- a computer that sleeps


class SleepSkippingClock:
    """The real one, and what was slept through."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.slept_s


async def test_call_after_an_hour_of_sleep_ends() -> None:
    """Server and browser are one laptop, and its clock counts the night: the call is over, and that is said."""
    there, clock = ScriptedRealtimeServer(), SleepSkippingClock()
    async with running_server(there.handle_connection) as url:
        page = FakeRtcPage(RealtimeHandler(Settings(), endpoint_at(url), clock=clock))
        await page.start()
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.complete_response("r1", "a1", "Good night.", 5000))
        await page.wait_for_stage(CallStage.SPEAKING)
        page.is_microphone_unplugged = True
        clock.slept_s = 3600
        await there.abort_connection()
        last = await page.wait_for_stage(CallStage.ENDED)
        assert last.notice in (Notice.NO_MICROPHONE, Notice.TIME_LIMIT)
        await page.wait_until(lambda: page.close_message is not None)
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 0
        await page.hang_up()
    assert there.connection_count <= 2


async def test_call_whose_browser_wakes_first_continues() -> None:
    """The microphone delivers again before anybody looks at the clock."""
    there, clock = ScriptedRealtimeServer(), SleepSkippingClock()
    async with running_server(there.handle_connection) as url:
        page = FakeRtcPage(
            RealtimeHandler(Settings(max_call_seconds=86_400, idle_seconds=86_400), endpoint_at(url), clock=clock)
        )
        await page.start()
        await page.wait_for_stage(CallStage.LISTENING)
        clock.slept_s = 3600
        page.handler.push_audio(bytes(960))
        await there.abort_connection()
        back = len(page.frames)
        await there.wait_for("input_audio_buffer.append", len(there.received_of("input_audio_buffer.append")) + 5)
        await page.wait_for_stage(CallStage.LISTENING)
        assert len(page.frames) - back < 200, "an hour of sound is not made up for"
        await page.hang_up()
    assert there.connection_count == 2


async def test_chat_after_an_hour_of_sleep_ends() -> None:
    there, clock = ScriptedRealtimeServer(), SleepSkippingClock()
    async with running_server(there.handle_connection) as url:
        book = AdmissionController(ConcurrencyLimits(chats=1))
        chat = TextSession(Settings(), lambda: endpoint_at(url)(""), book, Conversation(text_only=True), clock=clock)
        chat.start()
        reader = FakeChatPage(chat)
        await reader.wait_for_stage(CallStage.LISTENING)
        clock.slept_s = 3600
        await there.abort_connection()
        last = await reader.wait_for_snapshot(
            lambda s: (
                (s.stage in (CallStage.ENDED, CallStage.LISTENING) and there.connection_count == 2)
                or s.stage is CallStage.ENDED
            )
        )
        assert last.stage is CallStage.LISTENING or last.notice is not None
        chat.end_by_user()
        await chat.wait_closed()
        await reader.wait_until_finished()
        assert book.count_admitted(AdmissionKind.CHAT) == 0
