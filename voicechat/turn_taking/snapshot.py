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


class Notice(StrEnum):
    """What a visitor should be told, besides every `connection.Failure`. Codes; the page has the sentences."""

    SERVER_BUSY = "server_busy"
    """All places are taken, and the line is full."""
    VISITOR_CALL_LIMIT = "visitor_busy"
    """This visitor has as many calls as one may have at once."""
    VISITOR_DAILY_QUOTA = "visitor_day"
    """This visitor has been in calls as long as one may in a day."""
    CLOSING = "closing"
    """The app ends: there are no new calls."""
    CLOSING_SOON = "closing_soon"
    """The app ends, and this call soon: `Snapshot.seconds`."""
    IDLE = "idle_timeout"
    TIME_LIMIT = "time_limit"
    NO_MICROPHONE = "no_microphone"
    """Nothing came from the page any more, not even silence."""
    REPLY_FAILED = "reply_failed"
    """The server could not answer this time; the call goes on."""
    RENEWING = "renewing"
    """The server's time for one session is nearly up: the call goes on in a new one."""
    PREFERENCE_REJECTED = "wish_refused"
    """The server did not take what the visitor wants otherwise; the call goes on as it was."""
    MESSAGE_TOO_LONG = "message_too_long"
    INTERNAL = "internal_error"


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
