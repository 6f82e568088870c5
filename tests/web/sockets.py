"""The page's end of a call's web socket, for tests: ASGI on queues, with a microphone and an ear."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from starlette.websockets import WebSocket

from realtime.places import Kind
from realtime.settings import Settings
from realtime_handler import Snapshot, Stage, Visitor, VoiceCall
from web.voice_socket import PATH, Lane, VoiceSockets
from web.voice_wire import FRAME_BYTES

from ..pages import at


class SocketPage:
    """One socket as fallback.js holds it: a frame out for a frame in, and a word about how many have come."""

    def __init__(self, sockets: VoiceSockets, visitor: Visitor | None = None) -> None:
        self.sockets = sockets
        self.visitor = visitor or Visitor()
        self.let_go = 0
        self.level = 0
        """Of the microphone."""
        self.speaks = True
        """The microphone delivers."""
        self.tells = True
        """The server is told how many frames have come."""
        self.takes = asyncio.Event()
        """The network takes what is sent to the page."""
        self.takes.set()
        self.accepted = False
        self.frames: list[np.ndarray] = []
        self.texts: list[Any] = []
        self.code: int | None = None
        """That the server closed with."""
        self.snapshots: list[Snapshot] = []
        self.lane: Lane | None = None
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    # ---------------------------------------------------------------- ASGI

    async def _receive(self) -> dict[str, Any]:
        return await self._inbox.get()

    async def _send(self, message: dict[str, Any]) -> None:
        await self.takes.wait()
        async with self._changed:
            if message["type"] == "websocket.accept":
                self.accepted = True
            elif message["type"] == "websocket.close":
                self.code = message["code"]
            elif message.get("text") is not None:
                self.texts.append(json.loads(message["text"]))
            else:
                self.frames.append(np.frombuffer(message["bytes"], "<i2"))
                if self.speaks:
                    self.sends(np.full(FRAME_BYTES // 2, self.level, "<i2").tobytes())
                if self.tells and len(self.frames) % 5 == 0:
                    self.sends(json.dumps({"type": "taken", "frames": len(self.frames)}))
            self._changed.notify_all()

    def sends(self, message: bytes | str) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self._inbox.put_nowait({"type": "websocket.receive", kind: message})

    # ---------------------------------------------------------------- life

    async def _free(self) -> None:
        self.let_go += 1

    def ticket(self) -> str:
        where, self.lane = self.sockets.offer(self.visitor, self._free)
        return where.removeprefix(PATH[1:] + "/")

    def opens(self, ticket: str) -> asyncio.Task[None]:
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path_params": {"ticket": ticket},
            "headers": [],
            "path": "/",
            "query_string": b"",
        }
        serving = asyncio.create_task(self.sockets._serve(WebSocket(scope, self._receive, self._send)))
        self._tasks.append(serving)
        if self.lane is not None:
            self._tasks.append(asyncio.create_task(self._watch(self.lane)))
        return serving

    async def _watch(self, lane: Lane) -> None:
        async for snapshot in lane.news():
            async with self._changed:
                self.snapshots.append(snapshot)
                self._changed.notify_all()

    def leaves(self, code: int = 1000) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": code})

    async def settled(self, seconds: float = 5.0) -> None:
        """Returns when nothing of it runs any more."""
        async with asyncio.timeout(seconds):
            await asyncio.gather(*self._tasks)

    # ---------------------------------------------------------------- waiting

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        await self.until(lambda: bool(self.snapshots) and condition(self.snapshots[-1]))
        return self.snapshots[-1]

    async def reaches(self, stage: Stage) -> Snapshot:
        return await self.shows(lambda snapshot: snapshot.stage is stage)

    @property
    def call(self) -> VoiceCall:
        assert self.visitor.call is not None
        return self.visitor.call


def sockets_at(url: str, *, grace_s: float = 0.2, **changed: Any) -> VoiceSockets:
    return VoiceSockets(VoiceCall(Settings(**changed), at(url)), grace_s=grace_s)


@asynccontextmanager
async def carried(sockets: VoiceSockets, visitor: Visitor | None = None, *, busy: int = 0) -> AsyncIterator[SocketPage]:
    """A call over a socket, hung up at the end; then its place is free, and `busy` others are taken."""
    page = SocketPage(sockets, visitor)
    page.opens(page.ticket())
    try:
        yield page
    finally:
        page.takes.set()
        page.leaves()
        await page.settled()
        assert sockets.prototype.places.live(Kind.CALL) == busy
