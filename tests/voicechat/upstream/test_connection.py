"""Upstream connection: readiness, bounds, and a failure for every way to end, against small fake servers."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import accept_session, running_server, send_events
from tests.support.realtime.upstream_connections import KEY, UPDATE, failure_of, make_connection
from voicechat.protocol.failures import FAILURE_BY_CODE, FATAL, ConnectionFailed, Failure
from voicechat.upstream import connection as module


async def test_connection_is_ready_when_the_settings_are_confirmed_and_loses_no_event() -> None:
    seen: dict[str, Any] = {}

    async def talk(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen["headers"] = socket.request.headers
        seen["update"] = await accept_session(socket)
        seen["next"] = json.loads(await socket.recv())
        await send_events(socket, {"type": "pong"})

    async with running_server(talk) as url, make_connection(url) as connection:
        connection.send({"type": "ping"})
        events = connection.events()
        kinds = [(await anext(events))["type"] for _ in range(3)]
        with pytest.raises(ConnectionFailed) as caught:
            await anext(events)
    assert kinds == ["session.created", "session.updated", "pong"]
    assert caught.value.failure is Failure.LOST
    assert seen["headers"]["Authorization"] == f"Bearer {KEY}"
    assert "OpenAI-Beta" not in seen["headers"]
    assert seen["update"] == UPDATE
    assert seen["next"] == {"type": "ping"}


async def test_event_with_nan_is_dropped_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        await send_events(socket, {"type": "next", "next": json.loads(await socket.recv())})

    with caplog.at_level(logging.INFO):
        async with running_server(talk) as url, make_connection(url) as connection:
            for _ in range(2):
                connection.send({"type": "session.update", "session": {"speed": float("nan"), "prompt": "secret"}})
            connection.send({"type": "ping"})
            events = connection.events()
            received = [await anext(events) for _ in range(3)]
    assert received[-1] == {"type": "next", "next": {"type": "ping"}}
    lines = [record.message for record in caplog.records if "unsendable" in record.message]
    assert lines == ["upstream: unsendable event type=session.update"]


async def test_unconfirming_server_is_used() -> None:
    async def talk(socket: ServerConnection) -> None:
        async for message in socket:
            if json.loads(message)["type"] == "hello":
                await send_events(socket, {"type": "hello.back"})

    async with running_server(talk) as url, make_connection(url, ready_seconds=0.05) as connection:
        connection.send({"type": "hello"})
        assert (await anext(connection.events()))["type"] == "hello.back"


@pytest.mark.parametrize(
    ("code", "number", "reason", "failure"),
    [
        ("invalid_api_key", 3000, "invalid_request_error.invalid_api_key", Failure.WRONG_KEY),
        ("model_not_found", 4004, "", Failure.MODEL_NOT_FOUND),
        ("invalid_model", 4000, "invalid_request_error.invalid_model", Failure.MODEL_NOT_FOUND),
        ("beta_api_shape_disabled", 4000, "invalid_request_error.beta_api_shape_disabled", Failure.REFUSED_SETTINGS),
        ("insufficient_quota", 4000, "insufficient_quota.credit_balance_exhausted", Failure.QUOTA),
        ("session_limit_reached", 1008, "", Failure.SERVER_FULL),
    ],
)
async def test_connection_refused_after_the_handshake_fails_with_its_reason(
    code: str, number: int, reason: str, failure: Failure
) -> None:
    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, server_events.error_event(code))
        await socket.close(number, reason)

    async with running_server(talk) as url:
        assert await failure_of(url) is failure


async def test_connection_close_reason_alone_names_the_failure() -> None:
    async def talk(socket: ServerConnection) -> None:
        await socket.close(3000, "invalid_request_error.invalid_api_key")

    async with running_server(talk) as url:
        assert await failure_of(url) is Failure.WRONG_KEY


async def test_connection_fatal_error_ends_the_session() -> None:
    """Check servers that close the socket after the error, and servers that do not."""
    fatal_codes = {code: failure for code, failure in FAILURE_BY_CODE.items() if failure in FATAL}
    assert set(fatal_codes.values()) == FATAL
    assert fatal_codes["unsupported_country_region_territory"] is Failure.REGION
    for code, failure in fatal_codes.items():

        async def talk(socket: ServerConnection, code: str = code) -> None:
            await accept_session(socket)
            await send_events(socket, server_events.error_event(code))
            await socket.wait_closed()

        async with running_server(talk) as url:
            assert await failure_of(url) is failure


async def test_connection_survived_error_is_not_the_reason_of_the_end() -> None:
    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        await send_events(
            socket,
            server_events.error_event("server_overloaded"),
            {"type": "response.created", "response": {"id": "r1"}},
        )
        socket.transport.close()

    async with running_server(talk) as url:
        assert await failure_of(url) is Failure.LOST


async def test_connection_late_error_instead_of_a_session_fails() -> None:
    """A server that loads its model first says nothing meanwhile: it is used already when it gives up."""
    used = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await used.wait()
        await send_events(socket, server_events.error_event("model_load_error"))
        await socket.wait_closed()

    async with running_server(talk) as url, make_connection(url, ready_seconds=0.05) as connection:
        used.set()
        with pytest.raises(ConnectionFailed) as caught:
            await anext(connection.events())
    assert caught.value.failure is Failure.SERVER_ERROR


@pytest.mark.parametrize(
    ("number", "reason", "failure"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", Failure.EXPIRED),
        (1001, "", Failure.LOST),
        (1000, "", Failure.LOST),
        (1011, "", Failure.LOST),
        (1013, "", Failure.SERVER_FULL),
        (1008, "Session limit reached, try again later", Failure.SERVER_FULL),
        (1008, "", Failure.REFUSED),
        (1008, "inactive", Failure.INACTIVE),
        (1000, "insufficient_quota.credit_balance_exhausted", Failure.QUOTA),
    ],
)
async def test_connection_closed_later_fails_with_its_reason(number: int, reason: str, failure: Failure) -> None:
    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        await socket.close(number, reason)

    async with running_server(talk) as url:
        assert await failure_of(url) is failure


async def test_connection_cut_is_lost() -> None:
    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        socket.transport.abort()

    async with running_server(talk) as url:
        assert await failure_of(url) is Failure.LOST


async def test_connection_skips_messages_that_are_not_events() -> None:
    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        for message in ("{", "[1,2]", "7", '{"no":"type"}', '{"type":7}', "[" * 100_000, b"\x00\xff"):
            await socket.send(message)
        await send_events(socket, {"type": "at.last"})

    async with running_server(talk) as url, make_connection(url) as connection:
        events = connection.events()
        assert [(await anext(events))["type"] for _ in range(3)] == ["session.created", "session.updated", "at.last"]


async def test_send_queue_full_drops_only_the_oldest_audio(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "MAX_QUEUED_AUDIO_EVENTS", 3)
    monkeypatch.setattr(module, "try_send_nowait", lambda *_: False)  # the socket is full
    got: list[dict[str, Any]] = []
    done = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        async for message in socket:
            got.append(json.loads(message))
            if got[-1]["type"] == "last":
                done.set()

    async with running_server(talk) as url, make_connection(url) as connection:
        for number in range(10):  # in one go: the sender has no turn in between
            connection.append_audio(str(number))
            connection.send({"type": "kept", "number": number})
        connection.send({"type": "last"})
        async with asyncio.timeout(30):
            await done.wait()
    assert caplog.messages.count("upstream: dropped_audio_events=7") == 1
    assert [event["audio"] for event in got if "audio" in event] == ["7", "8", "9"]
    assert [event["number"] for event in got if "number" in event] == list(range(10))


async def test_send_queue_keeps_the_order_of_direct_and_queued_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is full now and then, as a slow network makes it."""
    chance, written = random.Random(3), module.try_send_nowait
    monkeypatch.setattr(module, "try_send_nowait", lambda *given: chance.random() < 0.5 and written(*given))
    got: list[dict[str, Any]] = []
    done = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        async for message in socket:
            got.append(json.loads(message))
            if got[-1]["type"] == "last":
                done.set()

    async with running_server(talk) as url, make_connection(url) as connection:
        for number in range(200):
            connection.append_audio(str(number))
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        connection.send({"type": "last"})
        async with asyncio.timeout(30):
            await done.wait()
    assert [event["audio"] for event in got[:-1]] == [str(number) for number in range(200)]


