"""Registry of responses: its transition table, and staleness as conversation and playback see it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.responses import (
    MAX_RESPONSES,
    RESPONSE_TRANSITIONS,
    STALE_STATUSES,
    Response,
    ResponseRegistry,
    ResponseStatus,
    ResponseTransition,
)
from voicechat.protocol.server_events import parse_event

PCM = np.full(480, 1000, "<i2").tobytes()
LEGAL_MOVES = {(before, after) for before, moves in RESPONSE_TRANSITIONS.items() for after in moves.values()}


def test_table_covers_every_status() -> None:
    assert set(RESPONSE_TRANSITIONS) == set(ResponseStatus)
    reached = {after for _, after in LEGAL_MOVES}
    assert reached == set(ResponseStatus) - {ResponseStatus.REQUESTED}


@pytest.mark.parametrize(("status", "transition"), list(product(ResponseStatus, ResponseTransition)))
def test_a_transition_moves_by_the_table_or_not_at_all(status: ResponseStatus, transition: ResponseTransition) -> None:
    response = Response("r", status)
    response.apply(transition)
    assert response.status is RESPONSE_TRANSITIONS[status].get(transition, status)
    if status in STALE_STATUSES:
        assert response.status in STALE_STATUSES, "no way back"
    if transition is ResponseTransition.IGNORE:
        assert response.status is ResponseStatus.IGNORED


def test_requested_response_gets_its_id_when_announced() -> None:
    registry = ResponseRegistry()
    assert registry.is_free
    registry.request()
    assert registry.is_requested and not registry.is_busy and registry.current_id == ""
    registry.announce("r1")
    assert registry.is_active and registry.current_id == "r1" and registry.is_wanted("r1")
    assert registry.finish("r1")
    assert registry.is_free and not registry.is_stale("r1")


def test_cancelled_response_keeps_the_server_busy_until_it_is_finished() -> None:
    registry = ResponseRegistry()
    registry.announce("r1")
    registry.cancel("r1")
    assert registry.is_busy and not registry.is_active and registry.is_stale("r1")
    assert not registry.is_ignored("r1")
    assert not registry.finish("another")
    assert registry.is_busy
    assert registry.finish("r1")
    assert registry.is_free and registry.is_stale("r1"), "late events are refused after the end too"


def test_rejected_response_is_current_only_when_no_other_is_busy() -> None:
    registry = ResponseRegistry()
    registry.announce("r1")
    registry.reject("r2")
    assert registry.current_id == "r1" and registry.is_ignored("r2")
    registry.finish("r1")
    registry.request()
    registry.reject("r3")
    assert registry.current_id == "r3" and registry.is_busy and not registry.is_active


def test_id_that_a_server_uses_again_after_the_end_is_another_response() -> None:
    registry = ResponseRegistry()
    registry.announce("same")
    registry.finish("same")
    registry.announce("same")
    assert registry.is_active


def test_response_without_id_is_known_by_its_item() -> None:
    registry = ResponseRegistry()
    registry.announce("")
    assert registry.is_active and not registry.is_wanted("")
    registry.cancel("", "a1")
    assert registry.is_stale("", "a1") and not registry.is_stale("", "a2") and not registry.is_stale("")
    assert registry.is_active, "only the item is known to be cut"
    registry.cancel("")
    assert registry.is_busy and not registry.is_active
    assert not registry.is_stale(""), "events that name no response are about anything"


def test_old_responses_are_forgotten_and_the_current_one_is_not() -> None:
    registry = ResponseRegistry()
    registry.announce("current")
    registry.cancel("current")
    for number in range(2 * MAX_RESPONSES):
        registry.ignore(f"r{number}")
    assert registry.is_stale("current") and registry.is_stale(f"r{2 * MAX_RESPONSES - 1}")
    assert not registry.is_stale("r0")


def test_reset_forgets_all() -> None:
    registry = ResponseRegistry()
    registry.announce("r1")
    registry.cancel("r1")
    registry.reset()
    assert registry.is_free and not registry.is_stale("r1")


class RegistryMachine(RuleBasedStateMachine):
    """Any order of calls: statuses move by the table alone, and a stale response is neither heard nor seen."""

    response_ids = Bundle("response_ids")

    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation()
        self.registry = self.conversation.responses
        self.playback = PlaybackBuffer(self.registry)
        self.before: dict[str, Response] = {}
        self.statuses: dict[str, ResponseStatus] = {}
        self.now = 0.0

    @rule(target=response_ids, number=st.integers(1, 5))
    def name_response(self, number: int) -> str:
        return f"r{number}"

    @rule()
    def request(self) -> None:
        self.registry.request()
        assert self.registry.is_requested

    @rule(response_id=response_ids | st.just(""))
    def announce(self, response_id: str) -> None:
        was_stale = self.registry.is_stale(response_id)
        self.registry.announce(response_id)
        assert self.registry.is_busy and self.registry.current_id == response_id
        assert self.registry.is_active is not was_stale

    @rule(response_id=response_ids | st.just(""))
    def cancel(self, response_id: str) -> None:
        self.registry.cancel(response_id)
        assert not response_id or self.registry.is_stale(response_id)

    @rule(response_id=response_ids)
    def ignore(self, response_id: str) -> None:
        self.registry.ignore(response_id)
        assert self.registry.is_ignored(response_id)

    @rule(response_id=response_ids)
    def reject(self, response_id: str) -> None:
        self.registry.reject(response_id)
        assert self.registry.is_ignored(response_id) and self.registry.is_busy

    @rule(response_id=response_ids | st.just(""))
    def finish(self, response_id: str) -> None:
        was_stale = self.registry.is_stale(response_id)
        was_current = self.registry.finish(response_id)
        assert self.registry.is_stale(response_id) is was_stale
        assert not was_current or self.registry.is_free

    @rule(response_id=response_ids, kind=st.sampled_from(["text", "audio"]))
    def receive(self, response_id: str, kind: str) -> None:
        was_stale, version = self.registry.is_stale(response_id), self.conversation.version
        item_id = f"a{response_id}"
        shown = self.conversation.bubbles()
        if kind == "audio":
            taken = self.playback.push(item_id, 0, response_id, PCM, self.now)
            assert (taken == 0) is was_stale, "audible exactly when it is not stale"
        else:
            name = "response.output_audio_transcript.delta"
            raw = {"type": name, "response_id": response_id, "item_id": item_id, "delta": "word "}
            self.conversation.apply(parse_event(raw))
            assert not was_stale or (self.conversation.bubbles(), self.conversation.version) == (shown, version)

    @rule(frames=st.integers(1, 20))
    def play(self, frames: int) -> None:
        for _ in range(frames):
            self.playback.next_frame(self.now)
            self.now += 0.02

    @rule()
    def interrupt(self) -> None:
        heard = {part.response_id for part in self.playback._parts.values() if part.response_id}
        self.playback.interrupt(self.now)
        assert all(self.registry.is_stale(response_id) for response_id in heard)

    @rule()
    def reset(self) -> None:
        self.playback.assign_new_ids(self.conversation.reset_connection())
        self.before.clear()
        assert self.registry.is_free

    @invariant()
    def statuses_move_by_the_table(self) -> None:
        for name, response in self.registry._responses.items():
            earlier = self.statuses.get(name, ResponseStatus.REQUESTED)
            if self.before.get(name) is not response:  # new, or a finished one whose id is used again
                assert name not in self.before or earlier is ResponseStatus.FINISHED
                earlier = ResponseStatus.REQUESTED
            reachable = {earlier}
            for _ in ResponseStatus:
                reachable |= {after for before, after in LEGAL_MOVES if before in reachable}
            assert response.status in reachable
            assert response.status is not ResponseStatus.REQUESTED, "a name without a transition is not kept"
        self.before = dict(self.registry._responses)
        self.statuses = {name: response.status for name, response in self.before.items()}


RegistryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRegistryMachine = RegistryMachine.TestCase
