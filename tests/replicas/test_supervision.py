"""Supervision of processes: order of start and end, restarts, rolling restarts, signals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicas.supervision import (
    CHECK_MARGIN_S,
    DRAIN_MARGIN_S,
    DUPLICATE_SIGNAL_S,
    END_LIMIT_S,
    HEALTHY_UPTIME_S,
    MAX_PAUSE_S,
    START_LIMIT_S,
    ActionKind,
    ProcessPhase,
    ProcessRole,
    SupervisionPhase,
    restart_pause,
)
from tests.support.replicas.supervised_world import SupervisedWorld


@pytest.fixture
def serving() -> SupervisedWorld:
    world = SupervisedWorld(3)
    world.serve()
    assert world.running.keys() == world.roles.keys()
    return world


# -------------------------------------------------------------------- start


def test_supervision_starts_one_replica_before_haproxy_and_the_others() -> None:
    world = SupervisedWorld(3)
    world.start()
    assert world.running.keys() == {"redis", "offline"}
    world.make_ready("redis")
    assert world.running.keys() == {"redis", "offline", "replica-1"}
    world.make_ready("replica-1")
    assert world.running.keys() == world.roles.keys()


@pytest.mark.parametrize("name", ["redis", "replica-1"])
def test_supervision_of_a_process_that_never_worked_ends_everything_with_its_status(name: str) -> None:
    world = SupervisedWorld(2)
    world.start()
    if name != "redis":
        world.make_ready("redis")
    world.end(name, 3)
    world.end_asked()
    assert world.supervision.exit_status == 3


def test_supervision_of_haproxy_that_never_worked_ends_everything() -> None:
    world = SupervisedWorld(2)
    world.start()
    world.make_ready("redis")
    world.make_ready("replica-1")
    world.end("haproxy", -11)
    assert world.supervision.phase is SupervisionPhase.DRAINING
    world.end_asked()
    assert world.supervision.exit_status == 1


def test_supervision_of_an_embedded_server_that_never_worked_tries_again() -> None:
    world = SupervisedWorld(2)
    world.start()
    world.end("offline", 3)
    world.pass_time(restart_pause(1))
    assert world.started("offline") == 2


def test_process_that_is_not_ready_in_time_is_killed_and_started_again(serving: SupervisedWorld) -> None:
    serving.end("replica-2", 1)
    serving.pass_time(restart_pause(1))
    serving.pass_time(START_LIMIT_S)
    assert serving.killed == {"replica-2"}
    serving.end("replica-2", -9)
    serving.pass_time(restart_pause(2))
    assert serving.started("replica-2") == 3


# -------------------------------------------------------------------- restart after an end


def test_restart_pause_grows_from_one_to_thirty_seconds() -> None:
    assert [restart_pause(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 30, 30, 30]
    assert restart_pause(10_000) == MAX_PAUSE_S


@pytest.mark.parametrize("name", ["redis", "offline", "replica-1", "replica-3", "haproxy"])
def test_process_that_ends_by_itself_is_started_after_its_pause(serving: SupervisedWorld, name: str) -> None:
    serving.end(name, -9)
    serving.pass_time(restart_pause(1) - 0.01)
    assert name not in serving.running
    serving.pass_time(0.01)
    assert name in serving.running and serving.terminated() == []


def test_process_that_ends_again_and_again_pauses_longer(serving: SupervisedWorld) -> None:
    pauses = []
    for _ in range(7):
        serving.end("replica-2", 1)
        deadline = serving.supervision.next_deadline
        assert deadline is not None
        pauses.append(round(deadline - serving.now, 6))
        serving.pass_time(MAX_PAUSE_S)
        serving.make_ready("replica-2")
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_restart_pause_after_a_healthy_time_is_the_first_again(serving: SupervisedWorld) -> None:
    for _ in range(3):
        serving.end("replica-2", 1)
        serving.pass_time(MAX_PAUSE_S)
        serving.make_ready("replica-2")
    serving.pass_time(HEALTHY_UPTIME_S)
    serving.end("replica-2", 1)
    assert serving.supervision.next_deadline == serving.now + restart_pause(1)


def test_late_report_of_an_earlier_run_changes_nothing(serving: SupervisedWorld) -> None:
    serving.end("replica-2", 1)
    assert serving.supervision.handle_ready("replica-2", 1, serving.now) == []
    serving.pass_time(restart_pause(1))
    for report in (
        serving.supervision.handle_ready("replica-2", 1, serving.now),
        serving.supervision.handle_end("replica-2", 1, 0, serving.now),
    ):
        assert report == []
    assert serving.supervision.processes["replica-2"].phase is ProcessPhase.STARTING


def test_replica_that_hangs_is_killed_and_started_again(serving: SupervisedWorld) -> None:
    serving.hang("replica-2")
    assert serving.killed == {"replica-2"}
    serving.end("replica-2", -9)
    serving.hang("replica-1")
    assert serving.supervision.handle_hang("replica-2", 1) == []  # of the earlier run
    serving.pass_time(restart_pause(1))
    assert serving.supervision.handle_hang("replica-2", 1) == []
    assert serving.started("replica-2") == 2


# -------------------------------------------------------------------- rolling restart


def test_rolling_restart_ends_the_next_replica_when_haproxy_knows_the_last_one(serving: SupervisedWorld) -> None:
    serving.restart()
    for number in (1, 2, 3):
        name = f"replica-{number}"
        assert serving.asked == {name}
        serving.end(name, 0)
        assert serving.started(name) == 2
        serving.make_ready(name)
        serving.pass_time(CHECK_MARGIN_S - 0.01)
        assert not serving.asked
        serving.pass_time(0.01)
    assert serving.terminated() == ["replica-1", "replica-2", "replica-3"]


def test_rolling_restart_stops_at_a_replica_that_does_not_start_again(serving: SupervisedWorld) -> None:
    serving.restart()
    serving.end("replica-1", 0)
    serving.end("replica-1", 1)
    serving.pass_time(restart_pause(1))
    serving.make_ready("replica-1")
    serving.pass_time(100.0)
    assert serving.terminated() == ["replica-1"]


def test_rolling_restart_waits_for_another_ready_replica() -> None:
    world = SupervisedWorld(2)
    world.serve()
    world.end("replica-2", -9)
    world.restart()
    world.pass_time(restart_pause(1))
    assert world.terminated() == []
    world.make_ready("replica-2")
    assert world.terminated() == ["replica-1"]


def test_rolling_restart_of_a_single_replica_restarts_it() -> None:
    world = SupervisedWorld(1)
    world.serve()
    world.restart()
    world.end("replica-1", 0)
    assert world.started("replica-1") == 2


def test_replica_that_does_not_drain_is_killed(serving: SupervisedWorld) -> None:
    serving.restart()
    serving.pass_time(10.0 + DRAIN_MARGIN_S)
    assert serving.killed == {"replica-1"}


# -------------------------------------------------------------------- end


def test_stop_ends_replicas_then_haproxy_then_the_rest(serving: SupervisedWorld) -> None:
    serving.stop()
    assert serving.asked == {"replica-1", "replica-2", "replica-3"}
    for name in sorted(serving.asked):
        serving.end(name, 0)
    assert serving.asked == {"haproxy"}
    serving.end("haproxy", -15)
    assert serving.asked == {"redis", "offline"}
    serving.end("offline", 0)
    assert serving.supervision.exit_status is None
    serving.end("redis", 0)
    assert serving.supervision.exit_status == 0


def test_stop_while_a_process_pauses_does_not_start_it(serving: SupervisedWorld) -> None:
    serving.end("replica-2", -9)
    serving.stop()
    serving.pass_time(END_LIMIT_S)
    serving.end_asked()
    assert serving.supervision.exit_status == 0 and serving.started("replica-2") == 1


def test_second_signal_ends_everything_at_once(serving: SupervisedWorld) -> None:
    serving.stop()
    serving.pass_time(DUPLICATE_SIGNAL_S)
    serving.stop()
    assert not serving.killed
    serving.pass_time(0.01)
    serving.stop(2)
    assert serving.killed == serving.roles.keys()
    serving.end_asked()
    assert serving.supervision.exit_status == 130


# -------------------------------------------------------------------- generated orders of events

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ready"] * 6 + ["end"] * 4 + ["end asked"] * 2 + ["time"] * 4 + ["hang", "restart", "stop"]),
        st.integers(0, 20),
        st.floats(0.0, 70.0),
    ),
    max_size=120,
)


@given(st.integers(1, 4), EVENTS)
def test_supervision_in_any_order_keeps_its_rules_and_ends(replicas: int, events: list[tuple[str, int, float]]) -> None:
    world = SupervisedWorld(replicas)
    world.start()
    for kind, choice, seconds in events:
        running = sorted(world.running)
        name = running[choice % len(running)] if running else ""
        match kind:
            case "ready" if name:
                world.make_ready(name)
            case "end" if name:
                world.end(name, choice % 3)
            case "hang" if name:
                world.hang(name)
            case "end asked" if world.asked:
                world.end(sorted(world.asked)[choice % len(world.asked)], 0)
            case "time":
                world.pass_time(seconds)
            case "restart":
                world.restart()
            case "stop":
                world.stop()
    world.stop()
    for _ in range(len(world.roles)):  # each phase of the end has its limit
        world.end_asked()
        if (deadline := world.supervision.next_deadline) is not None:
            world.pass_time(max(0.0, deadline - world.now))
    assert world.supervision.exit_status is not None and not world.running


@given(EVENTS)
def test_supervision_without_a_stop_serves_again_after_any_failures(events: list[tuple[str, int, float]]) -> None:
    world = SupervisedWorld(3)
    world.serve()
    for kind, choice, seconds in events:
        running = sorted(world.running)
        match kind:
            case "end" if running:
                world.end(running[choice % len(running)], choice % 3)
            case "time":
                world.pass_time(seconds)
            case "restart":
                world.restart()
    for _ in range(100):  # a rolling restart takes its steps
        world.end_asked()
        for name in sorted(world.running.keys() - world.ready.keys()):
            world.make_ready(name)
        world.pass_time(MAX_PAUSE_S)
    assert world.ready.keys() == world.roles.keys()
    assert not any(action.kind is ActionKind.TERMINATE for action in world.history if _is_other(world, action.name))


def _is_other(world: SupervisedWorld, name: str) -> bool:
    return world.roles[name] is not ProcessRole.REPLICA
