"""Tool call tracker: decides for every call of a tool when it runs, what the model is sent and when. Pure.

Laws: each call gets exactly one output, in the order of the calls of its response. None runs twice. An acting call runs
only after its response is `completed` and the visitor agreed. One reply is wanted per round, and only with no open
output. The call's `ResponseTracker` keeps that request from colliding with a reply that is being made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from voicechat.tools.definition import ApprovalMode, ToolDefinition, ToolResult

from .actions import CancelTool, RequestResponse, SendSystemMessage, ToolAction
from .approval import APPROVE_DEFINITION, APPROVE_TOOL, PendingApproval
from .call_admission import CallAdmission, CountRecent, ToolLimits, parse_arguments
from .result_text import REASONS, clean_text, late_message, unheard_message, wrap_result
from .tool_call import HeardPart, ToolCall, ToolCallState
from .tool_call_ledger import ToolCallLedger
from .tool_rounds import remember

__all__ = ["ToolCallTracker", "ToolLimits"]

HALF = 0.5
"""Heard fraction of an answer below which the model learns that its results were not heard."""
REPLAYED_CHARS = 500
"""Characters of an output in the replay after a reconnect."""
MAX_NAME_CHARS = 64
"""Characters of the name of a tool."""
_State = ToolCallState


class ToolCallTracker:
    """Tool calls of one conversation. `now`: seconds of a monotonic clock. Actions: to be done in their order."""

    def __init__(
        self,
        tools: Mapping[str, ToolDefinition],
        limits: ToolLimits | None = None,
        *,
        approve_tool: bool = True,
        speaks_first: bool = False,
        count_recent: CountRecent | None = None,
    ) -> None:
        """Track calls of `tools`; the name "approve" is taken.

        `approve_tool`: the model can be asked to report a spoken decision. Else (a small model) the transcript alone
        decides, and the outputs carry sentences to be spoken as they are.
        `speaks_first`: the model says the outcome in the reply that calls (xAI): a second answer would repeat it.
        `count_recent`: counts the calls of the visitor's last minute, over all their sessions.
        """
        if APPROVE_TOOL in tools:
            raise ValueError(f'a tool must not be named "{APPROVE_TOOL}"')
        self._limits = limits or ToolLimits()
        self._admission = CallAdmission(self._limits, count_recent)
        self._ledger = ToolCallLedger(tools, self._limits, approve_tool=approve_tool, speaks_first=speaks_first)
        self._seen: dict[str, str] = {}
        """Ids of calls that were taken, cleared ones as well."""
        self._ended = False

    def set_tools(self, tools: Mapping[str, ToolDefinition]) -> None:
        """Declare these tools from now on: a server of tools came or went, or the visitor chose. Open calls go on."""
        self._ledger.set_tools(tools)

    def disarm(self) -> None:
        """Note that the conversation holds text of strangers: no acting call runs without approval, until Clear."""
        self._ledger.is_disarmed = True

    def set_server(self, *, approve_tool: bool, speaks_first: bool) -> None:
        """Note what the server of the next connection needs, before it is declared the tools."""
        self._ledger.set_server(approve_tool=approve_tool, speaks_first=speaks_first)

    # ---------------------------------------------------------------- reading

    @property
    def calls(self) -> Sequence[ToolCall]:
        """All calls, oldest first; since the last Clear."""
        return tuple(self._ledger.calls.values())

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """Tools to declare now: all, and `approve` while a spoken decision is awaited."""
        return self._ledger.definitions

    def find_tool(self, name: str) -> ToolDefinition | None:
        """Return a tool that is declared, or was, by its name."""
        return self._ledger.tools.get(name)

    @property
    def pending_approvals(self) -> Sequence[PendingApproval]:
        """Decisions that are awaited, oldest first."""
        return self._ledger.approvals.pending

    @property
    def is_busy(self) -> bool:
        """A call or its round is open: no timer may end or renew the session."""
        is_open = any(not call.state.is_final for call in self._ledger.calls.values())
        return not self._ended and (is_open or self._ledger.rounds.is_open)

    @property
    def is_running(self) -> bool:
        """A tool is running: the page shows it, and a soft sound fills the silence."""
        return bool(self._ledger.running())

    @property
    def has_open_output(self) -> bool:
        """A call awaits its output, 6 s at most: no reply is requested meanwhile, for some servers (S2S) refuse it."""
        return not self._ended and self._ledger.rounds.has_open_output

    @property
    def next_deadline(self) -> float | None:
        """Time of the next `tick` that changes something; None while nothing is due."""
        return None if self._ended else min(self._ledger.deadlines, default=None)

    # ---------------------------------------------------------------- the server

    def take_call(self, response_id: str, call_id: str, name: str, arguments_json: str, now: float) -> list[ToolAction]:
        """Take a call whose arguments are complete, from any of the three events. Repeated ones are ignored."""
        if self._ended or not call_id or call_id in self._seen:
            return []
        remember(self._seen, call_id)
        ledger = self._ledger
        arguments = parse_arguments(arguments_json)
        held = json.dumps(arguments or {}, ensure_ascii=False)
        status = ledger.rounds.status(response_id)
        ledger.add(ToolCall(call_id, response_id, clean_text(name, MAX_NAME_CHARS), held, requested_at=now))
        is_approve = self._ledger.approvals.approve_tool and name == APPROVE_TOOL
        definition = APPROVE_DEFINITION if is_approve else ledger.find_declared(name)
        objection = self._admission.find_objection(definition, arguments, ledger.rounds_in_turn)
        runs_at_once = bool(definition and definition.read_only and definition.approval is ApprovalMode.NEVER)
        if definition is None or arguments is None or objection:
            self._admission.count(now)  # useless calls use up the caps as well
            ledger.reject(call_id, _State.FAILED, objection, now)
        elif status not in ("", "completed") or not (response_id or runs_at_once):
            ledger.reject(call_id, _State.CANCELLED, REASONS["interrupted"], now)
        elif is_approve:
            ledger.hold_report(call_id, arguments["approval"], now, agrees=arguments["yes"])
        elif objection := self._admission.count(now):
            ledger.reject(call_id, _State.FAILED, objection, now)
        elif status or runs_at_once:
            ledger.admit(call_id, now)
        return ledger.drain(now)

    def start_response(self, response_id: str, now: float, *, knows_outputs: bool = True) -> list[ToolAction]:
        """Note `response.created`: this reply answers the outputs and messages that were sent before it.

        `knows_outputs`: the server has confirmed them. A reply that was begun without them asks no question.
        """
        if self._ended:
            return []
        self._ledger.wants_reply = False
        self._ledger.approvals.start_response(response_id, knows_outputs=knows_outputs)
        self._ledger.answers.start_response(response_id, self._ledger.rounds)
        return self._ledger.drain(now)

    def finish_response(self, response_id: str, status: str, now: float, *, spoke: bool = False) -> list[ToolAction]:
        """Note `response.done`, or that the reply is rejected or lost ("cancelled"). `spoke`: it had audio or text."""
        call_ids = None if self._ended else self._ledger.rounds.finish(response_id, status, spoke=spoke)
        for call_id in call_ids or ():
            call = self._ledger.calls.get(call_id)
            if call is None or call.state is not _State.REQUESTED:
                continue
            if status != "completed":
                self._ledger.reject(call_id, _State.CANCELLED, REASONS["interrupted"], now)
            elif not self._ledger.is_held(call_id):
                self._ledger.admit(call_id, now)
        return [] if call_ids is None else self._ledger.drain(now)

    def lose_connection(self, now: float) -> list[ToolAction]:
        """Note that the connection is lost, before its replies are given up. The replay answers the open calls."""
        if self._ended:
            return []
        for call in self.calls:
            if call.state is _State.REQUESTED:
                self._ledger.reject(call.call_id, _State.CANCELLED, REASONS["interrupted"], now)
        self._ledger.replay()
        return self._ledger.drain(now)

    def replay_pairs(self) -> Sequence[tuple[ToolCall, str]]:
        """Return calls with their outputs for the next connection, oldest first; outputs cut to 500 characters."""
        return [(call, clean_text(call.output_text, REPLAYED_CHARS)) for call in self.calls if call.is_answered]

    # ---------------------------------------------------------------- the executor

    def take_result(self, call_id: str, result: ToolResult, now: float) -> list[ToolAction]:
        """Take the result of a run. One that comes after cancellation or timeout is ignored."""
        call = self._ledger.calls.get(call_id)
        if self._ended or call is None or call.state is not _State.RUNNING or call.decides:
            return []
        state = _State.FAILED if result.is_error else _State.DONE
        shown = clean_text(result.text, self._limits.shown_chars)
        self._ledger.settle(call_id, state, self._wrap(call, result), shown, now, wants_reply=True)
        return self._ledger.drain(now)

    def can_announce(self, call_id: str) -> bool:
        """Return whether a call may report something: it has begun and is not forgotten."""
        call = self._ledger.calls.get(call_id)
        return not self._ended and call is not None and call.started_at is not None and not call.decides

    def announce(self, call_id: str, result: ToolResult, now: float) -> list[ToolAction]:
        """Send what a tool reports after its call has begun (a timer rings), and want a reply.

        Nothing is sent while the last minute is full.
        """
        if not self.can_announce(call_id) or not self._admission.count_recent(now):
            return []
        call = self._ledger.calls[call_id]
        self._ledger.send_message(late_message(call.name, self._wrap(call, result)))
        self._ledger.wants_reply = True
        return self._ledger.drain(now)

    def _wrap(self, call: ToolCall, result: ToolResult) -> str:
        """Return a result for the model, and note whether it brings text of strangers."""
        definition = self._ledger.tools[call.name]
        if definition.open_world:
            self.disarm()
        return wrap_result(result, definition.source, self._limits.result_chars)

    # ---------------------------------------------------------------- the visitor

    def note_user_turn(self, turn_id: str, now: float) -> list[ToolAction]:
        """Note that a spoken turn or a typed message begins. `turn_id`: item id of the turn, else any unique name."""
        self._ledger.rounds_in_turn = 0
        self._ledger.approvals.note_turn(turn_id)
        return [] if self._ended else self._ledger.drain(now)

    def take_transcript(self, turn_id: str, text: str, now: float) -> list[ToolAction]:
        """Take the final transcript of a turn, or the text of a typed message."""
        if self._ended or not turn_id:
            return []
        self._ledger.expire(now)
        self._ledger.approvals.take_transcript(turn_id, text)
        for call_id, agrees in self._ledger.approvals.decided_by_transcript():
            self._ledger.decide(call_id, now, agrees=agrees)
        return self._ledger.drain(now)

    def note_heard(self, response_id: str, fraction: float, now: float) -> list[ToolAction]:
        """Note once how much of a reply was heard when its playback ended or was cut, 0 to 1. In a chat: 1."""
        if self._ended:
            return []
        ledger = self._ledger
        ledger.approvals.note_heard(response_id, fraction, now)
        heard = [one for one in ledger.answers.take_heard(response_id, ledger.rounds) if one in ledger.calls]
        for call_id in heard:
            ledger.calls[call_id] = replace(ledger.calls[call_id], heard=HeardPart.of(fraction))
        if heard and fraction < HALF:
            ledger.send_message(unheard_message([ledger.calls[call_id].name for call_id in heard]))
        return ledger.drain(now)

    def decide(self, call_id: str, allowed: bool, now: float) -> list[ToolAction]:
        """Take the decision by button."""
        if self._ended:
            return []
        self._ledger.expire(now)
        self._ledger.decide(call_id, now, agrees=allowed)
        return self._ledger.drain(now)

    def set_language(self, language: str) -> None:
        """Note the language of the visitor's last turn: "en" or "zh". Questions are in it."""
        self._ledger.language = language

    # ---------------------------------------------------------------- endings

    def cancel(self, call_id: str, now: float) -> list[ToolAction]:
        """Cancel one call, by its button."""
        if not self._ended and call_id in self._ledger.calls:
            self._ledger.cancel(call_id, now)
        return [] if self._ended else self._ledger.drain(now)

    def stop(self, now: float) -> list[ToolAction]:
        """Cancel all open calls; outputs are sent, and no reply is wanted."""
        if self._ended:
            return []
        for call in self.calls:
            self._ledger.cancel(call.call_id, now)
        self._ledger.rounds.silence()
        self._ledger.wants_reply = False
        return self._ledger.drain(now)

    def clear(self, now: float) -> list[ToolAction]:
        """Cancel all open calls and forget all. The outputs are sent before the items are deleted, and deleted too."""
        actions = self.stop(now)
        self._ledger.forget()
        self._admission.reset()
        if not self._ended:
            actions += self._ledger.drain(now)
        return [one for one in actions if not isinstance(one, SendSystemMessage | RequestResponse)]

    def end(self, now: float) -> list[ToolAction]:
        """End the conversation: running calls are cancelled, and nothing is sent any more."""
        if self._ended:
            return []
        actions = self.stop(now)
        self._ended = True
        return [one for one in actions if isinstance(one, CancelTool)]

    def tick(self, now: float) -> list[ToolAction]:
        """Do what is due: slow answers, timeouts, approvals that expire, transcripts that do not come."""
        if self._ended:
            return []
        for call in self._ledger.running():
            if now >= self._ledger.times_out_at(call):
                self._ledger.time_out(call, now)
            elif self._ledger.is_answer_due(call) and now >= (call.started_at or 0.0) + self._limits.answer_seconds:
                self._ledger.answer_early(call)
        return self._ledger.drain(now)
