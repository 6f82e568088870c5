"""Scripted call server: a Realtime server for one call at a time. Its caller writes the turns step by step."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.support.realtime import server_events
from tests.support.tools import tool_events

FILLER = "This message was said earlier in the conversation, and stays as it is while another one grows."
TIMEOUT_S = 30.0


class ScriptedCallServer:
    """Server with a thread for each connection. Its methods write to the newest one, from any thread."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[dict[str, Any]] = []
        """Received events, without appended audio."""
        self._changed = threading.Condition()
        self._socket: ServerConnection | None = None
        self._connected = threading.Event()
        self._numbers = itertools.count(1)
        self._words = itertools.count(1)

    # ---------------------------------------------------------------- waiting

    def wait_until_connected(self) -> None:
        """Wait until the next call has sent its settings. Raises TimeoutError."""
        if not self._connected.wait(TIMEOUT_S):
            raise TimeoutError("The app did not connect.")
        self._connected.clear()

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for `count` events of a type, and return the last one. Raises TimeoutError."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._received_of(kind)[count - 1 : count], TIMEOUT_S)
        if not found:
            raise TimeoutError(f"The app sent no {count} {kind}.")
        return found[0]

    def count(self, kind: str) -> int:
        """Return the number of received events of a type."""
        return len(self._received_of(kind))

    def _received_of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.received if event["type"] == kind]

    # ---------------------------------------------------------------- turns

    def add_messages(self, count: int) -> None:
        """Add complete messages of both sides in turns, the last one of the model."""
        for number in range(count):
            role, kind = ("user", "input_text") if (count - number) % 2 == 0 else ("assistant", "output_text")
            item = {
                "id": f"old{next(self._numbers)}",
                "type": "message",
                "role": role,
                "status": "completed",
                "content": [{"type": kind, "text": f"{number + 1}. {FILLER}"}],
            }
            self._send({"type": "conversation.item.added", "previous_item_id": None, "item": item})
            self._send({"type": "conversation.item.done", "previous_item_id": None, "item": item})

    def start_user_turn(self) -> str:
        """Let the visitor begin to speak, and return the id of the turn."""
        turn = f"u{next(self._numbers)}"
        self._send(server_events.speech_started(turn))
        return turn

    def finish_user_turn(self, turn: str, words: Sequence[str], per_second: float = 20.0) -> None:
        """End a spoken turn, and transcribe it word by word."""
        for event in server_events.turn_committed(turn):
            self._send(event)
        for word in self._paced(words, per_second):
            self._send(server_events.transcription_delta(turn, f"{word} "))
        self._send(server_events.transcription_completed(turn, " ".join(words)))

    def call_tool(self, name: str, arguments: dict[str, Any]) -> str:
        """Send a whole response that calls a tool, and return the id of the call."""
        number = next(self._numbers)
        call_id = f"call_{number}"
        for event in tool_events.calling_response(f"r{number}", [(call_id, name, arguments)]):
            self._send(event)
        return call_id

    def grow_reply(
        self, words: int, per_second: float, *, sound_ms: int | None = None, finish: bool = True
    ) -> dict[str, float]:
        """Send a reply as `words` text deltas, each with its sound. Return the time of each word (`time.monotonic`).

        `sound_ms`: sound of each word; None: as long as it takes to send. `finish=False` leaves the reply unfinished.
        """
        number = next(self._numbers)
        response, item = f"r{number}", f"a{number}"
        about = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        sound = server_events.audio_base64(sound_ms or int(1000 / per_second))
        for event in server_events.response_started(response, item):
            self._send(event)
        sent_at: dict[str, float] = {}
        for word in self._paced([f"w{next(self._words):05d}" for _ in range(words)], per_second):
            sent_at[word] = time.monotonic()
            self._send({"type": "response.output_audio_transcript.delta", **about, "delta": f"{word} "})
            self._send({"type": "response.output_audio.delta", **about, "delta": sound})
        if finish:
            for event in server_events.response_finished(response, item, " ".join(sent_at)):
                self._send(event)
        return sent_at

    @staticmethod
    def _paced(words: Sequence[str], per_second: float) -> Iterator[str]:
        """Yield each word when it is due."""
        start = time.monotonic()
        for index, word in enumerate(words):
            time.sleep(max(0.0, start + index / per_second - time.monotonic()))
            yield word

    # ---------------------------------------------------------------- connection

    def _send(self, event: dict[str, Any]) -> None:
        assert self._socket is not None, "no call has connected"
        self._socket.send(json.dumps(event))

    def _handle_connection(self, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            socket.send(json.dumps({"type": "session.created", "session": {"type": "realtime"}}))
            for message in socket:
                event = json.loads(message)
                if event["type"] == "input_audio_buffer.append":
                    continue
                if event["type"] == "session.update":
                    socket.send(json.dumps({"type": "session.updated", "session": event["session"]}))
                    self._socket = socket
                    self._connected.set()
                with self._changed:
                    self.received.append(event)
                    self._changed.notify_all()

    @contextmanager
    def running(self) -> Iterator[ScriptedCallServer]:
        """Serve until the block ends."""
        with serve(self._handle_connection, "127.0.0.1", 0, compression=None) as server:
            self.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1/realtime"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
