"""Limit of the candidates that follow an offer."""

from __future__ import annotations

from voicechat.security.gradio.candidate_counter import CandidateCounter


def test_connection_gets_so_many_candidates_and_others_get_theirs() -> None:
    counter = CandidateCounter(max_candidates=3)
    assert [counter.add("one") for _ in range(5)] == [True, True, True, False, False]
    assert counter.add("other")


def test_counter_forgets_the_connections_that_were_not_used_for_longest() -> None:
    counter = CandidateCounter(max_candidates=1, max_connections=2)
    assert [counter.add(each) for each in ("one", "two", "two", "three")] == [True, True, False, True]
    assert counter.add("one") and not counter.add("three")


def test_mdns_names_have_a_limit_of_their_own_and_count_among_the_candidates() -> None:
    counter = CandidateCounter(max_candidates=4, max_mdns_candidates=2)
    assert [counter.add("one", is_mdns=True) for _ in range(3)] == [True, True, False]
    assert [counter.add("one") for _ in range(3)] == [True, True, False]
    assert counter.add("other", is_mdns=True)
