"""Screen reader output (voicechat/ui/static/scripts/screen_reader.js), on a page of its own without a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from voicechat.ui.widgets.chatbox import STATIC_DIR

pytestmark = pytest.mark.beside


@pytest.fixture
def screen_reader_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content(
        '<div id="voice-timer"></div><div id="voice-chat"><div id="log"></div></div><div id="voice-figures"></div>'
    )
    page.add_script_tag(path=str(STATIC_DIR / "scripts" / "screen_reader.js"))
    page.evaluate("document.dispatchEvent(new Event('DOMContentLoaded'))")
    yield page
    page.close()


ADD_MESSAGE_JS = """(said) => { for (const words of [said].flat()) {
  document.getElementById("log").insertAdjacentHTML("beforeend", `<p data-testid="bot">${words}</p>`); } }"""
SPOKEN_TEXTS_JS = "[...document.querySelectorAll('#read-aloud p')].map((p) => p.textContent)"


def test_unchanged_text_is_announced_while_the_timer_runs(screen_reader_page: Page) -> None:
    screen_reader_page.evaluate(
        "setInterval(() => { document.getElementById('voice-timer').textContent = String(Date.now()); }, 200)"
    )
    screen_reader_page.evaluate(ADD_MESSAGE_JS, "No full stop here")
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.includes('No full stop here')", timeout=60_000)


def test_unheard_text_is_not_announced(screen_reader_page: Page) -> None:
    screen_reader_page.evaluate(ADD_MESSAGE_JS, 'This was said. <span class="unheard">This was not.</span>')
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.length")
    screen_reader_page.wait_for_timeout(1700)
    assert screen_reader_page.evaluate(SPOKEN_TEXTS_JS) == ["This was said."]


def test_dropped_old_messages_are_not_announced_again(screen_reader_page: Page) -> None:
    screen_reader_page.evaluate(ADD_MESSAGE_JS, [f"Number {i}." for i in range(6)])
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.length === 6")
    screen_reader_page.evaluate("""() => document.querySelectorAll("#log p").forEach((p, i) => {
      p.textContent = i < 5 ? `Number ${i + 1}.` : "Something quite new."; })""")
    screen_reader_page.wait_for_function(f"{SPOKEN_TEXTS_JS}.at(-1) === 'Something quite new.'")
    assert len(screen_reader_page.evaluate(SPOKEN_TEXTS_JS)) == 7


def test_cost_warning_is_announced_once(screen_reader_page: Page) -> None:
    for answer in range(3):
        screen_reader_page.evaluate(
            """(n) => { document.getElementById("voice-figures").innerHTML =
                `<div class="figures">${n}<span class="warning">Nearly spent.</span></div>`; }""",
            answer,
        )
        screen_reader_page.wait_for_timeout(50)
    assert screen_reader_page.evaluate(SPOKEN_TEXTS_JS) == ["Nearly spent."]
