"""Barge-in driver: a call on a server that leaves interruptions to the client, with a clock in steps of 20 ms."""

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
"""Sample value of a reply's audio, as made by `server_events.audio_base64`."""


def server_vad_confirmed(**changed: Any) -> Event:
    """Return `session.updated` of a server that does not interrupt replies itself."""
    turn_detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 350,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": False,
    }
    session = {"type": "realtime", "audio": {"input": {"turn_detection": {**turn_detection, **changed}}}}
    return {"type": "session.updated", "session": session}


class BargeInDriver:
    """Call in which the user makes sounds over a reply; collects the sent events."""

    def __init__(self, **changed: Any) -> None:
        self.now = 100.0
        self.sent: list[Event] = []
        self.call = CallStateMachine(
            Conversation(), Settings().with_changes(**{"echo_guard_threshold": 0.0, **changed}), self.now
        )
        self.sent += self.call.handle_connected(self.now)
        self.server_sends(server_vad_confirmed(silence_duration_ms=changed.get("vad_silence_ms", 350)))

    def server_sends(self, *events: Event | list[Event]) -> list[Event]:
        """Handle server events, and return the client events that answer them."""
        answers: list[Event] = []
        for some in events:
            for event in some if isinstance(some, list) else [some]:
                answers += self.call.handle_event(parse_event(event), self.now)
        self.sent += answers
        return answers

    def play_ms(self, ms: int, microphone: int = 0) -> np.ndarray:
        """Let time pass, and return the played audio. `microphone`: sample value of the user's voice."""
        out = []
        for _ in range(ms // 20):
            self.call.push_audio(np.full(480, microphone, np.int16))
            self.sent += self.call.tick_20ms(self.now)
            out.append(self.call.next_frame(self.now))
            self.now += 0.02
        return np.concatenate(out)

    def played_gain(self, ms: int = 100, microphone: int = 0) -> float:
        """Let time pass, and return the gain of the last frame, from 0 to 1."""
        return float(self.play_ms(ms, microphone)[-480:].mean()) / REPLY_LEVEL

    def start_reply(self, *, finished: bool = True, ms: int = 6000, name: str = "1") -> None:
        """Start a reply and play half a second of it."""
        self.server_sends(
            server_events.response_started(f"r{name}", f"a{name}"),
            server_events.clause_deltas(f"r{name}", f"a{name}", "One two three four five six", ms),
        )
        if finished:
            self.server_sends(server_events.response_finished(f"r{name}", f"a{name}", "One two three four five six"))
        self.play_ms(500)
        self.sent.clear()

    def make_short_sound(self, item: str = "u1", ms: int = 400) -> None:
        """Make a short sound: the server reports its start and commits it as a turn."""
        self.server_sends(server_events.speech_started(item))
        self.play_ms(ms)
        self.server_sends(server_events.turn_committed(item, "a1"))

    def messages(self) -> list[tuple[str, str]]:
        """Return role and text of the shown messages."""
        return [(bubble.role, bubble.text) for bubble in self.call.snapshot().bubbles]

    def take_sent_types(self) -> list[str]:
        """Return the types of the sent events, and clear them."""
        found = [event["type"] for event in self.sent]
        self.sent.clear()
        return found

    @property
    def stage(self) -> CallStage:
        return self.call.stage
