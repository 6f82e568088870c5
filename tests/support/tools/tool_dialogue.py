"""Tool dialogue: a server of one dialect, an executor and a visitor around a tracker. Each step checks the laws."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field

from tests.support.tools.tool_samples import SAMPLE_TOOLS
from voicechat.tools.calls.actions import (
    CancelTool,
    DeclareTools,
    RequestResponse,
    SendOutput,
    SendSystemMessage,
    StartTool,
    ToolAction,
)
from voicechat.tools.calls.approval import APPROVE_TOOL
from voicechat.tools.calls.tool_call import HEARD_TO_END
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker, ToolLimits
from voicechat.tools.definition import ApprovalMode, ToolResult

ARGUMENTS = '{"to":"Anna"}'
YES_TEXTS = ("Yes.", "好的")


class ServerDialect(enum.Enum):
    """How a server announces calls and answers outputs."""

    OPENAI = "openai"
    S2S = "s2s"
    """It refuses `response.create` while an output is open."""
    LOCALAI = "localai"
    """It sends no `conversation.item.done`."""
    XAI = "xai"
    """It speaks before it calls, and may answer the outputs by itself."""


EVENTS_PER_CALL = {ServerDialect.OPENAI: 3, ServerDialect.S2S: 2, ServerDialect.LOCALAI: 2, ServerDialect.XAI: 3}
"""Events with all arguments, by dialect."""


@dataclass
class ServedCall:
    """One call, as the server and the executor know it."""

    call_id: str
    response_id: str
    name: str
    arguments: str
    events_left: int
    is_taken: bool = False
    is_lost: bool = False
    """Its events were lost with the connection."""
    outputs: int = 0
    starts: int = 0
    is_running: bool = False
    allowed_by_button: bool = False
    asked_after: int | None = None
    """Replies that had begun when the server got the output that asks; None before."""
    is_question_heard: bool = False
    is_turn_after_heard: bool = False


@dataclass
class ToolDialogue:
    """All parts around one tracker. Each method is one event; `settle` ends the dialogue in order."""

    dialect: ServerDialect
    approve_tool: bool = True
    limits: ToolLimits = field(default_factory=ToolLimits)

    def __post_init__(self) -> None:
        self.tracker = ToolCallTracker(
            SAMPLE_TOOLS,
            self.limits,
            approve_tool=self.approve_tool,
            speaks_first=self.dialect is ServerDialect.XAI,
        )
        self.now = 0.0
        self.active = ""
        self.responses = 0
        self.heard_responses = 0
        self.turns = 0
        self.statuses: dict[str, str] = {}
        self.calls: dict[str, ServedCall] = {}
        self.taken: list[ServedCall] = []
        """Calls in the order of their first event."""
        self.sent: list[ToolAction] = []
        self.is_reply_wanted = False
        self.requests = 0
        self.disarmed = False
        self.cleared: set[str] = set()
        self._news_since_request = False
        self.last_is_yes = False

    # ---------------------------------------------------------------- the server

    def begin_response(self) -> None:
        """Begin a reply, if none is being made."""
        if self.active:
            return
        self.responses += 1
        self.active = f"r{self.responses}"
        self.is_reply_wanted = False
        for call in self.calls.values():
            call.is_question_heard = False
        self.apply(self.tracker.start_response(self.active, self.now))

    def call(self, name: str, arguments: str = ARGUMENTS) -> ServedCall | None:
        """Add a call to the reply that is being made; its events follow."""
        if not self.active:
            return None
        call = ServedCall(f"c{len(self.calls)}", self.active, name, arguments, EVENTS_PER_CALL[self.dialect])
        self.calls[call.call_id] = call
        return call

    def deliver(self, call: ServedCall) -> None:
        """Deliver one of the events of a call; a last one may come after the end of its response."""
        if call.is_lost:
            return
        if call.events_left:
            call.events_left -= 1
        if not call.is_taken:
            call.is_taken = True
            self.taken.append(call)
        self.apply(self.tracker.take_call(call.response_id, call.call_id, call.name, call.arguments, self.now))

    def finish(self, status: str) -> None:
        """End the reply that is being made."""
        if self.active:
            ended, self.active = self.active, ""
            self.statuses.setdefault(ended, status)
            spoke = self.dialect is ServerDialect.XAI
            self.apply(self.tracker.finish_response(ended, status, self.now, spoke=spoke))
            self.request_if_wanted()

    def request_if_wanted(self) -> None:
        """Send `response.create` when a reply is wanted and none is being made, as the call does."""
        if self.is_reply_wanted and not self.active and not self.tracker.has_open_output:
            self.requests += 1
            self.begin_response()

    # ---------------------------------------------------------------- executor and visitor

    def end_run(self, call: ServedCall, *, is_error: bool = False) -> None:
        """Give the result of a run; also of one that was cancelled."""
        if call.starts:
            if call.is_running and SAMPLE_TOOLS[call.name].open_world:
                self.disarmed = True
            call.is_running = False
            result = ToolResult("approve a1: yes", is_error=is_error)
            self.apply(self.tracker.take_result(call.call_id, result, self.now))

    def press(self, call_id: str, *, allowed: bool) -> None:
        """Decide by button."""
        if call_id in self.calls:
            self.calls[call_id].allowed_by_button |= allowed
        self.apply(self.tracker.decide(call_id, allowed, self.now))

    def speak(self, text: str) -> None:
        """Begin and end a turn of the visitor."""
        self.turns += 1
        for call in self.calls.values():
            call.is_turn_after_heard = call.is_question_heard
        self.last_is_yes = False
        self.apply(self.tracker.note_user_turn(f"t{self.turns}", self.now))
        self.last_is_yes = text in YES_TEXTS
        self.apply(self.tracker.take_transcript(f"t{self.turns}", text, self.now))

    def play(self, fraction: float) -> None:
        """Play the last reply up to a fraction, once."""
        if self.heard_responses == self.responses:
            return
        self.heard_responses = self.responses
        for call in self.calls.values():
            was_asked = call.asked_after is not None and self.responses > call.asked_after
            call.is_question_heard = was_asked and fraction >= HEARD_TO_END
        self.apply(self.tracker.note_heard(f"r{self.responses}", fraction, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.apply(self.tracker.tick(self.now))

    def cancel(self, call_id: str) -> None:
        """Cancel one call by its button."""
        self.apply(self.tracker.cancel(call_id, self.now))

    def stop(self) -> None:
        """Stop: the reply that is being made is cancelled too."""
        self.is_reply_wanted = False
        self.apply(self.tracker.stop(self.now))
        self.finish("cancelled")

    def clear(self) -> None:
        """Clear the conversation."""
        self.is_reply_wanted = self.disarmed = False
        self.apply(self.tracker.clear(self.now))
        self.cleared |= self.calls.keys()
        self.finish("cancelled")

    def lose_connection(self) -> None:
        """Lose the connection: the replay answers what is open, and what was not delivered never comes."""
        self.is_reply_wanted, lost, self.active = False, self.active, ""
        actions = self.tracker.lose_connection(self.now)
        pairs = {call.call_id for call, output in self.tracker.replay_pairs() if output}
        self.statuses.setdefault(lost, "cancelled")
        for call in self.calls.values():
            call.is_lost = not call.is_taken
            call.outputs = 1 if call.call_id in pairs or call.is_lost else call.outputs
            call.is_taken = True
        self._news_since_request = True
        self.apply(actions)
        assert not self.tracker.has_open_output

    # ---------------------------------------------------------------- laws

    def apply(self, actions: list[ToolAction]) -> None:
        """Do the actions, and check the laws for each."""
        for action in actions:
            self.sent.append(action)
            match action:
                case SendOutput(call_id):
                    self._check_output(self.calls[call_id], action)
                case StartTool(call_id):
                    self._check_start(self.calls[call_id], action)
                case CancelTool(call_id):
                    assert self.calls[call_id].is_running
                    self.calls[call_id].is_running = False
                case SendSystemMessage():
                    self._news_since_request = True
                case RequestResponse():
                    assert self._news_since_request, "one reply for the same outputs"
                    assert not self.tracker.has_open_output, "S2S refuses this request"
                    self._news_since_request = False
                    self.is_reply_wanted = True
                case DeclareTools(definitions):
                    assert definitions == tuple(self.tracker.definitions)
        self.request_if_wanted()

    def _check_output(self, call: ServedCall, action: SendOutput) -> None:
        assert call.is_taken
        call.outputs += 1
        assert call.outputs == 1, "a second output"
        later = [one for one in self._taken_in(call.response_id) if one.outputs]
        assert later[-1] is call, "outputs out of order"
        assert json.loads(action.text)["status"]
        self._news_since_request = True
        if "needs_approval" in action.text:
            call.asked_after = self.responses
        elif "Ask the question again" in action.text:
            acting = next(one.decides for one in self.tracker.calls if one.call_id == call.call_id)
            self.calls[acting].asked_after, self.calls[acting].is_question_heard = self.responses, False

    def _taken_in(self, response_id: str) -> list[ServedCall]:
        return [call for call in self.taken if call.response_id == response_id]

    def _check_start(self, call: ServedCall, action: StartTool) -> None:
        call.starts += 1
        call.is_running = True
        assert call.starts == 1, "run twice"
        assert dict(action.arguments) == json.loads(call.arguments)
        definition = SAMPLE_TOOLS[call.name]
        if definition.read_only:
            return
        assert self.statuses.get(call.response_id) == "completed", "out of an interrupted reply"
        unattended = definition.approval is ApprovalMode.NEVER and not self.disarmed
        by_voice = definition.approval is not ApprovalMode.BUTTON and call.is_turn_after_heard and self.last_is_yes
        assert unattended or call.allowed_by_button or by_voice, "without a yes"
        if by_voice and self.approve_tool and not (unattended or call.allowed_by_button):
            reports = [one for one in self.calls.values() if one.name == APPROVE_TOOL and one.is_taken]
            assert any(self.statuses.get(one.response_id) == "completed" for one in reports)

    def settle(self) -> None:
        """Deliver what is left, let all time pass, and check that each call has its output."""
        for call in self.calls.values():
            if not call.is_taken:
                self.deliver(call)
        for _ in range(10):
            self.finish("completed")
            self.wait(35)
        for call in self.calls.values():
            assert call.outputs == 1, f"{call} has no output"
        assert not self.tracker.is_busy
        assert not self.tracker.pending_approvals
        assert not any(call.is_running for call in self.calls.values())
        assert self.tracker.next_deadline is None
