"""Voice call over an audio socket: tickets, transports and limits."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from fastapi import APIRouter

from realtime_handler import CallStage, Notice, RealtimeHandler, Visitor
from tests.support.manual_clock import ManualClock
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at
from tests.support.sessions.fake_websocket_page import FakeWebSocketPage, make_registry, running_websocket_call
from voicechat.config.settings import Settings
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.server.routes import openapi_schema
from voicechat.session import audio_socket_call
from voicechat.session.audio_socket_call import (
    CLOSE_NORMAL,
    CLOSE_TRY_AGAIN_LATER,
    CLOSE_UNKNOWN_TICKET,
    MAX_TICKETS,
    TICKET_TTL_S,
    AudioSocketRegistry,
    TicketState,
)
from voicechat.session.voice_session import VoiceSession
from voicechat.transport.audio_socket_protocol import (
    CLOSE_POLICY_VIOLATION,
    CLOSE_UNSUPPORTED_DATA,
    FRAME_BYTES,
    MAX_BURST_FRAMES,
    MAX_UNACKED_FRAMES,
)


async def test_socket_call_one_turn_goes_from_microphone_to_loudspeaker() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == page.release_count == 1
        page.microphone_level = 1234
        spoken = np.full(480, 1234, "<i2").tobytes()
        async with asyncio.timeout(30):
            while base64.b64decode((await there.wait_for("input_audio_buffer.append"))[-1]["audio"]) != spoken:
                await there.wait_for(
                    "input_audio_buffer.append", len(there.received_of("input_audio_buffer.append")) + 1
                )
        await there.send(server_events.speech_started("u1"))
        await page.wait_for_stage(CallStage.USER_SPEAKING)
        await there.send(
            server_events.turn_committed("u1"), server_events.transcription_completed("u1", "What time is it?")
        )
        await page.wait_for_stage(CallStage.THINKING)
        await there.send(server_events.complete_response("r1", "a1", "It is noon.", 400, "u1"))
        await page.wait_for_stage(CallStage.SPEAKING)
        last = await page.wait_for_stage(CallStage.LISTENING)
        assert [(b.role, b.text) for b in last.bubbles] == [("user", "What time is it?"), ("assistant", "It is noon.")]
        assert last.latency is not None and last.cost is not None
        assert np.count_nonzero(np.concatenate(page.frames)) == 400 * 24
        assert {len(frame) for frame in page.frames} == {480}
    recording = page.visitor.recording
    assert recording is not None
    sound = np.frombuffer(b"".join(recording.iter_wav())[44:], "<i2").reshape(-1, 2).T
    assert 1234 in sound[0] and np.count_nonzero(sound[1]) == 400 * 24
    assert page.visitor.call is None
    assert page.snapshots[-1].stage is CallStage.ENDED
    await there.wait_closed()


async def test_socket_output_pace_under_load_is_real_time() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.response_started("r1", "a1"))
        start, began = len(page.frames), page.handler.clock()
        for number in range(40):
            await there.send(server_events.clause_deltas("r1", "a1", f"Word {number}. ", 500, 10))
        await page.wait_until(lambda: len(page.frames) >= start + 50)
        assert page.handler.clock() - began >= 0.95, "50 frames are a second, whatever arrives"


async def test_unacknowledged_frames_stop_playback_and_close_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stalled connection holds the reply up; a lasting stall ends the call."""
    monkeypatch.setattr(audio_socket_call, "STALL_TIMEOUT_S", 0.3)
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(
            server_events.response_started("r1", "a1"),
            server_events.clause_deltas("r1", "a1", "One two three four", 4000),
        )
        await page.wait_for_stage(CallStage.SPEAKING)
        page.acknowledges_frames = False
        messages = len(page.frames) // 5 * 5
        await page.wait_until(lambda: page.close_code is not None)
        assert page.close_code == CLOSE_TRY_AGAIN_LATER
        assert len(page.frames) == messages + MAX_UNACKED_FRAMES
        await page.wait_until_done()
        (bubble,) = page.visitor.snapshot().bubbles
        assert "four" in bubble.unheard, "most of four seconds was never sent"


async def test_blocked_network_ends_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_socket_call, "STALL_TIMEOUT_S", 0.2)
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.network_open.clear()
        await page.wait_until_done()
        assert page.visitor.call is None


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([bytes(FRAME_BYTES - 2)], CLOSE_UNSUPPORTED_DATA),
        ([b""], CLOSE_UNSUPPORTED_DATA),
        ([bytes(1_000_000)], CLOSE_UNSUPPORTED_DATA),
        (["hello"], CLOSE_UNSUPPORTED_DATA),
        (["x" * 5000], CLOSE_POLICY_VIOLATION),
        ([bytes(FRAME_BYTES)] * (MAX_BURST_FRAMES + 100), CLOSE_POLICY_VIOLATION),
    ],
    ids=["short", "empty", "large", "no JSON", "long", "flood"],
)
async def test_invalid_messages_close_socket(messages: list[bytes | str], code: int) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        for message in messages:
            page.send(message)
        await page.wait_until(lambda: page.close_code is not None)
        assert page.close_code == code
        await page.wait_until_done()


