"""Scripted Realtime server for benchmarks.barge_in: replies with a chirp and sends `speech_started` on command."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from .chirp import chirp

DELTA_BYTES = 24_000 // 5 * 2
"""Bytes of audio in one event: 200 ms. A complete reply is sent as fast as the network accepts it."""


class InterruptingServer:
    """Server for one call, with an event loop in a thread of its own. Call its methods from any thread."""

    def __init__(self) -> None:
        self.url = ""
        self.truncate_events: list[dict[str, Any]] = []
        """Received `conversation.item.truncate` events, in order."""
        self._loop = asyncio.new_event_loop()
        self._socket: ServerConnection | None = None
        self._connected = threading.Event()
        self._turn_count = 0
        pcm = (chirp() * 32767).astype("<i2").tobytes()
        self._deltas = [base64.b64encode(pcm[at : at + DELTA_BYTES]).decode() for at in range(0, len(pcm), DELTA_BYTES)]

    def send_reply(self) -> None:
        """Send a complete reply."""
        self._turn_count += 1
        asyncio.run_coroutine_threadsafe(
            self._send_reply(f"r{self._turn_count}", f"a{self._turn_count}"), self._loop
        ).result(10)

    def start_user_speech(self, *, ends_turn: bool = True) -> float:
        """Send `speech_started`, and with `ends_turn` the rest of a short turn. Return the time (`time.monotonic`)."""
        return asyncio.run_coroutine_threadsafe(
            self._start_user_speech(f"u{self._turn_count}", ends_turn), self._loop
        ).result(10)

    def commit_user_turn(self) -> None:
        """Send the events that end a user turn."""
        asyncio.run_coroutine_threadsafe(self._commit_user_turn(f"u{self._turn_count}"), self._loop).result(10)

    def wait_until_connected(self, seconds: float = 30) -> None:
        """Wait until the app has connected and sent its settings. Raises SystemExit after `seconds`."""
        if not self._connected.wait(seconds):
            raise SystemExit("The app did not connect.")

    async def _send(self, *events: dict[str, Any]) -> None:
        assert self._socket is not None
        for event in events:
            await self._socket.send(json.dumps(event))

    async def _send_reply(self, reply: str, item: str) -> None:
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        about = {"response_id": reply, "item_id": item, "output_index": 0, "content_index": 0}
        done = {**message, "status": "completed", "content": [{"type": "output_audio", "transcript": "A tone."}]}
        await self._send(
            {"type": "response.created", "response": {"id": reply, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "response_id": reply, "output_index": 0, "item": message},
            {"type": "conversation.item.added", "previous_item_id": None, "item": message},
            {"type": "response.output_audio_transcript.delta", **about, "delta": "A tone."},
        )
        for delta in self._deltas:
            await self._send({"type": "response.output_audio.delta", **about, "delta": delta})
        await self._send(
            {"type": "response.output_audio.done", **about},
            {"type": "conversation.item.done", "previous_item_id": None, "item": done},
            {"type": "response.output_item.done", "response_id": reply, "output_index": 0, "item": done},
            {"type": "response.done", "response": {"id": reply, "status": "completed", "output": [done]}},
        )

    async def _start_user_speech(self, item: str, ends_turn: bool) -> float:
        await self._send({"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 0})
        at = time.monotonic()
        if ends_turn:
            await self._commit_user_turn(item)
        return at

    async def _commit_user_turn(self, item: str) -> None:
        content = [{"type": "input_audio", "transcript": "Stop."}]
        user = {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}
        await self._send(
            {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": 300},
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None},
            {"type": "conversation.item.added", "previous_item_id": None, "item": user},
        )

    async def _handle_connection(self, socket: ServerConnection) -> None:
        self._socket = socket
        await self._send({"type": "session.created", "session": {"type": "realtime"}})
        with suppress(ConnectionClosed):
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "session.update":
                    await self._send({"type": "session.updated", "session": event["session"]})
                    self._connected.set()
                elif event["type"] == "conversation.item.truncate":
                    self.truncate_events.append(event)

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        async with serve(self._handle_connection, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/v1/realtime"
            ready.set()
            await stop.wait()

    @contextmanager
    def running(self) -> Iterator[InterruptingServer]:
        """Serve until the block ends."""
        ready, stop = threading.Event(), asyncio.Event()
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(ready, stop),))
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            thread.join()
