"""Drain in the page: its words; a page that cannot leave keeps no other tab from leaving, and tries again."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, Page, Route

from voicechat.ui.page_connection import DRAINING_MESSAGE, MOVING_MESSAGE
from voicechat.ui.widgets.chatbox import STATIC_DIR

pytestmark = pytest.mark.beside

ORIGIN = "http://localhost"
"""Browsers give locks to such a page."""
CLOSING, MOVES = "closes within 10 seconds", "moves"
STUBS = """
delete window.WebSocket;
window.connectionChanges = 0;
document.addEventListener("voice-connection", () => { connectionChanges += 1; });
window.voiceTexts = { server_moving: "moves" };
window.voiceResume = { noteRedial() {} };
window.voiceCallControl = { isWanted: () => false };
window.voiceOutbox = { isIdle: () => true, keepDrafts() {} };
window.voiceHistory = { isSaved: () => true };
"""
HELD_JS = "async () => (await navigator.locks.query()).held.some(({ name }) => name === 'voice-move')"


class FailingMove:
    """A page at replica "one", which drains. Replica "two" answers, but its page does not open."""

    def __init__(self, page: Page, *, message: str = MOVING_MESSAGE, has_other: bool = True) -> None:
        """`message`: of the page's replica."""
        self.page = page
        self._message = message
        self._other = "two" if has_other else "one"
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
            body = f'<div class="status" data-notice="closing_soon"><span class="sentence">{CLOSING}</span></div>'
            body += "".join(f"<script>{each}</script>" for each in (STUBS, *scripts))
            route.fulfill(content_type="text/html; charset=utf-8", body=body)
        elif path == "/?again=1":
            self.attempts += 1
            route.fulfill(status=204)  # the page stays
        elif path.startswith("/page-connection"):
            process = self._other if path.endswith("again=1") else "one"
            draining = self._message if process == "one" else ""
            route.fulfill(content_type="application/json", body=json.dumps({"process": process, "draining": draining}))
        else:
            route.fulfill(status=404)

    def sentence(self) -> str:
        """Return the words of the status, as they stand after an update of the page."""
        self.page.evaluate("voiceDrain.showMoving(document.querySelector('.status'))")
        return self.page.inner_text(".sentence")

    def run_until(self, condition: str) -> None:
        """Let the page's clock run until a condition in JavaScript holds."""
        for _ in range(600):
            if self.page.evaluate(condition):
                return
            self.page.clock.run_for(100)
        raise AssertionError(condition)

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


@pytest.mark.parametrize(
    ("message", "has_other", "words"),
    [
        (MOVING_MESSAGE, True, [MOVES, MOVES]),
        (MOVING_MESSAGE, False, [MOVES, CLOSING]),
        (DRAINING_MESSAGE, True, [CLOSING, MOVES]),
        (DRAINING_MESSAGE, False, [CLOSING, CLOSING]),
    ],
)
def test_page_believes_its_replica_until_it_has_asked_for_another(
    browser: Browser, message: str, has_other: bool, words: list[str]
) -> None:
    page = browser.new_page()
    move = FailingMove(page, message=message, has_other=has_other)
    seen = []
    for changes in (1, 2):  # it has learned of the drain, and then of the other replica
        move.run_until(f"connectionChanges === {changes}")
        seen.append(move.sentence())
    assert seen == words
    page.close()
