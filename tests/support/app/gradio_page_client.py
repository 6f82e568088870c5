"""Page client without a browser: sends the requests of Gradio's and the page's scripts, and records all answers."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

SILENT_FRAME = bytes(960)
"""20 ms of silence, PCM16 at 24 kHz."""


class TrafficRecorder:
    """All bytes received from the app, by their source."""

    def __init__(self) -> None:
        self.traffic: dict[str, bytearray] = {}

    def record(self, source: str, data: bytes | str) -> None:
        """Add data of a source."""
        self.traffic.setdefault(source, bytearray()).extend(data.encode() if isinstance(data, str) else data)


class GradioPageClient:
    """One page session."""

    def __init__(self, url: str, client: httpx.AsyncClient, recorder: TrafficRecorder, name: str = "page") -> None:
        self.url, self.recorder, self.name = url, recorder, name
        self.session = secrets.token_hex(6)
        self.config: dict[str, Any] = {}
        self.received_text = ""
        """Text of the event stream so far."""
        self.heard_frames: list[bytes] = []
        """Frames of a call over a WebSocket, in their order: 20 ms each, PCM16 at 24 kHz."""
        self._client = client
        self._changed = asyncio.Condition()
        self._answers: dict[str, Any] = {}
        self._pending: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listener: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------- HTTP

    async def request(self, path: str, method: str = "GET", **how: Any) -> httpx.Response:
        """Send one request and record the complete answer."""
        answer = await self._client.request(method, self.url + path, **how)
        source = f"{self.name}: {method} {path.split('?')[0]}"
        self.recorder.record(source, f"{answer.status_code} {answer.reason_phrase}\n{answer.headers.raw!r}\n")
        self.recorder.record(source, answer.content)
        return answer

    async def open(self, token: str = "") -> None:
        """Load the page and run its load events. `token`: of the tab, for a page that may come back."""
        await self.request("/")
        self.config = (await self.request("/config")).json()
        self._tasks.add(asyncio.create_task(self._hold_heartbeat()))
        await self.trigger_event(None, "load", page_token=token)

    async def _hold_heartbeat(self) -> None:
        """Hold the stream that shows the app an open page."""
        stream = self._client.stream("GET", f"{self.url}/gradio_api/heartbeat/{self.session}", timeout=None)
        async with stream as answer:
            async for line in answer.aiter_lines():
                self.recorder.record(f"{self.name}: heartbeat", line)

    async def close(self) -> None:
        """Close the tab: all of its streams end."""
        for task in [*self._tasks, *([self._listener] if self._listener else [])]:
            task.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await task

    async def cut_event_stream(self) -> None:
        """Cut the event stream without opening it again."""
        assert self._listener is not None
        self._listener.cancel()
        with suppress(asyncio.CancelledError):
            await self._listener

    # ---------------------------------------------------------------- Gradio's events

    def _component_id(self, name: str | None) -> int | None:
        found = [part["id"] for part in self.config["components"] if name and part["props"].get("elem_id") == name]
        assert found or not name, f"the page has no component {name!r}"
        return found[0] if found else None

    async def trigger_event(self, name: str | None, trigger: str = "click", **given: Any) -> list[Any]:
        """Run the functions that `trigger` starts at the component with this `elem_id` (None: at the page).

        `given`: values of components by `elem_id`, with _ for -. Return the first function's answer when all of them
        are done. Generators that follow continue, and their output is recorded.
        """
        given.setdefault("voice_call", self.session)  # the name of a WebRTC connection
        values = {self._component_id(key.replace("_", "-")): value for key, value in given.items()}
        component = self._component_id(name)
        answers = [
            await self._run_dependency(one, values)
            for one in self.config["dependencies"]
            if any(kind == trigger and (target == component or not name) for target, kind in one["targets"])
        ]
        return answers[0] if answers else []

    async def call_server_function(self, name: str, function: str, data: object) -> Any:
        """Call a server function of the component with this `elem_id`, and return its answer."""
        body = {
            "component_id": self._component_id(name),
            "fn_name": function,
            "data": data,
            "session_hash": self.session,
        }
        return (await self.request("/gradio_api/component_server/", "POST", json=body)).json()

    async def _run_dependency(self, one: dict[str, Any], values: dict[int | None, Any]) -> Any:
        answer: Any = []
        if one["backend_fn"]:
            data = [values.get(each) for each in one["inputs"]]
            body = {"fn_index": one["id"], "data": data, "session_hash": self.session, "event_data": None}
            joined = await self.request("/gradio_api/queue/join", "POST", json={**body, "trigger_id": None})
            assert joined.status_code == 200, joined.text
            answer = await self._wait_for_outcome(joined.json()["event_id"])
        for other in self.config["dependencies"]:
            if other.get("trigger_after") == one["id"]:
                if other["types"]["generator"]:
                    self._tasks.add(asyncio.create_task(self._run_dependency(other, values)))
                else:
                    await self._run_dependency(other, values)
        return answer

    async def _wait_for_outcome(self, event_id: str) -> Any:
        self._pending.add(event_id)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._read_event_stream())
        async with self._changed:
            await self._changed.wait_for(lambda: event_id in self._answers)
        answer = self._answers.pop(event_id)
        assert answer["success"], answer
        return answer["output"]["data"]

    async def _read_event_stream(self) -> None:
        while self._pending:  # Gradio ends the stream when no event runs
            url = f"{self.url}/gradio_api/queue/data?session_hash={self.session}"
            async with self._client.stream("GET", url, timeout=None) as answer:
                async for line in answer.aiter_lines():
                    await self._on_stream_line(line)
                    if '"msg":"close_stream"' in line[:40]:
                        break  # a page closes the stream here

    async def _on_stream_line(self, line: str) -> None:
        self.recorder.record(f"{self.name}: events", line + "\n")
        async with self._changed:
            self.received_text += line + "\n"
            if line.startswith("data: "):
                message = json.loads(line.removeprefix("data: "))
                if message["msg"] == "process_completed":
                    self._pending.discard(message["event_id"])
                    self._answers[message["event_id"]] = message
            self._changed.notify_all()

    async def wait_for_text(self, condition: Callable[[str], bool], seconds: float = 15.0) -> None:
        """Wait until `condition` holds for the text of the event stream."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: condition(self.received_text))
        except TimeoutError:
            raise AssertionError(self.received_text[-2000:]) from None

    async def saved_record(self) -> dict[str, list[dict[str, Any]]]:
        """Return what the page would keep of its conversations: the messages with their heard characters."""
        changes, *_ = await self.trigger_event("history-save", history_record="", history_page_id="0123456789abcdef")
        found = json.loads(changes)
        return {name: found[name]["items"] for name in ("voice", "text")}

    # ---------------------------------------------------------------- a call over a WebSocket

    @asynccontextmanager
    async def websocket_call(self) -> AsyncIterator[None]:
        """Hold a voice call over a WebSocket until the block ends."""
        path = (await self.trigger_event("voice-fallback"))[0]
        assert path, "no ticket"
        async with connect(f"{self.url.replace('http', 'ws')}/{path}", close_timeout=1) as socket:
            speaking = asyncio.create_task(self._stream_audio(socket))
            try:
                yield
            finally:
                await socket.close()
                await speaking

    async def _stream_audio(self, socket: ClientConnection) -> None:
        received = 0
        with suppress(ConnectionClosed):
            async for message in socket:
                self.recorder.record(f"{self.name}: voice socket", message)
                if isinstance(message, str):
                    continue
                received += 1
                self.heard_frames.append(message)
                await socket.send(SILENT_FRAME)
                if received % 5 == 0:
                    await socket.send(json.dumps({"type": "taken", "frames": received}))
        self.recorder.record(f"{self.name}: voice socket", f"{socket.close_code} {socket.close_reason}\n")


# -------------------------------------------------------------------- programs


async def run_api_client(
    url: str, recorder: TrafficRecorder, name: str, messages: list[str], until: str, **options: Any
) -> None:
    """Connect as a program, send the messages, read until an event of type `until`, and close.

    Headers and the close frame are recorded too.
    """
    source = f"program {name}"
    try:
        async with connect(url, close_timeout=1, **options) as socket:
            assert socket.response is not None
            recorder.record(source, f"{socket.response.headers}\n")
            with suppress(ConnectionClosed):
                for message in messages:
                    await socket.send(message)
                async with asyncio.timeout(10):
                    async for message in socket:
                        recorder.record(source, message)
                        if json.loads(message).get("type") == until:
                            break
            await socket.close()
            recorder.record(source, f"{socket.close_code} {socket.close_reason}\n")
    except InvalidStatus as denied:
        recorder.record(source, f"{denied.response.status_code} {denied.response.headers}\n")
        recorder.record(source, denied.response.body or b"")
