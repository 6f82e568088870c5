"""A call on a server that leaves interruptions to us, with a clock of 20 ms: what it sends, and how loud it plays."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtime.call import Call
from realtime.conversation import Conversation
from realtime.settings import Settings
from realtime.snapshot import Stage

from . import script

Event = dict[str, Any]
LEVEL = 1000
"""Of the reply's sound, as `script.sound` makes it."""


def confirmed(**changed: Any) -> Event:
    """`session.updated` of a server that does not interrupt by itself."""
    turns = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 350,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": False,
    }
    session = {"type": "realtime", "audio": {"input": {"turn_detection": {**turns, **changed}}}}
    return {"type": "session.updated", "session": session}


class Over:
    """A call in which somebody makes sounds over a reply."""

    def __init__(self, **changed: Any) -> None:
        self.now = 100.0
        self.sent: list[Event] = []
        self.call = Call(Conversation(), Settings(**{"echo_guard_threshold": 0.0, **changed}), self.now)
        self.sent += self.call.connect(self.now)
        self.get(confirmed(silence_duration_ms=changed.get("vad_silence_ms", 350)))

    def get(self, *events: Event | list[Event]) -> list[Event]:
        """The server sends; returns what the call answers to it."""
        answers: list[Event] = []
        for some in events:
            for event in some if isinstance(some, list) else [some]:
                answers += self.call.receive(event, self.now)
        self.sent += answers
        return answers

    def play(self, ms: int, microphone: int = 0) -> np.ndarray:
        """What the loudspeaker is given meanwhile; `microphone`: the level of the visitor's voice."""
        out = []
        for _ in range(ms // 20):
            self.call.hear(np.full(480, microphone, np.int16))
            self.sent += self.call.beat(self.now)
            out.append(self.call.frame(self.now))
            self.now += 0.02
        return np.concatenate(out)

    def loudness(self, ms: int = 100, microphone: int = 0) -> float:
        """Of the last frame played, as a share of full."""
        return float(self.play(ms, microphone)[-480:].mean()) / LEVEL

    def reply(self, *, made: bool = True, ms: int = 6000, name: str = "1") -> None:
        """A reply is half a second old."""
        self.get(
            script.reply_begins(f"r{name}", f"a{name}"),
            script.clause(f"r{name}", f"a{name}", "One two three four five six", ms),
        )
        if made:
            self.get(script.reply_ends(f"r{name}", f"a{name}", "One two three four five six"))
        self.play(500)
        self.sent.clear()

    def cough(self, item: str = "u1", ms: int = 400) -> None:
        """A short sound: noticed, and over."""
        self.get(script.speech_started(item))
        self.play(ms)
        self.get(script.turn_over(item, "a1"))

    def said(self) -> list[tuple[str, str]]:
        return [(bubble.role, bubble.text) for bubble in self.call.snapshot().bubbles]

    def kinds(self) -> list[str]:
        """Types of all that was sent, and forget it."""
        found = [event["type"] for event in self.sent]
        self.sent.clear()
        return found

    @property
    def stage(self) -> Stage:
        return self.call.stage
