"""Cost of a growing caption: below a long conversation, one word sends and reads no earlier message."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.support.app.app_process import AppProcess
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_scripts import CALL_BUTTON
from tests.support.realtime.scripted.scripted_call_server import FILLER, ScriptedCallServer

EARLIER_MESSAGES = 40
WORDS = 30

CURVES_JS = """() => [...document.querySelectorAll("#voice-call .wave-path")].map((curve) => curve.getAttribute("d"))"""
RECORD_COST_SCRIPT = """(() => {
  window.received = "";
  const fetchNow = window.fetch;
  window.fetch = async (...request) => {
    const response = await fetchNow(...request);
    if (!String(request[0]?.url ?? request[0]).includes("/queue/data")) return response;
    const [mine, theirs] = response.body.tee();
    (async () => {
      const reader = mine.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) window.received += part.value;
    })().catch(() => {}); // the page has closed the stream
    return new Response(theirs, { status: response.status, headers: response.headers });
  };
  window.textsRead = 0; // of messages that are not the newest one
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLElement.prototype, "innerText");
  Object.defineProperty(HTMLElement.prototype, "innerText", {
    configurable: true,
    set,
    get() {
      const row = this.closest("#voice-chat .message-row");
      if (row?.nextElementSibling?.matches(".message-row")) window.textsRead++;
      return get.call(this);
    },
  });
})();"""


def grow_reply(caller: BrowserPage, server: ScriptedCallServer) -> None:
    """Let a reply grow, and wait until the page shows its last word and has kept the conversation."""
    last = list(server.grow_reply(WORDS, per_second=40))[-1]
    caller.wait_until("(word) => document.querySelector('#voice-chat').textContent.includes(word)", last)
    caller.wait_for_stage("listening")
    caller.wait_until("(word) => sessionStorage.getItem('voice-history-copy')?.includes(word)", last)


def test_growing_reply_sends_and_reads_no_earlier_message(
    scripted_app: AppProcess, browser: Browser, scripted_server: ScriptedCallServer
) -> None:
    caller = BrowserPage(browser, scripted_app.url, after=RECORD_COST_SCRIPT)
    try:
        caller.start_call()
        scripted_server.wait_until_connected()
        scripted_server.add_messages(EARLIER_MESSAGES)
        grow_reply(caller, scripted_server)
        copy_before = str(caller.page.evaluate("sessionStorage.getItem('voice-history-copy')"))
        assert copy_before.count(FILLER) == EARLIER_MESSAGES
        caller.page.evaluate("received = ''; textsRead = 0")
        grow_reply(caller, scripted_server)
        received = str(caller.page.evaluate("received"))
        assert received.count("process_generating") > WORDS / 4, "nothing was recorded"
        assert FILLER not in received
        assert caller.page.evaluate("textsRead") <= 2, "the reply that has become an earlier message is read once more"
        copy = str(caller.page.evaluate("sessionStorage.getItem('voice-history-copy')"))
        assert copy.count(FILLER) == EARLIER_MESSAGES and copy.count("w0") == 2 * WORDS
    finally:
        caller.close()


def test_hidden_wave_of_the_component_is_not_computed(
    scripted_app: AppProcess, browser: Browser, scripted_server: ScriptedCallServer
) -> None:
    caller = BrowserPage(browser, scripted_app.url)
    try:
        for step in (lambda: None, caller.start_call, caller.hang_up):
            step()
            caller.page.wait_for_selector(CALL_BUTTON)
            assert caller.page.locator("#voice-call .wave-path").count()
            curves, begin_s = caller.page.evaluate(CURVES_JS), caller.audio_clock_s()
            caller.wait_until("(t) => caller.now() > t", begin_s + 0.3)
            assert caller.page.evaluate(CURVES_JS) == curves
        scripted_server.wait_until_connected()
    finally:
        caller.close()
