"""The app as a visitor meets it: `python app.py` in a process of its own, and headless Chromium."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from .caller import CHROMIUM_FLAGS, BrowserPage
from .echo import EchoRealtimeServer, running_echo_server

OPERATOR_KEY = "sk-operator-canary"
ROOT = Path(__file__).resolve().parent.parent.parent
PARALLEL_SAFE_MODULES = {
    "test_alone",
    "test_guard",
    "test_line",
    "test_looks",
    "test_page",
    "test_phone",
    "test_sound_check",
    "test_stream",
    "test_text",
    "test_trouble",
}
"""Modules that may run beside one another: nothing in them depends on how smoothly a reply is heard."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker("browser")
            item.add_marker("models")
            item.add_marker(pytest.mark.timeout(180))
            if Path(item.path).stem in PARALLEL_SAFE_MODULES:
                item.add_marker("beside")


def free_port() -> int:
    """Not one of those that systems hand out themselves: another test's server, begun meanwhile, could be given it."""
    while True:
        port = random.randrange(15_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class AppProcess:
    """A running app."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url, self.process, self.log_path = url, process, log
        self.first_health: dict[str, object] = {}
        """What /health said first, where a test wants to know."""

    def health(self) -> dict[str, object]:
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=5) as answer:
                return {"http": answer.status, **json.load(answer)}
        except urllib.error.HTTPError as answer:
            return {"http": answer.code, **json.load(answer)}

    def fetch_text(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def wait_for_health(self, condition: Callable[[dict[str, object]], bool], timeout: float = 60) -> dict[str, object]:
        """Ask /health until `condition` holds."""
        deadline = time.monotonic() + timeout
        last: object = None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the app ended: {self.log_path.read_text()[-2000:]}"
            with suppress(OSError):
                last = self.health()
                if condition(last):
                    return last
            time.sleep(0.1)  # polling a socket that does not push
        raise AssertionError(f"not within {timeout} s; last answer: {last}; log: {self.log_path.read_text()[-2000:]}")


@contextmanager
def running_app(log: Path, command: Sequence[str] = ("app.py",), /, **environment: str) -> Iterator[AppProcess]:
    """`python app.py` (or another `command`) on a free port, with no key, until the block ends."""
    port = free_port()
    # Empty, not absent: a developer's own .env must not make the tests talk to a server that bills.
    nobody = dict.fromkeys(("OPENAI_API_KEY", "REALTIME_URL", "REALTIME_API_KEY", "REALTIME_MODEL", "INSTRUCTIONS"), "")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={
                **os.environ,
                **nobody,
                "HOST": "127.0.0.1",
                "PORT": str(port),
                "UVICORN_PORT": str(port),
                **environment,
            },
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        app = AppProcess(f"http://127.0.0.1:{port}", process, log)
        try:
            yield app
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


def launch_chromium(playwright: Playwright, *more: str) -> Browser:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "No Chromium: run ./test.sh, or set CHROMIUM to its path."
    return playwright.chromium.launch(executable_path=path, headless=True, args=[*CHROMIUM_FLAGS, *more])


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launch_chromium(playwright)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def echo_server() -> Iterator[EchoRealtimeServer]:
    with running_echo_server() as echo:
        yield echo


@pytest.fixture(scope="session")
def echo_app(echo_server: EchoRealtimeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app on the echo server."""
    log = tmp_path_factory.mktemp("echo") / "log.txt"
    with running_app(
        log, REALTIME_URL=echo_server.url, REALTIME_API_KEY=OPERATOR_KEY, VANISHED_SECONDS="3", MODELS="the-better"
    ) as app:
        app.wait_for_health(lambda health: health["http"] == 200, timeout=60)
        yield app
        app.wait_for_health(
            lambda health: health["chats"] == 0 and health["calls"] == 0, timeout=20
        )  # all tabs are closed
        said = log.read_text()
        assert "Traceback" not in said, said[-4000:]
        assert "canary" not in said


@pytest.fixture
def caller(app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    """One visitor with the page open; at the end the tab is closed and the line must be free again."""
    caller = BrowserPage(browser, app.url)
    yield caller
    errors = caller.errors
    caller.close()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=30)
    assert not errors
