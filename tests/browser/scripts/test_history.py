"""History of conversations in the browser: search, going on, export, delete, Clear and "Forget me"."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Request, Route, expect
from playwright.sync_api import Error as PlaywrightError

from tests.support.app.app_process import AppProcess
from tests.support.browser.text_chat_page import TextChatPage

pytestmark = pytest.mark.beside

KEPT_JS = """async () => (await window.voiceHistory.listAll()).length"""
EVERYTHING_KEPT_JS = """async () => {
  const read = (name) => new Promise((resolve) => {
    const opening = indexedDB.open(name);
    opening.onsuccess = () => {
      const stores = [...opening.result.objectStoreNames];
      if (!stores.length) return resolve([]);
      const all = stores.map((store) => new Promise((done) => {
        opening.result.transaction(store).objectStore(store).getAll().onsuccess = ({ target }) => done(target.result);
      }));
      Promise.all(all).then((found) => { opening.result.close(); resolve(found); });
    };
  });
  const databases = await Promise.all((await indexedDB.databases()).map(({ name }) => read(name)));
  return JSON.stringify([databases, { ...localStorage }, { ...sessionStorage }]);
}"""


@pytest.fixture
def open_page(echo_app: AppProcess, browser: Browser) -> Iterator[Callable[..., TextChatPage]]:
    """Yield a function that opens tabs of one browser on the text tab. It accepts every question of the page."""
    context = browser.new_context(accept_downloads=True)

    def visit() -> TextChatPage:
        page = TextChatPage(context, echo_app.url)
        page.page.on("dialog", lambda dialog: dialog.accept())
        return page

    yield visit
    context.close()


def kept(page: TextChatPage) -> str:
    """Return all that the browser keeps, as text."""
    return str(page.page.evaluate(EVERYTHING_KEPT_JS))


UNTIL_TRUE_JS = """async ([predicate, argument]) => {
  const is = eval(predicate);
  while (!(await is(argument))) await new Promise((resolve) => setTimeout(resolve, 20));
}"""
"""`wait_for_function` takes a promise for true."""


def wait_until(page: TextChatPage, predicate: str, argument: object = None) -> None:
    """Wait until an async function of the page returns true; after a reload, the function of the new document."""
    while True:
        try:
            page.page.evaluate(UNTIL_TRUE_JS, [predicate, argument])
            return
        except PlaywrightError as error:
            if "navigation" not in str(error):
                raise
            page.page.wait_for_function("() => window.voiceHistory")


def wait_until_kept(page: TextChatPage, text: str) -> None:
    """Wait until the newest reply is in the history."""
    wait_until(
        page,
        "async (text) => (await window.voiceHistory.listAll()).some((each) => each.search.includes(text))",
        text.lower(),
    )


def wait_for_count(page: TextChatPage, count: int) -> None:
    wait_until(page, f"async (n) => (await ({KEPT_JS})()) === n", count)


def open_list(page: TextChatPage) -> Locator:
    page.page.locator("#history-open").dispatch_event("click")
    return page.page.locator("#history-dialog")


def texts(page: TextChatPage) -> list[str]:
    return [message.text for message in page.chat_messages()]


def wait_until_restored(page: TextChatPage) -> None:
    """Wait until a page that was loaded again has its conversation."""
    wait_until(
        page, "async () => !window.isEarlierDocument && (await window.voiceHistory?.restored, window.voiceHistory)"
    )


def hold_saves(page: TextChatPage) -> list[Route]:
    """Hold back the answers to saves: return the requests that are under way, as they come."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if is_save(route.request):
            held.append(route)
        else:
            route.continue_()

    page.page.route("**/queue/join*", hold)
    return held


def is_save(request: Request) -> bool:
    """Return whether a request is for the record of a conversation: two states, a token and the conversation's id."""
    if "/queue/join" not in request.url:
        return False
    data = json.loads(request.post_data or "{}")["data"]
    return len(data) == 4 and data[:2] == [None, None] and re.fullmatch("[0-9a-f]{32}", str(data[3])) is not None


def test_past_conversation_is_found_opened_exported_and_deleted(open_page: Callable[..., TextChatPage]) -> None:
    first = open_page()
    first.send_and_await_reply('Sailing to "Kinmen"\nby boat')
    wait_until_kept(first, "kinmen")
    said = texts(first)
    page = open_page()
    page.send_and_await_reply("Cooking rice")
    wait_until_kept(page, "cooking rice")
    dialog = open_list(page)
    rows = dialog.locator(".history-open")
    expect(rows).to_have_count(2)
    for words, count in {"kinmen": 1, '"kinmen" by': 1, "RICE": 1, "user": 0, "done": 0, "parts": 0, "": 2}.items():
        dialog.locator(".history-search").fill(words)
        expect(rows).to_have_count(count)
    dialog.locator(".history-search").fill("kinmen")
    with page.page.expect_download() as download:
        dialog.locator(".history-export").click()
    exported = Path(download.value.path()).read_text("utf-8")
    assert 'Sailing to "Kinmen"' in exported and "**You:**" in exported and "rice" not in exported
    rows.click()
    expect(dialog).to_be_hidden()
    assert texts(page) == said
    page.send_and_await_reply("And back")
    wait_until_kept(page, "and back")
    dialog = open_list(page)
    expect(rows).to_have_count(2)  # it went on in its own entry, and the other one is unchanged
    dialog.locator(".history-search").fill("rice")
    dialog.locator(".history-delete").click()
    expect(dialog.locator(".empty")).to_be_visible()
    wait_for_count(page, 1)


