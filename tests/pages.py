"""A voice call's page as a browser and fastrtc drive it, for the tests of the handler."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream

from realtime.places import Kind
from realtime.settings import Endpoint, ServerKind, Settings
from realtime_handler import EndpointForKey, Snapshot, Stage, Visitor, VoiceCall

KEY = "sk-test-secret"


class Page:
    """One call as a browser and fastrtc drive it: 50 frames a second each way, and the snapshots that come out."""

    def __init__(self, prototype: VoiceCall, visitor: Visitor | None = None) -> None:
        self.call = prototype.copy()
        self.visitor = visitor or Visitor()
        self.snapshots: list[Snapshot] = []
        self.frames: list[np.ndarray] = []
        self.closed: str | None = None
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.level = 0
        """Of the microphone."""
        self.unplugged = False
        """The microphone delivers nothing any more, not even silence."""

    readyState = "open"

    def send(self, message: str) -> None:
        """fastrtc's data channel."""
        if json.loads(message)["type"] == "send_input":
            self.call.set_args(["the component's value", self.visitor])

    async def start(self) -> None:
        self.call.set_channel(self)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._speak())]
        await self.call.start_up()

    async def _listen(self) -> None:
        while self.closed is None:
            output = await self.call.emit()
            async with self._changed:
                if isinstance(output, AdditionalOutputs):
                    self.snapshots.append(output.args[0])
                elif isinstance(output, CloseStream):
                    self.closed = output.msg
                elif output is not None:
                    self.frames.append(output[1][0])
                self._changed.notify_all()

    async def _speak(self) -> None:
        heard = 0
        while self.closed is None:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self.frames) > heard or self.closed is not None)  # noqa: B023
            heard = len(self.frames)
            if self.unplugged:
                continue
            await self.call.receive((24000, np.full((1, 480), self.level, dtype=np.int16)))

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """The snapshot now shown, once it is so."""
        await self.until(lambda: bool(self.snapshots) and condition(self.snapshots[-1]))
        return self.snapshots[-1]

    async def reaches(self, stage: Stage) -> Snapshot:
        return await self.shows(lambda snapshot: snapshot.stage is stage)

    async def hangs_up(self) -> None:
        """The visitor presses the button, or closes the tab."""
        for task in self._tasks:
            task.cancel()
        async with asyncio.timeout(1):
            await self.call.shutdown()


@asynccontextmanager
async def calling(endpoint: EndpointForKey, visitor: Visitor | None = None, **changed: Any) -> AsyncIterator[Page]:
    page = Page(VoiceCall(Settings(**changed), endpoint), visitor)
    try:
        await page.start()
        yield page
    finally:
        await page.hangs_up()
        assert page.call.places.live(Kind.CALL) == 0


def at(url: str) -> EndpointForKey:
    return lambda _: Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"})
