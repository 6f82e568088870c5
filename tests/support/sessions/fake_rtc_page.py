"""Fake page of a WebRTC call: drives a `RealtimeHandler` as fastrtc and a browser do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream

from realtime_handler import CallStage, EndpointResolver, RealtimeHandler, Snapshot, Visitor
from voicechat.audio.format import FRAME, FRAME_S, RATE
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.limits.admission import AdmissionKind
from voicechat.session.voice_session import VoiceSession
from voicechat.tools.runtime import ToolRuntime

KEY = "sk-test-secret"


class FakeRtcPage:
    """One call: 50 frames a second each way, and the snapshots sent to the page."""

    def __init__(self, prototype: RealtimeHandler, visitor: Visitor | None = None) -> None:
        self.handler = prototype.copy()
        self.visitor = visitor or Visitor()
        self.snapshots: list[Snapshot] = []
        self.frames: list[np.ndarray] = []
        self.close_message: str | None = None
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        self.microphone_level = 0
        """Sample value of the microphone's frames."""
        self.is_microphone_unplugged = False
        """Whether the microphone delivers no frames, not even silence."""

    @property
    def session(self) -> VoiceSession:
        """The call, once the page has sent its inputs."""
        assert self.handler.session is not None
        return self.handler.session

    readyState = "open"
    """State of the data channel; fastrtc reads it."""

    def send(self, message: str) -> None:
        """Receive a message of the data channel, as the page does."""
        if json.loads(message)["type"] == "send_input":
            self.handler.set_args(["the component's value", self.visitor])

    async def start(self) -> None:
        """Start the call and its audio in both directions."""
        self.handler.set_channel(self)
        self._tasks = [asyncio.create_task(self._pull_output()), asyncio.create_task(self._push_microphone())]
        await self.handler.start_up()

    async def _pull_output(self) -> None:
        while self.close_message is None:
            output = await self.handler.emit()
            async with self._changed:
                if isinstance(output, AdditionalOutputs):
                    self.snapshots.append(output.args[0])
                elif isinstance(output, CloseStream):
                    self.close_message = output.msg
                elif output is not None:
                    self.frames.append(output[1][0])
                self._changed.notify_all()

    async def _push_microphone(self) -> None:
        answered = 0
        while self.close_message is None:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self.frames) > answered or self.close_message is not None)  # noqa: B023
            answered = len(self.frames)
            if self.is_microphone_unplugged:
                continue
            await self.handler.receive((24000, np.full((1, 480), self.microphone_level, dtype=np.int16)))

    async def wait_until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until `condition` holds after a frame or a snapshot."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def wait_for_snapshot(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for a newest snapshot that meets `condition`, and return it."""
        await self.wait_until(lambda: bool(self.snapshots) and condition(self.snapshots[-1]))
        return self.snapshots[-1]

    async def wait_for_stage(self, stage: CallStage) -> Snapshot:
        """Wait until the page shows this stage."""
        return await self.wait_for_snapshot(lambda snapshot: snapshot.stage is stage)

    def stop_pulling(self) -> None:
        """Take no more loudspeaker frames. The microphone, which follows them, is silent from then on too."""
        for task in self._tasks:
            task.cancel()

    async def speak(self, level: int, seconds: float) -> None:
        """Send microphone frames of this level at the pace of a browser, whether or not frames are pulled."""
        for _ in range(round(seconds / FRAME_S)):
            await self.handler.receive((RATE, np.full((1, FRAME), level, dtype=np.int16)))
            await asyncio.sleep(FRAME_S)

    async def hang_up(self) -> None:
        """End the call as the button and a closed tab do."""
        for task in self._tasks:
            task.cancel()
        async with asyncio.timeout(1):
            await self.handler.shutdown()


@asynccontextmanager
async def running_call(
    endpoint: EndpointResolver, visitor: Visitor | None = None, tools: ToolRuntime | None = None, **changed: Any
) -> AsyncIterator[FakeRtcPage]:
    """Run a call until the block ends, and check that its slot is free afterwards."""
    page = FakeRtcPage(RealtimeHandler(Settings().with_changes(**changed), endpoint, tools=tools), visitor)
    try:
        await page.start()
        yield page
    finally:
        await page.hang_up()
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 0


def endpoint_at(url: str) -> EndpointResolver:
    """Return a resolver that always gives the server at `url`."""
    return lambda _: Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"})
