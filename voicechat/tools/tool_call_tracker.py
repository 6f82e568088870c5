"""Tool call tracker: decides for every call of a tool when it runs, what the model is sent and when. Pure.

Laws: each call gets exactly one output, in the order of the calls of its response. None runs twice. An acting call runs
only after its response is `completed` and the visitor agreed. One reply is wanted per round, and only with no open
output. The call's `ResponseTracker` keeps that wish from colliding with a reply that is being made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .actions import ToolAction
from .approval import PendingApproval
from .definition import DEFAULT_TIMEOUT_S, ToolDefinition, ToolResult
from .tool_call import ToolCall


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """Bounds of the calls of one conversation."""

    tool_seconds: float = DEFAULT_TIMEOUT_S
    """Seconds that any call may run; a shorter timeout of its definition wins."""
    answer_seconds: float = 6.0
    """Seconds after which a running call is answered "still running"."""
    approval_seconds: float = 30.0
    """Seconds that the visitor has to agree."""
    transcript_seconds: float = 1.5
    """Seconds that `approve` waits for the transcript of the turn."""
    result_chars: int = 4000
    """Characters of a result for the model."""
    shown_chars: int = 2000
    """Characters of a result for the page."""
    max_running: int = 8
    """Calls that run at the same time."""
    max_rounds: int = 5
    """Rounds in answer to one turn of the visitor."""
    max_calls: int = 50
    """Calls of one conversation."""
    calls_per_minute: int = 10
    """Calls of any 60 seconds."""


class ToolCallTracker:
    """Tool calls of one conversation. `now`: seconds of a monotonic clock. Actions: to be done in their order."""

    def __init__(
        self,
        tools: Mapping[str, ToolDefinition],
        limits: ToolLimits | None = None,
        *,
        approve_tool: bool = True,
        speaks_first: bool = False,
    ) -> None:
        """Track calls of `tools`.

        `approve_tool`: the model can be asked to report a spoken decision; else the transcript alone decides.
        `speaks_first`: the model says the outcome in the reply that calls (xAI): a second answer would repeat it.
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- reading

    @property
    def calls(self) -> Sequence[ToolCall]:
        """All calls, oldest first; since the last Clear."""
        raise NotImplementedError

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """Tools to declare now: all, and `approve` while a spoken decision is awaited."""
        raise NotImplementedError

    @property
    def pending_approvals(self) -> Sequence[PendingApproval]:
        """Decisions that are awaited, oldest first."""
        raise NotImplementedError

    @property
    def is_busy(self) -> bool:
        """A call is open, or a reply to outputs is still to be wanted: no timer may end or renew the session."""
        raise NotImplementedError

    @property
    def is_running(self) -> bool:
        """A tool is running: the page shows it, and a soft sound fills the silence."""
        raise NotImplementedError

    @property
    def has_open_output(self) -> bool:
        """A call awaits its output. Some servers (S2S) refuse every `response.create` meanwhile."""
        raise NotImplementedError

    @property
    def next_deadline(self) -> float | None:
        """Time of the next `tick` that changes something; None if there is none."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the server

    def take_call(self, response_id: str, call_id: str, name: str, arguments_json: str, now: float) -> list[ToolAction]:
        """Take a call whose arguments are complete, from any of the three events. Repeated ones are ignored."""
        raise NotImplementedError

    def start_response(self, response_id: str, now: float) -> list[ToolAction]:
        """Note `response.created`: this reply answers the outputs and messages that were sent before it."""
        raise NotImplementedError

    def finish_response(self, response_id: str, status: str, now: float, *, spoke: bool = False) -> list[ToolAction]:
        """Note `response.done`, or that the reply is rejected or lost ("cancelled"). `spoke`: it had audio or text."""
        raise NotImplementedError

    def lose_connection(self, now: float) -> list[ToolAction]:
        """Note that the connection is lost. Open calls count as answered by the replay; see `replay_pairs`."""
        raise NotImplementedError

    def replay_pairs(self) -> Sequence[tuple[ToolCall, str]]:
        """Return calls with their outputs for the next connection, oldest first; outputs cut to 500 characters."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the executor

    def take_result(self, call_id: str, result: ToolResult, now: float) -> list[ToolAction]:
        """Take the result of a run. One that comes after cancellation or timeout is ignored."""
        raise NotImplementedError

    def announce(self, call_id: str, result: ToolResult, now: float) -> list[ToolAction]:
        """Tell the model what a tool says after its call has ended (a timer rings), and want a reply."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the visitor

    def note_user_turn(self, turn_id: str, now: float) -> list[ToolAction]:
        """Note that a spoken turn or a typed message begins. `turn_id`: item id of the turn, else any unique name."""
        raise NotImplementedError

    def take_transcript(self, turn_id: str, text: str, now: float) -> list[ToolAction]:
        """Take the final transcript of a turn, or the text of a typed message."""
        raise NotImplementedError

    def note_heard(self, response_id: str, fraction: float, now: float) -> list[ToolAction]:
        """Note once how much of a reply was heard when its playback ended or was cut, 0 to 1. In a chat: 1."""
        raise NotImplementedError

    def decide(self, call_id: str, allowed: bool, now: float) -> list[ToolAction]:
        """Take the decision by button."""
        raise NotImplementedError

    def set_language(self, language: str) -> None:
        """Note the language of the visitor's last turn: "en" or "zh". Questions are in it."""
        raise NotImplementedError

    # ---------------------------------------------------------------- endings

    def cancel(self, call_id: str, now: float) -> list[ToolAction]:
        """Cancel one call, by its button."""
        raise NotImplementedError

    def stop(self, now: float) -> list[ToolAction]:
        """Cancel all open calls; outputs are sent, and no reply is wanted."""
        raise NotImplementedError

    def clear(self, now: float) -> list[ToolAction]:
        """Cancel all open calls and forget all. The outputs are sent before the items are deleted, and deleted too."""
        raise NotImplementedError

    def end(self, now: float) -> list[ToolAction]:
        """End the conversation: running calls are cancelled, and nothing is sent any more."""
        raise NotImplementedError

    def tick(self, now: float) -> list[ToolAction]:
        """Do what is due: slow answers, timeouts, approvals that expire, transcripts that do not come."""
        raise NotImplementedError
