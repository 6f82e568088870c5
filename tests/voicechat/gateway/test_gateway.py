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

from tests.support.realtime import fake_faulty_servers, fake_server_variants
from tests.support.realtime.fake_realtime_server import (
    ScriptedRealtimeServer,
    accept_session,
    running_server,
    send_events,
)
from tests.support.sessions.running_gateway import OPERATOR_KEY, Event, append_event, connected_client, running_gateway
from voicechat.protocol.failures import Failure
from voicechat.server.routes import WEBSOCKET_ROUTES

PATHS = tuple(WEBSOCKET_ROUTES)

# ---------------------------------------------------------------- the beginning


@pytest.mark.parametrize("path", PATHS)
async def test_the_first_event_tells_the_session_with_the_operators_settings(path: str) -> None:
    script = ScriptedRealtimeServer()
    environment = {"VOICE": "marin", "INSTRUCTIONS": "Be a pirate.", "TEXT_INSTRUCTIONS": "Be a poet."}
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url, **environment) as ours,
        connected_client(ours.url(path)) as client,
    ):
        created = await client.next_event()
        text = path == "/text-chat"
        assert created["type"] == "session.created"
        assert created["session"]["instructions"] == ("Be a poet." if text else "Be a pirate.")
        assert created["session"]["output_modalities"] == (["text"] if text else ["audio"])
        assert created["session"] == script.session_update["session"]
        await client.send({"type": "response.create", "event_id": "mine"})
        assert await script.wait_for("response.create") == [{"type": "response.create", "event_id": "mine"}]
        assert not script.received_of("session.update"), "ours came before the client's first event, and only once"
        await script.send({"type": "response.done", "response": {"id": "r"}})
        assert await client.next_event() == {"type": "response.done", "response": {"id": "r"}}


async def test_what_a_client_says_at_once_waits_for_the_operators_settings() -> None:
    told, over = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"type": "realtime"}})
        seen.append(json.loads(await socket.recv())["type"])
        await told.wait()
        await send_events(socket, {"type": "session.updated", "session": {"type": "realtime", "voice": "x"}})
        seen.extend([json.loads(message)["type"] async for message in socket])
        over.set()

    async with (
        running_server(talk) as url,
        running_gateway(url, READY_SECONDS="5") as ours,
        connected_client(ours.url()) as client,
    ):
        await client.send({"type": "response.create"})
        told.set()
        assert (await client.next_event())["session"] == {"type": "realtime", "voice": "x"}
        await client.send({"type": "input_audio_buffer.clear"})
    async with asyncio.timeout(5):
        await over.wait()
    assert seen == ["session.update", "response.create", "input_audio_buffer.clear"]


async def test_a_server_that_never_confirms_is_used_all_the_same() -> None:
    heard: asyncio.Queue[Event] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"id": "s"}})
        async for message in socket:
            event = json.loads(message)
            heard.put_nowait(event)
            if event["type"] == "response.create":  # it confirms our update late, then the client's own
                await send_events(socket, {"type": "session.updated", "session": {"of": "ours"}})
                await send_events(socket, {"type": "session.updated", "session": {"of": "the client"}})

    async with (
        running_server(talk) as url,
        running_gateway(url, READY_SECONDS="0.1") as ours,
        connected_client(ours.url()) as client,
    ):
        assert await client.next_event() == {"type": "session.created", "session": {"id": "s"}}
        await client.send({"type": "response.create"})
        assert await client.next_event() == {"type": "session.updated", "session": {"of": "the client"}}
    assert heard.get_nowait()["type"] == "session.update"


