"""Layout: at every window size, in both tabs and languages, nothing is covered, and what is needed is in view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.app.app_process import AppProcess
from tests.support.browser.page_geometry import VIEWPORTS, layout_faults, measure_conversation, settle
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.browser.page_steps import close_settings, open_settings
from tests.support.browser.text_chat_page import TextChatPage

pytestmark = pytest.mark.beside

NEEDED = {"voice": (CALL_BUTTON, "#voice-input textarea"), "text": ("#text-send", "#text-input textarea")}
"""What has to be inside the window, in each tab."""
LONG_TEXT = {
    "en-US": "The quick brown fox jumps over the lazy dog, and then it lies down in the shade of the old oak tree. "
    * 2,
    "zh-TW": "潮汐是因為月亮的引力比較靠近的那一側的海水被拉得比較多所以海面會隆起地球轉動時每個地方一天會經過兩次。"
    * 2,
}
SHORT_TEXTS = {"en-US": ["Good morning.", "And at noon?", "Thank you."], "zh-TW": ["早安。", "那中午呢？", "謝謝你。"]}


@pytest.fixture(params=["en-US", "zh-TW"])
def page(request: pytest.FixtureRequest, echo_app: AppProcess, browser: Browser) -> Iterator[TextChatPage]:
    locale = request.param
    page = TextChatPage(browser, echo_app.url, locale=locale, tab="Voice" if locale == "en-US" else "語音")
    page.wait_for_stage("idle")
    yield page
    assert not page.errors
    page.close()


def select_tab(page: Page, tab: str) -> None:
    page.locator(f"#{tab}-tab-button").click()
    page.wait_for_function("tab => document.documentElement.dataset.tab === tab", arg=tab)


def faults_at_every_size(page: Page, tab: str) -> dict[Any, list[str]]:
    """Return the faults of a tab by window size, where there are any."""
    found = {}
    for width, height in VIEWPORTS:
        page.set_viewport_size({"width": width, "height": height})
        settle(page)
        if faults := layout_faults(page, *NEEDED[tab]):
            found[tab, width, height] = faults
    return found


def fill(page: TextChatPage, locale: str) -> None:
    """Hold a conversation of eight messages in the tab `Text`, and one in a call, which goes on."""
    texts = [*SHORT_TEXTS[locale], LONG_TEXT[locale].strip()]
    select_tab(page.page, "text")
    for text in texts:
        page.send_and_await_reply(text)
    select_tab(page.page, "voice")
    page.start_call()
    for number, text in enumerate(texts, 1):
        page.send_typed_message(text)
        page.wait_until(
            "n => document.querySelectorAll('#voice-chat [data-testid=bot]').length === n"
            " && document.querySelector('#status [data-stage=listening]')",
            number,
        )


def test_nothing_covers_anything_on_a_first_visit(page: TextChatPage) -> None:
    for tab in NEEDED:
        select_tab(page.page, tab)
        assert faults_at_every_size(page.page, tab) == {}


def test_nothing_covers_anything_beside_the_open_settings(page: TextChatPage) -> None:
    for tab in NEEDED:
        select_tab(page.page, tab)
        page.page.set_viewport_size({"width": 1280, "height": 800})
        open_settings(page.page, "voice", "listening", "persona", "devices", "key", "display")
        for width, height in VIEWPORTS:
            if width < 720:
                continue  # a sheet over the conversation
            page.page.set_viewport_size({"width": width, "height": height})
            settle(page.page)
            assert layout_faults(page.page, *NEEDED[tab]) == [], (tab, width, height)
        close_settings(page.page)


def test_conversation_is_readable_at_every_size(page: TextChatPage, request: pytest.FixtureRequest) -> None:
    locale = request.node.callspec.params["page"]
    fill(page, locale)
    for tab in ("voice", "text"):
        select_tab(page.page, tab)
        assert faults_at_every_size(page.page, tab) == {}
        page.page.set_viewport_size({"width": 1280, "height": 800})
        settle(page.page)
        shown = measure_conversation(page.page, tab, bubbles=6)
        assert shown.whole_bubbles >= 6
        assert shown.longest_line <= 72
    select_tab(page.page, "voice")
    page.hang_up()
    assert faults_at_every_size(page.page, "voice") == {}


CODE = "```python\nif number:\n    return " + "number + " * 20 + "1\n```\nIt adds " + "`number` " * 12
CODE_BOXES_JS = """() => {
  const bubble = document.querySelector("#text-chat .bot-row:last-of-type .message").getBoundingClientRect();
  const code = document.querySelector("#text-chat pre > code");
  const words = [...code.querySelectorAll("*")].filter((e) => e.textContent.trim());
  const lines = words.map((e) => e.getBoundingClientRect().left);
  return [bubble.right, Math.min(...lines), code.getBoundingClientRect().left];
}"""


@pytest.mark.parametrize("tab", ["voice", "text"])
def test_message_box_has_a_scrollbar_only_for_what_is_too_long(page: TextChatPage, tab: str) -> None:
    select_tab(page.page, tab)
    box = page.page.locator(f"#{tab}-input textarea")
    measure = "box => [getComputedStyle(box).overflowY, box.scrollHeight > box.clientHeight]"
    assert box.evaluate(measure) == ["auto", False]
    box.fill("\n".join(str(number) for number in range(10)))
    page.page.wait_for_function("box => box.clientHeight > 100", arg=box.element_handle())
    assert box.evaluate(measure) == ["auto", True]
    box.fill("")


def test_code_scrolls_inside_its_bubble(echo_app: AppProcess, browser: Browser) -> None:
    page = TextChatPage(browser, echo_app.url)
    page.send_and_await_reply(CODE)
    for width, height in ((360, 740), (768, 1024)):
        page.page.set_viewport_size({"width": width, "height": height})
        settle(page.page)
        right, first_line, code_left = page.page.evaluate(CODE_BOXES_JS)
        assert right <= width
        assert code_left < first_line < code_left + 24, "the first line begins where the code does"
        assert layout_faults(page.page) == []
    page.close()
