"""Connection monitor: every page notices that its server does not answer, and comes back, also without WebSockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Response, expect

from tests.support.app.app_process import OPERATOR_KEY, AppProcess, running_app
from tests.support.browser.page_errors import LOST_SERVER_ERRORS
from tests.support.browser.resumed_page import ResumablePage
from tests.support.realtime.fake_echo_server import EchoRealtimeServer
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer

pytestmark = pytest.mark.beside

NOTICED_WITHIN_MS = 5000
"""Milliseconds within which a page that asks over HTTP notices that its server does not answer."""
NO_WEBSOCKETS_SCRIPT = "delete window.WebSocket;"


def nothing(context: BrowserContext) -> None:
    pass


def close_at_once(context: BrowserContext) -> None:
    """Close every WebSocket before it opens, as a proxy that carries none."""
    context.route_web_socket("**/page-connection", lambda route: route.close(code=1011))


def refuse_further_pages(context: BrowserContext) -> None:
    """Close as the server does that watches as many pages as it can, without a word who it is."""
    context.route_web_socket("**/page-connection", lambda route: route.close(code=1013))


@LOST_SERVER_ERRORS
@pytest.mark.allowed_page_errors("page-connection")
@pytest.mark.parametrize(
    ("script", "limit"),
    [(NO_WEBSOCKETS_SCRIPT, nothing), ("", close_at_once), ("", refuse_further_pages)],
    ids=["no WebSocket", "closed at once", "too many pages"],
)
def test_page_without_a_websocket_comes_back_with_its_server(
    echo_server: EchoRealtimeServer,
    browser: Browser,
    tmp_path: Path,
    script: str,
    limit: Callable[[BrowserContext], None],
) -> None:
    environment = {"REALTIME_URL": echo_server.url, "REALTIME_API_KEY": OPERATOR_KEY}
    with running_app(tmp_path / "first.log", **environment) as first:
        first.wait_for_health(lambda health: health["http"] == 200, timeout=60)
        page = ResumablePage(browser, first.url, before=script)
        limit(page.context)
        with page.page.expect_response(lambda response: response.url.endswith("/page-connection")):
            page.reload()
        page.wait_for_stage("idle")
        expect(page.page.locator("html:not([data-offline])")).to_have_count(1)
        page.mark_document()
        first.kill()
        page.page.wait_for_selector("html[data-offline]", timeout=NOTICED_WITHIN_MS)
    with running_app(tmp_path / "second.log", PORT=str(first.port), **environment):
        page.wait_until_reloaded()
        page.wait_for_stage("idle")
        expect(page.page.locator("html:not([data-offline])")).to_have_count(1)
        page.close()


@pytest.mark.allowed_page_errors("ERR_INTERNET_DISCONNECTED", "page-connection")
def test_network_that_goes_and_comes_is_shown_and_nothing_is_reloaded(echo_app: AppProcess, browser: Browser) -> None:
    page = ResumablePage(browser, echo_app.url)
    page.wait_for_stage("idle")
    page.mark_document()
    page.context.set_offline(True)
    page.page.wait_for_selector("html[data-offline]", timeout=2000)
    page.context.set_offline(False)
    page.page.wait_for_selector("html:not([data-offline])")
    page.wait_for_stage("idle")
    assert page.page.evaluate("window.isEarlierDocument")
    page.close()


LONG_REPLY_S = 60.0
"""Seconds of a reply that outlasts a test."""


def test_page_of_one_draining_process_stays_and_shows_the_end(browser: Browser, tmp_path: Path) -> None:
    with (
        ThreadedRealtimeServer("Tell me a story.", "Once upon a time.", LONG_REPLY_S).running() as model,
        running_app(tmp_path / "app.log", REALTIME_URL=model.url, REALTIME_API_KEY="sk-test") as app,
    ):
        app.wait_for_health(lambda health: health["http"] == 200)
        page = ResumablePage(browser, app.url)
        page.press_call_button()
        page.wait_for_stage("speaking")
        page.mark_document()
        with page.page.expect_response(is_question) as first:
            app.process.terminate()
        assert first.value.json()["draining"]
        with page.page.expect_response(is_question):
            pass  # the answer did not let it move
        assert page.page.evaluate("window.isEarlierDocument")
        assert page.page.evaluate("document.documentElement.dataset.moving") is None
        assert page.status_text().startswith("The server is closing for maintenance")
        page.close()


def is_question(response: Response) -> bool:
    """Return whether the page has asked for another replica."""
    return response.url.endswith("/page-connection?again=1")