async def test_a_setting_that_the_server_refuses_is_left_out_unseen() -> None:
    """And the next client's session begins without it."""
    updates: list[Event] = []

    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"id": "s"}})
        async for message in socket:
            event = json.loads(message)
            updates.append(event["session"])
            about = {"code": "unknown_parameter", "param": "session.max_output_tokens", "event_id": event["event_id"]}
            refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": "Unknown.", **about}}
            accepted = {"type": "session.updated", "session": event["session"]}
            await send_events(socket, refusal if "max_output_tokens" in event["session"] else accepted)

    async with running_server(talk) as url, running_gateway(url) as ours:
        for _ in range(2):
            async with connected_client(ours.url()) as client:
                created = await client.next_event()
                assert created["type"] == "session.created" and "max_output_tokens" not in created["session"]
    assert ["max_output_tokens" in update for update in updates] == [True, False, False]


async def test_what_is_no_event_of_the_server_is_not_passed_on() -> None:
    async def talk(socket: ServerConnection) -> None:
        for garbage in ("{", b"\xff", "[]", '{"type":3}', '{"type":"x","y":NaN}'):
            await socket.send(garbage)
        await accept_session(socket)
        await socket.send("garbage")
        await socket.send(b'{"type":"response.done"}')
        await socket.wait_closed()

    async with running_server(talk) as url, running_gateway(url) as ours, connected_client(ours.url()) as client:
        assert (await client.next_event())["session"]["output_modalities"] == ["audio"]
        assert await client.next_event() == {"type": "response.done"}


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
        await accept_session(socket)
        await socket.wait_closed()

    async with running_server(talk) as url, running_gateway(url) as ours:
        how = {"additional_headers": {"Authorization": "Bearer sk-visitors"}, "subprotocols": offered}
        address = ours.url("/v1/realtime") + "?model=gpt-4o&api_key=sk-visitors"
        async with connected_client(address, **how) as client:
            await client.read_until("session.created")
            assert client.socket.subprotocol == (offered and "realtime")
    assert seen == [(f"Bearer {OPERATOR_KEY}", None)]
    assert "sk-visitors" not in caplog.text and OPERATOR_KEY not in caplog.text
    assert "/v1/realtime" in caplog.text, "the request itself is logged"


# ---------------------------------------------------------------- rules and errors


async def test_broken_messages_get_an_error_and_the_socket_lives_on() -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        wrong: list[tuple[str | bytes | Event, str, str | None]] = [
            ("{", "invalid_json", None),
            (b"\x00\x01", "invalid_event", None),
            ("[]", "invalid_event", None),
            ({"event_id": "e"}, "missing_required_parameter", "type"),
            ({"type": "dance", "event_id": "e"}, "invalid_value", "type"),
            ({"type": "response.create", "event_id": "e" * 513}, "invalid_value", "event_id"),
            (append_event(b"123", event_id="e"), "invalid_value", "audio"),
            ({"type": "input_audio_buffer.append", "audio": "?", "event_id": "e"}, "invalid_value", "audio"),
            (append_event(bytes(15 * 2**20 + 2), event_id="e"), "invalid_value", "audio"),
            ({"type": "session.update", "session": {"model": "m"}, "event_id": "e"}, "invalid_value", "session.model"),
        ]
        for message, code, param in wrong:
            error = await client.send_expecting_error(message)
            assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
            told = isinstance(message, dict) and len(message["event_id"]) <= 512
            assert error["event_id"] == ("e" if told else None)
        await client.send({"type": "input_audio_buffer.commit"})
        await script.wait_for("input_audio_buffer.commit")
    assert [event["type"] for event in script.received] == ["input_audio_buffer.commit"]


async def test_the_largest_append_goes_through_and_a_larger_message_closes() -> None:
    got: asyncio.Queue[int] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        socket.protocol.max_size = None  # type: ignore[attr-defined]
        await accept_session(socket)
        got.put_nowait(len(json.loads(await socket.recv())["audio"]))
        await socket.wait_closed()

    async with running_server(talk) as url, running_gateway(url) as ours, connected_client(ours.url()) as client:
        await client.next_event()
        await client.send(append_event(bytes(15 * 2**20)))
        async with asyncio.timeout(10):
            assert await got.get() == 20 * 2**20
        with suppress(ConnectionClosed):
            await client.socket.send(" " * (25 * 2**20))
        assert (await client.read_until_closed())[0] == 1009
        await ours.wait_until_empty()


