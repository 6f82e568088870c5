"""Tool call ledger: moves calls between their states, with the outputs, approvals and requests that follow. Pure.

The tracker decides by event what to do; the ledger does it in one way, and collects the actions until `drain`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from voicechat.tools.definition import ApprovalMode, ToolDefinition

from .actions import CancelTool, DeclareTools, RequestResponse, SendOutput, SendSystemMessage, StartTool, ToolAction
from .approval import APPROVE_DEFINITION, ApprovalBook, SpokenReport
from .call_admission import ToolLimits
from .result_text import (
    REASONS,
    build_question,
    late_message,
    needs_approval_output,
    reason_output,
    running_output,
    spoken,
)
from .tool_call import ToolCall, ToolCallState
from .tool_rounds import ResultAnswers, ToolRound, ToolRounds
from .yes_no import YesNo

MAX_CALLS_KEPT = 200
"""Calls that the page and the export can show."""
_State = ToolCallState


class ToolCallLedger:
    """Calls of one conversation, with everything that their states depend on."""

    def __init__(
        self, tools: Mapping[str, ToolDefinition], limits: ToolLimits, *, approve_tool: bool, speaks_first: bool
    ) -> None:
        self.tools = dict(tools)
        """All tools that were declared. Those that no longer are stay, for their calls."""
        self._declared = frozenset(tools)
        self.limits = limits
        self.language = "en"
        self.calls: dict[str, ToolCall] = {}
        self.approvals = ApprovalBook(limits.approval_seconds, approve_tool=approve_tool)
        self.rounds = ToolRounds()
        self.answers = ResultAnswers()
        self.rounds_in_turn = 0
        """Rounds since the visitor's last turn."""
        self.wants_reply = False
        """A reply is to be wanted as soon as all rounds are complete."""
        self.is_disarmed = False
        """The conversation holds text of strangers: no acting call runs without approval."""
        self._speaks_first = speaks_first
        self._reports: dict[str, SpokenReport] = {}
        """Calls of `approve` that are not judged."""
        self._reported_by: dict[str, str] = {}
        """Call of `approve` whose output is the result, by acting call."""
        self._quiet: set[str] = set()
        """Running calls of replies that were given up: a late result wants no reply."""
        self._declares_approve = False
        self._actions: list[ToolAction] = []

    # ---------------------------------------------------------------- reading

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """Tools to declare now."""
        declared = (tool for name, tool in self.tools.items() if name in self._declared)
        return (*declared, *((APPROVE_DEFINITION,) if self.approvals.declares_approve else ()))

    def set_tools(self, tools: Mapping[str, ToolDefinition]) -> None:
        """Declare these tools from now on."""
        self.tools.update(tools)
        self._declared = frozenset(tools)

    def set_server(self, *, approve_tool: bool, speaks_first: bool) -> None:
        """Note what the next connection's server needs. It is declared the tools as they are then."""
        self.approvals.approve_tool, self._speaks_first = approve_tool, speaks_first
        self._declares_approve = self.approvals.declares_approve

    def find_declared(self, name: str) -> ToolDefinition | None:
        """Return the tool of a new call; None if it is not declared."""
        return self.tools.get(name) if name in self._declared else None

    def running(self) -> Sequence[ToolCall]:
        """Return calls whose tool runs; not those of `approve`, which await one."""
        return [call for call in self.calls.values() if call.state is _State.RUNNING and not call.decides]

    def times_out_at(self, call: ToolCall) -> float:
        """Return the time at which a running call is given up."""
        return (call.started_at or 0.0) + min(self.tools[call.name].timeout_s, self.limits.tool_seconds)

    def is_answer_due(self, call: ToolCall) -> bool:
        """Return whether a running call is to be answered "still running" in time."""
        target = self._reported_by.get(call.call_id, call.call_id)
        return self.rounds.is_unsent(target) and not self.rounds.is_ready(target)

    @property
    def deadlines(self) -> Sequence[float]:
        """Times at which something is due."""
        times = [approval.expires_at for approval in self.approvals.pending]
        times += [one.due_at for one in self._reports.values() if self.rounds.call_status(one.call_id) == "completed"]
        for call in self.running():
            times.append(self.times_out_at(call))
            if self.is_answer_due(call):
                times.append((call.started_at or 0.0) + self.limits.answer_seconds)
        return times

    # ---------------------------------------------------------------- states

    def add(self, call: ToolCall) -> None:
        """Add a call to its round."""
        self.calls[call.call_id] = call
        self.rounds.add(call.call_id, call.response_id)
        ended = [one.call_id for one in self.calls.values() if one.state.is_final and one.is_answered]
        for call_id in ended[: max(0, len(self.calls) - MAX_CALLS_KEPT)]:
            del self.calls[call_id]

    def is_held(self, call_id: str) -> bool:
        """Return whether this is a call of `approve` that is not judged."""
        return call_id in self._reports

    def hold_report(self, call_id: str, approval_id: str, now: float, *, agrees: bool) -> None:
        """Hold a call of `approve` until its response is completed and the transcript is there."""
        approval = self.approvals.find(approval_id)
        acting = approval.call_id if approval else call_id
        self.calls[call_id] = replace(self.calls[call_id], decides=acting)
        due_at = now + self.limits.transcript_seconds
        self._reports[call_id] = SpokenReport(call_id, approval_id, agrees, self.approvals.turn_of(acting), due_at)

    def admit(self, call_id: str, now: float) -> None:
        """Run a call, or await its approval. Its response is completed, or it only reads."""
        call = self.calls[call_id]
        definition = self.tools[call.name]
        is_unattended = definition.read_only or not self.is_disarmed
        if definition.approval is ApprovalMode.NEVER and is_unattended:
            self._run(call_id, now)
            return
        by_voice = definition.approval is not ApprovalMode.BUTTON
        way = ("approve" if self.approvals.approve_tool else "ask") if by_voice else "button"
        question = build_question(definition.title(self.language), call.arguments, self.language)
        approval = self.approvals.add(call, question, now, by_voice=by_voice)
        self.calls[call_id] = replace(call, state=_State.AWAITING_APPROVAL)
        approval_id = approval.approval_id if way == "approve" else ""
        speech = "" if self.approvals.approve_tool else spoken(way, self.language, question)
        output = needs_approval_output(question, way, approval_id=approval_id, speech=speech)
        self.rounds.set_output(call_id, output)

    def decide(self, call_id: str, now: float, *, agrees: bool) -> None:
        """Run or refuse a call that awaits approval."""
        call = self.calls.get(call_id)
        if call is None or call.state is not _State.AWAITING_APPROVAL:
            return
        self.approvals.remove(call_id)
        if agrees:
            self.rounds.withdraw_output(call_id)
            self._run(call_id, now)
        else:
            self.reject(call_id, _State.REFUSED, REASONS["refused"], now)

    def _run(self, call_id: str, now: float) -> None:
        call = self.calls[call_id]
        if len(self.running()) >= self.limits.max_running:
            self.reject(call_id, _State.FAILED, REASONS["parallel"], now)
            return
        self.calls[call_id] = replace(call, state=_State.RUNNING, started_at=now)
        self._actions.append(StartTool(call_id, call.name, call.arguments))

    def cancel(self, call_id: str, now: float) -> None:
        """Cancel an open call. One that acts and runs may have been done."""
        call = self.calls[call_id]
        acting = self.calls.get(call.decides)
        if call.state is _State.RUNNING and call.decides and acting is not None:
            call = acting
        reason = REASONS["nothing_done"]
        if call.state is _State.RUNNING:
            self._actions.append(CancelTool(call.call_id))
            reason = REASONS["cancelled" if self.tools[call.name].read_only else "perhaps_done"]
        if not call.state.is_final:
            self.reject(call.call_id, _State.CANCELLED, reason, now)

    def time_out(self, call: ToolCall, now: float) -> None:
        """Give up a running call."""
        reason = REASONS["timeout" if self.tools[call.name].read_only else "perhaps_late"]
        self._actions.append(CancelTool(call.call_id))
        self.settle(call.call_id, _State.TIMED_OUT, reason_output("timed_out", reason), reason, now, wants_reply=True)

    def answer_early(self, call: ToolCall) -> None:
        """Answer "still running" for a slow call."""
        speech = "" if self.approvals.approve_tool else spoken("running", self.language)
        self.rounds.set_output(self._reported_by.get(call.call_id, call.call_id), running_output(speech))

    def reject(self, call_id: str, state: ToolCallState, reason: str, now: float) -> None:
        """End a call without a result. A reply is wanted with its round only."""
        self.settle(call_id, state, reason_output(state.value, reason), reason, now, wants_reply=False)

    def settle(
        self, call_id: str, state: ToolCallState, output: str, shown: str, now: float, *, wants_reply: bool
    ) -> None:
        """End a call. Its outcome is the output, or a system message where another output was sent."""
        self._reports.pop(call_id, None)
        self.approvals.remove(call_id)
        self.calls[call_id] = replace(self.calls[call_id], state=state, ended_at=now, result_text=shown)
        target = self._reported_by.pop(call_id, call_id)
        if target != call_id:
            self.calls[target] = replace(self.calls[target], state=state, ended_at=now)
            self.rounds.set_output(call_id, output)
        if self.rounds.set_output(target, output):
            return
        self.send_message(late_message(self.calls[call_id].name, output))
        self.note_sent(target, output)
        is_quiet = target in self._quiet or self.rounds.is_in_open_round(target)
        self._quiet.discard(target)
        self.wants_reply = self.wants_reply or (wants_reply and not is_quiet)

    def send_message(self, text: str) -> None:
        """Send a system message."""
        self._actions.append(SendSystemMessage(text))

    def note_sent(self, call_id: str, text: str) -> None:
        """Note what the server now knows of a call, and of the acting call that it decides."""
        self.calls[call_id] = replace(self.calls[call_id], output_text=text)
        call = self.calls.get(self.calls[call_id].decides or call_id, self.calls[call_id])
        if call.started_at is not None:
            self.calls[call.call_id] = replace(call, output_text=text)
        if call.state is _State.AWAITING_APPROVAL:
            self.approvals.ask(call.call_id)
        elif call.state.is_final and call.started_at is not None:
            self.answers.add(call.call_id)

    # ---------------------------------------------------------------- what follows

    def expire(self, now: float) -> None:
        """Refuse calls that were not decided in time."""
        for call_id in self.approvals.expired(now):
            self.reject(call_id, _State.REFUSED, REASONS["expired"], now)

    def drain(self, now: float) -> list[ToolAction]:
        """Do what follows from the states, and return the actions since the last time."""
        self.expire(now)
        for report in tuple(self._reports.values()):
            if self.rounds.call_status(report.call_id) == "completed":
                self._judge(report, now)
        for call_id, text in self.rounds.take_outputs():
            self._actions.append(SendOutput(call_id, text))
            self.note_sent(call_id, text)
        for round_ in self.rounds.close_complete():
            self._close(round_)
        if self._declares_approve is not self.approvals.declares_approve:
            self._declares_approve = self.approvals.declares_approve
            self._actions.append(DeclareTools(tuple(self.definitions)))
        if self.wants_reply and not self.rounds.is_open:
            self.wants_reply = False
            self._actions.append(RequestResponse(tools_allowed=self.rounds_in_turn < self.limits.max_rounds))
        actions, self._actions = self._actions, []
        return actions

    def _judge(self, report: SpokenReport, now: float) -> None:
        """Decide by a call of `approve`, or wait for the transcript."""
        approval = self.approvals.find(report.approval_id)
        if approval is None or not approval.by_voice:
            reason = REASONS["button_only" if approval else "no_approval"]
            self.reject(report.call_id, _State.FAILED, reason, now)
            return
        acting = approval.call_id
        is_newest = bool(report.turn_id) and report.turn_id == self.approvals.turn_of(acting)
        meaning = self.approvals.meaning(report.turn_id) if is_newest else YesNo.UNCLEAR
        if report.agrees and meaning is None and now < report.due_at:
            return
        del self._reports[report.call_id]
        if report.agrees and meaning is not YesNo.YES:
            self.reject(report.call_id, _State.FAILED, REASONS["not_clear"], now)
            return
        self._reported_by[acting] = report.call_id
        self.calls[report.call_id] = replace(self.calls[report.call_id], state=_State.RUNNING, started_at=now)
        self.decide(acting, now, agrees=report.agrees)

    def _close(self, round_: ToolRound) -> None:
        """Want a reply for a complete round, unless it was given up or has said its outcome already."""
        calls = [self.calls[call_id] for call_id in round_.call_ids if call_id in self.calls]
        if not round_.wants_reply:
            self._quiet |= {call.call_id for call in calls if call.state is _State.RUNNING}
            return
        has_acted = all(call.state is _State.DONE and not self._only_reads(call) for call in calls)
        if self._speaks_first and round_.spoke and has_acted:
            return
        self.rounds_in_turn += 1
        # A server that calls although it was asked not to gets one more reply, and then none.
        self.wants_reply = self.wants_reply or self.rounds_in_turn <= self.limits.max_rounds + 1

    def _only_reads(self, call: ToolCall) -> bool:
        return call.name in self.tools and self.tools[call.name].read_only

    def replay(self) -> None:
        """Take all open rounds for answered: the next connection gets the pairs."""
        for round_, outputs in self.rounds.take_all():
            for call_id in round_.call_ids[round_.sent :]:
                self.note_sent(call_id, outputs.get(call_id, running_output()))
            calls = [self.calls.get(call_id) for call_id in round_.call_ids]
            is_known = any(call is None or call.state is not _State.RUNNING for call in calls)
            self.wants_reply = self.wants_reply or (round_.wants_reply and is_known)
        self._declares_approve = self.approvals.declares_approve

    def forget(self) -> None:
        """Forget all calls, after they have ended."""
        self.calls.clear()
        self.approvals.clear()
        self.answers = ResultAnswers()
        self._reports.clear()
        self._reported_by.clear()
        self._quiet.clear()
        self.rounds_in_turn, self.wants_reply, self.is_disarmed = 0, False, False
