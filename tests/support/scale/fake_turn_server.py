"""Threaded Realtime server whose calls have one turn after the other. Each word and each sample of them is known."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.support.realtime import server_events
from tests.support.realtime.fake_threaded_server import Event, ServerBehaviour, ThreadedRealtimeServer, UpstreamSession

RATE = 24_000
REPLY_FRAMES = 75
"""Frames of 20 ms of each reply, 1.5 s."""
TURN_S = 4.0
"""Seconds of received audio from the start of one turn to the next. A reply has time to be late, and ends before."""
DELTAS = 3
"""Deltas of a reply. Each has half a second, so that a server that is late leaves no gap."""
TOKENS_PER_REPLY = 1000
"""Text tokens that a reply costs."""


def asked_text(call: int, turn: int) -> str:
    """Return what is said in a turn. Calls count from 0, turns from 1."""
    return f"Call {call} asks for number {turn}."


def reply_text(call: int, turn: int) -> str:
    """Return the reply of a turn."""
    return f"Number {turn} of call {call} is here."


def reply_samples(call: int, turn: int) -> NDArray[np.int16]:
    """Return the sound of a reply: noise that is the same for no other reply. No sample is 0."""
    noise = np.random.default_rng([call, turn]).integers(-8000, 8000, REPLY_FRAMES * RATE // 50)
    return (noise | 1).astype("<i2")


class TurnServer(ThreadedRealtimeServer):
    """Server of all calls. A call's number is that of its connection."""

    def __init__(self) -> None:
        super().__init__("", "")
        self.hears_speech = False
        self.is_talking = True
        """Calls have new turns."""
        self.turns: dict[int, int] = {}
        """Turns of each call so far."""

    async def handle_connection(self, socket: ServerConnection) -> None:
        self.open_connections += 1
        try:
            await TurnSession(self, socket).run()
        except ConnectionClosed:
            pass
        finally:
            self.open_connections -= 1


class TurnSession(UpstreamSession):
    """Connection of one call."""

    def __init__(self, server: TurnServer, socket: ServerConnection) -> None:
        super().__init__(server, socket, ServerBehaviour.NORMAL)
        self._server = server
        self._call = len(server.sessions) - 1
        self._received_s = 0.0
        self._turn_at_s = 0.2
        server.turns[self._call] = 0

    async def _handle_event(self, event: Event) -> None:
        if event.get("type") != "input_audio_buffer.append":
            await super()._handle_event(event)
            return
        self._received_s += len(event["audio"]) * 3 // 4 / 2 / RATE
        if self._received_s >= self._turn_at_s and self._server.is_talking:
            self._turn_at_s = self._received_s + TURN_S
            self._server.turns[self._call] += 1
            await self._send_turn(self._server.turns[self._call])

    async def _send_turn(self, turn: int) -> None:
        spoken, response, item = f"u{turn}", f"r{turn}", f"a{turn}"
        before = f"a{turn - 1}" if turn > 1 else None
        words = reply_text(self._call, turn)
        position = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        deltas: list[Event] = [
            {"type": "response.output_audio.delta", **position, "delta": base64.b64encode(each.tobytes()).decode()}
            for each in np.split(reply_samples(self._call, turn), DELTAS)
        ]
        for word in words.split(" "):
            text = word if word == words.split(" ")[0] else f" {word}"
            deltas.insert(-1, {"type": "response.output_audio_transcript.delta", **position, "delta": text})
        usage: dict[str, Any] = {"total_tokens": TOKENS_PER_REPLY, "input_tokens": TOKENS_PER_REPLY, "output_tokens": 0}
        await self._send(
            server_events.speech_started(spoken),
            *server_events.turn_committed(spoken, before),
            server_events.transcription_completed(spoken, asked_text(self._call, turn)),
            *server_events.response_started(response, item, spoken),
            *deltas,
            *server_events.response_finished(response, item, words, usage=usage),
        )
