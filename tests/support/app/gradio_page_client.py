"""Somebody at the real page, without a browser: what Gradio's script and ours would ask of the app, and all it says."""

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
"""20 ms of silence."""


class TrafficRecorder:
    """Every byte that came from the app, by where it came from."""

    def __init__(self) -> None:
        self.traffic: dict[str, bytearray] = {}

    def record(self, source: str, data: bytes | str) -> None:
        self.traffic.setdefault(source, bytearray()).extend(data.encode() if isinstance(data, str) else data)


class GradioPageClient:
    """One page session."""

    def __init__(self, url: str, client: httpx.AsyncClient, ear: TrafficRecorder, name: str = "page") -> None:
        self.url, self.recorder, self.name = url, ear, name
        self.session = secrets.token_hex(6)
        self.config: dict[str, Any] = {}
        self.received_text = ""
        """All that the page was told, as it came."""
        self._client = client
        self._changed = asyncio.Condition()
        self._answers: dict[str, Any] = {}
        self._pending: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listener: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------- HTTP

    async def request(self, path: str, method: str = "GET", **how: Any) -> httpx.Response:
        """One request; the whole answer is heard."""
        answer = await self._client.request(method, self.url + path, **how)
        where = f"{self.name}: {method} {path.split('?')[0]}"
        self.recorder.record(where, f"{answer.status_code} {answer.reason_phrase}\n{answer.headers.raw!r}\n")
        self.recorder.record(where, answer.content)
        return answer

    async def open(self) -> None:
        """The page is loaded."""
        await self.request("/")
        self.config = (await self.request("/config")).json()
        self._tasks.add(asyncio.create_task(self._hold_heartbeat()))
        await self.trigger_event(None, "load")

    async def _hold_heartbeat(self) -> None:
        """What tells the app that the page is still there."""
        stream = self._client.stream("GET", f"{self.url}/gradio_api/heartbeat/{self.session}", timeout=None)
        async with stream as answer:
            async for line in answer.aiter_lines():
                self.recorder.record(f"{self.name}: heartbeat", line)

    async def close(self) -> None:
        """The tab is closed: nobody listens any more."""
        for task in [*self._tasks, *([self._listener] if self._listener else [])]:
            task.cancel()
            with suppress(asyncio.CancelledError, httpx.HTTPError):
                await task

    async def cut_event_stream(self) -> None:
        """The stream of what the page is told breaks off; it is not asked for again."""
        assert self._listener is not None
        self._listener.cancel()
        with suppress(asyncio.CancelledError):
            await self._listener

    # ---------------------------------------------------------------- Gradio's events

    def _component_id(self, name: str | None) -> int | None:
        found = [part["id"] for part in self.config["components"] if name and part["props"].get("elem_id") == name]
        return found[0] if found else None

    async def trigger_event(self, name: str | None, trigger: str = "click", **given: Any) -> list[Any]:
        """What the page does when `trigger` happens to the component with this `elem_id`, None for the page itself.
        `given`: values of components by `elem_id`, with _ for -. Returns the first function's answer once all has been
        done; endless functions that follow go on, and are listened to."""
        given.setdefault("voice_call", self.session)  # the name of a WebRTC connection
        values = {self._component_id(key.replace("_", "-")): value for key, value in given.items()}
        wanted = self._component_id(name)
        answers = [
            await self._run_dependency(one, values)
            for one in self.config["dependencies"]
            if any(kind == trigger and place in (wanted, *([] if name else [place])) for place, kind in one["targets"])
        ]
        return answers[0] if answers else []

    async def call_server_function(self, name: str, function: str, data: object) -> Any:
        """What a function of the server says that belongs to the component with this `elem_id`."""
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
        while self._pending:  # Gradio ends the stream when there is nothing to come
            where = f"{self.url}/gradio_api/queue/data?session_hash={self.session}"
            async with self._client.stream("GET", where, timeout=None) as answer:
                async for line in answer.aiter_lines():
                    await self._on_stream_line(line)
                    if '"msg":"close_stream"' in line[:40]:
                        break  # as a page does, which closes it

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
        """Wait until `condition` holds for all that the page was told."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: condition(self.received_text))
        except TimeoutError:
            raise AssertionError(self.received_text[-2000:]) from None

    # ---------------------------------------------------------------- a call over a web socket

    @asynccontextmanager
    async def websocket_call(self) -> AsyncIterator[None]:
        """A voice call, as the page holds it where WebRTC does not get through; hung up at the end."""
        where = (await self.trigger_event("voice-fallback"))[0]
        assert where, "a ticket"
        async with connect(f"{self.url.replace('http', 'ws')}/{where}", close_timeout=1) as socket:
            speaking = asyncio.create_task(self._stream_audio(socket))
            try:
                yield
            finally:
                await socket.close()
                await speaking

    async def _stream_audio(self, socket: ClientConnection) -> None:
        heard = 0
        with suppress(ConnectionClosed):
            async for message in socket:
                self.recorder.record(f"{self.name}: voice socket", message)
                if isinstance(message, str):
                    continue
                heard += 1
                await socket.send(SILENT_FRAME)
                if heard % 5 == 0:
                    await socket.send(json.dumps({"type": "taken", "frames": heard}))
        self.recorder.record(f"{self.name}: voice socket", f"{socket.close_code} {socket.close_reason}\n")


# -------------------------------------------------------------------- programs


async def run_api_client(
    url: str, ear: TrafficRecorder, name: str, messages: list[str], until: str, **how: Any
) -> None:
    """A program at one of our sockets: sends these messages, reads until an event of the type `until` or the end, and
    closes. Headers and the close frame are heard too."""
    where = f"program {name}"
    try:
        async with connect(url, close_timeout=1, **how) as socket:
            assert socket.response is not None
            ear.record(where, f"{socket.response.headers}\n")
            with suppress(ConnectionClosed):
                for message in messages:
                    await socket.send(message)
                async with asyncio.timeout(10):
                    async for message in socket:
                        ear.record(where, message)
                        if json.loads(message).get("type") == until:
                            break
            await socket.close()
            ear.record(where, f"{socket.close_code} {socket.close_reason}\n")
    except InvalidStatus as refused:
        ear.record(where, f"{refused.response.status_code} {refused.response.headers}\n")
        ear.record(where, refused.response.body or b"")
