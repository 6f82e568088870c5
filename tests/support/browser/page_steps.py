"""Steps on the page that several browser tests share."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Frame, Page

from .browser_page import EVENT_TIMEOUT_S, BrowserPage

VIEWPORT_SIZES = {"phone": (360, 640), "tablet": (768, 1024), "wide": (1920, 1080)}


def serious_violations(found: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Return the serious and critical violations in a report of axe-core."""
    return [
        (each["id"], each["help"], [node["html"][:160] + node["failureSummary"] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


AUDIO_IN_FLIGHT_S = 0.3
"""Seconds of audio that may still be played after the page shows a truncated reply."""


def assert_silent_after_cut(caller: BrowserPage) -> None:
    """Wait until the page shows a truncated reply; assert half a second of silence after it."""
    caller.page.wait_for_selector("#voice-chat .unheard", state="attached", timeout=EVENT_TIMEOUT_S * 1000)
    cut = caller.audio_clock_s() + AUDIO_IN_FLIGHT_S
    caller.wait_until("(t) => caller.now() > t", cut + 0.5)
    rest = caller.recorded_output(cut, cut + 0.5)
    assert float((rest**2).mean()) ** 0.5 < 0.003, "the reply is audible after the truncation"


def wait_for_messages(caller: BrowserPage, role: str, count: int, timeout: float = EVENT_TIMEOUT_S) -> None:
    """Wait until the page shows `count` messages with text of that role."""
    testid = "user" if role == "user" else "bot"
    caller.wait_until(
        """([id, count]) => [...document.querySelectorAll(`#voice-chat [data-testid=${id}]`)]
            .filter((e) => e.innerText.trim().replace('…', '')).length >= count""",
        [testid, count],
        timeout,
    )


def wait_for_whole_reply(caller: BrowserPage, since: float) -> float:
    """Wait until a reply that began after `since` has ended; return that time."""
    caller.wait_until_loud(since)
    caller.wait_for_stage("listening")
    caller.wait_until_quiet(1.0)
    return caller.audio_clock_s()


def open_settings(page: Page | Frame, *groups: str) -> None:
    """Open the settings panel and groups of it: "voice", "listening", "persona", "devices", "key", "display"."""
    if page.locator("#settings-open").get_attribute("aria-expanded") != "true":
        page.locator("#settings-open").click()
    for group in groups:
        header = page.locator(f".group-{group} > .label-wrap")
        if "open" not in (header.get_attribute("class") or "").split():
            header.click()


def close_settings(page: Page | Frame) -> None:
    """Close the settings panel, if it is open."""
    if page.locator("#settings-open").get_attribute("aria-expanded") == "true":
        page.locator("#settings-close").click()


def choose_option(page: BrowserPage, field: str, option: str) -> None:
    """Choose an option of a drop-down list or of a group of radio buttons of the open panel, by its words."""
    chosen = page.page.locator(f"#{field}")
    if chosen.get_by_role("radio").count():
        chosen.locator("label").filter(has_text=re.compile(f"^\\s*{re.escape(option)}\\s*$")).click()
        return
    chosen.locator("input").click()
    page.page.get_by_role("option", name=option, exact=True).click()
