"""How fast a socket is listened to."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.realtime.fake_realtime_server import accept_session, running_server
from voicechat.limits import read_rate_limit
from voicechat.limits.read_rate_limit import BURST_MESSAGES, EXTRA_MESSAGE_BYTES, MAX_MESSAGES_PER_S, ReadRateLimit
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.event_fields import MAX_ID_CHARS
from voicechat.upstream.connection import RealtimeConnection


def test_nobody_within_the_bounds_ever_waits() -> None:
    ours = ReadRateLimit(0.0)
    assert not any(ours.take(10_000, number / 200) for number in range(10_000))
    assert ours.take(8 * 2**20, 60.0) == 0.0, "a whole reply in one message"


@given(st.lists(st.integers(0, 20_000_000), min_size=1, max_size=50))
def test_whoever_waits_as_told_takes_no_more_than_that(sizes: list[int]) -> None:
    ours, now = ReadRateLimit(100.0), 100.0
    for size in sizes:
        now += ours.take(size, now)
    counted = sum(1 + size // EXTRA_MESSAGE_BYTES for size in sizes)
    assert now - 100.0 == pytest.approx(max(0.0, (counted - BURST_MESSAGES) / MAX_MESSAGES_PER_S))


async def test_a_server_that_floods_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_rate_limit, "MAX_MESSAGES_PER_S", 1000.0)
    monkeypatch.setattr(read_rate_limit, "BURST_MESSAGES", 100.0)
    sent = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal sent
        await accept_session(socket)
        with suppress(ConnectionClosed):
            while True:
                await socket.send(json.dumps({"type": "flood", "number": sent}))
                sent += 1

    update = {"type": "session.update", "session": {}}
    async with running_server(talk) as url, RealtimeConnection(Endpoint(ServerKind.CUSTOM, url), update) as connection:
        loop, heard = asyncio.get_running_loop(), 0
        began = loop.time()
        async for event in connection.events():
            heard += event["type"] == "flood"
            if loop.time() - began >= 0.5:
                break
    assert 200 < heard < 800


async def test_an_id_that_is_none_is_no_event() -> None:
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
