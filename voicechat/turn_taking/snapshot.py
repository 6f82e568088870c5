"""What the page shows of a call: where it is, what was said, and what went wrong. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voicechat.conversation.conversation import Bubble
from voicechat.limits.budget import CostSummary

from .turn_latency import LatencySummary


class CallStage(StrEnum):
    """Where a call is. Exactly one at any time."""

    IDLE = "idle"
    QUEUED = "waiting"
    """In line, for all places are taken."""
    CONNECTING = "connecting"
    LISTENING = "listening"
    USER_SPEAKING = "hearing"
    """The visitor is speaking."""
    THINKING = "thinking"
    SPEAKING = "speaking"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


CONNECTED_STAGES = frozenset({CallStage.LISTENING, CallStage.USER_SPEAKING, CallStage.THINKING, CallStage.SPEAKING})
TERMINAL_STAGES = frozenset({CallStage.ENDED, CallStage.FAILED})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the page shows of a call."""

    bubbles: tuple[Bubble, ...]
    stage: CallStage
    notice: str | None = None
    """Code of a `Notice` or a `connection.Failure`, or None."""
    server_name: str = ""
    """`Endpoint.name` of the newest connection; "" before the first."""
    latency: LatencySummary | None = None
    """How long answers took; None before the first."""
    cost: CostSummary | None = None
    """What was spent; None before the first connection."""
    queue_position: int = 0
    """In line: 1 is next. 0 when not waiting."""
    notice_seconds: int = 0
    """Of a notice that names a time."""
