"""Own key after a reload: nothing is sent on the operator's key before the visitor has answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.app.app_process import OPERATOR_KEY, AppProcess
from tests.support.browser.page_geometry import layout_faults
from tests.support.browser.text_chat_page import TextChatPage
from tests.support.realtime.fake_echo_server import EchoRealtimeServer

pytestmark = pytest.mark.beside

VISITOR_KEY = "sk-visitor-canary"
MESSAGE = "What is two plus two?"
WAITING = {"voice": [], "text": [{"id": "a" * 32, "text": MESSAGE, "isRefused": False}]}
KEEP_JS = "(each) => sessionStorage.setItem('voice-outbox', JSON.stringify(each))"
KEPT_JS = "() => sessionStorage.getItem('voice-outbox')"
PLACES_JS = """() => {
  const places = (selector) => [...document.querySelectorAll(selector)].map((each) => each.getBoundingClientRect());
  const [[card], [text], buttons] = ["", " p", " button"].map((part) => places(`#voice-own-key${part}`));
  return {
    areButtonsInLine: buttons.length === 2 && Math.abs(buttons[0].top - buttons[1].top) < 0.5,
    areButtonsBelow: text.width > 0.75 * card.width && buttons.every(({ top }) => top >= text.bottom),
  };
}"""
"""Where the parts of the question stand."""
NOTE_JS = "() => sessionStorage.getItem('voice-own-key')"


def enter_key(page: TextChatPage, key: str) -> None:
    page.page.locator("#own-key-input input").fill(key)
    page.page.locator("#own-key-use").click()


def reload_with_lost_key(page: TextChatPage) -> None:
    """Use an own key, and reload the page, which loses it."""
    page.open_settings("key")
    enter_key(page, VISITOR_KEY)
    page.wait_until(f"() => ({NOTE_JS})() === 'yes'")
    page.close_settings()
    page.page.evaluate(KEEP_JS, WAITING)
    for _ in range(2):  # the question is not lost with a second reload
        page.page.reload(wait_until="domcontentloaded")
        page.page.wait_for_selector("#voice-own-key:not([hidden])")


def question(page: TextChatPage, tab: str) -> Locator:
    return page.page.locator(f"#{tab}-own-key")


def answer_with_key(page: TextChatPage) -> str:
    """Enter a key that is refused, and then the right one. Return the key that pays."""
    question(page, "text").get_by_role("button", name="Enter the key").click()
    expect(page.page.locator("#own-key-input input")).to_be_focused()
    enter_key(page, "not a key")
    expect(page.page.locator("#own-key-status")).to_contain_text("not an API key")
    expect(question(page, "text")).to_be_visible()
    enter_key(page, VISITOR_KEY)
    return VISITOR_KEY


def answer_without_key(page: TextChatPage) -> str:
    question(page, "text").get_by_role("button", name="Go on with this site's key").click()
    return OPERATOR_KEY


@pytest.mark.parametrize("answer", [answer_with_key, answer_without_key])
def test_waiting_message_is_held_until_the_visitor_has_answered(
    echo_app: AppProcess, echo_server: EchoRealtimeServer, browser: Browser, answer: Callable[[TextChatPage], str]
) -> None:
    page = TextChatPage(browser, echo_app.url)
    reload_with_lost_key(page)
    page.select_tab("Text")
    expect(question(page, "text")).to_contain_text("does not keep your own key")
    page.send_message("And three?")
    rows = page.page.locator("#text-outbox li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("waits for your choice of key")
    page.page.locator("#text-connect").click()
    expect(question(page, "text").get_by_role("button", name="Go on with")).to_be_focused()
    assert layout_faults(page.page) == []
    assert page.chat_messages() == []
    before = len(echo_server.authorizations)
    payer = answer(page)
    expect(question(page, "text")).to_be_hidden()
    page.wait_until(f"() => ({KEPT_JS})() === null")
    page.wait_until("() => document.querySelectorAll('#text-chat [data-testid]').length >= 4")
    page.wait_for_chat_stage("listening")
    assert [each.text for each in page.chat_messages() if each.role == "user"] == [MESSAGE, "And three?"]
    assert set(echo_server.authorizations[before:]) == {f"Bearer {payer}"}
    page.close()


def test_typed_message_of_a_call_is_held_until_the_visitor_has_answered(
    echo_app: AppProcess, echo_server: EchoRealtimeServer, browser: Browser
) -> None:
    page = TextChatPage(browser, echo_app.url, tab="Voice")
    reload_with_lost_key(page)
    page.wait_for_stage("idle")
    before = len(echo_server.authorizations)
    page.send_typed_message(MESSAGE)
    expect(page.page.locator("#voice-outbox li")).to_contain_text("waits for your choice of key")
    assert page.page.evaluate("voiceCallControl.isWanted()") is False
    assert layout_faults(page.page) == []
    assert echo_server.authorizations[before:] == []
    question(page, "voice").get_by_role("button", name="Go on with this site's key").click()
    page.wait_until("(text) => document.querySelector('#voice-chat')?.textContent.includes(text)", MESSAGE)
    page.wait_until(f"() => ({KEPT_JS})() === null")
    assert set(echo_server.authorizations[before:]) == {f"Bearer {OPERATOR_KEY}"}
    page.hang_up()
    page.close()


@pytest.mark.parametrize(
    ("locale", "said"), [("en-US", "with the key of this site."), ("zh-TW", "或改用本站的金鑰繼續。")]
)
def test_question_is_asked_in_the_language_of_the_page(
    echo_app: AppProcess, browser: Browser, locale: str, said: str
) -> None:
    page = TextChatPage(browser, echo_app.url, locale=locale, tab="Voice" if locale == "en-US" else "語音")
    page.page.evaluate("() => sessionStorage.setItem('voice-own-key', 'yes')")
    page.page.reload(wait_until="domcontentloaded")
    expect(question(page, "voice")).to_contain_text(said)
    page.wait_until(f"() => ({PLACES_JS})().areButtonsInLine")
    page.page.set_viewport_size({"width": 390, "height": 844})
    page.wait_until(f"() => ({PLACES_JS})().areButtonsBelow")
    assert layout_faults(page.page) == []
    page.close()
