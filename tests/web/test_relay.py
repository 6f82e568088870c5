"""The relay between real sockets: what goes through, what does not, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from realtime.failures import Failure
from tests.realtime import fault_server, kinds
from tests.realtime.servers import Script, greet, send, server
from tests.web.programs import KEY, Event, append, door, program
from web.routes import SOCKETS

PATHS = tuple(SOCKETS)

# ---------------------------------------------------------------- the beginning


@pytest.mark.parametrize("path", PATHS)
async def test_the_first_event_tells_the_session_with_the_operators_settings(path: str) -> None:
    script = Script()
    environment = {"VOICE": "marin", "INSTRUCTIONS": "Be a pirate.", "TEXT_INSTRUCTIONS": "Be a poet."}
    async with server(script.talk) as url, door(url, **environment) as ours, program(ours.url(path)) as client:
        created = await client.next()
        text = path == "/text-chat"
        assert created["type"] == "session.created"
        assert created["session"]["instructions"] == ("Be a poet." if text else "Be a pirate.")
        assert created["session"]["output_modalities"] == (["text"] if text else ["audio"])
        assert created["session"] == script.update["session"]
        await client.send({"type": "response.create", "event_id": "mine"})
        assert await script.hears("response.create") == [{"type": "response.create", "event_id": "mine"}]
        assert not script.of("session.update"), "ours came before the client's first event, and only once"
        await script.says({"type": "response.done", "response": {"id": "r"}})
        assert await client.next() == {"type": "response.done", "response": {"id": "r"}}


async def test_what_a_client_says_at_once_waits_for_the_operators_settings() -> None:
    told, over = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {"type": "realtime"}})
        seen.append(json.loads(await socket.recv())["type"])
        await told.wait()
        await send(socket, {"type": "session.updated", "session": {"type": "realtime", "voice": "x"}})
        seen.extend([json.loads(message)["type"] async for message in socket])
        over.set()

    async with server(talk) as url, door(url, READY_SECONDS="5") as ours, program(ours.url()) as client:
        await client.send({"type": "response.create"})
        told.set()
        assert (await client.next())["session"] == {"type": "realtime", "voice": "x"}
        await client.send({"type": "input_audio_buffer.clear"})
    async with asyncio.timeout(5):
        await over.wait()
    assert seen == ["session.update", "response.create", "input_audio_buffer.clear"]


async def test_a_server_that_never_confirms_is_used_all_the_same() -> None:
    heard: asyncio.Queue[Event] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {"id": "s"}})
        async for message in socket:
            event = json.loads(message)
            heard.put_nowait(event)
            if event["type"] == "response.create":  # it confirms our update late, then the client's own
                await send(socket, {"type": "session.updated", "session": {"of": "ours"}})
                await send(socket, {"type": "session.updated", "session": {"of": "the client"}})

    async with server(talk) as url, door(url, READY_SECONDS="0.1") as ours, program(ours.url()) as client:
        assert await client.next() == {"type": "session.created", "session": {"id": "s"}}
        await client.send({"type": "response.create"})
        assert await client.next() == {"type": "session.updated", "session": {"of": "the client"}}
    assert heard.get_nowait()["type"] == "session.update"


async def test_a_setting_that_the_server_refuses_is_left_out_unseen() -> None:
    """And the next client's session begins without it."""
    updates: list[Event] = []

    async def talk(socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {"id": "s"}})
        async for message in socket:
            event = json.loads(message)
            updates.append(event["session"])
            about = {"code": "unknown_parameter", "param": "session.max_output_tokens", "event_id": event["event_id"]}
            refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": "Unknown.", **about}}
            accepted = {"type": "session.updated", "session": event["session"]}
            await send(socket, refusal if "max_output_tokens" in event["session"] else accepted)

    async with server(talk) as url, door(url) as ours:
        for _ in range(2):
            async with program(ours.url()) as client:
                created = await client.next()
                assert created["type"] == "session.created" and "max_output_tokens" not in created["session"]
    assert ["max_output_tokens" in update for update in updates] == [True, False, False]


async def test_what_is_no_event_of_the_server_is_not_passed_on() -> None:
    async def talk(socket: ServerConnection) -> None:
        for garbage in ("{", b"\xff", "[]", '{"type":3}', '{"type":"x","y":NaN}'):
            await socket.send(garbage)
        await greet(socket)
        await socket.send("garbage")
        await socket.send(b'{"type":"response.done"}')
        await socket.wait_closed()

    async with server(talk) as url, door(url) as ours, program(ours.url()) as client:
        assert (await client.next())["session"]["output_modalities"] == ["audio"]
        assert await client.next() == {"type": "response.done"}


