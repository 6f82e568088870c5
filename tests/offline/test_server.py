"""Server: URLs, rejections, health, limits, and isolation of failures."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offline.protocol.worker_messages import ReplySpeech, WorkResult
from offline.server import RealtimeServer, SessionConnection
from offline.stt.turn_detection import VadModel
from tests.support.offline.offline_process import http_get
from tests.support.offline.scripted_models import (
    Checkpoint,
    ModelScript,
    ScriptedModelRuntime,
    ScriptedSessionWorker,
    make_loaded_server,
    running_server,
    scripted_server,
    silence,
    tone,
)


async def next_event(connection: ClientConnection) -> dict[str, Any]:
    """Return the next event."""
    event: dict[str, Any] = json.loads(await connection.recv())
    return event


async def read_until(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next event of type `kind`."""
    while (event := await next_event(connection))["type"] != kind:
        pass
    return event


async def send_event(connection: ClientConnection, kind: str, **fields: Any) -> None:
    """Send a client event."""
    await connection.send(json.dumps({"type": kind, **fields}))


async def test_connect_sends_session_created_with_the_model_of_the_url() -> None:
    async with scripted_server() as url:
        async with connect(f"{url}?model=gpt-realtime-2.1") as connection:
            event = await next_event(connection)
            assert event["type"] == "session.created" and event["session"]["model"] == "gpt-realtime-2.1"
        async with connect(url) as connection:
            assert (await next_event(connection))["session"]["model"] == "scripted"


async def test_connect_with_subprotocols_selects_realtime_only() -> None:
    async with scripted_server() as url:
        async with connect(url, subprotocols=["realtime", "openai-insecure-api-key.sk-x"]) as connection:  # type: ignore[list-item]
            assert connection.subprotocol == "realtime"
        async with connect(url, subprotocols=["openai-insecure-api-key.sk-x"]) as connection:  # type: ignore[list-item]
            assert (await next_event(connection))["type"] == "session.created"
        async with connect(url, additional_headers={"Authorization": "Bearer sk-x"}) as connection:
            assert connection.subprotocol is None


