"""Fixtures of the browser tests: headless Chromium, the app in a process of its own, and an app on an echo server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.support.app.app_process import OPERATOR_KEY, AppProcess, running_app
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium
from tests.support.browser.page_errors import PageErrors
from tests.support.realtime.fake_echo_server import EchoRealtimeServer, running_echo_server
from tests.support.realtime.scripted.scripted_call_server import ScriptedCallServer

expect.set_options(timeout=30_000)  # a busy computer needs more than Playwright's five seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker("browser")
            item.add_marker("models")
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(autouse=True)
def page_errors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageErrors]:
    """Fail a test whose pages have errors that its marker `allowed_page_errors` does not name."""
    errors = PageErrors()
    errors.watch_new_contexts(monkeypatch)
    yield errors
    allowed = [pattern for marker in request.node.iter_markers("allowed_page_errors") for pattern in marker.args]
    unexpected = errors.unexpected(allowed)
    assert not unexpected, "\n".join(unexpected)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launch_chromium(playwright)
    yield browser
    browser.close()


@pytest.fixture(autouse=True)
def no_page_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close the pages that a failed test has left open: they would slow the next tests down."""
    kept = set(request.getfixturevalue("browser").contexts) if "browser" in request.fixturenames else set()
    yield
    if "browser" in request.fixturenames:
        for context in set(request.getfixturevalue("browser").contexts) - kept:
            context.close()


@pytest.fixture(scope="session")
def echo_server() -> Iterator[EchoRealtimeServer]:
    with running_echo_server() as echo:
        yield echo


@pytest.fixture(scope="session")
def echo_app(echo_server: EchoRealtimeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Yield an app that uses the echo server."""
    log = tmp_path_factory.mktemp("echo") / "log.txt"
    with running_app(
        log, REALTIME_URL=echo_server.url, REALTIME_API_KEY=OPERATOR_KEY, VANISHED_SECONDS="3", MODELS="the-better"
    ) as app:
        app.wait_for_health(lambda health: health["http"] == 200, timeout=60)
        yield app
        app.wait_for_health(
            lambda health: health["chats"] == 0 and health["calls"] == 0, timeout=60
        )  # all tabs are closed
        log_text = log.read_text()
        assert "Traceback" not in log_text, log_text[-4000:]
        assert "canary" not in log_text


@pytest.fixture(scope="module")
def scripted_server() -> Iterator[ScriptedCallServer]:
    """Yield a server whose replies grow as the test says."""
    with ScriptedCallServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def scripted_app(scripted_server: ScriptedCallServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Yield an app that uses the scripted server."""
    with running_app(tmp_path_factory.mktemp("scripted") / "log.txt", REALTIME_URL=scripted_server.url) as app:
        app.wait_for_health(lambda health: health["http"] == 200)
        yield app


@pytest.fixture
def caller(app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    """Yield a visitor's page on the app with the real models. At its end the call has ended without errors."""
    with visitor_page(app, browser) as page:
        yield page


@pytest.fixture
def echo_caller(echo_app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    """Yield a visitor's page on the app that uses the echo server. At its end the call has ended without errors."""
    with visitor_page(echo_app, browser) as page:
        yield page


@contextmanager
def visitor_page(app: AppProcess, browser: Browser) -> Iterator[BrowserPage]:
    page = BrowserPage(browser, app.url)
    yield page
    errors = page.errors
    page.close()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=30)
    assert not errors