@pytest.mark.parametrize("offered", [["realtime"], ["realtime", "openai-insecure-api-key.sk-visitors"], None])
async def test_keys_of_clients_are_ignored_and_never_passed_on(
    offered: list[Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.NOTSET, "uvicorn.error")
    logging.getLogger("websockets").setLevel(logging.INFO)  # as the app does; the test's own client logs headers
    seen: list[tuple[str, str | None]] = []

    async def talk(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.append((socket.request.headers["Authorization"], socket.request.headers.get("Sec-WebSocket-Protocol")))
        assert "sk-visitors" not in socket.request.path
        await greet(socket)
        await socket.wait_closed()

    async with server(talk) as url, door(url) as ours:
        how = {"additional_headers": {"Authorization": "Bearer sk-visitors"}, "subprotocols": offered}
        address = ours.url("/v1/realtime") + "?model=gpt-4o&api_key=sk-visitors"
        async with program(address, **how) as client:
            await client.until("session.created")
            assert client.socket.subprotocol == (offered and "realtime")
    assert seen == [(f"Bearer {KEY}", None)]
    assert "sk-visitors" not in caplog.text and KEY not in caplog.text
    assert "/v1/realtime" in caplog.text, "the request itself is logged"


# ---------------------------------------------------------------- rules and errors


async def test_broken_messages_get_an_error_and_the_socket_lives_on() -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        wrong: list[tuple[str | bytes | Event, str, str | None]] = [
            ("{", "invalid_json", None),
            (b"\x00\x01", "invalid_event", None),
            ("[]", "invalid_event", None),
            ({"event_id": "e"}, "missing_required_parameter", "type"),
            ({"type": "dance", "event_id": "e"}, "invalid_value", "type"),
            ({"type": "response.create", "event_id": "e" * 513}, "invalid_value", "event_id"),
            (append(b"123", event_id="e"), "invalid_value", "audio"),
            ({"type": "input_audio_buffer.append", "audio": "?", "event_id": "e"}, "invalid_value", "audio"),
            (append(bytes(15 * 2**20 + 2), event_id="e"), "invalid_value", "audio"),
            ({"type": "session.update", "session": {"model": "m"}, "event_id": "e"}, "invalid_value", "session.model"),
        ]
        for message, code, param in wrong:
            error = await client.refused(message)
            assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
            told = isinstance(message, dict) and len(message["event_id"]) <= 512
            assert error["event_id"] == ("e" if told else None)
        await client.send({"type": "input_audio_buffer.commit"})
        await script.hears("input_audio_buffer.commit")
    assert [event["type"] for event in script.got] == ["input_audio_buffer.commit"]


async def test_the_largest_append_goes_through_and_a_larger_message_closes() -> None:
    got: asyncio.Queue[int] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        socket.protocol.max_size = None  # type: ignore[attr-defined]
        await greet(socket)
        got.put_nowait(len(json.loads(await socket.recv())["audio"]))
        await socket.wait_closed()

    async with server(talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        await client.send(append(bytes(15 * 2**20)))
        async with asyncio.timeout(10):
            assert await got.get() == 20 * 2**20
        with suppress(ConnectionClosed):
            await client.socket.send(" " * (25 * 2**20))
        assert (await client.end())[0] == 1009
        await ours.empty()


# ---------------------------------------------------------------- dialects

BETA = (
    ("", {"additional_headers": {"OpenAI-Beta": "realtime=v1"}}),
    ("", {"subprotocols": ["realtime", "openai-beta.realtime-v1"]}),
    ("", {"subprotocols": ["openai-beta.realtime-v1"]}),
    ("?dialect=beta", {}),
)


@pytest.mark.parametrize(("query", "how"), BETA)
async def test_a_beta_client_is_understood(query: str, how: dict[str, Any]) -> None:
    script = Script()
    async with (
        server(script.talk) as url,
        door(url) as ours,
        program(ours.url("/v1/realtime") + query, **how) as client,
    ):
        created = await client.next()
        assert created["session"]["modalities"] == ["text", "audio"] and "audio" not in created["session"]
        update = {"modalities": ["text"], "temperature": 0.8, "max_response_output_tokens": 4096, "voice": "verse"}
        await client.send({"type": "session.update", "session": update})
        [sent] = await script.hears("session.update")
        assert sent["session"] == {
            "type": "realtime",
            "output_modalities": ["text"],
            "max_output_tokens": 1024,
            "audio": {"output": {"voice": "verse"}},
        }
        about = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        await script.says({"type": "response.output_audio_transcript.delta", **about, "delta": "Hi"})
        assert (await client.next())["type"] == "response.audio_transcript.delta"
        error = await client.refused({"type": "session.update", "session": {"turn_detection": None, "tracing": 1}})
        assert error["param"] == "session.tracing"


@pytest.mark.parametrize("query", ["", "?dialect=beta"], ids=["GA client", "beta client"])
async def test_a_server_that_only_speaks_beta(query: str) -> None:
    got: asyncio.Queue[Event] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        session = {"id": "s", "modalities": ["text", "audio"], "voice": "alloy", "input_audio_format": "pcm16"}
        await send(socket, {"type": "session.created", "session": session})
        async for message in socket:
            event = json.loads(message)
            got.put_nowait(event)
            if event["type"] == "session.update":
                assert "type" not in event["session"] and "audio" not in event["session"]
                await send(socket, {"type": "session.updated", "session": {**session, **event["session"]}})
            else:
                await send(socket, {"type": "response.text.delta", "response_id": "r", "item_id": "i", "delta": "Hi"})

    async with server(talk) as url, door(url) as ours, program(ours.url() + query) as client:
        session = (await client.next())["session"]
        assert ("modalities" in session, "output_modalities" in session) == (bool(query), not query)
        await got.get()
        await client.send(
            {"type": "response.create", "response": {"modalities" if query else "output_modalities": ["text"]}}
        )
        assert (await got.get())["response"] == {"modalities": ["text"]}
        assert (await client.next())["type"] == ("response.text.delta" if query else "response.output_text.delta")


# ---------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, ""),
        (1001, "Your session hit the maximum duration of 60 minutes."),
        (1013, "busy"),
        (3000, "invalid_request_error.invalid_api_key"),
        (4000, "x" * 123),
        (4999, "忙"),
    ],
)
async def test_close_codes_and_reasons_of_the_server_reach_the_client(code: int, reason: str) -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        await script.says({"type": "error", "error": {"type": "x", "code": "session_expired", "message": "Over."}})
        await script.close(code, reason)
        assert await client.end() == (code, reason)
        assert client.got[-1]["error"]["message"] == "Over.", "what was said before the end arrives before it"
        await ours.empty()


async def test_a_server_that_vanishes_is_a_lost_connection() -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        await script.cut()
        assert await client.end() == (1011, "The connection to the Realtime server was lost.")
        await ours.empty()


async def test_no_secret_of_the_operator_in_errors_or_reasons() -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        words = f"Rate limit of org-AbCdEfGh12345678 for key {KEY}"
        error = {"type": "x", "code": "rate_limit_exceeded", "message": words}
        failed = {"id": "r", "status": "failed", "status_details": {"type": "failed", "error": error}}
        await script.says({"type": "error", "error": error}, {"type": "response.done", "response": failed})
        await script.says({"type": "error", "error": {**error, "code": "invalid_api_key", "message": "sk-op**789"}})
        await script.close(4000, f"bad {KEY}")
        assert await client.end() == (4000, "bad (hidden)")
        seen = json.dumps(client.got)
        assert KEY not in seen and "org-" not in seen and "sk-op" not in seen
        assert client.got[1]["error"]["message"] == "Rate limit of (hidden) for key (hidden)"


@pytest.mark.parametrize(
    ("fault", "code", "close"),
    [
        (fault_server.turned_away(401), "invalid_api_key", (3000, "invalid_request_error.invalid_api_key")),
        (fault_server.turned_away(404), "model_not_found", (4004, "invalid_request_error.model_not_found")),
        (fault_server.turned_away(503), "session_limit_reached", (1013, None)),
        (fault_server.turned_away(500), "server_error", (1011, None)),
        (
            fault_server.let_in_and_refused("invalid_api_key", 3000, "invalid_request_error.invalid_api_key"),
            "invalid_api_key",
            (3000, "invalid_request_error.invalid_api_key"),
        ),
        (fault_server.let_in_and_refused("insufficient_quota", 4008, "q"), "insufficient_quota", (4008, "q")),
        (fault_server.let_in_and_closed(4004, "no such model"), "model_not_found", (4004, "no such model")),
        (fault_server.error_only("model_load_error"), "server_error", (1011, None)),
        (fault_server.refuses_the_settings(), "settings_refused", (1011, None)),
    ],
)
async def test_a_server_that_takes_nobody(
    fault: fault_server.Fault, code: str, close: tuple[int, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with fault.running() as url, door(url, REALTIME_API_KEY=kinds.KEY) as ours:
        async with program(ours.url()) as client:
            end = await client.end()
            assert end[0] == close[0] and close[1] in (None, end[1])
            [event] = client.got
            assert event["type"] == "error" and event["error"]["code"] == code and event["error"]["message"][-1] == "."
            for secret in (*kinds.SECRETS, KEY):
                assert secret not in json.dumps(event) and secret not in end[1] and secret not in caplog.text
        await ours.empty()


async def test_nobody_is_there() -> None:
    async with fault_server.deaf() as url:
        gone = url
    async with door(gone) as ours, program(ours.url()) as client:
        assert (await client.end())[0] == 1014
        assert client.got[0]["error"]["code"] == "server_unreachable"
        await ours.empty()


async def test_the_embedded_server_is_still_loading() -> None:
    async with door(endpoint=lambda: Failure.LOADING) as ours, program(ours.url("/text-chat")) as client:
        assert (await client.end())[0] == 1013
        assert client.got[0]["error"]["code"] == "server_loading"


async def test_more_programs_than_places() -> None:
    script = Script()
    async with server(script.talk) as url, door(url, MAX_SOCKETS="2") as ours:
        async with program(ours.url()) as first, program(ours.url("/text-chat")) as second:
            await first.next()
            await second.next()
            async with program(ours.url()) as third:
                assert (await third.end())[0] == 1013
                assert third.got[0]["error"]["code"] == "session_limit_reached"
        await ours.empty()
        async with program(ours.url()) as fourth:
            assert (await fourth.next())["type"] == "session.created"


async def test_compression_is_not_used() -> None:
    script = Script()
    async with server(script.talk) as url, door(url) as ours, program(ours.url(), compression="deflate") as client:
        await client.next()
        assert client.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in client.socket.response.headers
