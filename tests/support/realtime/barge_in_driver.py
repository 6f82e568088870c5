"""A call on a server that leaves interruptions to us, with a clock of 20 ms: what it sends, and how loud it plays."""

from __future__ import annotations

from typing import Any

import numpy as np

from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.server_events import parse_event
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import CallStage

from . import server_events

Event = dict[str, Any]
REPLY_LEVEL = 1000
"""Of the reply's sound, as `script.sound` makes it."""


def server_vad_confirmed(**changed: Any) -> Event:
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


class BargeInDriver:
    """A call in which somebody makes sounds over a reply."""

    def __init__(self, **changed: Any) -> None:
        self.now = 100.0
        self.sent: list[Event] = []
        self.call = CallStateMachine(Conversation(), Settings(**{"echo_guard_threshold": 0.0, **changed}), self.now)
        self.sent += self.call.handle_connected(self.now)
        self.server_sends(server_vad_confirmed(silence_duration_ms=changed.get("vad_silence_ms", 350)))

    def server_sends(self, *events: Event | list[Event]) -> list[Event]:
        """The server sends; returns what the call answers to it."""
        answers: list[Event] = []
        for some in events:
            for event in some if isinstance(some, list) else [some]:
                answers += self.call.handle_event(parse_event(event), self.now)
        self.sent += answers
        return answers

    def play_ms(self, ms: int, microphone: int = 0) -> np.ndarray:
        """What the loudspeaker is given meanwhile; `microphone`: the level of the visitor's voice."""
        out = []
        for _ in range(ms // 20):
            self.call.push_audio(np.full(480, microphone, np.int16))
            self.sent += self.call.tick_20ms(self.now)
            out.append(self.call.next_frame(self.now))
            self.now += 0.02
        return np.concatenate(out)

    def played_gain(self, ms: int = 100, microphone: int = 0) -> float:
        """Of the last frame played, as a share of full."""
        return float(self.play_ms(ms, microphone)[-480:].mean()) / REPLY_LEVEL

    def start_reply(self, *, finished: bool = True, ms: int = 6000, name: str = "1") -> None:
        """A reply is half a second old."""
        self.server_sends(
            server_events.response_started(f"r{name}", f"a{name}"),
            server_events.clause_deltas(f"r{name}", f"a{name}", "One two three four five six", ms),
        )
        if finished:
            self.server_sends(server_events.response_finished(f"r{name}", f"a{name}", "One two three four five six"))
        self.play_ms(500)
        self.sent.clear()

    def make_short_sound(self, item: str = "u1", ms: int = 400) -> None:
        """A short sound: noticed, and over."""
        self.server_sends(server_events.speech_started(item))
        self.play_ms(ms)
        self.server_sends(server_events.turn_committed(item, "a1"))

    def messages(self) -> list[tuple[str, str]]:
        return [(bubble.role, bubble.text) for bubble in self.call.snapshot().bubbles]

    def take_sent_types(self) -> list[str]:
        """Types of all that was sent, and forget it."""
        found = [event["type"] for event in self.sent]
        self.sent.clear()
        return found

    @property
    def stage(self) -> CallStage:
        return self.call.stage
