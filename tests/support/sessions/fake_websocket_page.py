"""Fake page of a WebSocket call: the page's side of the audio socket, on ASGI queues."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from starlette.websockets import WebSocket

from realtime_handler import CallStage, RealtimeHandler, Snapshot, Visitor
from voicechat.config.settings import Settings
from voicechat.limits.admission import AdmissionKind
from voicechat.session.audio_socket_call import PATH, AudioSocketRegistry, AudioSocketTicket
from voicechat.session.voice_session import VoiceSession
from voicechat.transport.audio_socket_protocol import FRAME_BYTES

from .fake_rtc_page import endpoint_at


class FakeWebSocketPage:
    """One socket as websocket_fallback.js uses it: one frame out for one frame in, and an acknowledgement each five."""

    def __init__(self, registry: AudioSocketRegistry, visitor: Visitor | None = None) -> None:
        self.registry = registry
        self.visitor = visitor or Visitor()
        self.release_count = 0
        self.microphone_level = 0
        """Sample value of the microphone's frames."""
        self.is_microphone_on = True
        """Whether the microphone delivers frames."""
        self.acknowledges_frames = True
        """Whether the page reports the number of received frames."""
        self.network_open = asyncio.Event()
        """Set while messages to the page pass the network."""
        self.network_open.set()
        self.is_accepted = False
        self.frames: list[np.ndarray] = []
        self.texts: list[Any] = []
        self.close_code: int | None = None
        """Close code of the server."""
        self.snapshots: list[Snapshot] = []
        self.ticket: AudioSocketTicket | None = None
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    # ---------------------------------------------------------------- ASGI

    async def _receive(self) -> dict[str, Any]:
        return await self._inbox.get()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.network_open.wait()
        async with self._changed:
            if message["type"] == "websocket.accept":
                self.is_accepted = True
            elif message["type"] == "websocket.close":
                self.close_code = message["code"]
            elif message.get("text") is not None:
                self.texts.append(json.loads(message["text"]))
            else:
                self.frames.append(np.frombuffer(message["bytes"], "<i2"))
                if self.is_microphone_on:
                    self.send(np.full(FRAME_BYTES // 2, self.microphone_level, "<i2").tobytes())
                if self.acknowledges_frames and len(self.frames) % 5 == 0:
                    self.send(json.dumps({"type": "taken", "frames": len(self.frames)}))
            self._changed.notify_all()

    def send(self, message: bytes | str) -> None:
        """Send a message to the server."""
        kind = "text" if isinstance(message, str) else "bytes"
        self._inbox.put_nowait({"type": "websocket.receive", kind: message})

    # ---------------------------------------------------------------- life

    async def _release_previous(self) -> None:
        self.release_count += 1

    def request_ticket(self) -> str:
        """Request a ticket for this visitor, and return its id."""
        path, self.ticket = self.registry.issue_ticket(self.visitor, self._release_previous)
        return path.removeprefix(PATH[1:] + "/")

    def connect(self, ticket: str) -> asyncio.Task[None]:
        """Connect with a ticket, and return the task that serves the socket."""
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path_params": {"ticket": ticket},
            "headers": [],
            "path": "/",
            "query_string": b"",
        }
        serving = asyncio.create_task(self.registry.serve(WebSocket(scope, self._receive, self._send)))
        self._tasks.append(serving)
        if self.ticket is not None:
            self._tasks.append(asyncio.create_task(self._collect_snapshots(self.ticket)))
        return serving

    async def _collect_snapshots(self, ticket: AudioSocketTicket) -> None:
        async for snapshot in ticket.snapshots():
            async with self._changed:
                self.snapshots.append(snapshot)
                self._changed.notify_all()

    def disconnect(self, code: int = 1000) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": code})

    async def wait_until_done(self, seconds: float = 5.0) -> None:
        """Wait until all tasks of this page have ended."""
        async with asyncio.timeout(seconds):
            await asyncio.gather(*self._tasks)

    # ---------------------------------------------------------------- waiting

    async def wait_until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def wait_for_snapshot(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        await self.wait_until(lambda: bool(self.snapshots) and condition(self.snapshots[-1]))
        return self.snapshots[-1]

    async def wait_for_stage(self, stage: CallStage) -> Snapshot:
        return await self.wait_for_snapshot(lambda snapshot: snapshot.stage is stage)

    @property
    def session(self) -> VoiceSession:
        assert self.visitor.call is not None
        return self.visitor.call

    @property
    def handler(self) -> RealtimeHandler:
        assert isinstance(self.session.handler, RealtimeHandler)
        return self.session.handler


def make_registry(url: str, *, grace_s: float = 0.2, **changed: Any) -> AudioSocketRegistry:
    return AudioSocketRegistry(RealtimeHandler(Settings().with_changes(**changed), endpoint_at(url)), grace_s=grace_s)


@asynccontextmanager
async def running_websocket_call(
    sockets: AudioSocketRegistry, visitor: Visitor | None = None, *, busy: int = 0
) -> AsyncIterator[FakeWebSocketPage]:
    """Run a call over a socket until the block ends. Check that `busy` calls are admitted afterwards."""
    page = FakeWebSocketPage(sockets, visitor)
    page.connect(page.request_ticket())
    try:
        yield page
    finally:
        page.network_open.set()
        page.disconnect()
        await page.wait_until_done()
        assert sockets.prototype.admission.count_admitted(AdmissionKind.CALL) == busy
