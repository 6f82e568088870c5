"""Laws of the tool call tracker, over generated orders of events and for each dialect of a server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tools.tool_dialogue import ARGUMENTS, ServerDialect, ToolDialogue
from voicechat.tools.calls.tool_call_tracker import ToolLimits

OPERATIONS = (
    *("begin", "call", "call", "deliver", "deliver", "finish", "result", "result", "press", "approve"),
    *("round", "round", "round", "ask", "ask", "agree", "agree", "agree"),
    *("speak", "hear", "wait", "wait", "cancel", "stop", "clear"),
)
NAMES = ("read", "web", "timer", "send", "send", "pay", "read", "timer", "send", "nothing")
ARGUMENT_TEXTS = (*(ARGUMENTS,) * 12, "{", "[]", '{"to":1}', '{"to":"x","more":1}', "")
STATUSES = ("completed", "completed", "completed", "cancelled", "failed", "incomplete")
TURNS = ("Yes.", "好的", "好，可是要晚一點", "Yes, but later.", "No.", "What is the weather?")
FRACTIONS = (1.0, 1.0, 0.6, 0.2, 0.0)
SECONDS = (0.1, 1.0, 2.0, 7.0, 25.0)
GENERATED = st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 1000)), max_size=40)


def call_approve(dialogue: ToolDialogue, number: int) -> None:
    """Call `approve`, mostly for what is awaited."""
    pending = [approval.approval_id for approval in dialogue.tracker.pending_approvals]
    approval_id = pending[number % len(pending)] if pending and number % 4 else f"a{number % 3 + 1}"
    if call := dialogue.call("approve", json.dumps({"approval": approval_id, "yes": number % 5 > 0})):
        dialogue.deliver(call)


def run_operation(dialogue: ToolDialogue, operation: str, number: int) -> None:
    """Run one generated operation."""
    calls = list(dialogue.calls.values())
    pick = calls[number % len(calls)] if calls else None
    match operation:
        case "begin":
            dialogue.begin_response()
        case "call":
            dialogue.call(NAMES[number % len(NAMES)], ARGUMENT_TEXTS[number // 10 % len(ARGUMENT_TEXTS)])
        case "approve":
            call_approve(dialogue, number)
        case "round":
            dialogue.begin_response()
            for place in range(number % 3 + 1):
                run_operation(dialogue, "call", number // 7 + place)
            run_operation(dialogue, "deliver", number)
            dialogue.finish(STATUSES[number % len(STATUSES)])
            for call in calls:
                dialogue.deliver(call)
        case "ask":
            dialogue.begin_response()
            if call := dialogue.call("send"):
                dialogue.deliver(call)
            dialogue.finish("completed")
        case "agree":
            dialogue.begin_response()
            dialogue.finish("completed")
            dialogue.play(FRACTIONS[number % len(FRACTIONS)])
            dialogue.speak(TURNS[number % 7 % len(TURNS)])
            dialogue.begin_response()
            call_approve(dialogue, number)
            dialogue.finish(STATUSES[number % 11 % len(STATUSES)])
        case "deliver" if pick:
            dialogue.deliver(next((one for one in calls if not one.is_taken), pick))
        case "finish":
            dialogue.finish(STATUSES[number % len(STATUSES)])
        case "result" if pick:
            dialogue.end_run(next((one for one in calls if one.is_running), pick), is_error=number % 4 == 0)
        case "press" if pick:
            dialogue.press(pick.call_id, allowed=number % 3 > 0)
        case "speak":
            dialogue.speak(TURNS[number % len(TURNS)])
        case "hear":
            dialogue.play(FRACTIONS[number % len(FRACTIONS)])
        case "wait":
            dialogue.wait(SECONDS[number % len(SECONDS)])
        case "cancel" if pick:
            dialogue.cancel(pick.call_id)
        case "stop" if number % 4 == 0:
            dialogue.stop()
        case "clear" if number % 4 == 0:
            dialogue.clear()


@pytest.mark.parametrize("dialect", ServerDialect)
@pytest.mark.parametrize("approve_tool", [True, False], ids=["approve-tool", "transcript"])
@given(operations=GENERATED, few=st.booleans())
def test_laws_in_any_order_of_events_hold(
    dialect: ServerDialect, approve_tool: bool, operations: list[tuple[str, int]], few: bool
) -> None:
    limits = ToolLimits(max_running=2, max_calls=6) if few else ToolLimits()
    dialogue = ToolDialogue(dialect, approve_tool, limits)
    for operation, number in operations:
        run_operation(dialogue, operation, number)
    dialogue.settle()


@given(operations=GENERATED, at=st.integers(0, 40))
def test_ended_tracker_in_any_order_of_events_sends_nothing(operations: list[tuple[str, int]], at: int) -> None:
    dialogue = ToolDialogue(ServerDialect.OPENAI)
    for operation, number in operations[:at]:
        run_operation(dialogue, operation, number)
    dialogue.apply(dialogue.tracker.end(dialogue.now))
    before = len(dialogue.sent)
    for operation, number in operations[at:]:
        run_operation(dialogue, operation, number)
    assert dialogue.sent[before:] == []
    assert not dialogue.tracker.is_busy
    assert not any(call.is_running for call in dialogue.calls.values())
    assert all(call.state.is_final for call in dialogue.tracker.calls)


@given(operations=GENERATED, at=st.integers(0, 40))
def test_lost_connection_in_any_order_of_events_leaves_each_call_answered_once(
    operations: list[tuple[str, int]], at: int
) -> None:
    dialogue = ToolDialogue(ServerDialect.OPENAI)
    for operation, number in operations[:at]:
        run_operation(dialogue, operation, number)
    dialogue.lose_connection()
    for operation, number in operations[at:]:
        run_operation(dialogue, operation, number)
    dialogue.settle()
