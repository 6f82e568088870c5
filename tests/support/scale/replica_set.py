"""Replica set: two replicas of the app behind HAProxy, with Redis. A test kills, freezes and ends them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.app.app_process import DIRECT, AppProcess, free_port, running_app
from tests.support.shared_state.redis_process import RedisProcess, running_redis

from .haproxy_process import HaproxyProcess, running_haproxy

REPLICA_COUNT = 2
START_TIMEOUT_S = 180.0
"""Seconds for a replica to start on a busy computer."""
START_ATTEMPTS = 2
"""Starts of a replica: for a moment, its port may belong to an outgoing connection of another process."""


class ReplicaUnderTest:
    """One replica, always on the same port."""

    def __init__(self, folder: Path, number: int, command: Sequence[str], environment: dict[str, str]) -> None:
        self.port = free_port()
        self.temp_folder = folder / f"temp{number}"
        """Its temporary files: the same folder after each start."""
        self.temp_folder.mkdir()
        self.inspection_file = folder / f"tasks{number}.json"
        self._folder, self._number, self._command = folder, number, command
        own = {"TMPDIR": str(self.temp_folder), "GRADIO_TEMP_DIR": "", "INSPECTION_FILE": str(self.inspection_file)}
        self._environment = {**environment, **own}
        self._starts = 0
        self._stack = ExitStack()
        self.app: AppProcess
        self.process_id = ""
        """The id that its pages know it by."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._starts > 0 and self.app.process.poll() is None

    def begin_start(self) -> None:
        """Start the process, unless it runs."""
        if self.is_running:
            return
        self._stack.close()
        self._starts += 1
        log = self._folder / f"replica{self._number}-{self._starts}.log"
        running = running_app(log, self._command, PORT=str(self.port), **self._environment)
        self.app = self._stack.enter_context(running)
        self.process_id = ""

    def wait_until_ready(self) -> None:
        """Wait until the replica takes calls, and has none of an earlier test."""
        self.app.wait_for_health(lambda health: health["http"] == 200 and health["calls"] == 0, START_TIMEOUT_S)
        with DIRECT.open(f"{self.app.url}/page-connection", timeout=10) as answer:
            self.process_id = json.load(answer)["process"]

    def start(self) -> None:
        """Start the process, again when it ends at once as a supervisor does, and wait until it is ready."""
        for attempt in range(START_ATTEMPTS):
            self.begin_start()
            try:
                self.wait_until_ready()
                return
            except AssertionError:
                if self.is_running or attempt == START_ATTEMPTS - 1:
                    raise

    def wait_for_calls(self, count: int) -> None:
        """Wait until the replica has that many calls."""
        self.app.wait_for_health(lambda health: health["calls"] == count)

    def freeze(self) -> None:
        """Stop the process without closing its connections, as a computer that hangs does."""
        os.kill(self.app.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        if self.is_running:
            os.kill(self.app.process.pid, signal.SIGCONT)

    def drain(self) -> None:
        """Ask the process to end, as a rolling restart does."""
        self.app.process.terminate()

    def stop(self) -> None:
        """End the process, in whatever state."""
        self.thaw()
        self._stack.close()


class ReplicaSet:
    """All replicas, and the HAProxy in front of them."""

    def __init__(
        self, proxy: HaproxyProcess, replicas: list[ReplicaUnderTest], redis: RedisProcess, bystander: ReplicaUnderTest
    ) -> None:
        self.proxy, self.replicas, self.redis = proxy, replicas, redis
        self.bystander = bystander
        """Replica over the same Redis that HAProxy does not know: it gets no visitors. A test may start it."""

    def restore(self) -> None:
        """Start what an earlier test has ended, and wait until HAProxy gives visitors to all replicas."""
        for each in self.replicas:
            each.thaw()
            each.begin_start()
        for each in self.replicas:
            each.wait_until_ready()
        self.proxy.wait_for_replicas(len(self.replicas))

    def start(self) -> None:
        """Start the replicas one after the other, and wait until HAProxy gives visitors to them."""
        for each in self.replicas:
            each.start()
        self.proxy.wait_for_replicas(len(self.replicas))

    def split(self, process_id: str) -> tuple[ReplicaUnderTest, ReplicaUnderTest]:
        """Return the replica with this process id, and the other one."""
        (carrier,) = (each for each in self.replicas if each.process_id == process_id)
        (other,) = (each for each in self.replicas if each is not carrier)
        return carrier, other


@contextmanager
def running_replicas(
    folder: Path, command: Sequence[str] = ("app.py",), /, *, takes_slow_for_dead: bool = True, **environment: str
) -> Iterator[ReplicaSet]:
    """Run Redis, two replicas and HAProxy until the block ends. `command`: the app's."""
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(folder))
        environment = {"REDIS_URL": redis.url, **environment}
        everybody = [ReplicaUnderTest(folder, number, command, environment) for number in range(REPLICA_COUNT + 1)]
        for each in everybody:
            stack.callback(each.stop)
        bystander, *replicas = everybody
        addresses = [each.address for each in replicas]
        proxy = stack.enter_context(running_haproxy(folder, addresses, takes_slow_for_dead=takes_slow_for_dead))
        yield ReplicaSet(proxy, replicas, redis, bystander)
