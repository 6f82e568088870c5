"""Password attempts over replicas: the limits of one process hold for all of them."""

from __future__ import annotations

import asyncio

import fakeredis
import pytest
from fakeredis.commands_mixins import server_mixin
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.manual_clock import ManualClock
from tests.support.shared_state.faulty_connection import Fault, FaultyConnection, restart_empty
from voicechat.security.auth.password_attempts import (
    TOTAL_ATTEMPT_BURST,
    TOTAL_ATTEMPT_REFILL_S,
    VISITOR_ATTEMPT_BURST,
    VISITOR_ATTEMPT_REFILL_S,
    LocalPasswordAttempts,
)
from voicechat.security.auth.password_login import PasswordLogin
from voicechat.shared_state.password_attempts import SharedPasswordAttempts
from voicechat.shared_state.visitor_names import VisitorNames


class ClockModule:
    """Stands for the module `time` in fakeredis: the time of Redis."""

    def __init__(self, clock: ManualClock) -> None:
        self.time = clock


def attempts_of(server: fakeredis.FakeServer, clock: ManualClock) -> tuple[SharedPasswordAttempts, FaultyConnection]:
    """Return the attempts of one replica, and its connection."""
    connection = FaultyConnection(server)
    return SharedPasswordAttempts(connection, VisitorNames(connection), LocalPasswordAttempts(clock)), connection


async def test_attempts_at_both_replicas_have_the_limit_of_one() -> None:
    server, clock = fakeredis.FakeServer(), ManualClock(0.0)
    logins = [PasswordLogin("correct horse", attempts_of(server, clock)[0]) for _ in range(2)]
    answers = [await logins[turn % 2].check_password("wrong", "a") for turn in range(VISITOR_ATTEMPT_BURST + 2)]
    assert answers == [False] * VISITOR_ATTEMPT_BURST + [None, None]
    assert [await login.check_password("correct horse", "a") for login in logins] == [None, None]
    assert await logins[1].check_password("correct horse", "b") is True


async def test_simultaneous_attempts_at_both_replicas_have_the_limit_of_one() -> None:
    server, clock = fakeredis.FakeServer(), ManualClock(0.0)
    replicas = [attempts_of(server, clock)[0] for _ in range(2)]
    taken = await asyncio.gather(*(replicas[turn % 2].take("a") for turn in range(4 * VISITOR_ATTEMPT_BURST)))
    assert sum(taken) == VISITOR_ATTEMPT_BURST


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("abcdefgh"), st.booleans(), st.sampled_from([0.0, 0.0, 0.5, 10.0])),
    max_size=120,
)


@settings(max_examples=25)
@given(STEPS)
def test_two_replicas_answer_as_one_process_does(steps: list[tuple[int, str, bool, float]]) -> None:
    async def run() -> None:
        server, clock = fakeredis.FakeServer(), ManualClock(1_700_000_000.0)
        oracle = LocalPasswordAttempts(clock)
        replicas = [attempts_of(server, clock)[0] for _ in range(2)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server_mixin, "time", ClockModule(clock))
            for index, visitor, is_correct, seconds in steps:
                clock.now += seconds
                expected = await oracle.take(visitor)
                assert await replicas[index].take(visitor) == expected
                if expected and is_correct:
                    await oracle.forgive(visitor)
                    await replicas[index].forgive(visitor)

    asyncio.run(run())


async def test_total_is_limited_over_replicas_and_refilled(monkeypatch: pytest.MonkeyPatch) -> None:
    server, clock = fakeredis.FakeServer(), ManualClock(1_700_000_000.0)
    monkeypatch.setattr(server_mixin, "time", ClockModule(clock))
    replicas = [attempts_of(server, clock)[0] for _ in range(2)]
    taken = [await replicas[number % 2].take(f"attacker {number}") for number in range(TOTAL_ATTEMPT_BURST + 2)]
    assert taken == [True] * TOTAL_ATTEMPT_BURST + [False] * 2
    clock.now += TOTAL_ATTEMPT_REFILL_S
    assert [await replica.take("visitor") for replica in replicas] == [True, False]


async def test_without_redis_the_replica_counts_itself_and_knows_its_earlier_attempts() -> None:
    server, clock = fakeredis.FakeServer(), ManualClock(0.0)
    attempts, connection = attempts_of(server, clock)
    for fault in (Fault.NONE, Fault.REQUEST_LOST, Fault.ANSWER_LOST) * 2:
        connection.fault = fault
        assert await attempts.take("a")
    connection.fault = Fault.REQUEST_LOST
    assert not await attempts.take("a")
    clock.now += VISITOR_ATTEMPT_REFILL_S
    assert await attempts.take("a")


async def test_attempt_whose_answer_was_lost_is_counted() -> None:
    server, clock = fakeredis.FakeServer(), ManualClock(0.0)
    (one, connection), (two, _) = attempts_of(server, clock), attempts_of(server, clock)
    await one.take("a")
    connection.fault = Fault.ANSWER_LOST
    await one.take("a")
    assert [await two.take("a") for _ in range(VISITOR_ATTEMPT_BURST)].count(True) == VISITOR_ATTEMPT_BURST - 2


async def test_redis_keeps_no_address_and_forgets_attempts_by_itself() -> None:
    server = fakeredis.FakeServer()
    attempts, _ = attempts_of(server, ManualClock(0.0))
    await attempts.take("203.0.113.7")
    client = fakeredis.FakeAsyncRedis(server=server)
    keys = [bytes(key).decode() async for key in client.scan_iter("{voice}:guesses:*")]
    assert len(keys) == 2 and not [key for key in keys if "203.0" in key]
    for key in keys:
        assert 0 < await client.ttl(key) <= VISITOR_ATTEMPT_BURST * VISITOR_ATTEMPT_REFILL_S


async def test_attempts_go_on_after_a_restart_of_redis() -> None:
    server = fakeredis.FakeServer()
    attempts, _ = attempts_of(server, ManualClock(0.0))
    assert await attempts.take("a")
    await restart_empty(server)
    assert await attempts.take("a")
