"""Supervised world: processes that a test starts, makes ready and ends, in place of real ones.

It carries out the actions of a `Supervision` and checks each against what may never happen.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicas.supervision import (
    CHECK_MARGIN_S,
    Action,
    ActionKind,
    ProcessPhase,
    ProcessRole,
    Supervision,
    SupervisionPhase,
)

SIGNAL_STATUS = -15
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before the restarts of a process that ends by itself again and again. The last one is repeated."""
HEALTHY_S = 60.0
"""Seconds of readiness after which the first pause applies again."""
EARLY_ROLES = (ProcessRole.STORE, ProcessRole.EMBEDDED_SERVER)


class SupervisedWorld:
    """Processes of one supervisor, with the time in seconds."""

    def __init__(self, replicas: int, drain_s: float = 10.0) -> None:
        self.roles = {
            "redis": ProcessRole.STORE,
            "offline": ProcessRole.EMBEDDED_SERVER,
            **{f"replica-{number}": ProcessRole.REPLICA for number in range(1, replicas + 1)},
            "haproxy": ProcessRole.PROXY,
        }
        self.supervision = Supervision(self.roles.items(), drain_s)
        self.now = 100.0
        self.running: dict[str, int] = {}
        """Run of each process that was started and has not ended."""
        self.ready: dict[str, float] = {}
        """Running processes that are ready, and since when."""
        self.asked: set[str] = set()
        """Running processes that were asked to end."""
        self.killed: set[str] = set()
        """Running processes that were killed."""
        self.history: list[Action] = []
        self.was_forced = False
        """A second signal ended everything at once: no order is kept."""
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._restarting: str | None = None
        """Replica that a rolling restart ended, until it is ready again or fails."""
        self._restarted_at: float | None = None
        self._may_restart = False

    # ---------------------------------------------------------------- events

    def start(self) -> None:
        self._carry_out(self.supervision.start(self.now))

    def make_ready(self, name: str) -> None:
        """Report a running process as ready."""
        if name not in self.asked and name not in self.ready:
            self.ready[name] = self.now
            if name == self._restarting:
                self._restarting, self._restarted_at = None, self.now
        self._carry_out(self.supervision.handle_ready(name, self.running[name], self.now))

    def end(self, name: str, status: int) -> None:
        """End a running process, and report it."""
        run, ready_since = self.running.pop(name), self.ready.pop(name, self.now)
        if name not in self.asked:
            failures = 0 if self.now - ready_since >= HEALTHY_S else self._failures.get(name, 0)
            self._failures[name] = failures + 1
            self._not_before[name] = self.now + PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            if name == self._restarting:
                self._restarting, self._may_restart = None, False
        self.asked.discard(name)
        self.killed.discard(name)
        self._carry_out(self.supervision.handle_end(name, run, status, self.now))

    def hang(self, name: str) -> None:
        """Report that a running process gives no answer."""
        self._carry_out(self.supervision.handle_hang(name, self.running[name]))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self._carry_out(self.supervision.handle_time(self.now))

    def stop(self, number: int = 15) -> None:
        """Send a signal to end."""
        actions = self.supervision.request_stop(number, self.now)
        self.was_forced = self.was_forced or any(action.kind is ActionKind.KILL for action in actions)
        self._carry_out(actions)

    def restart(self) -> None:
        """Send the signal for a rolling restart."""
        self._may_restart = True
        self._carry_out(self.supervision.request_restart(self.now))

    def end_asked(self) -> None:
        """End all processes that were asked to or killed, until no further one is."""
        while ending := sorted(self.asked | self.killed):
            self.end(ending[0], SIGNAL_STATUS)

    def serve(self) -> None:
        """Start everything, and make it ready."""
        self.start()
        while unready := sorted(self.running.keys() - self.ready.keys()):
            self.make_ready(unready[0])

    # ---------------------------------------------------------------- actions

    def started(self, name: str) -> int:
        """Return how often a process was started."""
        return sum(action.kind is ActionKind.START and action.name == name for action in self.history)

    def terminated(self) -> list[str]:
        """Return the processes that were asked to end, in order."""
        return [action.name for action in self.history if action.kind is ActionKind.TERMINATE]

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self.history.append(action)
            match action.kind:
                case ActionKind.START:
                    self._check_start(action)
                    self.running[action.name] = action.run
                case ActionKind.TERMINATE:
                    self._check_terminate(action)
                    self.asked.add(action.name)
                case ActionKind.KILL:
                    assert self.running.get(action.name) == action.run
                    self.killed.add(action.name)
        self._check_state()

    def _check_start(self, action: Action) -> None:
        assert action.name not in self.running, "two runs of one process at a time"
        assert action.run == self.started(action.name)
        assert self.supervision.phase is SupervisionPhase.RUNNING
        assert self.now >= self._not_before.get(action.name, 0.0), "started again without a pause"
        if self.roles[action.name] not in EARLY_ROLES:
            assert self.started("redis")

    def _check_terminate(self, action: Action) -> None:
        assert self.running.get(action.name) == action.run and action.name not in self.asked
        role, running = self.roles[action.name], {self.roles[name] for name in self.running}
        if self.supervision.phase is not SupervisionPhase.RUNNING:
            if role is not ProcessRole.REPLICA:
                assert ProcessRole.REPLICA not in running, "the replicas end first"
            if role in EARLY_ROLES:
                assert ProcessRole.PROXY not in running, "HAProxy ends before Redis and the embedded server"
            return
        assert role is ProcessRole.REPLICA and self._may_restart, "only a rolling restart ends a process, a replica"
        assert self._restarting is None, "one replica at a time"
        others = {name for name, each in self.roles.items() if each is ProcessRole.REPLICA} - {action.name}
        assert not others or self.ready.keys() & others, "another replica is ready"
        assert self._restarted_at is None or self.now >= self._restarted_at + CHECK_MARGIN_S
        self._restarting = action.name

    def _check_state(self) -> None:
        """Check that a process which does not run is waited for, or needed no more."""
        for name, process in self.supervision.processes.items():
            assert process.is_alive is (name in self.running)
            match process.phase:
                case ProcessPhase.PAUSED:
                    assert process.deadline is not None, "nothing would start it"
                case ProcessPhase.ENDED:
                    assert self.supervision.phase is not SupervisionPhase.RUNNING
        if self.supervision.exit_status is None:
            assert self.running or self.supervision.next_deadline is not None
        else:
            assert not self.running
