"""Supervision: which process is started, asked to end or killed, and when. Pure.

Events and the time (seconds of any clock that never goes back) go in, actions come out. The caller carries out every
action, and reports every end of a process. Each start of a process has a number, its run: reports about an earlier run
change nothing.

Redis and the embedded server start first, then one replica. When that replica is ready, HAProxy and all other replicas
start: a setting that no replica can use is reported once. A process that ends by itself is started again after a
pause. One that never worked since the start ends everything: its settings or its programs are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

FIRST_PAUSE_S = 1.0
"""Seconds before the first restart, doubled for each further one up to `MAX_PAUSE_S`."""
MAX_PAUSE_S = 30.0
"""Seconds before a further restart, at most."""
HEALTHY_UPTIME_S = 60.0
"""Seconds of readiness after which the next pause is the first one again."""
START_LIMIT_S = 120.0
"""Seconds for a process to become ready. Then it is killed."""
END_LIMIT_S = 5.0
"""Seconds for a process without conversations to end. Then it is killed."""
DRAIN_MARGIN_S = 8.0
"""Seconds beyond the drain time for a replica to end: its last notices, its tools and its server."""
CHECK_MARGIN_S = 2.5
"""Seconds for HAProxy to notice that a restarted replica is ready. It checks twice a second."""
DUPLICATE_SIGNAL_S = 0.3
"""Seconds in which a second signal counts as the first one: process managers and terminals send it twice.

A replica uses the same. This package imports nothing of the app, so a test compares both.
"""


class ProcessRole(Enum):
    """What a process is for."""

    STORE = "redis"
    EMBEDDED_SERVER = "offline"
    REPLICA = "replica"
    PROXY = "haproxy"


class ProcessPhase(Enum):
    """Phase of one process."""

    PLANNED = "planned"
    """It has not been started yet: it needs another process."""
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"
    """It was asked to end."""
    PAUSED = "paused"
    """It ended by itself. It is started again at its deadline."""
    ENDED = "ended"
    """It is not started again."""


class SupervisionPhase(Enum):
    """Phase of all processes together."""

    RUNNING = "running"
    DRAINING = "draining"
    """Replicas let their conversations end. HAProxy still carries them."""
    CLOSING = "closing"
    """HAProxy ends."""
    ENDING = "ending"
    """Redis and the embedded server end; after a second signal, everything that is left."""
    FINISHED = "finished"


class ActionKind(Enum):
    """What the caller does with a process."""

    START = "start"
    TERMINATE = "terminate"
    """Ask it to end, with SIGTERM."""
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Action:
    """One action for the caller."""

    kind: ActionKind
    name: str
    run: int
    """Number of the start of this process, from 1."""


@dataclass(slots=True)
class SupervisedProcess:
    """State of one process."""

    name: str
    role: ProcessRole
    phase: ProcessPhase = ProcessPhase.PLANNED
    run: int = 0
    """Number of its present or last run; 0 before the first."""
    failures: int = 0
    """Ends by itself, since it was last ready for `HEALTHY_UPTIME_S`."""
    deadline: float | None = None
    """Time at which the phase has lasted long enough; None without a limit."""

    @property
    def is_alive(self) -> bool:
        """Return whether it was started and its end was not reported yet."""
        return self.phase in (ProcessPhase.STARTING, ProcessPhase.READY, ProcessPhase.ENDING)


def restart_pause(failures: int) -> float:
    """Return the seconds before the next start of a process that has ended by itself `failures` times in a row."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10), MAX_PAUSE_S)


