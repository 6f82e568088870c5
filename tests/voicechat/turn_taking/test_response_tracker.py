"""Response tracker: tables of the user turn and the pending response, and any order of what moves them."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from voicechat.conversation.responses import ResponseRegistry
from voicechat.turn_taking.response_tracker import (
    ASKABLE,
    PENDING_TRANSITIONS,
    PendingResponse,
    PendingTransition,
    ResponseTracker,
    next_pending,
)
from voicechat.turn_taking.user_turn import USER_TURN_TRANSITIONS, UserTurn, UserTurnStatus, UserTurnTransition


def test_tables_name_every_transition_and_reach_every_status() -> None:
    assert set(USER_TURN_TRANSITIONS) == set(UserTurnTransition)
    assert set(PENDING_TRANSITIONS) == set(PendingTransition)
    assert {after for moves in USER_TURN_TRANSITIONS.values() for after in moves.values()} == set(UserTurnStatus)
    assert {after for moves in PENDING_TRANSITIONS.values() for after in moves.values()} == set(PendingResponse)


def test_cleared_turn_is_answered_by_no_reply_and_committed_by_none() -> None:
    turn = UserTurn()
    for transition in (UserTurnTransition.START, UserTurnTransition.CLEAR):
        turn.apply(transition)
    assert turn.status is UserTurnStatus.CLEARED
    turn.apply(UserTurnTransition.ANSWER_WHILE_SPEAKING)
    assert turn.status is UserTurnStatus.CLEARED, "the visitor still speaks: it was a reply to something else"
    turn.apply(UserTurnTransition.COMMIT)
    assert turn.status is UserTurnStatus.NONE and not turn.is_completed


def test_turn_that_is_left_unanswered_makes_a_reply_pending_for_both() -> None:
    assert next_pending(PendingResponse.NONE, PendingTransition.LEAVE_TURN) is PendingResponse.FOR_TURN
    for pending in (PendingResponse.FOR_MESSAGE, PendingResponse.WITH_TURN):
        assert next_pending(pending, PendingTransition.LEAVE_TURN) is PendingResponse.FOR_MESSAGE


class TrackerMachine(RuleBasedStateMachine):
    """A server and a visitor that do anything at any time: one request at a time, and stale replies are rejected."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = ResponseRegistry()
        self.tracker = ResponseTracker(self.registry)
        self.count = 0

    def new_id(self) -> str:
        self.count += 1
        return f"r{self.count}"

    @rule(user_speaking=st.booleans())
    def type_message(self, user_speaking: bool) -> None:
        self.tracker.add_message(user_speaking=user_speaking)
        assert self.tracker.is_response_askable is not user_speaking
        assert self.tracker.is_response_expected

    @rule()
    def start_turn(self) -> None:
        self.tracker.start_turn()
        assert self.tracker.user_turn is UserTurnStatus.OPEN

    @rule(can_collide=st.booleans())
    def commit_turn(self, can_collide: bool) -> None:
        was_cleared = self.tracker.user_turn is UserTurnStatus.CLEARED
        self.tracker.commit_turn(can_collide=can_collide)
        collides = can_collide and self.registry.is_busy
        completed = UserTurnStatus.COLLIDED if collides else UserTurnStatus.COMMITTED
        assert self.tracker.user_turn is (UserTurnStatus.NONE if was_cleared else completed)
        if was_cleared:
            assert self.tracker.reject_if_stale(self.new_id(), user_speaking=False), "its reply is not wanted"

    @rule()
    def dismiss_turn(self) -> None:
        was_none = self.tracker.user_turn is UserTurnStatus.NONE
        self.tracker.dismiss_turn()
        assert self.tracker.user_turn is (UserTurnStatus.NONE if was_none else UserTurnStatus.DISMISSED)

    @rule()
    def leave_turn(self) -> None:
        self.tracker.queue_turn_response()
        assert self.tracker.pending in ASKABLE and self.tracker.user_turn is UserTurnStatus.NONE

    @rule()
    def abandon_turn(self) -> None:
        self.tracker.abandon_turn()
        assert self.tracker.pending in (PendingResponse.NONE, PendingResponse.FOR_MESSAGE)

    @precondition(lambda self: self.tracker.can_request())
    @rule()
    def request(self) -> None:
        self.tracker.mark_requested(f"answer_{self.count}")
        assert self.registry.is_requested and not self.tracker.can_request()
        assert self.tracker.pending is PendingResponse.NONE

    @precondition(lambda self: self.tracker.request_event_id)
    @rule()
    def refuse_request(self) -> None:
        self.tracker.defer_request()
        assert self.registry.is_busy and not self.tracker.can_request(), "another reply is being made"

    @rule(user_speaking=st.booleans())
    def announce(self, user_speaking: bool) -> None:
        response_id = self.new_id()
        if self.tracker.reject_if_stale(response_id, user_speaking=user_speaking):
            assert self.registry.is_stale(response_id) and not self.registry.is_wanted(response_id)
        else:
            self.tracker.mark_active(response_id, user_speaking=user_speaking)
            assert self.registry.is_wanted(response_id)
            assert self.tracker.pending is not PendingResponse.FOR_TURN, "the reply is newer than that turn"

    @rule()
    def reject_unclassified(self) -> None:
        response_id = self.new_id()
        self.tracker.reject_unclassified(response_id)
        assert self.registry.is_ignored(response_id) and self.registry.is_busy

    @rule()
    def finish(self) -> None:
        self.registry.finish(self.registry.current_id)
        assert self.registry.is_free

    @rule()
    def stop(self) -> None:
        awaited = self.registry.is_requested
        self.tracker.discard_expected()
        assert self.tracker.pending is PendingResponse.NONE and not self.registry.is_requested
        if awaited:
            assert self.tracker.reject_if_stale(self.new_id(), user_speaking=False), "the reply comes too late"

    @rule()
    def clear(self) -> None:
        self.tracker.clear()
        assert self.tracker.user_turn not in (UserTurnStatus.OPEN, UserTurnStatus.COMMITTED, UserTurnStatus.COLLIDED)
        assert not self.tracker.can_request()

    @rule(response_lost=st.booleans())
    def disconnect(self, response_lost: bool) -> None:
        self.registry.reset()
        self.tracker.handle_disconnected(response_lost=response_lost)
        assert self.registry.is_free and self.tracker.user_turn is UserTurnStatus.NONE

    @invariant()
    def one_reply_at_a_time(self) -> None:
        if self.tracker.can_request():
            assert self.registry.is_free and self.tracker.is_response_askable
        assert self.registry.is_free or self.tracker.is_response_expected


TrackerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTrackerMachine = TrackerMachine.TestCase
