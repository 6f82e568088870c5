"""Voice call from the browser's frames to a Realtime server and back. The test plays fastrtc's part."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from realtime_handler import CallStage, RealtimeHandler, Visitor
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, accept_session, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at, running_call
from voicechat.config.settings import DuckingMode, Settings
from voicechat.limits.admission import AdmissionKind


async def test_call_one_turn_goes_from_microphone_to_loudspeaker() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.visitor.call is page.session
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 1
        page.microphone_level = 1234
        async with asyncio.timeout(30):
            while all(not any(base64.b64decode(a["audio"])) for a in there.received_of("input_audio_buffer.append")):
                await there.wait_for(
                    "input_audio_buffer.append", len(there.received_of("input_audio_buffer.append")) + 1
                )
        spoken = base64.b64decode(there.received_of("input_audio_buffer.append")[-1]["audio"])
        assert np.frombuffer(spoken, dtype="<i2").tolist() == [1234] * 480
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
        assert last.latency is not None and last.cost is not None and last.server_name == "custom"
        (turn,) = last.latency.recent
        assert [span.name for span in turn.spans][-1] == "heard"
        assert turn.total_s == pytest.approx(turn.endpointing_s + turn.model_s + turn.playout_s)
        assert turn.playout_s >= 0.1, "the way to the ear"
        assert np.count_nonzero(np.concatenate(page.frames)) == 400 * 24
    assert page.visitor.call is None
    await there.wait_closed()


async def test_barge_in_by_server_truncates_reply_at_heard_length() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(
            server_events.response_started("r1", "a1"),
            server_events.clause_deltas("r1", "a1", "One two three four", 4000),
        )
        await page.wait_for_stage(CallStage.SPEAKING)
        start = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > start + 25)
        await there.send(server_events.speech_started("u2"))
        (truncate,) = await there.wait_for("conversation.item.truncate")
        played = sum(bool(frame.any()) for frame in page.frames) * 20
        assert truncate["item_id"] == "a1"
        assert 0 <= played - truncate["audio_end_ms"] <= 60
        await page.wait_for_stage(CallStage.USER_SPEAKING)
        count = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > count + 10)
        assert not np.concatenate(page.frames[count + 2 :]).any()
        bubble = page.snapshots[-1].bubbles[0]
        assert bubble.unheard
        assert (bubble.text + bubble.unheard).split() == ["One", "two", "three", "four"]


async def test_speech_before_connection_is_sent_once_connected() -> None:
    there = ScriptedRealtimeServer()
    ready = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await ready.wait()
        await there.handle_connection(socket)

    async with running_server(talk) as url, running_call(endpoint_at(url)) as page:
        page.microphone_level = 500
        await page.wait_until(lambda: len(page.frames) > 20)
        assert page.snapshots[-1].stage is CallStage.CONNECTING
        ready.set()
        sent = await there.wait_for("input_audio_buffer.append", 20)
        loud = sum(any(base64.b64decode(event["audio"])) for event in sent)
        assert loud >= 18


async def test_stalled_microphone_sends_silence() -> None:
    """Packets that stop (a stalled headset, a sender that saves silence) must not leave a turn open for ever."""
    silent = asyncio.Event()

    async def serve(socket: ServerConnection) -> None:
        await accept_session(socket)
        quiet = 0
        async for message in socket:
            event = json.loads(message)
            if event["type"] != "input_audio_buffer.append":
                continue
            samples = np.frombuffer(base64.b64decode(event["audio"]), "<i2")
            quiet = 0 if samples.any() else quiet + len(samples)
            if quiet >= 24_000 // 2:
                silent.set()

    async with running_server(serve) as url, running_call(endpoint_at(url)) as page:
        page.microphone_level = 1000
        await page.wait_for_stage(CallStage.LISTENING)
        await page.wait_until(lambda: len(page.frames) > 20)
        page.is_microphone_unplugged = True
        async with asyncio.timeout(30):
            await silent.wait()


async def test_typed_message_is_answered_and_clear_deletes_both() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.session.send_text("Hello there")
        (created,) = await there.wait_for("conversation.item.create")
        await there.wait_for("response.create")
        await there.send({**created, "type": "conversation.item.added"})
        await there.send(server_events.complete_response("r1", "a1", "Hi!", 100))
        await page.wait_for_snapshot(lambda snapshot: [b.text for b in snapshot.bubbles] == ["Hello there", "Hi!"])
        await page.visitor.clear()
        deleted = await there.wait_for("conversation.item.delete", 2)
        assert [event["item_id"] for event in deleted] == [created["item"]["id"], "a1"]
        await page.wait_for_snapshot(lambda snapshot: not snapshot.bubbles)


async def test_typed_message_blank_long_or_late_is_not_accepted() -> None:
    there = ScriptedRealtimeServer()
    assert RealtimeHandler(Settings(), endpoint_at("ws://127.0.0.1:1")).session is None, "too early"
    async with (
        running_server(there.handle_connection) as url,
        running_call(endpoint_at(url), max_message_chars=5) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        assert not page.session.send_text("123456")
        assert not page.session.send_text(" \n")
        assert page.session.send_text("12345")
        await there.wait_for("conversation.item.create")
        page.session.end_by_user()
        assert not page.session.send_text("late")
    assert len(there.received_of("conversation.item.create")) == 1


async def test_visitor_after_end_is_not_in_call_before_disconnect() -> None:
    """fastrtc may take a while to notice that a call has ended; the page must not wait for it."""
    there = ScriptedRealtimeServer()
    visitor = Visitor()
    assert not visitor.is_in_call
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url), visitor) as page:
        assert visitor.is_in_call, "also while it is connecting"
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.complete_response("r1", "a1", "Hi!", 40))
        await page.wait_for_snapshot(lambda snapshot: bool(snapshot.bubbles))
        page.session.end_by_user()
        assert visitor.call is page.session
        assert not visitor.is_in_call
        await visitor.clear()
        assert visitor.snapshot().bubbles == ()
    assert not visitor.is_in_call


async def test_second_call_replays_first_conversation() -> None:
    there = ScriptedRealtimeServer()
    visitor = Visitor()
    async with running_server(there.handle_connection) as url:
        async with running_call(endpoint_at(url), visitor) as page:
            await page.wait_for_stage(CallStage.LISTENING)
            await there.send(server_events.complete_response("r1", "a1", "Remember me.", 40))
            await page.wait_for_snapshot(
                lambda snapshot: bool(snapshot.bubbles) and snapshot.stage is CallStage.LISTENING
            )
        assert [bubble.text for bubble in visitor.snapshot().bubbles] == ["Remember me."]
        async with running_call(endpoint_at(url), visitor) as page:
            (seed,) = await there.wait_for("conversation.item.create")
            assert seed["item"]["role"] == "assistant"
            assert seed["item"]["content"] == [{"type": "output_text", "text": "Remember me."}]
            assert [b.text for b in (await page.wait_for_stage(CallStage.LISTENING)).bubbles] == ["Remember me."]
    await visitor.clear()
    assert visitor.snapshot().bubbles == ()


async def test_connection_lost_in_reply_reconnects_and_plays_received_audio() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(
            server_events.speech_started("u1"),
            server_events.turn_committed("u1"),
            server_events.transcription_completed("u1", "Tell me more"),
        )
        await there.send(
            server_events.response_started("r1", "a1", "u1"),
            server_events.clause_deltas("r1", "a1", "Once upon a time", 600),
        )
        await page.wait_for_stage(CallStage.SPEAKING)
        await there.abort_connection()
        await page.wait_for_stage(CallStage.RECONNECTING)
        await page.wait_for_snapshot(lambda snapshot: snapshot.stage in (CallStage.LISTENING, CallStage.SPEAKING))
        assert there.connection_count == 2
        seeds = await there.wait_for("conversation.item.create", 2)
        assert [s["item"]["content"][0]["text"] for s in seeds] == ["Tell me more", "Once upon a time"]
        await page.wait_for_stage(CallStage.LISTENING)
        assert np.count_nonzero(np.concatenate(page.frames)) == 600 * 24, "what had come was played"
        before = len(there.received_of("input_audio_buffer.append"))
        await there.wait_for("input_audio_buffer.append", before + 5)


async def test_session_expired_reconnects() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.close_connection(1001, "Your session hit the maximum duration of 60 minutes.")
        await page.wait_for_snapshot(
            lambda snapshot: there.connection_count == 2 and snapshot.stage is CallStage.LISTENING
        )


async def test_malformed_events_do_not_end_call() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        kinds = ["response.done", "response.created", "error", "conversation.item.added", "response.output_audio.delta"]
        for kind in kinds:
            for odd in (None, 7, "text", [], {}):
                await there.send({"type": kind, "response": odd, "error": odd, "item": odd, "delta": odd})
        await there.send({"type": "unheard.of"}, server_events.complete_response("r1", "a1", "Still here.", 40))
        await page.wait_for_snapshot(lambda snapshot: [b.text for b in snapshot.bubbles][-1:] == ["Still here."])


async def test_two_visitors_have_separate_conversations() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url))
        first, second = FakeRtcPage(prototype), FakeRtcPage(prototype)
        await first.start()
        await first.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.complete_response("r1", "a1", "For the first.", 40))
        await first.wait_for_snapshot(lambda snapshot: bool(snapshot.bubbles))
        await second.start()
        assert (await second.wait_for_stage(CallStage.LISTENING)).bubbles == ()
        assert prototype.session is None
        await first.hang_up()
        await second.hang_up()
    assert not there.received_of("conversation.item.create")


async def test_output_pace_under_load_is_real_time() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.response_started("r1", "a1"))
        start, began = len(page.frames), page.handler.clock()
        for number in range(40):
            await there.send(server_events.clause_deltas("r1", "a1", f"Word {number}. ", 500, 10))
        await page.wait_until(lambda: len(page.frames) >= start + 50)
        elapsed = page.handler.clock() - began
        assert elapsed >= 0.95, "50 frames are a second, whatever arrives"
        assert len(page.snapshots) <= 25 * max(elapsed, 1)


def peak_level(frames: list[np.ndarray]) -> int:
    return int(np.abs(np.concatenate(frames)).max())


async def test_cough_over_reply_ducks_and_resumes() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_call(endpoint_at(url), ducking=DuckingMode.ON) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        turns = there.session_update["session"]["audio"]["input"]["turn_detection"]
        assert (turns["create_response"], turns["interrupt_response"]) == (True, False)
        await there.send(server_events.complete_response("r1", "a1", "One two three four", 3000))
        await page.wait_for_stage(CallStage.SPEAKING)
        await there.send(server_events.speech_started("u1"))
        await page.wait_for_stage(CallStage.USER_SPEAKING)
        start = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > start + 4 and peak_level(page.frames[-2:]) == 200)
        await there.send(server_events.turn_committed("u1", "a1"), server_events.response_started("r2", "a2", "u1")[:1])
        (cancel,) = await there.wait_for("response.cancel")
        assert cancel["response_id"] == "r2"
        await there.send({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
        await there.send(server_events.transcription_completed("u1", ""))
        (deleted,) = await there.wait_for("conversation.item.delete")
        assert deleted["item_id"] == "u1"
        await page.wait_for_stage(CallStage.SPEAKING)
        await page.wait_until(lambda: peak_level(page.frames[-2:]) == 1000)
        last = await page.wait_for_stage(CallStage.LISTENING)
        assert [(b.role, b.text, b.unheard) for b in last.bubbles] == [("assistant", "One two three four", "")]
        assert np.count_nonzero(np.concatenate(page.frames)) == 3000 * 24, "heard to its end"
        assert there.received_of("conversation.item.truncate") == []


async def test_speech_over_reply_truncates_and_cancels() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_call(endpoint_at(url), ducking=DuckingMode.ON) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(
            server_events.response_started("r1", "a1"),
            server_events.clause_deltas("r1", "a1", "One two three four", 4000),
        )
        await page.wait_for_stage(CallStage.SPEAKING)
        start = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > start + 25)
        page.microphone_level = 3000
        await there.send(server_events.speech_started("u1"))
        (truncate,) = await there.wait_for("conversation.item.truncate")
        await there.wait_for("response.cancel")
        besides = ("input_audio_buffer.append", "session.update")  # the echo guard's
        kinds = [e["type"] for e in there.received if e["type"] not in besides]
        assert kinds == ["conversation.item.truncate", "response.cancel"]
        played = sum(bool(frame.any()) for frame in page.frames) * 20
        assert 0 <= played - truncate["audio_end_ms"] <= 60
        count = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > count + 10)
        assert not np.concatenate(page.frames[count + 2 :]).any()
        assert page.snapshots[-1].stage is CallStage.USER_SPEAKING


async def test_first_reply_raises_and_restores_vad_threshold() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(server_events.complete_response("r1", "a1", "One.", 400))
        updates = await there.wait_for("session.update", 2)
        found = [e["session"]["audio"]["input"]["turn_detection"]["threshold"] for e in updates]
        assert found == [0.8, 0.5]
        refusal = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": "session.audio"}
        await there.send({"type": "error", "error": {**refusal, "event_id": updates[0]["event_id"]}})
        await there.send(server_events.complete_response("r2", "a2", "Two.", 100))
        last = await page.wait_for_snapshot(lambda s: s.stage is CallStage.LISTENING and len(s.bubbles) == 2)
        assert last.notice is None
