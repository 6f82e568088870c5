"""Reconnecting client: renewals before a session ends, and the conversation that each new server is sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection

from tests.support.manual_clock import ManualClock
from tests.support.realtime import server_events
from tests.support.realtime.barge_in_driver import server_vad_confirmed
from tests.support.realtime.fake_realtime_server import running_server, send_events
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.failures import Failure
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import parse_event
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import CallStage
from voicechat.upstream.reconnecting_client import RENEWAL_POLL_S, ReconnectingClient, renewal_times
from voicechat.upstream.retry_policy import Renew, Retry, RetryHistory

Event = dict[str, Any]


@given(st.floats(1, 86_400))
def test_renewal_times_are_late_in_the_lifetime(life_s: float) -> None:
    quietly, latest = renewal_times(life_s)
    assert life_s * 0.7 <= quietly < latest < life_s
    assert life_s - latest <= 20


@pytest.mark.parametrize(
    "before", [None, "reply_failed", Notice.SERVER_SILENT, Notice.AWAITING_SERVER, Notice.AWAITING_MODELS]
)
@pytest.mark.parametrize(
    ("action", "shown"),
    [
        (Retry(0.5), None),
        (Retry(0.5, awaits_models=True), Notice.AWAITING_MODELS),
        (Retry(0.5, awaits_server=True), Failure.EMBEDDED_UNREACHABLE),
        (Retry(2.0, awaits_slot=True), Notice.AWAITING_SERVER),
        (Renew(), Notice.RENEWING),
    ],
)
def test_notice_of_the_lost_connection_does_not_hide_the_reconnecting(
    action: Retry | Renew, shown: str | None, before: str | None
) -> None:
    call = CallStateMachine(Conversation(), Settings(), 100.0)
    client = ReconnectingClient(call, Settings(), lambda: Failure.LOST, lambda _: {}, clock=lambda: 100.0)
    call.handle_connected(100.0)
    call.set_notice(before)
    client._show_disconnected(action, replace(RetryHistory.start(100.0), was_ready=True))
    assert (call.stage, call.notice) == (CallStage.RECONNECTING, shown)


class SessionLimitServer:
    """A server whose sessions last `life_s`, and that ends them then."""

    def __init__(self, life_s: float, wall_clock: Callable[[], float] = time.time) -> None:
        self.life_s = life_s
        self._wall_clock = wall_clock
        self.connections: list[list[Event]] = []
        self.close_codes: list[int | None] = []
        self._sockets: list[ServerConnection] = []

    async def handle_connection(self, socket: ServerConnection) -> None:
        got: list[Event] = []
        self.connections.append(got)
        self._sockets.append(socket)
        session = {"type": "realtime", "expires_at": self._wall_clock() + self.life_s}
        await send_events(socket, {"type": "session.created", "session": session})
        async with asyncio.timeout(None) as life:
            life.reschedule(asyncio.get_running_loop().time() + self.life_s)
            try:
                async for message in socket:
                    event = json.loads(message)
                    got.append(event)
                    if event["type"] == "session.update":
                        await send_events(
                            socket, {"type": "session.updated", "session": {**session, **event["session"]}}
                        )
            except asyncio.CancelledError:
                await socket.close(1001, "Your session hit the maximum duration of 60 minutes.")
                raise
            finally:
                self.close_codes.append(socket.close_code)

    async def send(self, *events: Event) -> None:
        await send_events(self._sockets[-1], *events)


class RunningCall:
    """A call with its connection; by `clock` instead of the computer's where one is given."""

    def __init__(self, url: str, clock: ManualClock | None = None) -> None:
        self.call = CallStateMachine(Conversation(), Settings(), time.monotonic())
        self.stages: list[tuple[CallStage, str | None]] = []
        self._changed = asyncio.Condition()
        endpoint = Endpoint(ServerKind.CUSTOM, url)
        self.client = ReconnectingClient(
            self.call,
            Settings(),
            lambda: endpoint,
            lambda _: {"type": "session.update", "event_id": "session_update", "session": {"type": "realtime"}},
            on_change=self._on_change,
            clock=clock or time.monotonic,
            sleep=clock.sleep if clock else asyncio.sleep,
            wall_clock=clock or time.time,
        )
        self.task = asyncio.create_task(self.client.run())
        self._waiting: list[tuple[Callable[[], bool], asyncio.Event]] = []

    def _on_change(self) -> None:
        now = (self.call.stage, self.call.notice)
        if not self.stages or self.stages[-1] != now:
            self.stages.append(now)
        for condition, event in self._waiting:
            if condition():
                event.set()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        event = asyncio.Event()
        self._waiting.append((condition, event))
        async with asyncio.timeout(10):
            await event.wait()

    async def end(self) -> None:
        self.call.end(CallStage.ENDED, None, time.monotonic())
        self.task.cancel()
        await asyncio.wait([self.task])


