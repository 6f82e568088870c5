"""The way of an audio delta from the socket to the queue of the loudspeaker: few functions, few files."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from types import FrameType
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.playback import queued_ms
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.billing import BillingService, SessionBilling
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.turn_latency import TurnLatencyTracker
from voicechat.upstream import connection
from voicechat.upstream.reconnecting_client import ReconnectingClient
from voicechat.upstream.session_sync import SessionConfigSync

MAX_FUNCTIONS, MAX_FILES = 22, 13
"""Half of what it passed before events were parsed once: 44 functions in 27 files."""
DELTA = {
    "type": "response.output_audio.delta",
    "response_id": "r1",
    "item_id": "a1",
    "content_index": 0,
    "delta": base64.b64encode(b"\1\0" * 2400).decode(),
}
EVENTS = [
    {"type": "session.created", "session": {}},
    {"type": "session.updated", "session": {}},
    {"type": "response.created", "response": {"id": "r1"}},
    DELTA,
    DELTA,
]


class RecordingSocket:
    """A server's socket whose last message starts the record of functions."""

    paused = False

    def __init__(self) -> None:
        self.messages = [json.dumps(event) for event in EVENTS]
        self.functions: list[tuple[str, str]] = []
        self.is_recording = False

    async def recv(self) -> str:
        if self.is_recording:
            self.is_recording = False
            await asyncio.Event().wait()
        message = self.messages.pop(0)
        self.is_recording = not self.messages
        return message

    async def close(self) -> None:
        pass

    def record(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and self.is_recording and code.co_filename.startswith(str(ROOT / "voicechat")):
            function = (code.co_filename, code.co_qualname)
            if function not in self.functions:
                self.functions.append(function)


async def test_audio_delta_passes_few_functions_to_the_loudspeakers_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    socket, changed = RecordingSocket(), asyncio.Event()

    async def open_socket(*_: Any) -> RecordingSocket:
        return socket

    monkeypatch.setattr(connection, "open_socket", open_socket)
    monkeypatch.setattr(connection, "try_send_nowait", lambda *_: True)
    settings = Settings(realtime_url="ws://nowhere")
    call = CallStateMachine(Conversation(), settings, 0.0)
    billing = SessionBilling(BillingService(), settings, SessionMode.VOICE)
    client = ReconnectingClient(
        call,
        settings,
        lambda: Endpoint(ServerKind.CUSTOM, "ws://nowhere"),
        lambda _: {"type": "session.update", "session": {"type": "realtime"}},
        observers=(billing, TurnLatencyTracker(350), SessionConfigSync()),
        on_change=changed.set,
        clock=time.monotonic,
    )
    running = asyncio.create_task(client.run())
    previous = sys.getprofile()
    sys.setprofile(socket.record)
    try:
        async with asyncio.timeout(5):
            while queued_ms(call.playback) < 200:
                changed.clear()
                await changed.wait()
    finally:
        sys.setprofile(previous)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    names = [name for _, name in socket.functions]
    # The receiving coroutines were entered before; the conversation counts the audio after the queue.
    entered = {"ReconnectingClient._forward_events", "RealtimeConnection.events"}
    entered |= {"RealtimeConnection._next_event", "RealtimeConnection._read_event"}
    walk = socket.functions[: names.index("ResponseRegistry.is_stale") + 1]
    walk = [(path, name) for path, name in walk if name not in entered]
    assert "PlaybackBuffer.push" in [name for _, name in walk], "the walk ends behind the queue"
    assert len(walk) + len(entered) <= MAX_FUNCTIONS, walk
    files = {path for path, _ in walk} | {connection.__file__, sys.modules[ReconnectingClient.__module__].__file__}
    assert len(files) <= MAX_FILES, sorted(map(str, files))
