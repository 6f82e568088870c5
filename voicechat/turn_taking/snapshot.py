"""Snapshot of a call for the page: its stage, its messages, its notice. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voicechat.conversation.conversation import Bubble
from voicechat.limits.billing import CostSummary
from voicechat.tools.calls.approval import PendingApproval
from voicechat.tools.calls.tool_call import ToolCall

from .turn_latency import LatencySummary


class CallStage(StrEnum):
    """Stage of a call. Exactly one at any time."""

    IDLE = "idle"
    QUEUED = "waiting"
    """In the waiting queue, because all slots are taken."""
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
    """Everything that the page shows of a call."""

    bubbles: tuple[Bubble, ...]
    stage: CallStage
    notice: str | None = None
    """Code of a `Notice` or a `Failure`, or None."""
    server_name: str = ""
    """`Endpoint.name` of the newest connection; "" before the first."""
    latency: LatencySummary | None = None
    """Latency of the replies; None before the first."""
    cost: CostSummary | None = None
    """Cost so far; None before the first connection."""
    queue_position: int = 0
    """Position in the waiting queue: 1 is next, 0 is outside the queue."""
    notice_seconds: int = 0
    """Seconds that the notice names; 0 when it names none."""
    server_words: str = ""
    """Scrubbed close reason of the server, which explains the notice; "" for none. Text, never HTML."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Tool calls of this session, oldest first. Their chips are in `bubbles`."""
    pending_approvals: tuple[PendingApproval, ...] = ()
    """Acting calls that await the visitor's decision."""
