"""Rate at which a socket is read."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.manual_clock import ManualClock
from tests.support.realtime.fake_realtime_server import accept_session, running_server
from voicechat.limits import read_rate_limit
from voicechat.limits.read_rate_limit import BURST_MESSAGES, EXTRA_MESSAGE_BYTES, MAX_MESSAGES_PER_S, ReadRateLimit
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.event_fields import MAX_ID_CHARS
from voicechat.upstream.connection import RealtimeConnection


def test_rate_limit_within_the_bounds_never_pauses() -> None:
    ours = ReadRateLimit(0.0)
    assert not any(ours.take(10_000, number / 200) for number in range(10_000))
    assert ours.take(8 * 2**20, 60.0) == 0.0, "a whole reply in one message"


@given(st.lists(st.integers(0, 20_000_000), min_size=1, max_size=50))
def test_rate_limit_with_its_pauses_keeps_the_rate(sizes: list[int]) -> None:
    ours, now = ReadRateLimit(100.0), 100.0
    for size in sizes:
        now += ours.take(size, now)
    counted = sum(1 + size // EXTRA_MESSAGE_BYTES for size in sizes)
    assert now - 100.0 == pytest.approx(max(0.0, (counted - BURST_MESSAGES) / MAX_MESSAGES_PER_S))


async def test_flooding_server_is_read_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_rate_limit, "MAX_MESSAGES_PER_S", 1000.0)
    monkeypatch.setattr(read_rate_limit, "BURST_MESSAGES", 100.0)

    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        with suppress(ConnectionClosed):
            for number in range(1500):
                await socket.send(json.dumps({"type": "flood", "number": number}))
            await socket.wait_closed()

    update, clock, received = {"type": "session.update", "session": {}}, ManualClock(), 0
    clock.moves_by_itself = True
    async with (
        running_server(talk) as url,
        RealtimeConnection(Endpoint(ServerKind.CUSTOM, url), update, clock=clock, sleep=clock.sleep) as connection,
    ):
        async for _ in connection.events():
            received += 1
            if received == 100:
                assert not clock.sleeps, "a burst is read at once"
            if received == 600:
                break
    assert sum(clock.sleeps) == pytest.approx(0.5), "500 messages beyond the burst, at 1000 a second"


async def test_event_with_a_long_id_is_ignored() -> None:
    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        name = "x" * (MAX_ID_CHARS + 1)
        odd = [
            {"item_id": name},
            {"response_id": name},
            {"item": {"id": name}},
            {"response": {"output": [{"id": name}]}},
        ]
        for event in (*odd, {"previous_item_id": name}, {"item_id": "x" * MAX_ID_CHARS}):
            await socket.send(json.dumps({"type": "odd", **event}))
        await socket.wait_closed()

    update = {"type": "session.update", "session": {}}
    async with running_server(talk) as url, RealtimeConnection(Endpoint(ServerKind.CUSTOM, url), update) as connection:
        async for event in connection.events():
            if event["type"] == "odd":
                assert event["item_id"] == "x" * MAX_ID_CHARS
                break
