"""Captions of a call: time from a text delta of the server to the painted word, and the bytes of an update."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser

from tests.support.browser.browser_page import BrowserPage
from tests.support.realtime.scripted.scripted_call_server import ScriptedCallServer

from .page_load import count_main_thread_cpu, main_thread_cpu_ms

WORDS_PER_REPLY = 60
"""Words of each growing reply: three seconds at 20 words per second."""
WARM_UP_WORDS = 20
SETTLE_MS = 500
"""Milliseconds in which the counts of what was received before arrive from the browser."""
VIEWPORT = {"width": 1280, "height": 800}

COUNT_BUBBLES_SCRIPT = """(count) =>
  document.querySelectorAll("#voice-chat [data-testid=user], #voice-chat [data-testid=bot]").length >= count"""

WATCH_WORDS_SCRIPT = """(() => {
  const painted = (window.paintedWords = {});
  const seen = new Set();
  const channel = new MessageChannel(); // its message follows the frame that requestAnimationFrame announced
  const waiting = [];
  channel.port1.onmessage = () => {
    const now = performance.now();
    for (const word of waiting.splice(0)) painted[word] = now;
  };
  new MutationObserver(() => {
    const fresh = [];
    for (const bubble of [...document.querySelectorAll("#voice-chat [data-testid=bot]")].slice(-2)) {
      for (const [word] of bubble.textContent.matchAll(/\\bw\\d{5}\\b/g)) {
        if (seen.has(word)) continue;
        seen.add(word);
        fresh.push(word);
      }
    }
    if (!fresh.length) return;
    requestAnimationFrame(() => {
      waiting.push(...fresh);
      channel.port2.postMessage(null);
    });
  }).observe(document, { childList: true, subtree: true, characterData: true });
})();"""
"""Fills `paintedWords`: `performance.now()` after the frame that shows a word."""


@dataclass(frozen=True)
class CaptionDelays:
    """Captions of several growing replies below a number of earlier messages."""

    bubbles: int
    """Messages shown before."""
    delays_ms: list[float]
    """Of each word, in order."""
    bytes_per_word: float
    """Bytes of the page's event stream, decoded, for each word."""
    main_thread_ms_per_word: float
    """CPU time of the page's main thread while the replies grow, for each word."""


class _StreamBytes:
    """Counts the bytes that the page receives from Gradio's event stream."""

    def __init__(self, cdp: Any) -> None:
        self.total = 0
        self._streams: set[str] = set()
        cdp.on("Network.requestWillBeSent", self._on_request)
        cdp.on("Network.dataReceived", self._on_data)

    def _on_request(self, event: Any) -> None:
        if "/queue/data" in event["request"]["url"]:
            self._streams.add(event["requestId"])

    def _on_data(self, event: Any) -> None:
        if event["requestId"] in self._streams:
            self.total += int(event["dataLength"])


def page_clock_offset_ms(caller: BrowserPage) -> float:
    """Return what to add to `time.monotonic()` in ms to get `performance.now()`, by the quickest of 30 readings."""
    best = (0.0, float("inf"))
    for _ in range(30):
        before = time.monotonic()
        now = float(caller.page.evaluate("performance.now()"))
        after = time.monotonic()
        if after - before < best[1]:
            best = now - (before + after) / 2 * 1000, after - before
    return best[0]


def measure_captions(
    browser: Browser, url: str, server: ScriptedCallServer, bubbles: int, replies: int, per_second: float
) -> CaptionDelays:
    """Call, show `bubbles` messages, and let `replies` replies grow below them."""
    caller = BrowserPage(browser, url, after=WATCH_WORDS_SCRIPT)
    try:
        caller.page.set_viewport_size(VIEWPORT)
        cdp = caller.context.new_cdp_session(caller.page)
        cdp.send("Network.enable")
        stream = _StreamBytes(cdp)
        caller.start_call()
        server.wait_until_connected()
        server.add_messages(bubbles)
        caller.wait_until(COUNT_BUBBLES_SCRIPT, bubbles)
        _grow(caller, server, WARM_UP_WORDS, per_second)
        caller.page.wait_for_timeout(SETTLE_MS)
        count_main_thread_cpu(cdp)
        sent_at: dict[str, float] = {}
        bytes_before, cpu_before = stream.total, main_thread_cpu_ms(cdp)
        for _ in range(replies):
            sent_at |= _grow(caller, server, WORDS_PER_REPLY, per_second)
        cpu_ms = main_thread_cpu_ms(cdp) - cpu_before
        caller.page.wait_for_timeout(SETTLE_MS)
        received = stream.total - bytes_before
        offset = page_clock_offset_ms(caller)
        painted: dict[str, float] = caller.page.evaluate("window.paintedWords")
        delays = [painted[word] - (at * 1000 + offset) for word, at in sent_at.items()]
        caller.hang_up()
        return CaptionDelays(bubbles, delays, received / len(sent_at), cpu_ms / len(sent_at))
    finally:
        caller.close()


def _grow(caller: BrowserPage, server: ScriptedCallServer, words: int, per_second: float) -> dict[str, float]:
    """Let one reply grow, and return when its words were sent once all of them are painted."""
    sent_at = server.grow_reply(words, per_second)
    caller.wait_until("(word) => word in window.paintedWords", list(sent_at)[-1])
    caller.wait_for_stage("listening")
    return sent_at