# ---------------------------------------------------------------- dialects

BETA_HANDSHAKES = (
    ("", {"additional_headers": {"OpenAI-Beta": "realtime=v1"}}),
    ("", {"subprotocols": ["realtime", "openai-beta.realtime-v1"]}),
    ("", {"subprotocols": ["openai-beta.realtime-v1"]}),
    ("?dialect=beta", {}),
)


@pytest.mark.parametrize(("query", "how"), BETA_HANDSHAKES)
async def test_a_beta_client_is_understood(query: str, how: dict[str, Any]) -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url("/v1/realtime") + query, **how) as client,
    ):
        created = await client.next_event()
        assert created["session"]["modalities"] == ["text", "audio"] and "audio" not in created["session"]
        update = {"modalities": ["text"], "temperature": 0.8, "max_response_output_tokens": 4096, "voice": "verse"}
        await client.send({"type": "session.update", "session": update})
        [sent] = await script.wait_for("session.update")
        assert sent["session"] == {
            "type": "realtime",
            "output_modalities": ["text"],
            "max_output_tokens": 1024,
            "audio": {"output": {"voice": "verse"}},
        }
        about = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        await script.send({"type": "response.output_audio_transcript.delta", **about, "delta": "Hi"})
        assert (await client.next_event())["type"] == "response.audio_transcript.delta"
        error = await client.send_expecting_error(
            {"type": "session.update", "session": {"turn_detection": None, "tracing": 1}}
        )
        assert error["param"] == "session.tracing"


@pytest.mark.parametrize("query", ["", "?dialect=beta"], ids=["GA client", "beta client"])
async def test_a_server_that_only_speaks_beta(query: str) -> None:
    got: asyncio.Queue[Event] = asyncio.Queue()

    async def talk(socket: ServerConnection) -> None:
        session = {"id": "s", "modalities": ["text", "audio"], "voice": "alloy", "input_audio_format": "pcm16"}
        await send_events(socket, {"type": "session.created", "session": session})
        async for message in socket:
            event = json.loads(message)
            got.put_nowait(event)
            if event["type"] == "session.update":
                assert "type" not in event["session"] and "audio" not in event["session"]
                await send_events(socket, {"type": "session.updated", "session": {**session, **event["session"]}})
            else:
                await send_events(
                    socket, {"type": "response.text.delta", "response_id": "r", "item_id": "i", "delta": "Hi"}
                )

    async with (
        running_server(talk) as url,
        running_gateway(url) as ours,
        connected_client(ours.url() + query) as client,
    ):
        session = (await client.next_event())["session"]
        assert ("modalities" in session, "output_modalities" in session) == (bool(query), not query)
        await got.get()
        await client.send(
            {"type": "response.create", "response": {"modalities" if query else "output_modalities": ["text"]}}
        )
        assert (await got.get())["response"] == {"modalities": ["text"]}
        assert (await client.next_event())["type"] == ("response.text.delta" if query else "response.output_text.delta")


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
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await script.send({"type": "error", "error": {"type": "x", "code": "session_expired", "message": "Over."}})
        await script.close_connection(code, reason)
        assert await client.read_until_closed() == (code, reason)
        assert client.received[-1]["error"]["message"] == "Over.", "what was said before the end arrives before it"
        await ours.wait_until_empty()


async def test_a_server_that_vanishes_is_a_lost_connection() -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await script.abort_connection()
        assert await client.read_until_closed() == (1011, "The connection to the Realtime server was lost.")
        await ours.wait_until_empty()


async def test_no_secret_of_the_operator_in_errors_or_reasons() -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        words = f"Rate limit of org-AbCdEfGh12345678 for key {OPERATOR_KEY}"
        error = {"type": "x", "code": "rate_limit_exceeded", "message": words}
        failed = {"id": "r", "status": "failed", "status_details": {"type": "failed", "error": error}}
        await script.send({"type": "error", "error": error}, {"type": "response.done", "response": failed})
        await script.send({"type": "error", "error": {**error, "code": "invalid_api_key", "message": "sk-op**789"}})
        await script.close_connection(4000, f"bad {OPERATOR_KEY}")
        assert await client.read_until_closed() == (4000, "bad (hidden)")
        seen = json.dumps(client.received)
        assert OPERATOR_KEY not in seen and "org-" not in seen and "sk-op" not in seen
        assert client.received[1]["error"]["message"] == "Rate limit of (hidden) for key (hidden)"


