"""Shutdown while conversations are open: they are notified and may finish, and new ones are refused."""

from __future__ import annotations

import asyncio

import pytest

from realtime_handler import RealtimeHandler
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_chat_page import FakeChatPage
from tests.support.sessions.fake_chat_page import endpoint_source as chat_at
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at, running_call
from tests.support.sessions.running_gateway import connected_client, running_gateway
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.notices import Notice
from voicechat.server.graceful_shutdown import GracefulShutdown
from voicechat.session.text_session import TextSession
from voicechat.turn_taking import call_lifecycle
from voicechat.turn_taking.snapshot import CallStage


@pytest.fixture(autouse=True)
def short_closing_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_lifecycle, "MIN_SHUTDOWN_NOTICE_S", 0.3)


async def test_shutdown_notifies_open_calls_and_refuses_queued_ones() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(
            Settings(), endpoint_at(url), AdmissionController(ConcurrencyLimits(calls=1, queue_length=1))
        )
        one, two = FakeRtcPage(prototype), FakeRtcPage(prototype)
        await one.start()
        await one.wait_for_stage(CallStage.LISTENING)
        await two.start()
        await two.wait_for_stage(CallStage.QUEUED)
        prototype.admission.begin_shutdown(7.0)
        assert (await two.wait_for_stage(CallStage.FAILED)).notice == Notice.CLOSING
        snapshot = await one.wait_for_snapshot(lambda s: s.notice == Notice.CLOSING_SOON)
        assert (snapshot.stage, snapshot.notice_seconds) == (CallStage.LISTENING, 7)
        late = FakeRtcPage(prototype)
        await late.start()
        assert (await late.wait_for_stage(CallStage.FAILED)).notice == Notice.CLOSING
        assert (await one.wait_for_stage(CallStage.ENDED)).notice == Notice.CLOSING, "the call was idle"
        for page in (one, two, late):
            await page.hang_up()
        assert prototype.admission.is_empty


async def test_shutdown_lets_a_reply_finish() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.complete_response("r1", "a1", "It is noon.", 1500))
        await page.wait_for_stage(CallStage.SPEAKING)
        page.handler.admission.begin_shutdown(30.0)
        assert (await page.wait_for_stage(CallStage.ENDED)).notice == Notice.CLOSING
        assert page.visitor.conversation.captions()[-1].unheard == ""


async def test_shutdown_ends_a_call_after_the_drain_time() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.speech_started("u1"))
        await page.wait_for_stage(CallStage.USER_SPEAKING)
        page.handler.admission.begin_shutdown(0.6)
        assert (await page.wait_for_stage(CallStage.ENDED)).notice == Notice.CLOSING


async def test_shutdown_ends_a_chat() -> None:
    there, admission = ScriptedRealtimeServer(), AdmissionController(ConcurrencyLimits())
    async with running_server(there.handle_connection) as url:
        chat = TextSession(Settings(), chat_at(url), admission, Conversation(text_only=True))
        chat.start()
        reader = FakeChatPage(chat)
        await reader.wait_for_stage(CallStage.LISTENING)
        admission.begin_shutdown(7.0)
        await reader.wait_for_snapshot(lambda s: s.notice == Notice.CLOSING_SOON)
        assert (await reader.wait_for_stage(CallStage.ENDED)).notice == Notice.CLOSING
        await chat.wait_closed()
        assert admission.is_empty


async def test_shutdown_ends_a_gateway_client_whose_reply_does_not_end() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await there.send({"type": "response.created", "response": {"id": "r1"}})
        await client.next_event()
        ours.gateway._admission.begin_shutdown(0.6)
        assert await client.read_until_closed() == (1012, "server_error.server_closing")
        assert client.received[-1]["error"]["code"] == "server_closing"


async def test_server_stops_after_the_last_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        should_exit = False

    class ShutdownListener:
        def on_admission_changed(self) -> None: ...

        def on_shutdown(self, grace_s: float) -> None:
            notified.set_result(grace_s)

    notified: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr("voicechat.server.graceful_shutdown.FINAL_NOTICE_S", 0.0)
    admission, running = AdmissionController(ConcurrencyLimits()), Server()
    shutdown = GracefulShutdown(admission, 60.0)
    shutdown.attach_server(running)  # type: ignore[arg-type]
    ticket = admission.request_admission(ShutdownListener(), AdmissionKind.CALL)
    shutdown.on_signal(15, None)
    shutdown.on_signal(15, None)  # the same once more, as process managers do: nothing else happens
    assert await notified == 60.0 and shutdown.is_shutting_down and not running.should_exit
    ticket.release()
    await asyncio.to_thread(shutdown.wait)
    assert running.should_exit
