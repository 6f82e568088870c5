"""Load of the page in a browser without a cache: time until the call button can be pressed, and transferred bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser

from tests.support.browser.page_scripts import CALL_BUTTON

LOAD_TIMEOUT_S = 90.0
QUIET_MS = 800
"""Milliseconds without a new request or byte after which a load counts as complete."""

WHEN_PRESSABLE_SCRIPT = """(() => {
  const BUTTON = CALL_BUTTON;
  const isPressable = () => {
    if (!document.querySelector("#status [data-stage=idle]")) return false;
    const button = document.querySelector(BUTTON);
    if (!button || button.disabled) return false;
    const box = button.getBoundingClientRect();
    const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return box.width > 0 && button.contains(hit);
  };
  const look = () => {
    if (isPressable()) window.pressableMs = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();""".replace("CALL_BUTTON", json.dumps(CALL_BUTTON))
"""Sets `pressableMs`: milliseconds from the start of the navigation until a click would reach the call button."""


@dataclass(frozen=True)
class NetworkSpeed:
    """Speed of an emulated network."""

    name: str
    round_trip_ms: float
    download_kbit_s: float


LOCAL = NetworkSpeed("local", 0, 0)
"""No emulation."""
MOBILE = NetworkSpeed("mobile", 150, 1600)
"""Slow mobile network: the figures of Lighthouse's "Slow 4G"."""


@dataclass(frozen=True)
class PageLoad:
    """One load of the page."""

    pressable_ms: float
    transferred_bytes: int
    """Bytes of all responses with their headers, as the network carries them."""
    requests: int
    document_bytes: int
    """Transferred bytes of the HTML document."""
    main_thread_ms: float
    """CPU time of the page's main thread from the navigation until the page is quiet. Other programs do not change it
    much, unlike `pressable_ms`."""


def main_thread_cpu_ms(cdp: Any) -> float:
    """Return the CPU time of the page's main thread so far, in ms. The domain Performance must be enabled."""
    metrics = cdp.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration")) * 1000


def count_main_thread_cpu(cdp: Any) -> None:
    """Begin to count the CPU time of the page's main thread, without time in which other programs run."""
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})


class _Traffic:
    """Counts what a page transfers (Chrome DevTools Protocol, domain Network)."""

    def __init__(self, cdp: Any) -> None:
        self.document_bytes = 0
        self._sizes: dict[str, int] = {}
        self._documents: set[str] = set()
        self.activity_count = 0
        cdp.on("Network.requestWillBeSent", self._on_request)
        cdp.on("Network.responseReceived", self._on_response)
        cdp.on("Network.dataReceived", self._on_data)
        cdp.on("Network.loadingFinished", self._on_finished)

    @property
    def transferred_bytes(self) -> int:
        return sum(self._sizes.values())

    @property
    def requests(self) -> int:
        return len(self._sizes)

    def _on_request(self, event: Any) -> None:
        if event["request"]["url"].startswith("data:"):
            return
        self.activity_count += 1
        self._sizes.setdefault(event["requestId"], 0)
        if event.get("type") == "Document":
            self._documents.add(event["requestId"])

    def _on_response(self, event: Any) -> None:
        if event["requestId"] in self._sizes:
            self._sizes[event["requestId"]] = int(event["response"]["encodedDataLength"])  # its headers

    def _on_data(self, event: Any) -> None:
        if event["requestId"] in self._sizes:
            self._sizes[event["requestId"]] += int(event["encodedDataLength"])

    def _on_finished(self, event: Any) -> None:
        if event["requestId"] in self._sizes:
            self.activity_count += 1
            self._sizes[event["requestId"]] = int(event["encodedDataLength"])
            if event["requestId"] in self._documents:
                self.document_bytes = self._sizes[event["requestId"]]


def measure_page_load(browser: Browser, url: str, network: NetworkSpeed) -> PageLoad:
    """Load the page once in a new browser context, which has no cache and no cookie."""
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        cdp = context.new_cdp_session(page)
        cdp.send("Network.enable")
        count_main_thread_cpu(cdp)
        cpu_before = main_thread_cpu_ms(cdp)
        traffic = _Traffic(cdp)
        if network.download_kbit_s:
            bytes_per_s = network.download_kbit_s * 1000 / 8
            speeds = {"downloadThroughput": bytes_per_s, "uploadThroughput": bytes_per_s / 2}
            cdp.send("Network.emulateNetworkConditions", {"offline": False, "latency": network.round_trip_ms, **speeds})
        page.add_init_script(WHEN_PRESSABLE_SCRIPT)
        page.goto(url, wait_until="commit", timeout=LOAD_TIMEOUT_S * 1000)
        page.wait_for_function("() => window.pressableMs", timeout=LOAD_TIMEOUT_S * 1000, polling=100)
        pressable_ms = float(page.evaluate("window.pressableMs"))
        before = -1
        while before != traffic.activity_count:
            before = traffic.activity_count
            page.wait_for_timeout(QUIET_MS)
        cpu_ms = main_thread_cpu_ms(cdp) - cpu_before
        return PageLoad(pressable_ms, traffic.transferred_bytes, traffic.requests, traffic.document_bytes, cpu_ms)
    finally:
        context.close()