async def test_renewal_of_an_idle_call_precedes_the_session_end() -> None:
    there = SessionLimitServer(1.2)
    async with running_server(there.handle_connection) as url:
        held = RunningCall(url)
        await held.wait_until(lambda: held.call.is_connected)
        held.client.send(held.call.send_text("Hello", time.monotonic()) or [])
        await there.send(*server_events.complete_response("r1", "a1", "Hi.", 0))
        await held.wait_until(lambda: (CallStage.RECONNECTING, Notice.RENEWING) in held.stages)
        await held.wait_until(lambda: len(there.connections) == 2 and held.call.is_connected)
        assert there.close_codes[0] == 1000  # by us, not by the server
        assert held.call.notice is None
        await held.end()
        items = [event["item"] for event in there.connections[1] if event["type"] == "conversation.item.create"]
        sent = [(item["role"], item["content"][0]["text"]) for item in items]
        assert sent == [("user", "Hello"), ("assistant", "Hi.")]


async def test_renewal_while_the_visitor_speaks_waits_for_the_last_moment() -> None:
    life_s, clock = 3600.0, ManualClock()
    earliest_s, latest_s = renewal_times(life_s)
    there = SessionLimitServer(life_s, wall_clock=clock)
    async with running_server(there.handle_connection) as url:
        held = RunningCall(url, clock)
        await held.wait_until(lambda: held.call.is_connected)
        await there.send(server_events.speech_started("u1"))
        await held.wait_until(lambda: not held.call.idle)
        await clock.advance(earliest_s + 1.0)
        assert clock.sleeps[1:] == [RENEWAL_POLL_S] * 5, "it looks for a quiet moment"
        await clock.advance(latest_s - earliest_s - 1.5)
        assert held.call.is_connected
        await clock.advance(0.5)
        await held.wait_until(lambda: (CallStage.RECONNECTING, Notice.RENEWING) in held.stages)
        await held.wait_until(lambda: len(there.connections) == 2 and held.call.is_connected)
        await held.end()


@pytest.mark.parametrize("ends", [None, "soon", -5, 10**12, True], ids=str)
async def test_renewal_ignores_an_invalid_expiry(ends: object) -> None:
    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"type": "realtime", "expires_at": ends}})
        async for message in socket:
            await send_events(socket, {"type": "session.updated", "session": json.loads(message).get("session")})

    async with running_server(talk) as url:
        held = RunningCall(url)
        await held.wait_until(lambda: held.call.is_connected)
        assert not held.task.done()
        await held.end()


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
def test_reconnect_after_any_interruptions_sends_the_conversation_on_the_page(
    steps: list[tuple[str, Any]], ours: bool
) -> None:
    """`ours`: the server leaves interruptions to us."""
    now = 100.0
    call = CallStateMachine(Conversation(), Settings(replay_items=1000), now)
    call.handle_connected(now)
    call.handle_event(parse_event(server_vad_confirmed(interrupt_response=not ours)), now)

    def sent_conversation() -> list[tuple[str, str]]:
        call.handle_disconnected(CallStage.RECONNECTING, now)
        created = [e["item"] for e in call.handle_connected(now) if e["type"] == "conversation.item.create"]
        call.handle_event(parse_event(server_vad_confirmed(interrupt_response=not ours)), now)
        return [(item["role"], item["content"][0]["text"]) for item in created]

    for number, (step, value) in enumerate([*steps, ("cut", "")]):
        user, reply, item = f"u{number}", f"r{number}", f"a{number}"
        events: list[Event] = []
        match step:
            case "say":
                call.send_text(value, now)
            case "speak":
                events = [
                    server_events.speech_started(user),
                    *server_events.turn_committed(user),
                    server_events.transcription_completed(user, value),
                ]
            case "reply":
                events = server_events.complete_response(reply, item, value, 1000)
            case "barge":
                events = [server_events.speech_started(user)]
            case "clear":
                call.clear(now)
            case "play":
                for _ in range(value // 20):
                    call.tick_20ms(now)
                    call.next_frame(now)
                    now += 0.02
            case "cut":
                known = sent_conversation()
                shown = [(b.role, b.text) for b in call.conversation.bubbles() if b.text.strip()]
                assert known == shown
        for event in events:
            call.handle_event(parse_event(event), now)
