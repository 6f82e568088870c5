"""Outbox: no typed message is lost or sent twice, whatever happens to the page and its server on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.app.app_process import OPERATOR_KEY, AppProcess, running_app
from tests.support.browser.page_errors import LOST_SERVER_ERRORS
from tests.support.browser.text_chat_page import TextChatPage
from tests.support.realtime.fake_echo_server import EchoRealtimeServer

pytestmark = pytest.mark.beside

EARLIER, MESSAGE = "Earlier.", "What is two plus two?"
KEPT_JS = "() => sessionStorage.getItem('voice-outbox')"
KEPT_COPY_JS = "(text) => (sessionStorage.getItem('voice-history-copy') ?? '').includes(text)"


def environment(echo_server: EchoRealtimeServer) -> dict[str, str]:
    return {"REALTIME_URL": echo_server.url, "REALTIME_API_KEY": OPERATOR_KEY, "VANISHED_SECONDS": "3"}


def texts_of_visitor(page: TextChatPage) -> list[str]:
    return [message.text for message in page.chat_messages() if message.role == "user"]


def wait_until_answered(page: TextChatPage, count: int) -> None:
    """Wait until the chat has that many messages of both sides, and nothing is on its way."""
    page.wait_until("n => document.querySelectorAll('#text-chat [data-testid]').length >= n", count)
    page.wait_for_chat_stage("listening")
    page.wait_until(f"() => ({KEPT_JS})() === null")


@LOST_SERVER_ERRORS
@pytest.mark.parametrize(
    "is_noticed", [pytest.param(False, id="at once"), pytest.param(True, id="noticed", marks=pytest.mark.long)]
)
def test_message_for_a_dead_server_arrives_after_its_restart(
    echo_server: EchoRealtimeServer, browser: Browser, tmp_path: Path, is_noticed: bool
) -> None:
    with running_app(tmp_path / "first.log", **environment(echo_server)) as first:
        first.wait_for_health(lambda health: health["http"] == 200, timeout=60)
        page = TextChatPage(browser, first.url)
        page.send_and_await_reply(EARLIER)
        page.wait_until(KEPT_COPY_JS, EARLIER)
        page.page.evaluate("window.isEarlierDocument = true")
        first.kill()
        if is_noticed:
            page.page.wait_for_selector("html[data-offline]")
        page.send_message(MESSAGE)
        page.page.wait_for_selector("html[data-offline]")
        expect(page.page.locator("#text-outbox li")).to_contain_text(MESSAGE)
        assert page.message_box.input_value() == ""
    with running_app(tmp_path / "second.log", PORT=str(first.port), **environment(echo_server)):
        page.wait_until("() => !window.isEarlierDocument")
        page.select_tab("Text")
        page.wait_until("(text) => document.querySelector('#text-chat')?.textContent.includes(text)", MESSAGE)
        wait_until_answered(page, 4)
        assert texts_of_visitor(page) == [EARLIER, MESSAGE]
        page.close()


def lose_request(page: TextChatPage) -> None:
    page.page.route("**/queue/join*", lambda route: None)  # held: it never reaches the server
    with page.page.expect_request("**/queue/join*"):
        page.send_message(MESSAGE)
    page.page.unroute_all(behavior="ignoreErrors")


def lose_answer(page: TextChatPage) -> None:
    page.page.evaluate("() => { window.voiceOutbox.acknowledge = () => {}; }")
    page.send_message(MESSAGE)
    page.wait_until("n => document.querySelectorAll('#text-chat [data-testid]').length >= n", 4)
    page.wait_for_chat_stage("listening")


@pytest.mark.parametrize("lose", [lose_request, lose_answer])
def test_message_that_was_on_its_way_before_a_reload_arrives_once(
    echo_app: AppProcess, browser: Browser, lose: Callable[[TextChatPage], None]
) -> None:
    page = TextChatPage(browser, echo_app.url)
    page.send_and_await_reply(EARLIER)
    lose(page)
    assert MESSAGE in page.page.evaluate(KEPT_JS)
    page.page.reload(wait_until="domcontentloaded")
    page.select_tab("Text")
    page.wait_until("(text) => document.querySelector('#text-chat')?.textContent.includes(text)", MESSAGE)
    page.wait_until(f"() => ({KEPT_JS})() === null")
    page.send_and_await_reply("Later.")
    assert texts_of_visitor(page) == [EARLIER, MESSAGE, "Later."]
    page.close()


def test_messages_typed_quickly_keep_their_order(echo_app: AppProcess, browser: Browser) -> None:
    page = TextChatPage(browser, echo_app.url)
    sent = [f"Message {number}" for number in range(6)]
    for text in sent:
        page.send_message(text)
        assert page.message_box.input_value() == ""
    page.wait_until("(text) => document.querySelector('#text-chat').textContent.includes(text)", sent[-1])
    page.wait_until(f"() => ({KEPT_JS})() === null")
    page.wait_for_chat_stage("listening")
    assert texts_of_visitor(page) == sent
    page.close()


@LOST_SERVER_ERRORS
@pytest.mark.parametrize("draft", [pytest.param("", marks=pytest.mark.long), "A draft"])
def test_waiting_message_is_taken_back_before_the_draft(
    echo_server: EchoRealtimeServer, browser: Browser, tmp_path: Path, draft: str
) -> None:
    with running_app(tmp_path / "app.log", **environment(echo_server)) as app:
        app.wait_for_health(lambda health: health["http"] == 200, timeout=60)
        page = TextChatPage(browser, app.url)
        page.wait_for_chat_stage("idle")
        app.kill()
        page.page.wait_for_selector("html[data-offline]")
        page.send_message(MESSAGE)
        row = page.page.locator("#text-outbox li")
        expect(row).to_contain_text("waits for the connection")
        page.message_box.fill(draft)
        row.get_by_role("button", name="Take back").click()
        expect(row).to_have_count(0)
        expect(page.message_box).to_have_value(f"{MESSAGE}\n{draft}" if draft else MESSAGE)
        expect(page.message_box).to_be_focused()
        assert page.page.evaluate(KEPT_JS) is None
        page.close()


def test_refused_message_leaves_the_draft_alone(echo_app: AppProcess, browser: Browser) -> None:
    page = TextChatPage(browser, echo_app.url)
    page.send_and_await_reply(EARLIER)
    too_long = "x" * 200_000
    page.message_box.fill(too_long)
    page.page.keyboard.press("Enter")
    page.page.keyboard.insert_text("A draft")
    row = page.page.locator("#text-outbox li")
    expect(row).to_contain_text("not sent")
    expect(page.message_box).to_have_value("A draft")
    page.page.keyboard.press("Enter")
    wait_for_message = "(text) => document.querySelector('#text-chat').textContent.includes(text)"
    page.wait_until(wait_for_message, "A draft")
    row.get_by_role("button", name="Take back").click()
    expect(page.message_box).to_have_value(too_long)
    page.close()


def duplicate(page: Page) -> Page:
    """Open a tab with a copy of the session storage, as "Duplicate tab" does."""
    with page.context.expect_page() as opened:
        page.evaluate("() => { window.open(location.href); }")
    return opened.value


def test_duplicated_tab_is_a_conversation_of_its_own(echo_app: AppProcess, browser: Browser) -> None:
    page = TextChatPage(browser, echo_app.url)
    page.send_and_await_reply(EARLIER)
    page.wait_until(KEPT_COPY_JS, EARLIER)
    id_js, token_js = (f"() => sessionStorage.getItem('{key}')" for key in ("voice-history-id", "voice-resume"))
    waiting = {"voice": [], "text": [{"id": "a" * 32, "text": MESSAGE, "isRefused": False}]}
    page.page.evaluate("(each) => sessionStorage.setItem('voice-outbox', JSON.stringify(each))", waiting)
    copy = duplicate(page.page)
    copy.get_by_role("tab", name="Text", exact=True).click()
    expect(copy.locator("#text-chat")).to_contain_text(EARLIER)
    own = page.page.evaluate(id_js)
    copy.wait_for_function("(own) => ![null, own].includes(sessionStorage.getItem('voice-history-id'))", arg=own)
    assert copy.evaluate(token_js) != page.page.evaluate(token_js)
    assert copy.evaluate(KEPT_JS) is None
    copy.locator("#text-input textarea").fill("In the copy only.")
    copy.keyboard.press("Enter")
    expect(copy.locator("#text-chat")).to_contain_text("In the copy only.")
    expect(copy.locator("#text-chat")).not_to_contain_text(MESSAGE)
    page.send_and_await_reply("In the first only.")
    assert texts_of_visitor(page) == [EARLIER, "In the first only."]
    page.context.close()
