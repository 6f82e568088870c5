"""Call driver: a connected call with a clock of its own, for tests of the state machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.server_events import parse_event
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import CallStage

Event = dict[str, Any]


class CallDriver:
    """Connected call with a clock; collects the sent events."""

    def __init__(
        self, tracker: ToolCallTracker | None = None, conversation: Conversation | None = None, **changed: Any
    ) -> None:
        self.now = 100.0
        self.sent: list[Event] = []
        settings = Settings().with_changes(**changed)
        self.call = CallStateMachine(conversation or Conversation(), settings, self.now, tracker)
        self.sent += self.call.handle_connected(self.now)

    def server_sends(self, *events: Event | list[Event]) -> list[Event]:
        """Handle server events, and return the client events that answer them."""
        answers: list[Event] = []
        for some in events:
            for event in some if isinstance(some, list) else [some]:
                answers += self.call.handle_event(parse_event(event), self.now)
        self.sent += answers
        return answers

    def send_text(self, text: str) -> list[Event] | None:
        """Type a message; None when it is rejected."""
        answers = self.call.send_text(text, self.now)
        self.sent += answers or []
        return answers

    def clear(self) -> list[Event]:
        """Press Clear."""
        answers = self.call.clear(self.now)
        self.sent += answers
        return answers

    def play_ms(self, ms: int) -> np.ndarray:
        """Let time pass, and return the played audio."""
        out = []
        for _ in range(ms // 20):
            out.append(self.call.next_frame(self.now))
            self.now += 0.02
        return np.concatenate(out)

    @property
    def stage(self) -> CallStage:
        return self.call.stage

    def messages(self) -> list[tuple[str, str]]:
        """Return role and text of the shown messages."""
        return [(bubble.role, bubble.text) for bubble in self.call.snapshot().bubbles]


def event_types(events: list[Event] | None) -> list[str]:
    """Return the types of events."""
    assert events is not None, "the text was rejected"
    return [event["type"] for event in events]
