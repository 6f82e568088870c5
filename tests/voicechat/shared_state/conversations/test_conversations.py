"""Conversations in Redis: two replicas, pages that move between them, and a replica that does not know it yet."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.shared_state.replica import ReplicaGroup, Way, page_key, start_call, texts_of
from voicechat.session.conversation_store import ResumeKey
from voicechat.session.visitor import Visitor
from voicechat.shared_state.redis_connection import SharedStateUnavailable

KEYS = [page_key(0), page_key(1), page_key(0, "browser two")]
Texts = tuple[list[str], list[str]]


class PagesThatMove(RuleBasedStateMachine):
    """Pages of two browsers move between two replicas, whose messages to each other are all lost.

    `stored`: what Redis has to hold of each page. `expected`: what the open page has to show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.group = ReplicaGroup()
        self.pages: dict[ResumeKey, tuple[int, Visitor]] = {}
        self.stale: list[tuple[int, Visitor]] = []
        """Pages of replicas that do not know yet that another one has them."""
        self.changed: list[Visitor] = []
        """Those of them that have something to write."""
        self.expected: dict[ResumeKey, Texts] = {}
        self.stored: dict[ResumeKey, Texts] = {}
        self.count = 0
        for key in KEYS:
            self.open_page(key, 0, True)

    def teardown(self) -> None:
        for each in self.group.replicas:
            each.connection.drop_late()
        self.loop.close()

    def wait(self, number: int) -> None:
        """Let one replica write."""
        self.loop.run_until_complete(self.group.replicas[number].store.write_changes())
        for key, (at, _) in self.pages.items():
            if at == number:
                self.stored[key] = self.expected[key]
        for at, visitor in self.stale:
            if at == number and visitor in self.changed:
                assert texts_of(visitor) == ([], []) and not visitor.is_in_call, "a fenced page holds something"
        self.drop_erased()

    def drop_erased(self) -> None:
        self.stale = [each for each in self.stale if any(texts_of(each[1])) or each[1].is_in_call]

    @rule(key=st.sampled_from(KEYS), number=st.integers(0, 1), calls=st.booleans())
    def open_page(self, key: ResumeKey, number: int, calls: bool) -> None:
        before = self.pages.get(key)
        expected = self.expected if before is not None and before[0] == number else self.stored
        visitor = self.loop.run_until_complete(self.group.replicas[number].open_page(key))
        self.expected[key] = expected.get(key, ([], []))
        assert texts_of(visitor) == self.expected[key]
        if before is not None:
            if before[0] == number:
                assert texts_of(before[1]) == ([], []) and not before[1].is_in_call
            else:
                self.stale.append(before)
        self.drop_erased()
        self.pages[key] = number, visitor
        if calls:
            start_call(visitor)

    @rule(key=st.sampled_from(KEYS), is_spoken=st.booleans())
    def say_something(self, key: ResumeKey, is_spoken: bool) -> None:
        self.count += 1
        text, (spoken, written) = f"word {self.count}", self.expected[key]
        visitor = self.pages[key][1]
        (visitor.conversation if is_spoken else visitor.text_conversation).add_user_message(text)
        self.expected[key] = ([*spoken, text], written) if is_spoken else (spoken, [*written, text])

    @rule(key=st.sampled_from(KEYS))
    def page_moves_and_its_replica_wakes_up(self, key: ResumeKey) -> None:
        number = self.pages[key][0]
        self.open_page(key, 1 - number, True)
        while self.stale and self.stale[-1][1] not in self.changed:
            self.stale_page_goes_on(-1)
        self.wait(number)

    @precondition(lambda self: self.stale)
    @rule(number=st.integers(0, 9))
    def stale_page_goes_on(self, number: int) -> None:
        visitor = self.stale[number % len(self.stale)][1]
        visitor.conversation.add_user_message("of a frozen replica")
        self.changed.append(visitor)

    @rule(number=st.integers(0, 1))
    def write(self, number: int) -> None:
        self.wait(number)

    @rule(key=st.sampled_from(KEYS), is_spoken=st.booleans())
    def clear(self, key: ResumeKey, is_spoken: bool) -> None:
        number, visitor = self.pages[key]
        if is_spoken:
            self.loop.run_until_complete(visitor.clear())
        else:
            visitor.clear_text()
        spoken, written = self.expected[key]
        self.expected[key] = ([], written) if is_spoken else (spoken, [])
        self.wait(number)

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key: ResumeKey) -> None:
        number, visitor = self.pages[key]
        self.group.replicas[number].pages.forget(visitor)
        for other in KEYS:
            if other.owner == key.owner:
                self.expected[other] = self.stored[other] = ([], [])
        self.wait(number)
        for other in KEYS:  # "Forget me" reloads all tabs
            if other.owner == key.owner:
                self.open_page(other, self.pages[other][0], False)

    @rule(number=st.integers(0, 1), way=st.sampled_from([Way.ANSWER_LOST, Way.LATE]))
    def redis_hangs_at_a_write(self, number: int, way: Way) -> None:
        self.group.replicas[number].connection.way = way
        self.loop.run_until_complete(self.group.replicas[number].store.write_changes())
        self.group.replicas[number].connection.way = Way.OPEN
        self.wait(number)

    @rule(key=st.sampled_from(KEYS), way=st.sampled_from([Way.ANSWER_LOST, Way.LATE]))
    def redis_hangs_while_a_page_is_loaded_again(self, key: ResumeKey, way: Way) -> None:
        connection = self.group.replicas[self.pages[key][0]].connection
        connection.way = way
        self.open_page(key, self.pages[key][0], False)
        connection.way = Way.OPEN
        self.loop.run_until_complete(connection.carry_out_late())  # before the page moves, a second later at least
        self.let_redis_clock_move()
        for _ in range(3):
            self.wait(self.pages[key][0])

    @precondition(lambda self: not self.stale)
    @rule(
        key=st.sampled_from(KEYS),
        way=st.sampled_from([Way.ANSWER_LOST, Way.LATE]),
        acts=st.tuples(st.booleans(), st.booleans()),
    )
    def redis_hangs_while_a_page_moves(self, key: ResumeKey, way: Way, acts: tuple[bool, bool]) -> None:
        says_something, loads_again = acts
        before, number = self.pages[key][0], 1 - self.pages[key][0]
        self.wait(before)
        replica = self.group.replicas[number]
        self.let_redis_clock_move()
        replica.connection.way = way
        visitor = self.loop.run_until_complete(replica.open_page(key))
        shown = texts_of(visitor)
        assert all(each == stored[: len(each)] for each, stored in zip(shown, self.stored[key], strict=True))
        self.stale.append(self.pages[key])
        self.drop_erased()
        self.pages[key], self.expected[key] = (number, visitor), shown
        if says_something:
            self.say_something(key, True)
        new = self.expected[key][0][len(shown[0]) :]
        replica.connection.way = Way.OPEN
        self.loop.run_until_complete(replica.connection.carry_out_late())
        self.let_redis_clock_move()
        spoken, written = self.stored[key]
        self.expected[key] = ([*spoken, *new], written)
        if loads_again:
            self.open_page(key, number, False)
        for _ in range(3):
            self.wait(number)

    def let_redis_clock_move(self) -> None:
        """Wait until Redis' clock, in ms, is after all epochs: each take-over within a millisecond adds one to them."""
        seconds, microseconds = began = self.group.client.time()
        while 1_000_000 * (seconds - began[0]) + microseconds - began[1] < 100_000:
            seconds, microseconds = self.group.client.time()

    @rule()
    def late_scripts_are_carried_out(self) -> None:
        for each in self.group.replicas:
            self.loop.run_until_complete(each.connection.carry_out_late())
        for number in (0, 1):
            self.wait(number)

    @rule(key=st.sampled_from(KEYS))
    def close_and_open_again_here(self, key: ResumeKey) -> None:
        number, visitor = self.pages[key]
        if visitor.call is not None:
            visitor.call.end_by_user()
        self.group.replicas[number].pages.close_page(visitor)
        self.open_page(key, number, False)

    @rule(key=st.sampled_from(KEYS), number=st.integers(0, 1))
    def close_and_open_elsewhere(self, key: ResumeKey, number: int) -> None:
        before, visitor = self.pages[key]
        if visitor.call is not None:
            visitor.call.end_by_user()
        self.group.replicas[before].pages.close_page(visitor)
        self.wait(before)
        self.open_page(key, number, False)

    @rule(is_empty=st.booleans())
    def redis_restarts(self, is_empty: bool) -> None:
        self.group.stop_redis()
        self.ping()
        for number in (0, 1):
            self.loop.run_until_complete(self.group.replicas[number].store.write_changes())
        self.group.start_redis(is_empty=is_empty and not self.stale)  # with them it would be a second failure
        self.ping()
        for number in (0, 1, 0, 1):
            self.wait(number)

    def ping(self) -> None:
        """Let both replicas notice whether Redis answers."""
        for each in self.group.replicas:
            with suppress(SharedStateUnavailable):
                self.loop.run_until_complete(each.connection.request(lambda client: client.ping()))

    @invariant()
    def current_pages_are_never_erased(self) -> None:
        for key, (_, visitor) in self.pages.items():
            assert texts_of(visitor) == self.expected[key]


PagesThatMove.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestPagesThatMove = PagesThatMove.TestCase
