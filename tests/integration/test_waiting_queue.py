"""Waiting queue with real sockets: calls and chats."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from realtime_handler import RealtimeHandler, Visitor
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_chat_page import FakeChatPage
from tests.support.sessions.fake_chat_page import endpoint_source as chat_at
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at, running_call
from tests.support.sessions.fake_websocket_page import FakeWebSocketPage
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.notices import Notice
from voicechat.session.audio_socket_call import AudioSocketRegistry
from voicechat.session.text_session import TextSession
from voicechat.turn_taking.snapshot import CallStage

ONE_CALL_LIMITS = ConcurrencyLimits(calls=1, chats=1, queue_length=2)


@asynccontextmanager
async def started_pages(prototype: RealtimeHandler, number: int) -> AsyncIterator[list[FakeRtcPage]]:
    """Visitors who press the button, one after the other; the first is admitted."""
    there = [FakeRtcPage(prototype) for _ in range(number)]
    try:
        for page in there:
            await page.start()
        await there[0].wait_for_stage(CallStage.LISTENING)
        yield there
    finally:
        for page in there:
            await page.hang_up()
        assert prototype.admission.is_empty


def peak_level(events: list[dict[str, str]]) -> int:
    return max(np.abs(np.frombuffer(base64.b64decode(e["audio"]), "<i2")).max() for e in events)


async def test_queued_call_shows_position_and_is_admitted() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        started_pages(RealtimeHandler(Settings(), endpoint_at(url), AdmissionController(ONE_CALL_LIMITS)), 3) as (
            one,
            two,
            three,
        ),
    ):
        assert (await two.wait_for_stage(CallStage.QUEUED)).queue_position == 1
        assert (await three.wait_for_stage(CallStage.QUEUED)).queue_position == 2
        assert there.connection_count == 1
        await one.hang_up()
        last = await two.wait_for_stage(CallStage.LISTENING)
        assert last.queue_position == 0 and last.cost is not None
        assert (await three.wait_for_snapshot(lambda s: s.queue_position == 1)).stage is CallStage.QUEUED
        late = FakeRtcPage(one.handler)
        await late.start()
        assert (await late.wait_for_stage(CallStage.QUEUED)).queue_position == 2
        await late.hang_up()


async def test_queued_call_keeps_no_audio_and_counts_no_time() -> None:
    there, now = ScriptedRealtimeServer(), 0.0
    settings = Settings(max_call_seconds=60, idle_seconds=60)
    async with (
        running_server(there.handle_connection) as url,
        started_pages(RealtimeHandler(settings, endpoint_at(url), AdmissionController(ONE_CALL_LIMITS)), 2) as (
            one,
            two,
        ),
    ):
        await two.wait_for_stage(CallStage.QUEUED)
        two.microphone_level = 12_345
        frames = len(two.frames)
        await two.wait_until(lambda: len(two.frames) > frames + 5)
        assert two.session._billing.cost is None
        two.microphone_level = 0
        await two.wait_until(lambda: len(two.frames) > frames + 8)
        now = two.handler.clock()
        assert two.visitor.recording is None
        await one.hang_up()
        await two.wait_for_stage(CallStage.LISTENING)
        assert two.session._call._started_at >= now
        assert two.visitor.conversation.clock.elapsed_s(two.handler.clock()) <= two.handler.clock() - now
        before = len(there.received_of("input_audio_buffer.append"))
        await there.wait_for("input_audio_buffer.append", before + 20)
        assert peak_level(there.received_of("input_audio_buffer.append")) == 0


async def test_message_typed_in_queue_is_answered_after_admission() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        started_pages(RealtimeHandler(Settings(), endpoint_at(url), AdmissionController(ONE_CALL_LIMITS)), 2) as (
            one,
            two,
        ),
    ):
        await two.wait_for_stage(CallStage.QUEUED)
        assert two.session.send_text("Hello?")
        assert [b.text for b in (await two.wait_for_snapshot(lambda s: bool(s.bubbles))).bubbles] == ["Hello?"]
        await one.hang_up()
        await there.wait_for("response.create")


@pytest.mark.parametrize("how", ["closed", "left", "vanished"])
async def test_queued_call_that_leaves_moves_others_up(how: str) -> None:
    there = ScriptedRealtimeServer()
    settings = Settings().with_changes(vanished_seconds=0.5)
    async with (
        running_server(there.handle_connection) as url,
        started_pages(RealtimeHandler(settings, endpoint_at(url), AdmissionController(ONE_CALL_LIMITS)), 3) as (
            _,
            two,
            three,
        ),
    ):
        await three.wait_for_snapshot(lambda s: s.queue_position == 2)
        if how == "closed":
            await two.hang_up()
        elif how == "left":
            two.session.end_by_user()
        else:
            two.is_microphone_unplugged = True
            assert (await two.wait_for_stage(CallStage.ENDED)).notice == Notice.NO_MICROPHONE
        await three.wait_for_snapshot(lambda s: s.queue_position == 1)
        assert there.connection_count == 1 and two.handler.admission.count_admitted(AdmissionKind.CALL) == 1


async def test_full_queue_and_visitor_limit_refuse() -> None:
    there = ScriptedRealtimeServer()
    places = AdmissionController(ConcurrencyLimits(calls=1, queue_length=1, calls_per_visitor=1))
    async with (
        running_server(there.handle_connection) as url,
        started_pages(RealtimeHandler(Settings(), endpoint_at(url), places), 1) as (one,),
    ):
        one.session._ticket.visitor = "somebody"
        same = Visitor()
        same.visitor_key = "somebody"
        again = FakeRtcPage(one.handler, same)
        await again.start()
        assert (await again.wait_for_stage(CallStage.FAILED)).notice == Notice.VISITOR_CALL_LIMIT
        waiting, late = FakeRtcPage(one.handler), FakeRtcPage(one.handler)
        await waiting.start()
        await late.start()
        assert (await late.wait_for_stage(CallStage.FAILED)).notice == Notice.SERVER_BUSY
        for page in (again, waiting, late):
            await page.hang_up()


async def test_audio_socket_call_is_queued_and_admitted() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        started_pages(RealtimeHandler(Settings(), endpoint_at(url), AdmissionController(ONE_CALL_LIMITS)), 1) as (one,),
    ):
        page = FakeWebSocketPage(AudioSocketRegistry(one.handler, grace_s=0.2))
        page.connect(page.request_ticket())
        assert (await page.wait_for_stage(CallStage.QUEUED)).queue_position == 1
        await page.wait_until(lambda: len(page.frames) > 10)
        await one.hang_up()
        await page.wait_for_stage(CallStage.LISTENING)
        page.disconnect()
        await page.wait_until_done()


async def test_queued_chat_can_leave_and_others_are_admitted() -> None:
    there, places = ScriptedRealtimeServer(), AdmissionController(ONE_CALL_LIMITS)
    async with running_server(there.handle_connection) as url:
        chats = [TextSession(Settings(), chat_at(url), places, Conversation(text_only=True)) for _ in range(3)]
        for chat in chats:
            chat.start()
        readers = [FakeChatPage(chat) for chat in chats]
        await readers[0].wait_for_stage(CallStage.LISTENING)
        assert [r.snapshot.queue_position for r in readers] == [0, 1, 2]
        assert chats[2].send_text("Hello?")
        chats[1].end_by_user()
        await readers[2].wait_for_snapshot(lambda s: s.queue_position == 1)
        chats[0].end_by_user()
        await readers[2].wait_for_stage(CallStage.THINKING)
        await there.wait_for("response.create")
        chats[2].end_by_user()
        for chat in chats:
            await chat.wait_closed()
        assert places.is_empty


async def test_offline_sessions_are_shared_by_calls_and_chats_without_own_key() -> None:
    there, places = ScriptedRealtimeServer(), AdmissionController(ConcurrencyLimits(offline_sessions=1, queue_length=2))
    async with running_server(there.handle_connection) as url:

        def endpoint(own_key: str) -> Endpoint:
            return Endpoint(ServerKind.CUSTOM if own_key else ServerKind.OFFLINE, url)

        chat = TextSession(Settings(), lambda: endpoint(""), places, Conversation(text_only=True))
        chat.start()
        visitor = Visitor()
        page = FakeRtcPage(RealtimeHandler(Settings(), endpoint, places), visitor)
        await page.start()
        await page.wait_for_stage(CallStage.QUEUED)
        visitor.own_key = "sk-own"  # noticed within a tick
        await page.wait_for_stage(CallStage.LISTENING)
        await page.hang_up()
        visitor.own_key = ""
        page = FakeRtcPage(page.handler, visitor)
        await page.start()
        await page.wait_for_stage(CallStage.QUEUED)
        chat.end_by_user()
        await page.wait_for_stage(CallStage.LISTENING)
        client = places.request_admission(page.session, AdmissionKind.API_CLIENT, uses_offline=True)
        assert client.refusal is Notice.SERVER_BUSY, "the call holds the only session"
        await page.hang_up()
        await chat.wait_closed()
        assert places.is_empty
    assert there.connection_count == 3


async def test_full_offline_server_is_tried_again() -> None:
    there, turned_away = ScriptedRealtimeServer(), 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal turned_away
        if not turned_away:
            turned_away += 1
            await socket.close(1013, "session_limit_reached")
            return
        await there.handle_connection(socket)

    async with running_server(talk) as url, running_call(lambda _: Endpoint(ServerKind.OFFLINE, url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
    assert turned_away == 1