@pytest.mark.parametrize(
    ("fault", "code", "close"),
    [
        (
            fake_faulty_servers.rejects_handshake(401),
            "invalid_api_key",
            (3000, "invalid_request_error.invalid_api_key"),
        ),
        (
            fake_faulty_servers.rejects_handshake(404),
            "model_not_found",
            (4004, "invalid_request_error.model_not_found"),
        ),
        (fake_faulty_servers.rejects_handshake(503), "session_limit_reached", (1013, None)),
        (fake_faulty_servers.rejects_handshake(500), "server_error", (1011, None)),
        (
            fake_faulty_servers.sends_error_and_closes(
                "invalid_api_key", 3000, "invalid_request_error.invalid_api_key"
            ),
            "invalid_api_key",
            (3000, "invalid_request_error.invalid_api_key"),
        ),
        (
            fake_faulty_servers.sends_error_and_closes("insufficient_quota", 4008, "q"),
            "insufficient_quota",
            (4008, "q"),
        ),
        (fake_faulty_servers.closes_without_event(4004, "no such model"), "model_not_found", (4004, "no such model")),
        (fake_faulty_servers.sends_error_only("model_load_error"), "server_error", (1011, None)),
        (fake_faulty_servers.rejects_session_update(), "settings_refused", (1011, None)),
    ],
)
async def test_a_server_that_takes_nobody(
    fault: fake_faulty_servers.FaultyServer, code: str, close: tuple[int, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with fault.running() as url, running_gateway(url, REALTIME_API_KEY=fake_server_variants.KEY) as ours:
        async with connected_client(ours.url()) as client:
            end = await client.read_until_closed()
            assert end[0] == close[0] and close[1] in (None, end[1])
            [event] = client.received
            assert event["type"] == "error" and event["error"]["code"] == code and event["error"]["message"][-1] == "."
            for secret in (*fake_server_variants.SECRETS, OPERATOR_KEY):
                assert secret not in json.dumps(event) and secret not in end[1] and secret not in caplog.text
        await ours.wait_until_empty()


async def test_nobody_is_there() -> None:
    async with fake_faulty_servers.silent_tcp_server() as url:
        gone = url
    async with running_gateway(gone) as ours, connected_client(ours.url()) as client:
        assert (await client.read_until_closed())[0] == 1014
        assert client.received[0]["error"]["code"] == "server_unreachable"
        await ours.wait_until_empty()


async def test_the_embedded_server_is_still_loading() -> None:
    async with (
        running_gateway(endpoint=lambda: Failure.LOADING) as ours,
        connected_client(ours.url("/text-chat")) as client,
    ):
        assert (await client.read_until_closed())[0] == 1013
        assert client.received[0]["error"]["code"] == "server_loading"


async def test_more_programs_than_places() -> None:
    script = ScriptedRealtimeServer()
    async with running_server(script.handle_connection) as url, running_gateway(url, MAX_SOCKETS="2") as ours:
        async with connected_client(ours.url()) as first, connected_client(ours.url("/text-chat")) as second:
            await first.next_event()
            await second.next_event()
            async with connected_client(ours.url()) as third:
                assert (await third.read_until_closed())[0] == 1013
                assert third.received[0]["error"]["code"] == "session_limit_reached"
        await ours.wait_until_empty()
        async with connected_client(ours.url()) as fourth:
            assert (await fourth.next_event())["type"] == "session.created"


async def test_compression_is_not_used() -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url(), compression="deflate") as client,
    ):
        await client.next_event()
        assert client.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in client.socket.response.headers
