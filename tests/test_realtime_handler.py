"""A voice call from the browser's frames to a server's socket and back, with fastrtc's part played by the test."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from realtime.places import Kind
from realtime.settings import Ducking, Settings
from realtime_handler import Stage, Visitor, VoiceCall

from .pages import Page, at, calling
from .realtime import script
from .realtime.servers import Script, greet, server


async def test_a_conversation() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        assert page.visitor.call is page.call
        assert page.call.places.live(Kind.CALL) == 1
        page.level = 1234
        async with asyncio.timeout(5):
            while all(not any(base64.b64decode(a["audio"])) for a in there.of("input_audio_buffer.append")):
                await there.hears("input_audio_buffer.append", len(there.of("input_audio_buffer.append")) + 1)
        spoken = base64.b64decode(there.of("input_audio_buffer.append")[-1]["audio"])
        assert np.frombuffer(spoken, dtype="<i2").tolist() == [1234] * 480
        await there.says(script.speech_started("u1"))
        await page.reaches(Stage.HEARING)
        await there.says(script.turn_over("u1"), script.heard("u1", "What time is it?"))
        await page.reaches(Stage.THINKING)
        await there.says(script.whole_reply("r1", "a1", "It is noon.", 400, "u1"))
        await page.reaches(Stage.SPEAKING)
        last = await page.reaches(Stage.LISTENING)
        assert [(b.role, b.text) for b in last.bubbles] == [("user", "What time is it?"), ("assistant", "It is noon.")]
        assert last.waits is not None and last.money is not None and last.server == "custom"
        (turn,) = last.waits.recent
        assert [span.name for span in turn.spans][-1] == "heard"
        assert turn.total_s == pytest.approx(turn.waited_s + turn.model_s + turn.rest_s)
        assert turn.rest_s >= 0.1, "the way to the ear"
        assert np.count_nonzero(np.concatenate(page.frames)) == 400 * 24
    assert page.visitor.call is None
    await there.gone()


async def test_speaking_over_a_reply() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 4000))
        await page.reaches(Stage.SPEAKING)
        start = len(page.frames)
        await page.until(lambda: len(page.frames) > start + 25)
        await there.says(script.speech_started("u2"))
        (truncate,) = await there.hears("conversation.item.truncate")
        played = sum(bool(frame.any()) for frame in page.frames) * 20
        assert truncate["item_id"] == "a1"
        assert 0 <= played - truncate["audio_end_ms"] <= 60
        await page.reaches(Stage.HEARING)
        count = len(page.frames)
        await page.until(lambda: len(page.frames) > count + 10)
        assert not np.concatenate(page.frames[count + 2 :]).any()
        bubble = page.snapshots[-1].bubbles[0]
        assert bubble.unheard
        assert (bubble.text + bubble.unheard).split() == ["One", "two", "three", "four"]


async def test_what_is_said_before_the_connection_is_ready_is_not_lost() -> None:
    there = Script()
    ready = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await ready.wait()
        await there.talk(socket)

    async with server(talk) as url, calling(at(url)) as page:
        page.level = 500
        await page.until(lambda: len(page.frames) > 20)
        assert page.snapshots[-1].stage is Stage.CONNECTING
        ready.set()
        sent = await there.hears("input_audio_buffer.append", 20)
        loud = sum(any(base64.b64decode(event["audio"])) for event in sent)
        assert loud >= 18


async def test_a_microphone_that_falls_silent_in_mid_word_is_silence_to_the_server() -> None:
    """Packets that stop (a stalled headset, a sender that saves silence) must not leave a turn open for ever."""
    silent = asyncio.Event()

    async def serve(socket: ServerConnection) -> None:
        await greet(socket)
        quiet = 0
        async for message in socket:
            event = json.loads(message)
            if event["type"] != "input_audio_buffer.append":
                continue
            samples = np.frombuffer(base64.b64decode(event["audio"]), "<i2")
            quiet = 0 if samples.any() else quiet + len(samples)
            if quiet >= 24_000 // 2:
                silent.set()

    async with server(serve) as url, calling(at(url)) as page:
        page.level = 1000
        await page.reaches(Stage.LISTENING)
        await page.until(lambda: len(page.frames) > 20)
        page.unplugged = True
        async with asyncio.timeout(5):
            await silent.wait()


async def test_a_typed_message_and_clear() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await page.call.say("Hello there")
        (created,) = await there.hears("conversation.item.create")
        await there.hears("response.create")
        await there.says({**created, "type": "conversation.item.added"})
        await there.says(script.whole_reply("r1", "a1", "Hi!", 100))
        await page.shows(lambda snapshot: [b.text for b in snapshot.bubbles] == ["Hello there", "Hi!"])
        await page.visitor.clear()
        deleted = await there.hears("conversation.item.delete", 2)
        assert [event["item_id"] for event in deleted] == [created["item"]["id"], "a1"]
        await page.shows(lambda snapshot: not snapshot.bubbles)


async def test_whoever_types_learns_whether_it_was_taken() -> None:
    there = Script()
    assert not await VoiceCall(Settings(), at("ws://127.0.0.1:1")).say("Too early")
    async with server(there.talk) as url, calling(at(url), max_message_chars=5) as page:
        await page.reaches(Stage.LISTENING)
        assert not await page.call.say("123456")
        assert not await page.call.say(" \n")
        assert await page.call.say("12345")
        await there.hears("conversation.item.create")
        await page.call.hang_up(None)
        assert not await page.call.say("late")
    assert len(there.of("conversation.item.create")) == 1


async def test_a_call_that_is_over_is_no_call_to_the_page() -> None:
    """fastrtc may take a while to notice that a call has ended; the page must not wait for it."""
    there = Script()
    visitor = Visitor()
    assert not visitor.in_call
    async with server(there.talk) as url, calling(at(url), visitor) as page:
        assert visitor.in_call, "also while it is connecting"
        await page.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "Hi!", 40))
        await page.shows(lambda snapshot: bool(snapshot.bubbles))
        await page.call.hang_up(None)
        assert visitor.call is page.call
        assert not visitor.in_call
        await visitor.clear()
        assert visitor.snapshot().bubbles == ()
    assert not visitor.in_call


async def test_a_second_call_goes_on_where_the_first_ended() -> None:
    there = Script()
    visitor = Visitor()
    async with server(there.talk) as url:
        async with calling(at(url), visitor) as page:
            await page.reaches(Stage.LISTENING)
            await there.says(script.whole_reply("r1", "a1", "Remember me.", 40))
            await page.shows(lambda snapshot: bool(snapshot.bubbles) and snapshot.stage is Stage.LISTENING)
        assert [bubble.text for bubble in visitor.snapshot().bubbles] == ["Remember me."]
        async with calling(at(url), visitor) as page:
            (seed,) = await there.hears("conversation.item.create")
            assert seed["item"]["role"] == "assistant"
            assert seed["item"]["content"] == [{"type": "output_text", "text": "Remember me."}]
            assert [b.text for b in (await page.reaches(Stage.LISTENING)).bubbles] == ["Remember me."]
    await visitor.clear()
    assert visitor.snapshot().bubbles == ()


async def test_a_connection_lost_in_the_middle_of_a_reply_comes_back() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.speech_started("u1"), script.turn_over("u1"), script.heard("u1", "Tell me more"))
        await there.says(script.reply_begins("r1", "a1", "u1"), script.clause("r1", "a1", "Once upon a time", 600))
        await page.reaches(Stage.SPEAKING)
        await there.cut()
        await page.reaches(Stage.RECONNECTING)
        await page.shows(lambda snapshot: snapshot.stage in (Stage.LISTENING, Stage.SPEAKING))
        assert there.visits == 2
        seeds = await there.hears("conversation.item.create", 2)
        assert [s["item"]["content"][0]["text"] for s in seeds] == ["Tell me more", "Once upon a time"]
        await page.reaches(Stage.LISTENING)
        assert np.count_nonzero(np.concatenate(page.frames)) == 600 * 24, "what had come was played"
        before = len(there.of("input_audio_buffer.append"))
        await there.hears("input_audio_buffer.append", before + 5)


async def test_the_servers_hour_is_over_and_the_call_goes_on() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.close(1001, "Your session hit the maximum duration of 60 minutes.")
        await page.shows(lambda snapshot: there.visits == 2 and snapshot.stage is Stage.LISTENING)


async def test_garbage_does_not_end_a_call() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        kinds = ["response.done", "response.created", "error", "conversation.item.added", "response.output_audio.delta"]
        for kind in kinds:
            for odd in (None, 7, "text", [], {}):
                await there.says({"type": kind, "response": odd, "error": odd, "item": odd, "delta": odd})
        await there.says({"type": "unheard.of"}, script.whole_reply("r1", "a1", "Still here.", 40))
        await page.shows(lambda snapshot: [b.text for b in snapshot.bubbles][-1:] == ["Still here."])


async def test_two_visitors_do_not_meet() -> None:
    there = Script()
    async with server(there.talk) as url:
        prototype = VoiceCall(Settings(), at(url))
        first, second = Page(prototype), Page(prototype)
        await first.start()
        await first.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "For the first.", 40))
        await first.shows(lambda snapshot: bool(snapshot.bubbles))
        await second.start()
        assert (await second.reaches(Stage.LISTENING)).bubbles == ()
        assert prototype.snapshot is None
        await first.hangs_up()
        await second.hangs_up()
    assert not there.of("conversation.item.create")


async def test_the_pace_holds_while_a_lot_arrives() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"))
        start, began = len(page.frames), page.call.clock()
        for number in range(40):
            await there.says(script.clause("r1", "a1", f"Word {number}. ", 500, 10))
        await page.until(lambda: len(page.frames) >= start + 50)
        elapsed = page.call.clock() - began
        assert elapsed >= 0.95, "50 frames are a second, whatever arrives"
        assert len(page.snapshots) <= 25 * max(elapsed, 1)


def loudest(frames: list[np.ndarray]) -> int:
    return int(np.abs(np.concatenate(frames)).max())


async def test_a_cough_over_a_reply_on_the_wire() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), ducking=Ducking.ON) as page:
        await page.reaches(Stage.LISTENING)
        turns = there.update["session"]["audio"]["input"]["turn_detection"]
        assert (turns["create_response"], turns["interrupt_response"]) == (True, False)
        await there.says(script.whole_reply("r1", "a1", "One two three four", 3000))
        await page.reaches(Stage.SPEAKING)
        await there.says(script.speech_started("u1"))
        await page.reaches(Stage.HEARING)
        start = len(page.frames)
        await page.until(lambda: len(page.frames) > start + 4 and loudest(page.frames[-2:]) == 200)
        await there.says(script.turn_over("u1", "a1"), script.reply_begins("r2", "a2", "u1")[:1])
        (cancel,) = await there.hears("response.cancel")
        assert cancel["response_id"] == "r2"
        await there.says({"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": []}})
        await there.says(script.heard("u1", ""))
        (deleted,) = await there.hears("conversation.item.delete")
        assert deleted["item_id"] == "u1"
        await page.reaches(Stage.SPEAKING)
        await page.until(lambda: loudest(page.frames[-2:]) == 1000)
        last = await page.reaches(Stage.LISTENING)
        assert [(b.role, b.text, b.unheard) for b in last.bubbles] == [("assistant", "One two three four", "")]
        assert np.count_nonzero(np.concatenate(page.frames)) == 3000 * 24, "heard to its end"
        assert there.of("conversation.item.truncate") == []


async def test_a_voice_over_a_reply_on_the_wire() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), ducking=Ducking.ON) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 4000))
        await page.reaches(Stage.SPEAKING)
        start = len(page.frames)
        await page.until(lambda: len(page.frames) > start + 25)
        page.level = 3000
        await there.says(script.speech_started("u1"))
        (truncate,) = await there.hears("conversation.item.truncate")
        await there.hears("response.cancel")
        besides = ("input_audio_buffer.append", "session.update")  # the echo guard's
        kinds = [e["type"] for e in there.got if e["type"] not in besides]
        assert kinds == ["conversation.item.truncate", "response.cancel"]
        played = sum(bool(frame.any()) for frame in page.frames) * 20
        assert 0 <= played - truncate["audio_end_ms"] <= 60
        count = len(page.frames)
        await page.until(lambda: len(page.frames) > count + 10)
        assert not np.concatenate(page.frames[count + 2 :]).any()
        assert page.snapshots[-1].stage is Stage.HEARING


async def test_the_first_reply_is_guarded_on_the_wire() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "One.", 400))
        updates = await there.hears("session.update", 2)
        found = [e["session"]["audio"]["input"]["turn_detection"]["threshold"] for e in updates]
        assert found == [0.8, 0.5]
        refusal = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": "session.audio"}
        await there.says({"type": "error", "error": {**refusal, "event_id": updates[0]["event_id"]}})
        await there.says(script.whole_reply("r2", "a2", "Two.", 100))
        last = await page.shows(lambda s: s.stage is Stage.LISTENING and len(s.bubbles) == 2)
        assert last.notice is None
