"""Gateway sessions between real sockets: how they end, and what ends them at once."""

from __future__ import annotations

import json
import logging

import pytest

from tests.support.realtime import fake_faulty_servers, fake_server_variants
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.running_gateway import OPERATOR_KEY, connected_client, running_gateway
from voicechat.protocol.failures import Failure
from voicechat.server.routes import WEBSOCKET_ROUTES

PATHS = tuple(WEBSOCKET_ROUTES)


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
async def test_server_close_frame_reaches_the_client(code: int, reason: str) -> None:
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


async def test_server_cut_ends_the_session_as_lost() -> None:
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


async def test_errors_and_close_reasons_hold_no_secret() -> None:
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
            fake_faulty_servers.rejects_handshake(404, "model_not_found"),
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
        (fake_faulty_servers.rejects_handshake(403), "access_denied", (1008, None)),
        (
            fake_faulty_servers.closes_without_event(1008, "Country, region, or territory not supported"),
            "unsupported_country_region_territory",
            (1008, "Country, region, or territory not supported"),
        ),
        (
            fake_faulty_servers.closes_without_event(1008, "All pipeline units in use"),
            "session_limit_reached",
            (1008, "All pipeline units in use"),
        ),
        (fake_faulty_servers.closes_without_event(1008, "inactive"), "session_idle", (1008, "inactive")),
        (fake_faulty_servers.closes_without_event(1008, ""), "connection_refused", (1008, "")),
        (fake_faulty_servers.closes_without_event(4400, "No pirates"), "connection_closed", (4400, "No pirates")),
        (fake_faulty_servers.echoes_messages(), "server_unreachable", (1014, None)),
        (fake_faulty_servers.sends_error_only("model_load_error"), "server_error", (1011, None)),
        (fake_faulty_servers.rejects_session_update(), "settings_refused", (1011, None)),
    ],
)
async def test_server_refusal_reaches_the_client_as_its_error(
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


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("No pirates today", 'because of its rules. It says: "No pirates today".'),
        (f"No {OPERATOR_KEY} today, sorry", 'because of its rules. It says: "No … today, sorry".'),
        ("", "because of its rules."),
    ],
)
async def test_unknown_policy_reaches_the_client_in_the_servers_scrubbed_words(reason: str, message: str) -> None:
    fault = fake_faulty_servers.closes_without_event(1008, reason)
    async with fault.running() as url, running_gateway(url) as ours, connected_client(ours.url()) as client:
        await client.read_until_closed()
        assert client.received[0]["error"]["message"].endswith(message)
        assert OPERATOR_KEY not in json.dumps(client.received)


async def test_unreachable_server_is_reported() -> None:
    async with fake_faulty_servers.silent_tcp_server() as url:
        url_of_stopped = url
    async with running_gateway(url_of_stopped) as ours, connected_client(ours.url()) as client:
        assert (await client.read_until_closed())[0] == 1014
        assert client.received[0]["error"]["code"] == "server_unreachable"
        await ours.wait_until_empty()


async def test_loading_embedded_server_is_reported() -> None:
    async with (
        running_gateway(endpoint=lambda: Failure.LOADING) as ours,
        connected_client(ours.url("/text-chat")) as client,
    ):
        assert (await client.read_until_closed())[0] == 1013
        assert client.received[0]["error"]["code"] == "server_loading"


async def test_client_beyond_the_slots_is_refused() -> None:
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


async def test_connections_are_not_compressed() -> None:
    script = ScriptedRealtimeServer()
    async with (
        running_server(script.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url(), compression="deflate") as client,
    ):
        await client.next_event()
        assert client.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in client.socket.response.headers
