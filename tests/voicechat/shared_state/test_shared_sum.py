"""Shared sum: what one replica knows, sends and takes over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicechat.shared_state.shared_sum import SharedSum, day_name


def test_day_has_the_name_of_its_date() -> None:
    assert (day_name(0), day_name(20_000)) == ("1970-01-01", "2024-10-04")


def test_sum_without_an_amount_sends_nothing() -> None:
    empty = SharedSum("a")
    empty.add(-5)
    empty.merge({"b": 7})
    assert empty.is_sent and empty.parts_to_send == {} and empty.known == 7


def test_sum_counts_what_is_unsent_for_each_unseen_replica() -> None:
    shared = SharedSum("a")
    shared.add(10)
    shared.merge({"a": 10, "b": 5})
    shared.add(3)
    assert not shared.is_sent and shared.parts_to_send == {"a": 13}
    assert (shared.known, shared.estimate(4)) == (18, 10 + 5 + 4 * 3)


def test_sum_whose_part_was_lost_sends_all_that_it_knows() -> None:
    shared = SharedSum("a")
    shared.add(10)
    shared.merge({"a": 10, "b": 5})
    shared.merge({"b": 2})
    assert shared.known == 15, "nothing is forgotten"
    assert shared.parts_to_send == {"a": 10, "b": 5}
    shared.merge({"a": 10, "b": 5})
    assert shared.is_sent


@given(st.lists(st.floats(0, 100), max_size=200))
def test_sum_of_fractions_is_exact_to_half_a_unit(amounts: list[float]) -> None:
    shared = SharedSum("a")
    for units in amounts:
        shared.add(units)
    assert abs(shared.known - sum(amounts)) <= 0.5 + 1e-6


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 100)), max_size=20), st.floats(0, 100))
def test_sum_never_falls_whatever_redis_answers(answers: list[dict[str, int]], own: float) -> None:
    shared, before = SharedSum("a"), 0
    shared.add(own)
    for answer in answers:
        shared.merge(answer)
        assert shared.known >= before
        before = shared.known
