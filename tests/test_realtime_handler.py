"""A voice call from the browser's frames to a server's socket and back, with fastrtc's part played by the test."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream
from websockets.asyncio.server import ServerConnection

from realtime.connection import Failure
from realtime.settings import Ducking, Endpoint, ServerKind, Settings
from realtime_handler import CallBook, EndpointForKey, Notice, Snapshot, Stage, Visitor, VoiceCall

from .realtime import script
from .realtime.servers import Script, greet, send, server

KEY = "sk-test-secret"


class Page:
    """One call as a browser and fastrtc drive it: 50 frames a second each way, and the snapshots that come out."""

    def __init__(self, prototype: VoiceCall, visitor: Visitor | None = None) -> None:
        self.call = prototype.copy()
        self.visitor = visitor or Visitor()
        self.snapshots: list[Snapshot] = []
        self.frames: list[np.ndarray] = []
        self.closed: str | None = None
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.level = 0
        """Of the microphone."""
        self.unplugged = False
        """The microphone delivers nothing any more, not even silence."""

    readyState = "open"

    def send(self, message: str) -> None:
        """fastrtc's data channel."""
        if json.loads(message)["type"] == "send_input":
            self.call.set_args(["the component's value", self.visitor])

    async def start(self) -> None:
        self.call.set_channel(self)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]
        await self.call.start_up()

    async def _listen(self) -> None:
        while self.closed is None:
            output = await self.call.emit()
            async with self._changed:
                if isinstance(output, AdditionalOutputs):
                    self.snapshots.append(output.args[0])
                elif isinstance(output, CloseStream):
                    self.closed = output.msg
                elif output is not None:
                    self.frames.append(output[1][0])
                self._changed.notify_all()

    async def _speak(self) -> None:
        heard = 0
        while self.closed is None:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self.frames) > heard or self.closed is not None)  # noqa: B023
            heard = len(self.frames)
            if self.unplugged:
                continue
            await self.call.receive((24000, np.full((1, 480), self.level, dtype=np.int16)))

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """The snapshot now shown, once it is so."""
        await self.until(lambda: bool(self.snapshots) and condition(self.snapshots[-1]))
        return self.snapshots[-1]

    async def reaches(self, stage: Stage) -> Snapshot:
        return await self.shows(lambda snapshot: snapshot.stage is stage)

    async def hangs_up(self) -> None:
        """The visitor presses the button, or closes the tab."""
        for task in self._tasks:
            task.cancel()
        async with asyncio.timeout(1):
            await self.call.shutdown()


@asynccontextmanager
async def calling(endpoint: EndpointForKey, visitor: Visitor | None = None, **changed: Any) -> AsyncIterator[Page]:
    page = Page(VoiceCall(Settings(**changed), endpoint), visitor)
    try:
        await page.start()
        yield page
    finally:
        await page.hangs_up()
        assert page.call.calls.live == 0


def at(url: str) -> EndpointForKey:
    return lambda _: Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"})


async def test_a_conversation() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        assert page.visitor.call is page.call
        assert page.call.calls.live == 1
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
        assert last.latency_ms is not None
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


@pytest.mark.parametrize(
    ("talk_then_close", "failure"),
    [
        (("invalid_api_key", 3000), Failure.WRONG_KEY),
        (("model_not_found", 4004), Failure.MODEL_NOT_FOUND),
        (("session_limit_reached", 1008), Failure.SERVER_FULL),
    ],
)
async def test_a_refusal_is_said_and_ends_the_call(
    talk_then_close: tuple[str, int], failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    visits = []

    async def talk(socket: ServerConnection) -> None:
        visits.append(socket)
        await send(socket, script.error(talk_then_close[0]))
        await socket.close(talk_then_close[1])

    async with server(talk) as url, calling(at(url)) as page:
        last = await page.reaches(Stage.FAILED)
        assert last.notice == failure
        assert page.call.calls.live == 0, "its place is free before the browser has gone"
        await page.until(lambda: page.closed is not None)
    assert len(visits) == 1
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("websockets"))
    assert KEY not in ours
    assert "secret words" not in ours


