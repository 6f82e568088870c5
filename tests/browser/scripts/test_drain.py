"""Drain in the page: a page that cannot leave its replica keeps no other tab from leaving, and tries again."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, Page, Route

from voicechat.ui.widgets.chatbox import STATIC_DIR

pytestmark = pytest.mark.beside

ORIGIN = "http://localhost"
"""Browsers give locks to such a page."""
STUBS = """
delete window.WebSocket;
window.voiceTexts = {};
window.voiceResume = { noteRedial() {} };
window.voiceCallControl = { isWanted: () => false };
window.voiceOutbox = { isIdle: () => true, keepDrafts() {} };
window.voiceHistory = { isSaved: () => true };
"""
HELD_JS = "async () => (await navigator.locks.query()).held.some(({ name }) => name === 'voice-move')"


class FailingMove:
    """A page at replica "one", which drains. Replica "two" answers, but its page does not open."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.attempts = 0
        page.clock.install()
        page.route(f"{ORIGIN}/**", self._answer)
        page.goto(ORIGIN)

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            scripts = [
                (STATIC_DIR / "scripts" / f"{name}.js").read_text("utf-8") for name in ("connection_monitor", "drain")
            ]
            body = "".join(f"<script>{each}</script>" for each in (STUBS, *scripts))
            route.fulfill(content_type="text/html; charset=utf-8", body=body)
        elif path == "/?again=1":
            self.attempts += 1
            route.fulfill(status=204)  # the page stays
        elif path.startswith("/page-connection"):
            process, draining = ("two", False) if path.endswith("again=1") else ("one", True)
            route.fulfill(content_type="application/json", body=json.dumps({"process": process, "draining": draining}))
        else:
            route.fulfill(status=404)

    def wait_for(self, attempts: int, *, held: bool) -> None:
        """Let the page's clock run until it has tried that many times, and holds the lock or does not."""
        for _ in range(600):
            if self.attempts == attempts and self.page.evaluate(HELD_JS) is held:
                return
            assert self.attempts <= attempts
            self.page.clock.run_for(100)
        raise AssertionError(f"{self.attempts} attempts, not {attempts} with held={held}")


def test_page_that_cannot_leave_releases_the_lock_and_tries_again(browser: Browser) -> None:
    page = browser.new_page()
    move = FailingMove(page)
    move.wait_for(1, held=True)
    move.wait_for(1, held=False)
    move.wait_for(2, held=True)
    move.wait_for(2, held=False)
    move.wait_for(3, held=True)
    page.close()
