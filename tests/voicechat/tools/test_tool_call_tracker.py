"""Tool call tracker: what the model is sent, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.data.recorded_sessions import OPENAI_TOOL, recorded_server_events
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
from voicechat.tools.calls.tool_call import HeardPart, ToolCall, ToolCallState
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker, ToolLimits
from voicechat.tools.definition import ToolDefinition, ToolResult

ARGUMENTS = '{"to":"Anna"}'
OK = ToolResult("sunny")


@pytest.fixture
def tracker() -> ToolCallTracker:
    return ToolCallTracker(SAMPLE_TOOLS)


def call(tracker: ToolCallTracker, call_id: str, name: str, *, status: str = "completed") -> list[ToolAction]:
    """Make a response of its own that calls one tool."""
    response_id = f"r-{call_id}"
    actions = tracker.start_response(response_id, 0)
    actions += tracker.take_call(response_id, call_id, name, ARGUMENTS, 0)
    return actions + tracker.finish_response(response_id, status, 0)


def state_of(tracker: ToolCallTracker, call_id: str) -> ToolCall:
    return next(one for one in tracker.calls if one.call_id == call_id)


def kinds(actions: list[ToolAction]) -> list[type[Any]]:
    return [type(action) for action in actions]


def outputs(actions: list[ToolAction]) -> dict[str, dict[str, Any]]:
    return {one.call_id: json.loads(one.text) for one in actions if isinstance(one, SendOutput)}


# -------------------------------------------------------------------- rounds


def test_reading_call_before_the_end_of_its_response_runs_at_once(tracker: ToolCallTracker) -> None:
    assert tracker.take_call("r", "c", "read", ARGUMENTS, 0) == [StartTool("c", "read", {"to": "Anna"})]
    assert kinds(tracker.take_result("c", OK, 1)) == [SendOutput]
    assert tracker.finish_response("r", "completed", 2) == [RequestResponse()]
    assert (state_of(tracker, "c").state, tracker.is_busy) == (ToolCallState.DONE, False)


def test_two_calls_in_one_response_are_answered_in_order_with_one_request(tracker: ToolCallTracker) -> None:
    for call_id in ("c1", "c2"):
        tracker.take_call("r", call_id, "read", ARGUMENTS, 0)
    tracker.finish_response("r", "completed", 0)
    assert tracker.take_result("c2", OK, 1) == []
    actions = tracker.take_result("c1", OK, 2)
    assert kinds(actions) == [SendOutput, SendOutput, RequestResponse]
    assert list(outputs(actions)) == ["c1", "c2"]


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("nothing", ARGUMENTS, "There is no such tool."),
        ("read", "{", "The arguments are not a JSON object."),
        ("read", "[1]", "The arguments are not a JSON object."),
        ("read", '{"to":NaN}', "The arguments are not a JSON object."),
        ("read", "[" * 9000, "The arguments are not a JSON object."),
        ("read", "{}", "arguments.to is missing."),
        ("approve", '{"approval":"a1","yes":"yes"}', "arguments.yes must be of type boolean."),
    ],
)
def test_call_that_cannot_run_fails_with_its_reason(
    tracker: ToolCallTracker, name: str, arguments: str, reason: str
) -> None:
    actions = tracker.take_call("r", "c", name, arguments, 0)
    assert outputs(actions)["c"] == {"status": "failed", "reason": reason}
    assert tracker.finish_response("r", "completed", 0) == [RequestResponse()]


@pytest.mark.parametrize("status", ["cancelled", "failed", "incomplete"])
def test_acting_call_of_an_interrupted_response_is_cancelled(tracker: ToolCallTracker, status: str) -> None:
    actions = call(tracker, "c", "timer", status=status)
    assert outputs(actions)["c"]["reason"] == "The reply was interrupted. Nothing was done."
    assert (RequestResponse() in actions) is (status == "incomplete")


def test_late_call_of_a_cancelled_response_never_runs(tracker: ToolCallTracker) -> None:
    tracker.finish_response("r", "cancelled", 0)
    actions = tracker.take_call("r", "c", "read", ARGUMENTS, 0)
    assert kinds(actions) == [SendOutput]
    assert tracker.finish_response("r", "completed", 0) == []


def test_reading_call_of_a_cancelled_response_is_answered_without_a_request(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "read", status="cancelled")
    assert kinds(tracker.take_result("c", OK, 1)) == [SendOutput]


def test_calls_without_end_are_capped_and_the_last_replies_may_not_call() -> None:
    tracker = ToolCallTracker(SAMPLE_TOOLS, ToolLimits(calls_per_minute=99))
    requests = []
    for number in range(9):
        actions = call(tracker, f"c{number}", "read") + tracker.take_result(f"c{number}", OK, 0)
        requests.append([one.tools_allowed for one in actions if isinstance(one, RequestResponse)])
    assert requests == [[True]] * 4 + [[False]] * 2 + [[]] * 3
    tracker.note_user_turn("t", 0)
    assert StartTool("c", "read", {"to": "Anna"}) in call(tracker, "c", "read")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (ToolLimits(max_running=2), "Too many tools are running. Wait for their results."),
        (ToolLimits(max_calls=2), "No more calls are possible in this conversation."),
        (ToolLimits(calls_per_minute=2), "Too many calls in one minute. Wait, then try again."),
    ],
)
def test_third_call_over_a_cap_of_two_fails(limits: ToolLimits, reason: str) -> None:
    tracker = ToolCallTracker(SAMPLE_TOOLS, limits)
    for call_id in ("c1", "c2", "c3"):
        tracker.take_call("r", call_id, "read", ARGUMENTS, 0)
    assert state_of(tracker, "c3").result_text == reason


def test_unknown_and_misfit_calls_count_toward_the_caps() -> None:
    tracker = ToolCallTracker(SAMPLE_TOOLS, ToolLimits(calls_per_minute=2))
    tracker.take_call("r", "c1", "nothing", ARGUMENTS, 0)
    tracker.take_call("r", "c2", "read", "[]", 0)
    tracker.take_call("r", "c3", "read", ARGUMENTS, 0)
    assert "one minute" in state_of(tracker, "c3").result_text


def test_quiet_calls_are_forgotten_at_their_end(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "read", status="cancelled")
    tracker.tick(6)
    assert kinds(tracker.take_result("c", OK, 7)) == [SendSystemMessage]
    assert not tracker._ledger._quiet


def test_xai_that_spoke_and_acted_is_not_asked_for_a_second_answer() -> None:
    tracker = ToolCallTracker(SAMPLE_TOOLS, speaks_first=True)
    for call_id, name, is_asked in (("c1", "timer", False), ("c2", "read", True)):
        tracker.take_call(call_id, call_id, name, ARGUMENTS, 0)
        tracker.finish_response(call_id, "completed", 0, spoke=True)
        assert (RequestResponse() in tracker.take_result(call_id, OK, 0)) is is_asked


def test_recorded_openai_round_has_one_run_one_output_and_one_request() -> None:
    events = recorded_server_events(OPENAI_TOOL)
    named = [event for event in events if event.get("name") and event.get("call_id")]
    tool = ToolDefinition(named[0]["name"], "Recorded.", {"type": "object"})
    tracker = ToolCallTracker({tool.name: tool})
    actions: list[ToolAction] = []
    for event in events:
        item = event.get("item") or event
        if event["type"] == "response.created":
            actions += tracker.start_response(event["response"]["id"], 0)
        elif item.get("call_id") and item.get("arguments") and "delta" not in event["type"]:
            response_id = event.get("response_id", "")
            actions += tracker.take_call(response_id, item["call_id"], item.get("name", ""), item["arguments"], 0)
        elif event["type"] == "response.done":
            actions += tracker.finish_response(event["response"]["id"], event["response"]["status"], 0)
    for one in tracker.calls:
        actions += tracker.take_result(one.call_id, OK, 0)
    assert kinds(actions) == [StartTool, SendOutput, RequestResponse]


# -------------------------------------------------------------------- waiting


def test_slow_call_is_answered_early_and_its_result_follows_as_a_message(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "read")
    assert tracker.next_deadline == 6
    assert tracker.tick(5.9) == []
    early = tracker.tick(6)
    assert outputs(early)["c"]["status"] == "running"
    assert kinds(early) == [SendOutput, RequestResponse]
    assert (tracker.is_running, tracker.has_open_output, tracker.next_deadline) == (True, False, 20)
    late = tracker.take_result("c", OK, 9)
    assert kinds(late) == [SendSystemMessage, RequestResponse]
    assert isinstance(late[0], SendSystemMessage)
    assert (json.loads(late[0].text)["tool"], json.loads(late[0].text)["result"]) == ("read", "sunny")


def test_call_that_runs_too_long_is_cancelled_and_said(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "timer")
    tracker.tick(6)
    actions = tracker.tick(20)
    assert kinds(actions) == [CancelTool, SendSystemMessage, RequestResponse]
    assert state_of(tracker, "c").state is ToolCallState.TIMED_OUT
    assert tracker.take_result("c", OK, 21) == []


def test_late_result_that_another_reply_can_say_is_not_requested_again(tracker: ToolCallTracker) -> None:
    call(tracker, "c1", "read")
    tracker.tick(6)
    tracker.take_call("r2", "c2", "read", ARGUMENTS, 7)
    assert kinds(tracker.take_result("c1", OK, 8)) == [SendSystemMessage]
    tracker.start_response("r3", 8)
    tracker.finish_response("r2", "cancelled", 8)
    assert kinds(tracker.take_result("c2", OK, 9)) == [SendOutput]


def test_announcement_after_the_end_of_a_call_is_a_message_with_a_request(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "timer")
    assert tracker.announce("other", OK, 1) == []
    tracker.take_result("c", OK, 1)
    assert kinds(tracker.announce("c", ToolResult("rings"), 300)) == [SendSystemMessage, RequestResponse]


# -------------------------------------------------------------------- heard


@pytest.mark.parametrize(
    ("fraction", "part", "is_reported"),
    [(0.0, HeardPart.NONE, True), (0.4, HeardPart.PART, True), (0.6, HeardPart.PART, False), (1, HeardPart.ALL, False)],
)
def test_answer_that_was_cut_marks_its_calls(
    tracker: ToolCallTracker, fraction: float, part: HeardPart, is_reported: bool
) -> None:
    call(tracker, "c", "read")
    tracker.take_result("c", OK, 1)
    tracker.start_response("answer", 1)
    tracker.finish_response("answer", "cancelled", 2)
    actions = tracker.note_heard("answer", fraction, 2)
    assert state_of(tracker, "c").heard is part
    assert kinds(actions) == ([SendSystemMessage] if is_reported else [])
    assert tracker.note_heard("answer", fraction, 3) == []


def test_answer_to_a_chain_of_calls_marks_them_all(tracker: ToolCallTracker) -> None:
    for call_id in ("c1", "c2"):
        call(tracker, call_id, "read")
        tracker.note_heard(f"r-{call_id}", 1, 0)
        tracker.take_result(call_id, OK, 1)
    tracker.start_response("answer", 1)
    tracker.note_heard("answer", 1, 2)
    assert [one.heard for one in tracker.calls] == [HeardPart.ALL, HeardPart.ALL]


# -------------------------------------------------------------------- endings


def test_stop_with_calls_in_each_state_answers_all_and_asks_for_nothing(tracker: ToolCallTracker) -> None:
    tracker.take_call("r", "c1", "read", ARGUMENTS, 0)
    tracker.take_call("r", "c2", "send", ARGUMENTS, 0)
    actions = tracker.stop(1)
    assert kinds(actions) == [CancelTool, SendOutput, SendOutput]
    assert outputs(actions)["c2"]["reason"] == "Cancelled by the user. Nothing was done."
    assert tracker.finish_response("r", "completed", 2) == []


def test_cancelled_acting_call_that_ran_is_not_said_to_be_undone(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "timer")
    assert "may have been done" in outputs(tracker.cancel("c", 1))["c"]["reason"]


def test_clear_forgets_calls_and_ignores_what_comes_of_them(tracker: ToolCallTracker) -> None:
    call(tracker, "c1", "web")
    call(tracker, "c2", "send")
    actions = tracker.clear(1)
    assert kinds(actions) == [CancelTool, SendOutput, DeclareTools]
    assert (tracker.calls, tracker.is_busy, tracker.pending_approvals) == ((), False, ())
    assert tracker.take_result("c1", OK, 2) == tracker.decide("c2", True, 2) == tracker.announce("c1", OK, 2) == []
    assert tracker.take_call("r-c1", "c1", "web", ARGUMENTS, 2) == []


def test_end_cancels_runs_and_sends_nothing(tracker: ToolCallTracker) -> None:
    call(tracker, "c", "read")
    assert tracker.end(1) == [CancelTool("c")]
    assert tracker.tick(99) == tracker.take_result("c", OK, 2) == []


def test_lost_connection_with_open_calls_replays_pairs_and_sends_results_later(tracker: ToolCallTracker) -> None:
    tracker.take_call("r", "done", "read", ARGUMENTS, 0)
    tracker.take_call("r", "slow", "read", ARGUMENTS, 0)
    tracker.take_call("r", "acting", "send", ARGUMENTS, 0)
    tracker.take_result("done", ToolResult("x" * 900), 1)
    assert tracker.lose_connection(1) == [RequestResponse()]
    pairs = {one.call_id: output for one, output in tracker.replay_pairs()}
    assert list(pairs) == ["done", "slow", "acting"]
    assert len(pairs["done"]) == 500
    assert json.loads(pairs["slow"])["status"] == "running"
    assert json.loads(pairs["acting"])["status"] == "cancelled"
    assert kinds(tracker.take_result("slow", OK, 2)) == [SendSystemMessage, RequestResponse]
