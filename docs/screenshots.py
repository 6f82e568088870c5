"""The pictures in the READMEs, from the real page in a real browser: `python -m docs.screenshots`.

A conversation is held with the embedded server, by recorded human speech and by typing; nothing in them is made up.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.caller import Caller
from tests.browser.conftest import chromium, running_app
from tests.browser.typist import Typist
from tests.speech import clip

HERE = Path(__file__).parent
SIZE = {"width": 1000, "height": 1040}


def voice(browser: Browser, url: str) -> None:
    """A spoken question, a typed one whose answer is interrupted by speech, and one more being answered."""
    caller = Caller(browser, url)
    caller.page.set_viewport_size(SIZE)
    caller.call()
    said = caller.say(clip("en", "human", 3).samples)
    caller.until_loud(said.end, timeout=60)
    caller.stage("listening", timeout=60)
    caller.type("Tell me about a lighthouse keeper and his cat in three sentences.")
    caller.until_loud(caller.now(), timeout=60)
    caller.until("(t) => caller.now() > t", caller.now() + 3)
    said = caller.say(clip("en", "human", 0).samples)
    caller.until_loud(said.end, timeout=60)
    caller.stage("listening", timeout=60)
    caller.say(clip("en", "human", 1).samples)
    caller.stage("speaking", timeout=60)
    caller.until("(t) => caller.now() > t", caller.now() + 1)
    caller.page.screenshot(path=HERE / "voice.png", full_page=False)
    caller.hang_up()
    caller.close()


def text(browser: Browser, url: str) -> None:
    """A table and a piece of code."""
    typist = Typist(browser, url)
    typist.page.set_viewport_size(SIZE)
    typist.ask("Compare tea and coffee in a Markdown table with three rows.")
    typist.ask("Write a Python function that tells whether a number is prime, in a code block.")
    typist.page.screenshot(path=HERE / "text.png")
    typist.close()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder) / "log.txt") as app,
        sync_playwright() as playwright,
    ):
        app.wait(lambda health: health["http"] == 200, timeout=120)
        browser = chromium(playwright)
        voice(browser, app.url)
        text(browser, app.url)


if __name__ == "__main__":
    main()
