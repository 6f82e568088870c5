"""Choice among embedded servers, for generated loads and bursts of sessions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from voicechat.server.offline_pool.choice import ServerLoad, choose_server

LOADS = st.builds(ServerLoad, st.integers(1, 5), st.integers(0, 6), st.integers(0, 3))
SERVERS = st.lists(st.none() | LOADS, max_size=6)


@given(SERVERS)
def test_choice_is_the_first_server_with_the_most_free_sessions(servers: list[ServerLoad | None]) -> None:
    ready = [load for load in servers if load is not None]
    index = choose_server(servers)
    assert (index is None) == (not ready)
    if index is None:
        return
    chosen = servers[index]
    assert chosen is not None and chosen.free == max(load.free for load in ready)
    assert not any(load is not None and load.free == chosen.free for load in servers[:index])


@given(SERVERS)
def test_burst_of_sessions_fills_all_servers_before_it_exceeds_one(servers: list[ServerLoad | None]) -> None:
    loads = list(servers)
    for _ in range(sum(max(0, load.free) for load in loads if load is not None)):
        index = choose_server(loads)
        assert index is not None
        chosen = loads[index]
        assert chosen is not None and chosen.free > 0, "a full server is not chosen while another has room"
        loads[index] = replace(chosen, pending=chosen.pending + 1)
    assert all(load is None or load.free <= 0 for load in loads)


@given(st.lists(LOADS, min_size=2, max_size=6), st.data())
def test_server_that_is_not_ready_takes_no_session(servers: list[ServerLoad], data: st.DataObject) -> None:
    away = data.draw(st.sets(st.integers(0, len(servers) - 1), min_size=1, max_size=len(servers) - 1))
    index = choose_server([None if at in away else load for at, load in enumerate(servers)])
    assert index is not None and index not in away