# -------------------------------------------------------------------- tickets


async def assert_ticket_rejected(page: FakeWebSocketPage, ticket: str) -> None:
    await page.connect(ticket)
    assert (page.is_accepted, page.close_code) == (False, CLOSE_UNKNOWN_TICKET)
    assert page.visitor.call is None


async def test_ticket_is_valid_once_and_for_a_minute() -> None:
    there, clock = ScriptedRealtimeServer(), ManualClock()
    async with running_server(there.handle_connection) as url:
        sockets = AudioSocketRegistry(RealtimeHandler(Settings(), endpoint_at(url)), clock)
        await assert_ticket_rejected(FakeWebSocketPage(sockets), "guessed")
        first = FakeWebSocketPage(sockets)
        ticket = first.request_ticket()
        assert len(base64.urlsafe_b64decode(ticket + "=")) == 32
        clock.now += TICKET_TTL_S - 0.1
        first.connect(ticket)
        await first.wait_for_stage(CallStage.LISTENING)
        await assert_ticket_rejected(FakeWebSocketPage(sockets), ticket)
        first.disconnect()
        await first.wait_until_done()
        late = FakeWebSocketPage(sockets)
        ticket = late.request_ticket()
        clock.now += TICKET_TTL_S
        await assert_ticket_rejected(late, ticket)
        await late.wait_until_done()  # the page's news end too
        assert late.release_count == 0


async def test_tickets_are_bounded() -> None:
    sockets = make_registry("ws://127.0.0.1:1")
    oldest = FakeWebSocketPage(sockets)
    ticket = oldest.request_ticket()
    for _ in range(MAX_TICKETS):
        FakeWebSocketPage(sockets).request_ticket()
    await assert_ticket_rejected(oldest, ticket)
    await oldest.wait_until_done()


def test_route_is_not_in_openapi_schema() -> None:
    router = APIRouter()
    make_registry("ws://127.0.0.1:1").add_to(router)
    assert openapi_schema(router)["paths"] == {}


# -------------------------------------------------------------------- how it begins and ends


async def test_socket_call_above_limit_fails() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url), AdmissionController(ConcurrencyLimits(calls=1)))
        other = FakeRtcPage(prototype)
        await other.start()
        await other.wait_for_stage(CallStage.LISTENING)
        async with running_websocket_call(AudioSocketRegistry(prototype), busy=1) as page:
            assert (await page.wait_for_stage(CallStage.FAILED)).notice == Notice.SERVER_BUSY
            await page.wait_until(lambda: page.close_code is not None)
            assert (page.texts, page.close_code) == ([{"type": "ended"}], CLOSE_NORMAL)
        await other.hang_up()
    assert there.connection_count == 1


@pytest.mark.parametrize("is_session_made", [False, True])
async def test_failing_start_of_socket_call_shows_notice(
    is_session_made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(VoiceSession, "start" if is_session_made else "__init__", fail)
    page = FakeWebSocketPage(make_registry("ws://127.0.0.1:1"))
    page.connect(page.request_ticket())
    await page.wait_until_done()
    assert [(shown.stage, shown.notice) for shown in page.snapshots[-1:]] == [(CallStage.FAILED, Notice.INTERNAL)]
    assert (page.texts, page.close_code) == ([{"type": "ended"}], CLOSE_NORMAL)
    assert page.visitor.call is None


async def test_socket_call_at_time_limit_ends_with_notice() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_websocket_call(make_registry(url, max_call_seconds=1)) as page,
    ):
        assert (await page.wait_for_stage(CallStage.ENDED)).notice == Notice.TIME_LIMIT
        await page.wait_until(lambda: page.close_code is not None)
        assert (page.texts, page.close_code) == ([{"type": "ended"}], CLOSE_NORMAL)


async def test_socket_call_of_vanished_page_frees_its_slot() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_websocket_call(make_registry(url, vanished_seconds=0.5)) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        page.is_microphone_on = False
        assert (await page.wait_for_stage(CallStage.ENDED)).notice == Notice.NO_MICROPHONE
        assert page.registry.prototype.admission.count_admitted(AdmissionKind.CALL) == 0


async def test_hang_up_on_page_closes_socket() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.session.end_by_user()
        assert page.registry.prototype.admission.count_admitted(AdmissionKind.CALL) == 0
        await page.wait_until(lambda: page.close_code is not None)
        assert (page.texts, page.close_code) == ([], CLOSE_NORMAL)


async def test_failing_release_of_old_transport_does_not_delay_call() -> None:
    async def never() -> None:
        raise ConnectionError

    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        page = FakeWebSocketPage(make_registry(url))
        page._release_previous = never  # type: ignore[method-assign]
        page.connect(page.request_ticket())
        await page.wait_for_stage(CallStage.LISTENING)
        page.disconnect()
        await page.wait_until_done()


# -------------------------------------------------------------------- the same call, another way