async def test_a_wrong_key_at_the_door() -> None:
    from http import HTTPStatus

    from websockets.asyncio.server import Request, Response
    from websockets.datastructures import Headers

    async def talk(_: ServerConnection) -> None:
        raise AssertionError

    def refuse(_: Request) -> Response:
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", Headers())

    async with server(talk, refuse) as url, calling(at(url)) as page:
        assert (await page.reaches(Stage.FAILED)).notice == Failure.WRONG_KEY


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    async with calling(at(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime")) as page:
        assert (await page.reaches(Stage.FAILED)).notice == Failure.UNREACHABLE
        assert {snapshot.stage for snapshot in page.snapshots} == {Stage.CONNECTING, Stage.FAILED}


async def test_a_server_whose_models_are_loading() -> None:
    there = Script()
    places: list[Endpoint | Failure] = [Failure.LOADING]
    async with server(there.talk) as url, calling(lambda _: places[0]) as page:
        assert (await page.shows(lambda s: s.notice is not None)).notice == Failure.LOADING
        places[0] = at(url)("")
        assert (await page.reaches(Stage.LISTENING)).notice is None


async def test_no_money_in_the_middle_of_a_call() -> None:
    there = Script()
    failed = {"id": "r1", "status": "failed", "status_details": {"error": {"code": "insufficient_quota"}}}
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says({"type": "response.done", "response": failed})
        assert (await page.reaches(Stage.FAILED)).notice == Failure.QUOTA


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


async def test_a_tab_closed_while_connecting() -> None:
    arrived = asyncio.Event()
    left = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        arrived.set()
        await socket.wait_closed()
        left.set()

    async with server(talk) as url:
        async with calling(at(url), Visitor()) as page:
            await arrived.wait()
            await page.hangs_up()
            assert page.call.calls.live == 0
            assert page.visitor.call is None
            async with asyncio.timeout(2):
                await left.wait()
        assert all(task.done() for task in page.call._tasks)


async def test_all_places_taken() -> None:
    there = Script()
    async with server(there.talk) as url:
        book = CallBook(1)
        prototype = VoiceCall(Settings(), at(url), book)
        first, second = Page(prototype), Page(prototype)
        await first.start()
        await first.reaches(Stage.LISTENING)
        await second.start()
        assert (await second.reaches(Stage.FAILED)).notice == Notice.SERVER_BUSY
        assert book.live == 1
        await second.hangs_up()
        assert book.live == 1
        await first.hangs_up()
        assert book.live == 0
        third = Page(prototype)
        await third.start()
        await third.reaches(Stage.LISTENING)
        await third.hangs_up()
    assert there.visits == 2


@pytest.mark.parametrize(
    ("limit", "notice"), [({"idle_seconds": 0}, Notice.IDLE), ({"max_call_seconds": 0}, Notice.TIME_LIMIT)]
)
async def test_limits_end_a_call(limit: dict[str, int], notice: Notice) -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), **limit) as page:
        last = await page.reaches(Stage.ENDED)
        assert last.notice == notice
        await page.until(lambda: page.closed is not None)


async def test_a_page_that_vanishes_frees_its_line() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), vanished_seconds=0.5) as page:
        await page.reaches(Stage.LISTENING)
        assert page.call.calls.live == 1
        page.unplugged = True
        last = await page.reaches(Stage.ENDED)
        assert last.notice == Notice.NO_MICROPHONE
        assert page.call.calls.live == 0


async def test_an_error_of_ours_ends_the_call_and_is_said() -> None:
    there = Script()

    def endpoint(_: str) -> Endpoint:
        raise RuntimeError(KEY)

    async with server(there.talk), calling(endpoint) as page:
        assert (await page.reaches(Stage.FAILED)).notice == Notice.INTERNAL


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


def test_a_place_can_be_given_back_twice() -> None:
    book = CallBook(1)
    call = object()
    assert book.enter(call)
    assert book.enter(call), "it has its place already"
    assert not book.enter(object())
    book.leave(call)
    book.leave(call)
    assert book.live == 0


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
        kinds = [e["type"] for e in there.got if e["type"] != "input_audio_buffer.append"]
        assert kinds[-2:] == ["conversation.item.truncate", "response.cancel"]
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
