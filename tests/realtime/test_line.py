"""A call's line: renewed before its session ends, mended after it was lost, and what the server knows then."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from realtime.call import Call
from realtime.conversation import Conversation
from realtime.line import Line, renewal
from realtime.settings import Endpoint, ServerKind, Settings
from realtime.snapshot import Notice, Stage

from . import script
from .over import confirmed
from .servers import send, server

Event = dict[str, Any]


@given(st.floats(1, 86_400))
def test_a_session_is_renewed_in_its_life_and_late_in_it(life_s: float) -> None:
    quietly, latest = renewal(life_s)
    assert life_s * 0.7 <= quietly < latest < life_s
    assert life_s - latest <= 20


class Hours:
    """A server whose sessions last `life_s`, and that ends them then."""

    def __init__(self, life_s: float) -> None:
        self.life_s = life_s
        self.visits: list[list[Event]] = []
        self.closed: list[int | None] = []
        self._sockets: list[ServerConnection] = []

    async def talk(self, socket: ServerConnection) -> None:
        got: list[Event] = []
        self.visits.append(got)
        self._sockets.append(socket)
        session = {"type": "realtime", "expires_at": time.time() + self.life_s}
        await send(socket, {"type": "session.created", "session": session})
        async with asyncio.timeout(None) as life:
            life.reschedule(asyncio.get_running_loop().time() + self.life_s)
            try:
                async for message in socket:
                    event = json.loads(message)
                    got.append(event)
                    if event["type"] == "session.update":
                        await send(socket, {"type": "session.updated", "session": {**session, **event["session"]}})
            except asyncio.CancelledError:
                await socket.close(1001, "Your session hit the maximum duration of 60 minutes.")
                raise
            finally:
                self.closed.append(socket.close_code)

    async def says(self, *events: Event) -> None:
        await send(self._sockets[-1], *events)


class Held:
    """A call on its line."""

    def __init__(self, url: str) -> None:
        self.call = Call(Conversation(), Settings(), time.monotonic())
        self.seen: list[tuple[Stage, str | None]] = []
        self._changed = asyncio.Condition()
        endpoint = Endpoint(ServerKind.CUSTOM, url)
        self.line = Line(
            self.call,
            Settings(),
            lambda: endpoint,
            lambda _: {"type": "session.update", "event_id": "session_update", "session": {"type": "realtime"}},
            news=self._note,
            clock=time.monotonic,
        )
        self.task = asyncio.create_task(self.line.hold())
        self._waiting: list[tuple[Callable[[], bool], asyncio.Event]] = []

    def _note(self) -> None:
        now = (self.call.stage, self.call.notice)
        if not self.seen or self.seen[-1] != now:
            self.seen.append(now)
        for condition, event in self._waiting:
            if condition():
                event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        event = asyncio.Event()
        self._waiting.append((condition, event))
        async with asyncio.timeout(10):
            await event.wait()

    async def over(self) -> None:
        self.call.end(Stage.ENDED, None, time.monotonic())
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_a_quiet_call_is_renewed_before_its_session_ends() -> None:
    there = Hours(1.2)
    async with server(there.talk) as url:
        held = Held(url)
        await held.until(lambda: held.call.connected)
        held.line.send(held.call.say("Hello", time.monotonic()) or [])
        await there.says(*script.whole_reply("r1", "a1", "Hi.", 0))
        await held.until(lambda: (Stage.RECONNECTING, Notice.RENEWING) in held.seen)
        await held.until(lambda: len(there.visits) == 2 and held.call.connected)
        assert there.closed[0] == 1000  # by us, not by the server
        assert held.call.notice is None
        await held.over()
        items = [event["item"] for event in there.visits[1] if event["type"] == "conversation.item.create"]
        told = [(item["role"], item["content"][0]["text"]) for item in items]
        assert told == [("user", "Hello"), ("assistant", "Hi.")]


async def test_a_call_in_the_middle_of_a_word_is_renewed_at_the_last_moment() -> None:
    there = Hours(2.0)
    async with server(there.talk) as url:
        held = Held(url)
        await held.until(lambda: held.call.connected)
        began = time.monotonic()
        await there.says(script.speech_started("u1"))
        await held.until(lambda: (Stage.RECONNECTING, Notice.RENEWING) in held.seen)
        assert time.monotonic() - began > 1.6
        await held.until(lambda: len(there.visits) == 2 and held.call.connected)
        await held.over()


@pytest.mark.parametrize("ends", [None, "soon", -5, 10**12, True], ids=str)
async def test_an_end_that_makes_no_sense_is_not_waited_for(ends: object) -> None:
    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {"type": "realtime", "expires_at": ends}})
        async for message in socket:
            await send(socket, {"type": "session.updated", "session": json.loads(message).get("session")})

    async with server(talk) as url:
        held = Held(url)
        await held.until(lambda: held.call.connected)
        assert not held.task.done()
        await held.over()


# -------------------------------------------------------------------- what the server knows


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["Hello", "你好嗎", "and then?"])),
        st.tuples(st.just("speak"), st.sampled_from(["One two", "三四", ""])),
        st.tuples(st.just("reply"), st.sampled_from(["First second third fourth.", "第一第二第三第四。"])),
        st.tuples(st.just("play"), st.sampled_from([20, 300, 1500])),
        st.tuples(st.just("barge"), st.just("")),
        st.tuples(st.just("cut"), st.just("")),
        st.tuples(st.just("clear"), st.just("")),
    ),
    max_size=25,
)


@given(STEPS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_after_any_cuts_the_server_is_told_what_the_page_shows(steps: list[tuple[str, Any]], ours: bool) -> None:
    """`ours`: the server leaves interruptions to us."""
    now = 100.0
    call = Call(Conversation(), Settings(replay_items=1000), now)
    call.connect(now)
    call.receive(confirmed(interrupt_response=not ours), now)

    def told() -> list[tuple[str, str]]:
        call.disconnect(Stage.RECONNECTING, now)
        created = [e["item"] for e in call.connect(now) if e["type"] == "conversation.item.create"]
        call.receive(confirmed(interrupt_response=not ours), now)
        return [(item["role"], item["content"][0]["text"]) for item in created]

    for number, (step, value) in enumerate([*steps, ("cut", "")]):
        user, reply, item = f"u{number}", f"r{number}", f"a{number}"
        events: list[Event] = []
        match step:
            case "say":
                call.say(value, now)
            case "speak":
                events = [script.speech_started(user), *script.turn_over(user), script.heard(user, value)]
            case "reply":
                events = script.whole_reply(reply, item, value, 1000)
            case "barge":
                events = [script.speech_started(user)]
            case "clear":
                call.clear(now)
            case "play":
                for _ in range(value // 20):
                    call.beat(now)
                    call.frame(now)
                    now += 0.02
            case "cut":
                known = told()
                shown = [(b.role, b.text) for b in call.conversation.bubbles() if b.text.strip()]
                assert known == shown
        for event in events:
            call.receive(event, now)