async def test_send_queue_overflow_cuts_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED_EVENTS", 5)
    monkeypatch.setattr(module, "try_send_nowait", lambda *_: False)

    async def talk(socket: ServerConnection) -> None:
        await accept_session(socket)
        await socket.wait_closed()

    async with running_server(talk) as url:
        with pytest.raises(ConnectionFailed) as caught:
            async with make_connection(url) as connection:
                for _ in range(10):
                    connection.send({"type": "event"})
                async for _ in connection.events():
                    pass
    assert caught.value.failure is Failure.LOST


async def test_close_is_quick_when_the_server_does_not_answer() -> None:
    release = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from websockets.server import ServerProtocol

        protocol = ServerProtocol()
        while not protocol.handshake_exc and protocol.state.name == "CONNECTING":
            protocol.receive_data(await reader.read(4096))
            for request in protocol.events_received():
                protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]
        protocol.send_text(b'{"type":"session.created"}')
        protocol.send_text(b'{"type":"session.updated"}')
        writer.write(b"".join(protocol.data_to_send()))
        await release.wait()  # deaf from here on
        writer.close()

    running = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with running:
        connection = make_connection(f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/")
        await connection.__aenter__()
        async with asyncio.timeout(3):
            await connection.close()
            await connection.close()
        release.set()


async def test_send_without_connection_does_nothing() -> None:
    connection = make_connection("ws://127.0.0.1:1/")
    connection.send({"type": "event"})
    with pytest.raises(ConnectionFailed):
        await anext(connection.events())
