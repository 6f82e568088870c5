"""Without other hosts: the page loads and works while every other host is unreachable."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium

pytestmark = pytest.mark.beside


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Yield a port that accepts connections and never answers, as in a filtered network."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    held: list[socket.socket] = []

    def swallow() -> None:
        try:
            while True:
                held.append(server.accept()[0])
        except OSError:
            return

    threading.Thread(target=swallow, daemon=True).start()
    yield int(server.getsockname()[1])
    server.close()
    for connection in held:
        connection.close()


def test_page_loads_and_calls_without_other_hosts(
    echo_app: AppProcess, playwright: Playwright, black_hole: int
) -> None:
    browser = launch_chromium(playwright, f"--host-resolver-rules=MAP * 127.0.0.1:{black_hole}, EXCLUDE 127.0.0.1")
    try:
        caller = BrowserPage(browser, echo_app.url)
        caller.start_call()
        caller.hang_up()
        assert not caller.errors
    finally:
        browser.close()
