"""Replicas as processes: `python -m replicas` with the system's HAProxy and Redis, and an echo server as the model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from tests.support.app.app_process import NO_SERVER_SETTINGS, AppProcess, find_port_run, running_app
from tests.support.app.prometheus_samples import parse_metrics
from tests.support.paths import ROOT
from tests.support.realtime.fake_echo_server import running_echo_server

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="replicas need a POSIX system"),
    pytest.mark.timeout(300),  # the app starts seven times, on a machine that runs other tests too
]

WAIT_S = 60.0
"""Limit of each wait, in seconds."""


START = ["-m", "scripts.start"]
"""Command of start.sh, after the environment was made."""
EARLY_PROCESSES = 3
"""The watchdog, Redis and the first replica, before that is ready."""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a short path, in which a socket may be."""
    return tmp_path_factory.mktemp("r")


@contextmanager
def running_replicas(folder: Path, realtime_url: str, **more: str) -> Iterator[AppProcess]:
    """Run two replicas in front of a server, until the block ends."""
    ports = {"PORT": str(find_port_run(3))}
    environ = {"WORKERS": "2", "REALTIME_URL": realtime_url, "TMPDIR": str(folder), **ports, **more}
    with running_app(folder / "log.txt", START, **environ) as app:
        yield app


def descendants(app: AppProcess) -> list[psutil.Process]:
    return psutil.Process(app.process.pid).children(recursive=True)


def replica_pids(app: AppProcess) -> set[int]:
    """Return the PIDs of the replicas that have not ended."""
    found = set()
    for each in descendants(app):
        with suppress(psutil.Error):  # it has ended meanwhile
            if any(word.endswith("app.py") for word in each.cmdline()):
                found.add(each.pid)
    return found


def count_ready(app: AppProcess) -> int:
    """Return how often a replica has become ready."""
    return app.log_path.read_text().count("ready process=replica-")


def wait_until(condition: Callable[[], bool], app: AppProcess | None = None) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, app.log_path.read_text()[-4000:] if app else "not in time"
        time.sleep(0.05)  # other processes have no push


def serves_page(app: AppProcess) -> bool:
    """Return whether a request has its answer. A machine that does not answer HAProxy's checks in time has none."""
    with suppress(OSError):
        return "Realtime Voice Chat" in app.fetch_text("/")
    return False


def private_folders(folder: Path) -> list[Path]:
    return list(folder.glob("voice-replicas-*"))


def test_replicas_serve_the_page_survive_a_kill_and_a_restart_and_end_together(folder: Path) -> None:
    with running_echo_server() as echo, running_replicas(folder, echo.url, METRICS="true") as app:
        wait_until(lambda: count_ready(app) == 2, app)
        app.wait_for_health(lambda answer: answer.get("replicas") == 2)
        wait_until(lambda: serves_page(app), app)
        with connect(f"{app.url.replace('http', 'ws')}/v1/realtime") as program:
            assert json.loads(program.recv())["type"] == "session.created"
        (private,) = private_folders(folder)
        assert private.stat().st_mode & 0o777 == 0o700

        # Each replica listens at the port that follows from PORT, and their metrics are added up.
        addresses = [f"http://127.0.0.1:{app.port + number}" for number in (1, 2)]
        for address in addresses:
            assert httpx.get(f"{address}/metrics").status_code == 200
        summed = subprocess.run(
            [sys.executable, "-m", "replicas.metrics", *addresses], cwd=ROOT, capture_output=True, text=True
        )
        assert summed.returncode == 0, summed.stderr
        assert parse_metrics(summed.stdout)[("voice_chat_conversations_total", "voice")] == 1.0

        # A port in use: one sentence, and the first supervisor serves on.
        second = subprocess.run(
            [sys.executable, "-m", "replicas", "--workers", "2", "--port", str(app.port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        sentence = f"The page cannot be served at 127.0.0.1 port {app.port}: Address already in use. "
        sentence += f"`PORT={app.port + 3} ./start.sh` uses another one."
        assert (second.returncode, second.stderr.strip()) == (1, sentence)

        first = replica_pids(app)
        os.kill(min(first), signal.SIGKILL)
        wait_until(lambda: serves_page(app), app)
        wait_until(lambda: count_ready(app) == 3, app)
        app.wait_for_health(lambda answer: answer.get("replicas") == 2)

        before = replica_pids(app)
        app.process.send_signal(signal.SIGHUP)
        wait_until(lambda: count_ready(app) == 4, app)
        wait_until(lambda: serves_page(app), app)
        wait_until(lambda: count_ready(app) == 5, app)
        app.wait_for_health(lambda answer: answer.get("replicas") == 2)
        assert not replica_pids(app) & before

        processes = descendants(app)
        assert len(processes) == 5  # the watchdog, Redis, two replicas and HAProxy
        app.process.terminate()
        assert app.process.wait(WAIT_S) == 0
        assert psutil.wait_procs(processes, timeout=WAIT_S)[1] == []
        assert private_folders(folder) == []
        lines = app.log_path.read_text().splitlines()
        assert not [line for line in lines if "Traceback" in line]
        needless = ("overcommit", "Running on local URL", "public link", " GET ", "programs/")
        assert not [line for line in lines if any(each in line for each in needless)]
        assert {line.partition(":")[0] for line in lines if " replicas.supervisor: " not in line} <= {
            *("replica-1", "replica-2", "redis", "haproxy")
        }


def test_killed_supervisor_leaves_no_process_and_no_folder_behind(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}"
        with running_replicas(folder, url) as app:
            wait_until(lambda: len(descendants(app)) == EARLY_PROCESSES, app)
            processes = descendants(app)
            app.kill()
            assert psutil.wait_procs(processes, timeout=WAIT_S)[1] == []
            assert private_folders(folder) == []


def test_supervisor_ends_everything_when_its_terminal_is_closed(folder: Path) -> None:
    import pty  # Windows has none

    settings = {"WORKERS": "2", "PORT": str(find_port_run(3)), "HOST": "127.0.0.1", "TMPDIR": str(folder)}
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}"
        environ = {**os.environ, **NO_SERVER_SETTINGS, **settings, "REALTIME_URL": url}
        pid, terminal = pty.fork()
        if not pid:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, *START], environ)
        supervisor = psutil.Process(pid)
        wait_until(lambda: len(supervisor.children(recursive=True)) == EARLY_PROCESSES)
        processes = supervisor.children(recursive=True)
        os.close(terminal)
        assert supervisor.wait(WAIT_S) == 0
        assert psutil.wait_procs(processes, timeout=WAIT_S)[1] == []
        assert private_folders(folder) == []


def test_replicas_with_a_bad_setting_end_with_one_sentence(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "replicas", "--workers", "2", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **NO_SERVER_SETTINGS, "MAX_CALLS": "many", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 1
    said = [line for line in done.stdout.splitlines() if line.startswith("replica-")]
    assert len(said) == 1 and said[0].startswith("replica-1: MAX_CALLS must be a whole number")
    assert private_folders(folder) == []
