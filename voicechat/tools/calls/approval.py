"""Approval: what is asked before an acting tool runs, and which turn may decide it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from voicechat.tools.definition import ToolDefinition

from .tool_call import HEARD_TO_END, ToolCall
from .yes_no import YesNo, match_yes_no

APPROVE_TOOL = "approve"
"""Name of the tool by which a model reports the visitor's spoken decision."""
APPROVE_DEFINITION = ToolDefinition(
    name=APPROVE_TOOL,
    description=(
        "Report the user's decision about an action that needs approval. Call it only after you asked the question "
        "aloud and the user answered it. The output is the result of the action."
    ),
    parameters={
        "type": "object",
        "properties": {
            "approval": {"type": "string", "description": 'The "approval" of the output that asked, such as "a1".'},
            "yes": {"type": "boolean", "description": "Whether the user clearly agreed."},
        },
        "required": ["approval", "yes"],
        "additionalProperties": False,
    },
    source="application",
    read_only=False,
)
"""Declared only while a spoken decision is awaited."""


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """One acting call that awaits the visitor's decision, for the approval bar."""

    call_id: str
    approval_id: str
    """Short name for the model: "a1"."""
    name: str
    arguments_json: str = field(repr=False)
    """The held arguments: exactly these run."""
    question: str = field(repr=False)
    by_voice: bool
    """False: by button only."""
    expires_at: float
    """Seconds of the caller's clock at which the call is refused."""

    @property
    def arguments(self) -> dict[str, Any]:
        """A copy of the held arguments."""
        loaded: dict[str, Any] = json.loads(self.arguments_json)
        return loaded


class SpokenQuestion:
    """The question of one approval: whether it was heard to its end, and which turn began after that."""

    def __init__(self) -> None:
        self._is_due = False
        """The next reply asks the question."""
        self._question_response = ""
        self._last_response = ""
        self._was_heard = False
        """The question was heard to its end."""
        self._is_last_heard = False
        """The last reply was heard to its end: the turn that follows may be the decision."""
        self.turn_id = ""
        """The turn that may decide; "" if none may."""

    def ask(self) -> None:
        """Await the question: the server has the output that asks for it."""
        self._is_due, self._was_heard, self._question_response, self.turn_id = True, False, "", ""

    def start_response(self, response_id: str, *, knows_outputs: bool) -> None:
        """Note that a reply begins. Only one that knows the output that asks can ask the question."""
        if self._is_due and knows_outputs:
            self._is_due, self._question_response = False, response_id
        self._last_response, self._is_last_heard = response_id, False

    def note_heard(self, response_id: str, fraction: float) -> bool:
        """Note how much of a reply was heard. Return whether the question is now heard to its end."""
        if response_id != self._last_response or fraction < HEARD_TO_END:
            return False
        self._is_last_heard = True
        is_question = response_id == self._question_response
        self._was_heard = self._was_heard or is_question
        return is_question

    def note_turn(self, turn_id: str, *, is_strict: bool) -> None:
        """Note that a turn begins: it may decide if the question, or a later reply, was just heard to its end.

        `is_strict`: only a turn right after the question counts, for the transcript alone decides.
        """
        is_right_after = not is_strict or self._last_response == self._question_response
        self.turn_id = turn_id if self._was_heard and self._is_last_heard and is_right_after else ""


@dataclass(frozen=True, slots=True)
class SpokenReport:
    """A call of `approve` that awaits the end of its response, or the transcript of the turn."""

    call_id: str
    approval_id: str
    agrees: bool
    turn_id: str
    """The turn that may decide, when the call came."""
    due_at: float
    """Seconds of the caller's clock until which the transcript is awaited."""


MAX_TURNS = 16
"""Turns whose meaning is remembered."""