async def test_request_to_another_path_is_404() -> None:
    async with scripted_server() as url:
        status, _, body = await http_get(url, "/v1/models")
        assert status == 404 and "/v1/realtime" in body
        with pytest.raises(InvalidStatus) as refused:
            await connect(url.replace("/realtime", "/live"))
        assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1:7860", True),
        ("http://[::1]", True),
        ("https://evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example:8765", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_connect_with_an_origin_allows_local_pages_only(origin: str, expected: bool) -> None:
    async with scripted_server() as url:
        try:
            async with connect(url, additional_headers={"Origin": origin}) as connection:
                assert (await next_event(connection))["type"] == "session.created"
                assert expected
        except InvalidStatus as refused:
            assert refused.response.status_code == 403 and not expected


async def test_binary_frame_and_invalid_json_report_errors() -> None:
    async with scripted_server() as url, connect(url) as connection:
        await next_event(connection)
        await connection.send(b"\x00\x01")
        assert (await next_event(connection))["error"]["code"] == "invalid_event"
        await connection.send("{")
        assert (await next_event(connection))["error"]["code"] == "invalid_json"
        await send_event(connection, "session.update", session={"type": "realtime"})
        assert (await next_event(connection))["type"] == "session.updated"


async def test_lone_surrogates_in_both_directions_are_replaced() -> None:
    """An emoji is cut in two by the client, and another by the model."""
    script = ModelScript(replies=[["Hi \ud83d"]])
    async with scripted_server(script) as url, connect(url) as connection:
        item = r'{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi \ud83d"}]}'
        await connection.send('{"type": "conversation.item.create", "item": ' + item + "}")
        added = await read_until(connection, "conversation.item.added")
        assert added["item"]["content"][0]["text"] == "Hi \ufffd"
        await send_event(connection, "response.create")
        done = await read_until(connection, "response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Hi \ufffd"
        assert script.model_context() == [("user", "Hi \ufffd")]


async def test_connect_with_the_beta_header_is_rejected() -> None:
    async with scripted_server() as url:
        async with connect(url, additional_headers={"OpenAI-Beta": "realtime=v1"}) as connection:
            assert (await next_event(connection))["error"]["code"] == "beta_api_shape_disabled"
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4000


async def test_connect_beyond_the_capacity_is_rejected_until_a_session_ends() -> None:
    async with scripted_server(capacity=1) as url:
        async with connect(url) as first:
            await next_event(first)
            async with connect(url) as second:
                error = (await next_event(second))["error"]
                assert error["type"] == "session_limit_reached" and "1 conversations" in error["message"]
                with pytest.raises(ConnectionClosed) as closed:
                    await second.recv()
                assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008
            assert json.loads((await http_get(url, "/health"))[2])["sessions"] == 1
            await send_event(first, "session.update", session={"type": "realtime"})
            assert (await next_event(first))["type"] == "session.updated"
        await wait_until_vacated(url)
        async with connect(url) as third:
            assert (await next_event(third))["type"] == "session.created"


async def wait_until_vacated(url: str) -> None:
    """Wait until no session is open."""
    while json.loads((await http_get(url, "/health"))[2])["sessions"]:
        pass


async def test_health_reports_loading_ready_and_failed() -> None:
    server = RealtimeServer(capacity=3)
    async with running_server(server) as url:
        server.set_progress("Reading the language model.")
        status, kind, body = await http_get(url, "/health")
        assert (status, kind) == (503, "application/json")
        assert json.loads(body) == {
            "status": "loading",
            "model": "",
            "sessions": 0,
            "capacity": 3,
            "languages": [],
            "detail": "Reading the language model.",
            "upgrade": "",
            "news": [],
            "voices": [],
            "endpoint_faults": {},
        }
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 503
        assert refused.value.response.body == b"Reading the language model.\n"
        server.mark_failed("The models cannot be loaded: a file is missing.")
        status, _, body = await http_get(url, "/health")
        assert (status, json.loads(body)["status"]) == (503, "failed")
    async with scripted_server() as url:
        status, _, body = await http_get(url, "/health")
        health = json.loads(body)
        assert (status, health["status"], health["languages"]) == (200, "ok", ["en", "zh"])


async def test_failure_in_a_session_ends_that_session_only(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> VadModel:
        def fail(window: bytes) -> float:
            raise RuntimeError("swordfish")

        return fail

    detectors = [broken(), lambda window: 0.0]
    server = make_loaded_server(probability=lambda: detectors.pop(0))
    async with running_server(server) as url, connect(url) as first, connect(url) as second:
        await next_event(first)
        await next_event(second)
        audio = base64.b64encode(silence(100)).decode()
        with caplog.at_level(logging.ERROR):
            await send_event(first, "input_audio_buffer.append", audio=audio)
            error = (await next_event(first))["error"]
        assert (error["type"], error["code"]) == ("server_error", "server_error")
        with pytest.raises(ConnectionClosed) as closed:
            await first.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
        assert "RuntimeError in fail" in caplog.text and "swordfish" not in caplog.text
        await send_event(second, "input_audio_buffer.append", audio=audio)
        await send_event(second, "session.update", session={"type": "realtime"})
        assert (await next_event(second))["type"] == "session.updated"


async def test_long_append_is_processed_completely() -> None:
    script = ModelScript(transcripts=["A long story."])
    async with scripted_server(script) as url, connect(url) as connection:
        await next_event(connection)
        pcm = silence(500) + tone(7000) + silence(500)
        await send_event(connection, "input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
        stopped = await read_until(connection, "input_audio_buffer.speech_stopped")
        assert abs(stopped["audio_end_ms"] - 7700) <= 64
        assert (await read_until(connection, "response.done"))["response"]["status"] == "completed"


@pytest.mark.parametrize(
    "audio",
    [
        "!" * 2**20,
        base64.b64encode(silence(20_000)).decode() + "AAA",
        base64.b64encode(silence(20_000) + b"0").decode(),
    ],
)
async def test_invalid_long_append_is_rejected_with_one_error(audio: str) -> None:
    script = ModelScript()
    async with scripted_server(script) as url, connect(url) as connection:
        await next_event(connection)
        await send_event(connection, "input_audio_buffer.append", audio=audio)
        error = (await next_event(connection))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "audio")
        await send_event(connection, "input_audio_buffer.commit")
        assert "only has 0.00ms" in (await next_event(connection))["error"]["message"]


async def test_append_above_15_mib_is_rejected() -> None:
    async with scripted_server() as url, connect(url) as connection:
        await next_event(connection)
        await send_event(connection, "input_audio_buffer.append", audio="AAAA" * (5 * 2**20 + 2))
        assert "15 MiB" in (await next_event(connection))["error"]["message"]


async def test_closed_connection_drops_results_and_sets_no_timer() -> None:
    """A worker delivers until it is closed, also while the connection closes."""
    connections: list[SessionConnection] = []

    class Talkative(ScriptedSessionWorker):
        async def close(self) -> None:
            (session_connection,) = connections
            self._deliver(ReplySpeech("resp_x", " word", b"00"))
            await super().close()
            self._deliver(ReplySpeech("resp_x", " word", b"00"))
            assert session_connection.timer is None

    class Workers(ScriptedModelRuntime):
        def open(self, deliver: Callable[[WorkResult], None]) -> ScriptedSessionWorker:
            connections.append(deliver.__self__)  # type: ignore[attr-defined]
            return Talkative(self.script, deliver)

    script = ModelScript()
    server = RealtimeServer(vad_factory=lambda: lambda window: 0.0)
    server.mark_ready(Workers(script), ("en",))
    async with running_server(server) as url:
        async with connect(url) as connection:
            await next_event(connection)
            assert connections[0].timer is not None
        await wait_until_vacated(url)
    assert connections[0].timer is None and script.closed_workers == 1


async def test_two_sessions_share_no_conversation() -> None:
    script = ModelScript()
    async with scripted_server(script) as url, connect(url) as first, connect(url) as second:
        for connection, text in ((first, "I am Ada."), (second, "I am Bob.")):
            content = [{"type": "input_text", "text": text}]
            item = {"type": "message", "role": "user", "content": content}
            await send_event(connection, "conversation.item.create", item=item)
            await send_event(connection, "response.create")
            done = (await read_until(connection, "response.done"))["response"]
            assert done["output"][0]["content"][0]["transcript"] == f"You said: {text}"
        assert [script.model_context(index) for index in (0, 1)] == [[("user", "I am Ada.")], [("user", "I am Bob.")]]


async def test_disconnect_closes_the_worker() -> None:
    held = Checkpoint()
    script = ModelScript(replies=[["One.", held, "Two."]])
    async with scripted_server(script) as url:
        async with connect(url) as connection:
            await send_event(connection, "response.create")
            await held.reached.wait()
            assert json.loads((await http_get(url, "/health"))[2])["sessions"] == 1
        await wait_until_vacated(url)
        assert script.closed_workers == 1


async def test_slow_client_delays_no_other_and_loses_nothing() -> None:
    clause = "A clause of a reply that the client does not read."
    script = ModelScript(replies=[[clause] * 40], clause_ms=10_000)
    async with scripted_server(script) as url, connect(url, max_queue=1) as slow, connect(url) as other:
        await send_event(slow, "response.create")
        await next_event(slow)
        await next_event(other)
        await send_event(other, "session.update", session={"type": "realtime"})
        assert (await next_event(other))["type"] == "session.updated"
        done = await read_until(slow, "response.done")  # nothing is missing when it reads at last
        assert done["response"]["output"][0]["content"][0]["transcript"] == clause * 40
        await read_until(slow, "rate_limits.updated")


async def test_client_that_never_reads_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline.server.MAX_UNSENT_BYTES", 4 * 2**20)
    script = ModelScript(replies=[["A clause."] * 80], clause_ms=10_000)
    async with scripted_server(script) as url, connect(url, max_queue=1, close_timeout=0.1) as slow:
        await send_event(slow, "response.create")
        await wait_until_vacated(url)
        assert script.closed_workers == 1