async def test_call_lost_by_webrtc_continues_over_socket() -> None:
    """The call does not restart, and fastrtc, which notices after half a minute, no longer controls it."""
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        sockets = make_registry(url)
        old = FakeRtcPage(sockets.prototype)
        await old.start()
        await old.wait_for_stage(CallStage.LISTENING)
        await there.send(
            server_events.response_started("r1", "a1"),
            server_events.clause_deltas("r1", "a1", "One two three four", 2000),
        )
        await old.wait_for_stage(CallStage.SPEAKING)
        async with running_websocket_call(sockets, old.visitor) as page:
            await page.wait_until(lambda: bool(page.frames))
            assert page.handler is old.handler
            frames = len(old.frames)
            await old.hang_up()
            assert page.session.is_active
            await there.send(server_events.response_finished("r1", "a1", "One two three four"))
            last = await page.wait_for_stage(CallStage.LISTENING)
            assert [bubble.text for bubble in last.bubbles] == ["One two three four"]
            both = np.concatenate([*old.frames, *page.frames])
            assert np.count_nonzero(both) == 2000 * 24, "not a sample was lost or played twice"
            assert len(old.frames) == frames
            assert sockets.prototype.admission.count_admitted(AdmissionKind.CALL) == 1
        assert (there.connection_count, page.visitor.call) == (1, None)


async def test_ticket_of_ended_call_starts_no_new_call() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        sockets = make_registry(url, max_call_seconds=1)
        old = FakeRtcPage(sockets.prototype)
        await old.start()
        await old.wait_for_stage(CallStage.LISTENING)
        page = FakeWebSocketPage(sockets, old.visitor)
        ticket = page.request_ticket()
        await old.wait_for_stage(CallStage.ENDED)
        page.connect(ticket)
        last = await page.wait_for_stage(CallStage.ENDED)
        assert last.notice == Notice.TIME_LIMIT
        await page.wait_until(lambda: page.close_code == CLOSE_NORMAL)
        assert page.texts == [{"type": "ended"}] and not page.frames
        await page.wait_until_done()
        await old.hang_up()
        assert there.connection_count == 1 and sockets.prototype.admission.count_admitted(AdmissionKind.CALL) == 0


async def test_visitor_has_one_ticket_and_ticket_has_one_reader() -> None:
    """A visitor who asks repeatedly holds as much as one who asks once."""
    sockets, visitor = make_registry("ws://nowhere"), Visitor()

    async def nothing() -> None:
        pass

    _, first = sockets.issue_ticket(visitor, nothing)
    _, other = sockets.issue_ticket(Visitor(), nothing)
    _, last = sockets.issue_ticket(visitor, nothing)
    assert first.state is TicketState.CLOSED and other.state is last.state is TicketState.ISSUED
    reading = asyncio.create_task(anext(last.snapshots(), None))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert [snapshot async for snapshot in last.snapshots()] == []
    last.close()
    assert await reading is None
    async with asyncio.timeout(1):
        assert [snapshot async for snapshot in last.snapshots()] == []


async def test_lost_socket_continues_over_next_one() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        sockets = make_registry(url, grace_s=5)
        first = FakeWebSocketPage(sockets)
        first.connect(first.request_ticket())
        await first.wait_for_stage(CallStage.LISTENING)
        call = first.session
        first.disconnect(1006)
        async with running_websocket_call(sockets, first.visitor) as second:
            await second.wait_until(lambda: len(second.frames) > 5)
            assert second.session is call
            await first.wait_until_done()
            assert call.is_active
            await there.send(server_events.complete_response("r1", "a1", "Still here.", 100))
            await second.wait_for_snapshot(lambda snapshot: [b.text for b in snapshot.bubbles] == ["Still here."])
        assert there.connection_count == 1


async def test_lost_socket_without_another_ends_call() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_websocket_call(make_registry(url, grace_s=0.1)) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        page.disconnect(1006)
        await page.wait_until_done()
        assert page.visitor.call is None
        assert page.snapshots[-1].stage is CallStage.ENDED


async def test_socket_call_replays_earlier_conversation() -> None:
    there, visitor = ScriptedRealtimeServer(), Visitor()
    async with running_server(there.handle_connection) as url:
        sockets = make_registry(url)
        old = FakeRtcPage(sockets.prototype, visitor)
        await old.start()
        await old.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.complete_response("r1", "a1", "Remember me.", 40))
        await old.wait_for_snapshot(lambda snapshot: bool(snapshot.bubbles) and snapshot.stage is CallStage.LISTENING)
        await old.hang_up()
        async with running_websocket_call(sockets, visitor) as page:
            (seed,) = await there.wait_for("conversation.item.create")
            assert seed["item"]["content"] == [{"type": "output_text", "text": "Remember me."}]
            assert [b.text for b in (await page.wait_for_stage(CallStage.LISTENING)).bubbles] == ["Remember me."]


async def test_unknown_message_types_are_ignored() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_websocket_call(make_registry(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.send(json.dumps({"type": "something new"}))
        count = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > count + 10)
        assert page.close_code is None
