"""The page needs nobody else: with every other host silent, it loads and works."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says a word, as a filtered network does."""
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


def test_the_page_loads_and_calls_with_all_other_hosts_unreachable(
    app: AppProcess, playwright: Playwright, black_hole: int
) -> None:
    browser = launch_chromium(playwright, f"--host-resolver-rules=MAP * 127.0.0.1:{black_hole}, EXCLUDE 127.0.0.1")
    try:
        caller = BrowserPage(browser, app.url)
        caller.start_call()
        caller.hang_up()
        assert not caller.errors
    finally:
        browser.close()