def test_save_under_way_does_not_overwrite_the_opened_conversation(open_page: Callable[..., TextChatPage]) -> None:
    first = open_page()
    first.send_and_await_reply("Sailing to Kinmen")
    wait_until_kept(first, "kinmen")
    page = open_page()
    held = hold_saves(page)
    with page.page.expect_request(is_save):
        page.send_and_await_reply("Cooking rice")
    dialog = open_list(page)
    dialog.locator(".history-open").click()
    expect(dialog).to_be_hidden()
    with page.page.expect_response("**/queue/join*"):
        held.pop(0).continue_()
    page.page.unroute("**/queue/join*")
    page.send_and_await_reply("And back")
    wait_until_kept(page, "and back")
    assert "rice" not in kept(page)
    wait_for_count(page, 1)


def test_refused_conversation_changes_nothing(open_page: Callable[..., TextChatPage]) -> None:
    page = open_page()
    page.send_and_await_reply("Cooking rice")
    wait_until_kept(page, "cooking rice")
    page.page.evaluate(
        """() => new Promise((resolve) => {
          const opening = indexedDB.open("voice-history");
          opening.onsuccess = () => {
            const stores = opening.result.transaction(["conversations", "listings"], "readwrite");
            stores.objectStore("conversations").put({ id: "broken", record: "{}" });
            stores.objectStore("listings").put({ id: "broken", updated: 1, title: "Broken", search: "broken" });
            stores.oncomplete = () => { opening.result.close(); resolve(); };
          };
        })"""
    )
    dialog = open_list(page)
    dialog.locator(".history-open", has_text="Broken").click()
    expect(dialog.locator(".history-note")).to_contain_text("Nothing has changed")
    said = texts(page)
    page.page.keyboard.press("Escape")
    page.send_and_await_reply("With beans")
    wait_until_kept(page, "with beans")
    assert texts(page)[: len(said)] == said
    wait_for_count(page, 2)


@pytest.mark.parametrize("is_save_under_way", [False, True])
def test_cleared_conversation_is_kept_nowhere(open_page: Callable[..., TextChatPage], is_save_under_way: bool) -> None:
    page = open_page()
    page.send_and_await_reply("Sailing to Kinmen")
    wait_until_kept(page, "kinmen")
    held = hold_saves(page) if is_save_under_way else []
    if is_save_under_way:
        with page.page.expect_request(is_save):
            page.send_message("Still Kinmen")
    page.page.locator("#text-clear").click()
    page.wait_until("() => !document.querySelector('#text-chat [data-testid]')")
    for route in held:
        with page.page.expect_response("**/queue/join*"):
            route.continue_()
    page.wait_until("() => !sessionStorage.getItem('voice-history-clearing')")
    page.page.unroute("**/queue/join*")
    page.page.reload()
    wait_until_restored(page)
    assert "Kinmen" not in kept(page)
    page.select_tab("Text")
    page.send_and_await_reply("Cooking rice")
    wait_until_kept(page, "cooking rice")
    assert "Kinmen" not in kept(page)


def test_forget_me_erases_the_browser_and_reaches_all_its_tabs(open_page: Callable[..., TextChatPage]) -> None:
    page, beside = open_page(), open_page()
    for each, words in ((page, "Sailing to Kinmen"), (beside, "Cooking rice")):
        each.send_and_await_reply(words)
        wait_until_kept(each, words)
        each.page.evaluate("window.isEarlierDocument = true")
    page.page.locator("#forget-me").dispatch_event("click")
    for each in (page, beside):
        wait_until_restored(each)
        assert texts(each) == []
        assert "Kinmen" not in kept(each) and "rice" not in kept(each)


@pytest.mark.allowed_page_errors("ERR_FAILED", "network error", "Connection errored out", "Failed to fetch")
def test_forget_me_without_a_server_erases_at_once_and_tells_it_later(open_page: Callable[..., TextChatPage]) -> None:
    page = open_page()
    page.send_and_await_reply("Sailing to Kinmen")
    wait_until_kept(page, "kinmen")
    token = page.page.evaluate("sessionStorage.getItem('voice-resume')")
    page.page.route("**/queue/join*", lambda route: None)  # never answered
    page.page.evaluate("window.voiceOutbox.push('text', 'Kinmen, not sent')")
    page.page.locator("#forget-me").dispatch_event("click")
    wait_until(page, "async () => (await window.voiceHistory.listAll()).length === 0")
    page.page.evaluate("window.voiceResume.noteCall(1, true)")
    assert "Kinmen" not in kept(page) and "voice-call-up" not in kept(page)
    expect(page.page.locator("#text-outbox li")).to_have_count(0)
    page.page.unroute("**/queue/join*")
    page.page.reload()
    page.wait_until("() => window.voiceHistory && !localStorage.getItem('voice-forget-due')")
    wait_until_restored(page)
    page.page.add_init_script(f"sessionStorage.setItem('voice-resume', '{token}')")
    page.page.reload()
    wait_until_restored(page)
    assert texts(page) == [], "the server has forgotten it too"


def test_full_browser_drops_the_oldest_conversations_then_tells(open_page: Callable[..., TextChatPage]) -> None:
    first = open_page()
    first.send_and_await_reply("Sailing to Kinmen")
    wait_until_kept(first, "kinmen")
    page = open_page()
    page.page.evaluate(
        """() => {
          const put = IDBObjectStore.prototype.put;
          IDBObjectStore.prototype.put = function (...given) {
            if (this.name === "conversations") throw new DOMException("full", "QuotaExceededError");
            return put.apply(this, given);
          };
        }"""
    )
    page.send_and_await_reply("Cooking rice")
    wait_until(
        page, "async () => !(await window.voiceHistory.listAll()).some((each) => each.search.includes('kinmen'))"
    )
    page.wait_until("() => window.voiceHistory.isFull()")
    expect(open_list(page).locator(".history-note")).to_contain_text("no room left")
