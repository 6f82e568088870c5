"""The pictures in the READMEs, from the real page in a real browser: `python -m docs.screenshots`.

A conversation is held with the embedded server, by recorded human speech and by typing; nothing in them is made up.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.data.speech import load_clip
from tests.support.app.app_process import running_app
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.chromium import launch_chromium
from tests.support.browser.text_chat_page import TextChatPage

SCREENSHOT_DIR = Path(__file__).parent
VIEWPORT = {"width": 1000, "height": 1040}


def capture_voice_tab(browser: Browser, url: str) -> None:
    """A spoken question, a typed one whose answer is interrupted by speech, and one more being answered."""
    caller = BrowserPage(browser, url)
    caller.page.set_viewport_size(VIEWPORT)
    caller.start_call()
    said = caller.play_speech(load_clip("en", "human", 3).samples)
    caller.wait_until_loud(said.end_s, timeout=60)
    caller.wait_for_stage("listening", timeout=60)
    caller.send_typed_message("Tell me about a lighthouse keeper and his cat in three sentences.")
    caller.wait_until_loud(caller.audio_clock_s(), timeout=60)
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 3)
    said = caller.play_speech(load_clip("en", "human", 0).samples)
    caller.wait_until_loud(said.end_s, timeout=60)
    caller.wait_for_stage("listening", timeout=60)
    caller.play_speech(load_clip("en", "human", 1).samples)
    caller.wait_for_stage("speaking", timeout=60)
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 1)
    caller.page.screenshot(path=SCREENSHOT_DIR / "voice.png", full_page=False)
    caller.hang_up()
    caller.close()


def capture_text_tab(browser: Browser, url: str) -> None:
    """A table and a piece of code."""
    typist = TextChatPage(browser, url)
    typist.page.set_viewport_size(VIEWPORT)
    typist.send_and_await_reply("Compare tea and coffee in a Markdown table with three rows.")
    typist.send_and_await_reply("Write a Python function that tells whether a number is prime, in a code block.")
    typist.page.screenshot(path=SCREENSHOT_DIR / "text.png")
    typist.close()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder) / "log.txt") as app,
        sync_playwright() as playwright,
    ):
        app.wait_for_health(lambda health: health["http"] == 200, timeout=120)
        browser = launch_chromium(playwright)
        capture_voice_tab(browser, app.url)
        capture_text_tab(browser, app.url)


if __name__ == "__main__":
    main()