class Supervision:
    """State machine of all processes."""

    def __init__(self, processes: Iterable[tuple[str, ProcessRole]], drain_s: float = 10.0) -> None:
        """`processes`: name and role of each. `drain_s`: seconds that conversations may last after the signal."""
        self.phase = SupervisionPhase.RUNNING
        self.processes = {name: SupervisedProcess(name, role) for name, role in processes}
        self._drain_s = drain_s
        self._roles_that_worked: set[ProcessRole] = set()
        self._exit_status = 0
        self._stop_requested_at = 0.0
        self._to_restart: list[str] = []
        self._restarting: str | None = None
        self._next_restart_at: float | None = None

    @property
    def exit_status(self) -> int | None:
        """Exit status of the supervisor; None while a process is left."""
        return self._exit_status if self.phase is SupervisionPhase.FINISHED else None

    @property
    def next_deadline(self) -> float | None:
        """Time at which `handle_time` has to be called; None while only events change anything."""
        deadlines = [each.deadline for each in self.processes.values() if each.deadline is not None]
        if self._next_restart_at is not None:
            deadlines.append(self._next_restart_at)
        return min(deadlines, default=None)

    # ---------------------------------------------------------------- events

    def start(self, now: float) -> list[Action]:
        """Start the processes that need no other one."""
        return self._advance(now)

    def handle_ready(self, name: str, run: int, now: float) -> list[Action]:
        """Record that a process works."""
        process = self.processes[name]
        if run != process.run or process.phase is not ProcessPhase.STARTING:
            return []
        process.phase = ProcessPhase.READY
        process.deadline = now + HEALTHY_UPTIME_S if process.failures else None
        self._roles_that_worked.add(process.role)
        if name == self._restarting:
            self._restarting, self._next_restart_at = None, now + CHECK_MARGIN_S
        return self._advance(now)

    def handle_end(self, name: str, run: int, status: int, now: float) -> list[Action]:
        """Record the end of a process. `status`: exit status, or the negative number of the signal."""
        process = self.processes[name]
        if run != process.run or not process.is_alive:
            return []
        was_asked = process.phase is ProcessPhase.ENDING
        process.deadline = None
        if self.phase is not SupervisionPhase.RUNNING:
            process.phase = ProcessPhase.ENDED
        elif was_asked:  # a restart of this replica
            process.phase = ProcessPhase.PLANNED
        elif process.role not in self._roles_that_worked and process.role is not ProcessRole.EMBEDDED_SERVER:
            process.phase = ProcessPhase.ENDED
            self._exit_status = status if status > 0 else 1
            return self._begin_stop(now)
        else:
            process.failures += 1
            process.phase, process.deadline = ProcessPhase.PAUSED, now + restart_pause(process.failures)
            if name == self._restarting:  # what was changed before the restart does not work
                self._to_restart, self._restarting = [], None
        return self._advance(now)

    def handle_hang(self, name: str, run: int) -> list[Action]:
        """Kill a process that was ready and answers no more. It is started again when its end is reported."""
        process = self.processes[name]
        if run != process.run or process.phase is not ProcessPhase.READY:
            return []
        return [Action(ActionKind.KILL, name, run)]

    def handle_time(self, now: float) -> list[Action]:
        """Do what is due."""
        actions = []
        for process in self.processes.values():
            if process.deadline is None or now < process.deadline:
                continue
            process.deadline = None
            match process.phase:
                case ProcessPhase.PAUSED:
                    actions.append(self._start(process, now))
                case ProcessPhase.READY:
                    process.failures = 0
                case ProcessPhase.STARTING | ProcessPhase.ENDING:
                    actions.append(Action(ActionKind.KILL, process.name, process.run))
        return actions + self._advance(now)

    def request_restart(self, now: float) -> list[Action]:
        """Restart one replica after the other, beginning again with the first one."""
        if self.phase is not SupervisionPhase.RUNNING:
            return []
        self._to_restart = [each.name for each in self._replicas() if each.phase is not ProcessPhase.PLANNED]
        return self._advance(now)

    def request_stop(self, number: int, now: float) -> list[Action]:
        """Let all conversations end, then end everything. A later second signal ends everything at once.

        `number`: the signal's.
        """
        if self.phase is SupervisionPhase.RUNNING:
            self._stop_requested_at = now
            return self._begin_stop(now)
        if self.phase is SupervisionPhase.FINISHED or now - self._stop_requested_at <= DUPLICATE_SIGNAL_S:
            return []
        self.phase, self._exit_status = SupervisionPhase.ENDING, 128 + number
        actions = []
        for process in self.processes.values():
            if process.is_alive:
                process.phase, process.deadline = ProcessPhase.ENDING, None
                actions.append(Action(ActionKind.KILL, process.name, process.run))
        return actions + self._advance(now)

    # ---------------------------------------------------------------- transitions

    def _replicas(self) -> list[SupervisedProcess]:
        return [each for each in self.processes.values() if each.role is ProcessRole.REPLICA]

    def _start(self, process: SupervisedProcess, now: float) -> Action:
        process.run += 1
        process.phase, process.deadline = ProcessPhase.STARTING, now + START_LIMIT_S
        return Action(ActionKind.START, process.name, process.run)

    def _terminate(self, process: SupervisedProcess, now: float) -> Action:
        limit = self._drain_s + DRAIN_MARGIN_S if process.role is ProcessRole.REPLICA else END_LIMIT_S
        process.phase, process.deadline = ProcessPhase.ENDING, now + limit
        return Action(ActionKind.TERMINATE, process.name, process.run)

    def _begin_stop(self, now: float) -> list[Action]:
        self.phase = SupervisionPhase.DRAINING
        self._to_restart, self._restarting, self._next_restart_at = [], None, None
        for process in self.processes.values():
            if not process.is_alive:
                process.phase, process.deadline = ProcessPhase.ENDED, None
        return self._terminate_all(now, lambda role: role is ProcessRole.REPLICA) + self._advance(now)

    def _terminate_all(self, now: float, is_concerned: Callable[[ProcessRole], bool]) -> list[Action]:
        return [
            self._terminate(each, now)
            for each in self.processes.values()
            if is_concerned(each.role) and each.phase in (ProcessPhase.STARTING, ProcessPhase.READY)
        ]

    def _advance(self, now: float) -> list[Action]:
        """Do what the present phases of the processes allow."""
        alive_roles = {each.role for each in self.processes.values() if each.is_alive}
        match self.phase:
            case SupervisionPhase.RUNNING:
                return [self._start(each, now) for each in self._startable()] + self._restart_next(now)
            case SupervisionPhase.DRAINING if ProcessRole.REPLICA not in alive_roles:
                self.phase = SupervisionPhase.CLOSING
                return self._terminate_all(now, lambda role: role is ProcessRole.PROXY) + self._advance(now)
            case SupervisionPhase.CLOSING if ProcessRole.PROXY not in alive_roles:
                self.phase = SupervisionPhase.ENDING
                return self._terminate_all(now, lambda role: True) + self._advance(now)
            case SupervisionPhase.ENDING if not alive_roles:
                self.phase = SupervisionPhase.FINISHED
        return []

    def _startable(self) -> Sequence[SupervisedProcess]:
        """Return the planned processes that have what they need."""
        planned = [each for each in self.processes.values() if each.phase is ProcessPhase.PLANNED]
        if ProcessRole.REPLICA in self._roles_that_worked:
            return planned
        has_store = all(role is not ProcessRole.STORE for role in (each.role for each in self.processes.values()))
        first = self._replicas()[:1] if has_store or ProcessRole.STORE in self._roles_that_worked else []
        roles = (ProcessRole.STORE, ProcessRole.EMBEDDED_SERVER)
        return [each for each in planned if each.role in roles or each in first]

    def _restart_next(self, now: float) -> list[Action]:
        """Ask the next replica of a rolling restart to end, when it is its turn and another one is ready."""
        if self._next_restart_at is not None and now >= self._next_restart_at:
            self._next_restart_at = None
        while self._to_restart and self._restarting is None and self._next_restart_at is None:
            process = self.processes[self._to_restart[0]]
            if process.phase in (ProcessPhase.STARTING, ProcessPhase.READY):
                others = [each for each in self._replicas() if each is not process]
                if others and not any(each.phase is ProcessPhase.READY for each in others):
                    return []
                self._to_restart.pop(0)
                self._restarting = process.name
                return [self._terminate(process, now)]
            self._to_restart.pop(0)  # it starts by itself
        return []
