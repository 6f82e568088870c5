"""Realtime server of the load benchmark: a process that answers at once.

    python -m benchmarks.support.load_server PORT talk|interrupt|echo [CORE]

`talk` repeats a cycle (load_speech.py): a user turn, timed by the received audio, and a reply, sent as fast as the
network accepts it. With `interrupt`, the next turn begins in the middle of the reply. `echo` answers each 20 ms of
audio with the same 20 ms.
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

from .load_speech import CYCLE_S, USER_TURN_S, count_lost_pieces, reply_audio
from .probed_process import Answer, ProcessProbe, disable_gc, pin_to_core
from .speech_samples import RATE

DELTA_BYTES = RATE // 5 * 2
"""Bytes of audio in one event: 200 ms."""
REPLY_TEXT = "He might even have been made amiable himself, had he married a more amiable woman."
REPLY_WORDS = REPLY_TEXT.split()
AUDIO_APPEND = "input_audio_buffer.append"
PART_POSITION = {"output_index": 0, "content_index": 0}


def _deltas() -> list[str]:
    pcm = reply_audio().astype("<i2").tobytes()
    return [base64.b64encode(pcm[at : at + DELTA_BYTES]).decode() for at in range(0, len(pcm), DELTA_BYTES)]


class LoadServer:
    """One server for all calls."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.cycle_s = CYCLE_S if mode == "talk" else USER_TURN_S + 1.0
        self.is_answering = True
        """Whether turns get a reply; otherwise the server only listens."""
        self.recorded_audio: dict[ServerConnection, list[str]] = {}
        """Audio of each call since `start_recording`, in base64."""
        self.is_recording = False
        self.deltas = _deltas()

    def start_recording(self) -> Answer:
        """Record the audio of all calls from now on."""
        self.is_recording = True
        self.recorded_audio = {connection: [] for connection in self.recorded_audio}
        return {}

    def report_recorded(self) -> Answer:
        """Stop recording; return the calls with audio, and the pieces of voice lost on the way to the server."""
        self.is_recording = False
        lost = []
        for audio in filter(None, self.recorded_audio.values()):
            sound = np.frombuffer(b"".join(map(base64.b64decode, audio)), "<i2")
            lost.append(count_lost_pieces(sound, of_reply=False))
        silent = len(self.recorded_audio) - len(lost)
        self.recorded_audio = {connection: [] for connection in self.recorded_audio}
        return {"calls": len(lost), "silent": silent, "lost_words": sum(lost)}

    def start_answering(self) -> Answer:
        """Reply to turns."""
        self.is_answering = True
        return {}

    def stop_answering(self) -> Answer:
        """Only listen."""
        self.is_answering = False
        return {}

    async def handle_connection(self, connection: ServerConnection) -> None:
        """Serve one call until it ends."""
        self.recorded_audio[connection] = []
        try:
            await send_event(connection, {"type": "session.created", "session": {"type": "realtime"}})
            with suppress(ConnectionClosed):
                await (self._echo if self.mode == "echo" else self._converse)(connection)
        finally:
            self.recorded_audio.pop(connection, None)

    async def _echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            event = json.loads(message)
            if event["type"] == AUDIO_APPEND:
                await connection.send(
                    '{"type":"response.output_audio.delta","response_id":"resp_1","output_index":0,"content_index":0,'
                    f'"event_id":"{event.get("event_id", "")}","item_id":"item_1","delta":"{event["audio"]}"}}'
                )
            elif event["type"] == "session.update":
                await send_event(connection, {"type": "session.updated", "session": event["session"]})

    async def _converse(self, connection: ServerConnection) -> None:
        received, number, speaking = 0, 0, False
        async for message in connection:
            event = json.loads(message)
            if event["type"] == AUDIO_APPEND:
                if self.is_recording and connection in self.recorded_audio:
                    self.recorded_audio[connection].append(event["audio"])
                received += len(event["audio"]) * 3 // 4 // 2
                cycle_position_s = received / RATE % self.cycle_s
                if self.is_answering and not speaking and cycle_position_s < USER_TURN_S:
                    speaking, number = True, number + 1
                    started = {"item_id": f"u{number}", "audio_start_ms": received * 1000 // RATE}
                    await send_event(connection, {"type": "input_audio_buffer.speech_started", **started})
                elif speaking and cycle_position_s >= USER_TURN_S:
                    speaking = False
                    await self._send_reply(connection, number, received * 1000 // RATE)
            elif event["type"] == "session.update":
                await send_event(connection, {"type": "session.updated", "session": event["session"]})

    async def _send_reply(self, connection: ServerConnection, number: int, end_ms: int) -> None:
        spoken, item, made = f"u{number}", f"a{number}", f"r{number}"
        heard = {"type": "input_audio", "transcript": "He was not an ill-disposed young man."}
        user = {"id": spoken, "type": "message", "role": "user", "status": "completed", "content": [heard]}
        message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_audio", "transcript": REPLY_TEXT}
        done = {**message, "status": "completed", "content": [part]}
        about = {"response_id": made, "item_id": item, **PART_POSITION}
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
            await send_event(connection, event)
        for index, delta in enumerate(self.deltas):
            if index < len(REPLY_WORDS):
                word = {"type": "response.output_audio_transcript.delta", **about, "delta": REPLY_WORDS[index] + " "}
                await send_event(connection, word)
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
            await send_event(connection, event)


async def send_event(connection: ServerConnection, event: dict[str, Any]) -> None:
    """Send one event as JSON."""
    await connection.send(json.dumps(event))


async def run(port: int, mode: str) -> None:
    """Serve until the process ends, and answer the commands of the benchmark."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # dropped calls are part of the soak test
    load_server = LoadServer(mode)
    async with serve(load_server.handle_connection, "127.0.0.1", port, compression=None, max_size=None) as server:
        commands = {
            "mark": load_server.start_recording,
            "heard": load_server.report_recorded,
            "talk": load_server.start_answering,
            "listen": load_server.stop_answering,
        }
        ProcessProbe(commands)
        await server.serve_forever()


if __name__ == "__main__":
    pin_to_core(int(sys.argv[3]) if len(sys.argv) > 3 else None)
    disable_gc()
    asyncio.run(run(int(sys.argv[1]), sys.argv[2]))