class ApprovalBook:
    """Approvals that are awaited, and the meaning of the last turns. Transcripts are not kept."""

    def __init__(self, seconds: float, *, approve_tool: bool) -> None:
        """`seconds`: for a decision. `approve_tool`: the model reports it; else the transcript decides."""
        self._seconds = seconds
        self.approve_tool = approve_tool
        """The model reports the decision. It may differ with each connection."""
        self._pending: dict[str, PendingApproval] = {}
        self._questions: dict[str, SpokenQuestion] = {}
        self._meanings: dict[str, YesNo] = {}
        self._numbers = 0

    @property
    def pending(self) -> Sequence[PendingApproval]:
        return tuple(self._pending.values())

    @property
    def declares_approve(self) -> bool:
        """The model may call `approve` now."""
        return self.approve_tool and any(approval.by_voice for approval in self._pending.values())

    def add(self, call: ToolCall, question: str, now: float, *, by_voice: bool) -> PendingApproval:
        """Await a decision about a call."""
        self._numbers += 1
        approval = PendingApproval(
            call_id=call.call_id,
            approval_id=f"a{self._numbers}",
            name=call.name,
            arguments_json=call.arguments_json,
            question=question,
            by_voice=by_voice,
            expires_at=now + self._seconds,
        )
        self._pending[call.call_id] = approval
        self._questions[call.call_id] = SpokenQuestion()
        return approval

    def remove(self, call_id: str) -> None:
        """Forget an approval: it is decided."""
        self._pending.pop(call_id, None)
        self._questions.pop(call_id, None)

    def clear(self) -> None:
        """Forget all. A number is given once."""
        self._pending.clear()
        self._questions.clear()
        self._meanings.clear()

    def find(self, approval_id: str) -> PendingApproval | None:
        """Return an awaited approval by its name for the model."""
        return next((one for one in self._pending.values() if one.approval_id == approval_id), None)

    def expired(self, now: float) -> Sequence[str]:
        """Return the calls whose time is over."""
        return [call_id for call_id, approval in self._pending.items() if now >= approval.expires_at]

    def ask(self, call_id: str) -> None:
        """Note that the server has the output that makes the model ask, for the first time or once more."""
        if call_id in self._questions:
            self._questions[call_id].ask()

    def start_response(self, response_id: str, *, knows_outputs: bool) -> None:
        """Note that a reply begins. `knows_outputs`: the server had all outputs when it began the reply."""
        for question in self._questions.values():
            question.start_response(response_id, knows_outputs=knows_outputs)

    def note_heard(self, response_id: str, fraction: float, now: float) -> None:
        """Note how much of a reply was heard. The time to decide begins when the question was heard."""
        for call_id, question in self._questions.items():
            if question.note_heard(response_id, fraction):
                self._pending[call_id] = replace(self._pending[call_id], expires_at=now + self._seconds)

    def note_turn(self, turn_id: str) -> None:
        """Note that a turn begins."""
        self._meanings.pop(turn_id, None)
        for question in self._questions.values():
            question.note_turn(turn_id, is_strict=not self.approve_tool)

    def take_transcript(self, turn_id: str, text: str) -> None:
        """Read a transcript, once for a turn."""
        self._meanings.setdefault(turn_id, match_yes_no(text))
        while len(self._meanings) > MAX_TURNS:
            del self._meanings[next(iter(self._meanings))]

    def turn_of(self, call_id: str) -> str:
        """Return the turn that may decide about a call; "" if none may."""
        return self._questions[call_id].turn_id if call_id in self._questions else ""

    def meaning(self, turn_id: str) -> YesNo | None:
        """Return the meaning of a turn; None while its transcript is awaited."""
        return self._meanings.get(turn_id)

    def decided_by_transcript(self) -> Iterable[tuple[str, bool]]:
        """Return calls that the transcript decides, without the model: of a single question, with a clear word."""
        asked = [call_id for call_id, approval in self._pending.items() if approval.by_voice]
        if self.approve_tool or len(asked) != 1:
            return ()
        meaning = self.meaning(self.turn_of(asked[0])) if self.turn_of(asked[0]) else None
        return ((asked[0], meaning is YesNo.YES),) if meaning in (YesNo.YES, YesNo.NO) else ()
