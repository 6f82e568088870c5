"""Gateway sessions between real sockets: beginning, rules, errors and dialects."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.realtime.fake_realtime_server import (
    ScriptedRealtimeServer,
    accept_session,
    running_server,
    send_events,
)
from tests.support.sessions.running_gateway import OPERATOR_KEY, Event, append_event, connected_client, running_gateway
from voicechat.server.routes import WEBSOCKET_ROUTES

PATHS = tuple(WEBSOCKET_ROUTES)

# ---------------------------------------------------------------- the beginning


@pytest.mark.parametrize("path", PATHS)
async def test_first_event_has_the_operators_settings(path: str) -> None:
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


async def test_early_client_events_wait_for_the_operators_settings() -> None:
    confirm, over = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def talk(socket: ServerConnection) -> None:
        await send_events(socket, {"type": "session.created", "session": {"type": "realtime"}})
        seen.append(json.loads(await socket.recv())["type"])
        await confirm.wait()
        await send_events(socket, {"type": "session.updated", "session": {"type": "realtime", "voice": "x"}})
        seen.extend([json.loads(message)["type"] async for message in socket])
        over.set()

    async with (
        running_server(talk) as url,
        running_gateway(url, READY_SECONDS="5") as ours,
        connected_client(ours.url()) as client,
    ):
        await client.send({"type": "response.create"})
        confirm.set()
        assert (await client.next_event())["session"] == {"type": "realtime", "voice": "x"}
        await client.send({"type": "input_audio_buffer.clear"})
    async with asyncio.timeout(5):
        await over.wait()
    assert seen == ["session.update", "response.create", "input_audio_buffer.clear"]


async def test_unconfirming_server_is_used() -> None:
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


async def test_rejected_setting_is_removed_without_the_client() -> None:
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


async def test_server_messages_that_are_not_events_are_ignored() -> None:
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
async def test_client_keys_are_ignored_and_not_forwarded(
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


async def test_invalid_messages_get_an_error_and_the_session_goes_on() -> None:
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
            ({"type": "session.update", "session": {"prompt": 1}, "event_id": "e"}, "invalid_value", "session.prompt"),
        ]
        for message, code, param in wrong:
            error = await client.send_expecting_error(message)
            assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
            has_valid_id = isinstance(message, dict) and len(message["event_id"]) <= 512
            assert error["event_id"] == ("e" if has_valid_id else None)
        await client.send({"type": "input_audio_buffer.commit"})
        await script.wait_for("input_audio_buffer.commit")
    assert [event["type"] for event in script.received] == ["input_audio_buffer.commit"]


async def test_largest_append_is_forwarded_and_a_larger_message_closes() -> None:
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
async def test_beta_client_is_translated(query: str, how: dict[str, Any]) -> None:
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
            {"type": "session.update", "session": {"turn_detection": None, "prompt": 1}}
        )
        assert error["param"] == "session.prompt"


@pytest.mark.parametrize("query", ["", "?dialect=beta"], ids=["GA client", "beta client"])
async def test_beta_server_is_translated(query: str) -> None:
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
