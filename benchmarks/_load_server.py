"""The Realtime server of the load benchmark: it answers at once. A process of its own.

    python -m benchmarks._load_server PORT talk|interrupt|echo [CORE]

`talk` holds a conversation in circles (benchmarks/_load_speech): a turn of the visitor, counted in sound received, and
an answer to it, sent as fast as it is taken. With `interrupt` the next turn begins in the middle of the answer. `echo`
gives 20 ms of sound for every 20 ms.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks._load_child import Answer, Probe, never_pause, pin
from benchmarks._load_speech import CYCLE_S, TURN_S, lost_words, reply
from benchmarks._speech import RATE

DELTA = RATE // 5 * 2
"""Bytes of sound in one event: 200 ms."""
ANSWER = "He might even have been made amiable himself, had he married a more amiable woman."
WORDS = ANSWER.split()
APPEND = "input_audio_buffer.append"
ABOUT = {"output_index": 0, "content_index": 0}


def _deltas() -> list[str]:
    pcm = reply().astype("<i2").tobytes()
    return [base64.b64encode(pcm[at : at + DELTA]).decode() for at in range(0, len(pcm), DELTA)]


class Server:
    """All calls."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.cycle_s = CYCLE_S if mode == "talk" else TURN_S + 1.0
        self.talking = True
        """Turns are answered; else the server only listens."""
        self.kept: dict[ServerConnection, list[str]] = {}
        """What has come of each call since `mark`, in base64."""
        self.keeping = False
        self.deltas = _deltas()

    def mark(self) -> Answer:
        """From now on, keep what comes."""
        self.keeping = True
        self.kept = {connection: [] for connection in self.kept}
        return {}

    def heard(self) -> Answer:
        """Calls of which something came since `mark`, and words lost on their way from the visitors."""
        self.keeping = False
        lost = []
        for audio in filter(None, self.kept.values()):
            sound = np.frombuffer(b"".join(map(base64.b64decode, audio)), "<i2")
            lost.append(lost_words(sound, of_reply=False))
        silent = len(self.kept) - len(lost)
        self.kept = {connection: [] for connection in self.kept}
        return {"calls": len(lost), "silent": silent, "lost_words": sum(lost)}

    def talk(self) -> Answer:
        self.talking = True
        return {}

    def listen(self) -> Answer:
        self.talking = False
        return {}

    async def serve(self, connection: ServerConnection) -> None:
        self.kept[connection] = []
        try:
            await send(connection, {"type": "session.created", "session": {"type": "realtime"}})
            with suppress(ConnectionClosed):
                await (self._echo if self.mode == "echo" else self._talk)(connection)
        finally:
            self.kept.pop(connection, None)

    async def _echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            event = json.loads(message)
            if event["type"] == APPEND:
                await connection.send(
                    '{"type":"response.output_audio.delta","response_id":"resp_1","output_index":0,"content_index":0,'
                    f'"event_id":"{event.get("event_id", "")}","item_id":"item_1","delta":"{event["audio"]}"}}'
                )
            elif event["type"] == "session.update":
                await send(connection, {"type": "session.updated", "session": event["session"]})

    async def _talk(self, connection: ServerConnection) -> None:
        received, number, speaking = 0, 0, False
        async for message in connection:
            event = json.loads(message)
            if event["type"] == APPEND:
                if self.keeping and connection in self.kept:
                    self.kept[connection].append(event["audio"])
                received += len(event["audio"]) * 3 // 4 // 2
                place = received / RATE % self.cycle_s
                if self.talking and not speaking and place < TURN_S:
                    speaking, number = True, number + 1
                    started = {"item_id": f"u{number}", "audio_start_ms": received * 1000 // RATE}
                    await send(connection, {"type": "input_audio_buffer.speech_started", **started})
                elif speaking and place >= TURN_S:
                    speaking = False
                    await self._answer(connection, number, received * 1000 // RATE)
            elif event["type"] == "session.update":
                await send(connection, {"type": "session.updated", "session": event["session"]})

    async def _answer(self, connection: ServerConnection, number: int, end_ms: int) -> None:
        spoken, item, made = f"u{number}", f"a{number}", f"r{number}"
        heard = {"type": "input_audio", "transcript": "He was not an ill-disposed young man."}
        user = {"id": spoken, "type": "message", "role": "user", "status": "completed", "content": [heard]}
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_audio", "transcript": ANSWER}
        done = {**message, "status": "completed", "content": [part]}
        about = {"response_id": made, "item_id": item, **ABOUT}
        completed = "conversation.item.input_audio_transcription.completed"
        usage = {"total_tokens": 60, "input_tokens": 40, "output_tokens": 20}
        response = {"id": made, "status": "completed", "output": [done], "usage": usage}
        for event in (
            {"type": "input_audio_buffer.speech_stopped", "item_id": spoken, "audio_end_ms": end_ms},
            {"type": "input_audio_buffer.committed", "item_id": spoken, "previous_item_id": None},
            {"type": "conversation.item.added", "previous_item_id": None, "item": user},
            {"type": completed, "item_id": spoken, "content_index": 0, "transcript": heard["transcript"]},
            {"type": "response.created", "response": {"id": made, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "response_id": made, "output_index": 0, "item": message},
            {"type": "conversation.item.added", "previous_item_id": spoken, "item": message},
            {"type": "response.content_part.added", **about, "part": {"type": "output_audio", "transcript": ""}},
        ):
            await send(connection, event)
        for place, delta in enumerate(self.deltas):
            if place < len(WORDS):
                word = {"type": "response.output_audio_transcript.delta", **about, "delta": WORDS[place] + " "}
                await send(connection, word)
            await connection.send(
                f'{{"type":"response.output_audio.delta","response_id":"{made}","item_id":"{item}","output_index":0,'
                f'"content_index":0,"delta":"{delta}"}}'
            )
        for event in (
            {"type": "response.output_audio.done", **about},
            {"type": "response.output_audio_transcript.done", **about, "transcript": part["transcript"]},
            {"type": "response.content_part.done", **about, "part": part},
            {"type": "conversation.item.done", "previous_item_id": spoken, "item": done},
            {"type": "response.output_item.done", "response_id": made, "output_index": 0, "item": done},
            {"type": "response.done", "response": response},
        ):
            await send(connection, event)


async def send(connection: ServerConnection, event: dict[str, Any]) -> None:
    await connection.send(json.dumps(event))


async def run(port: int, mode: str) -> None:
    """For ever."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # calls that vanish are no fault
    made = Server(mode)
    async with serve(made.serve, "127.0.0.1", port, compression=None, max_size=None) as server:
        commands = {"mark": made.mark, "heard": made.heard, "talk": made.talk, "listen": made.listen}
        Probe(commands)
        await server.serve_forever()


if __name__ == "__main__":
    pin(int(sys.argv[3]) if len(sys.argv) > 3 else None)
    never_pause()
    asyncio.run(run(int(sys.argv[1]), sys.argv[2]))
