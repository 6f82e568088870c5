"""Page object for browser tests: a fake microphone that plays recordings, and a recorder of the page's output.

Both use one clock in the page (an AudioContext at 24 kHz), so that durations are exact. Only the audio devices are
fake: the code of the page, fastrtc's component, WebRTC and Opus are real.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from .page_scripts import CALL_BUTTON, FAKE_AUDIO_DEVICES_SCRIPT

EVENT_TIMEOUT_S = 100.0
"""Seconds to wait for an event. A busy computer may need a third of it."""

SWITCHED_OFF = (
    # What Playwright switches off: Chromium takes the last list only.
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "PreconnectToSearch"),
    # Suggestions of the address bar: a page of its own in each window, a second of processor time.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebuiOmniboxAimPopup"),
)
"""Features of Chromium."""
CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    f"--disable-features={','.join(SWITCHED_OFF)}",
]


@dataclass(frozen=True)
class SpokenInterval:
    """Start and end of a played recording, in seconds of the page's audio clock."""

    begin_s: float
    end_s: float


@dataclass(frozen=True)
class ShownMessage:
    """Message as shown on the page."""

    role: str
    text: str


class BrowserPage:
    """Drives one page, and its voice tab."""

    def __init__(
        self,
        browser: Browser | BrowserContext,
        url: str,
        *,
        locale: str = "en-US",
        before: str = "",
        after: str = "",
        scheme: str = "light",
        cookies: Sequence[Any] = (),
        size: tuple[int, int] = (1000, 800),
    ) -> None:
        """Open the page in a new browser context.

        `browser`: or a context, which is used as it is. `before`, `after`: scripts that run before or after the fake
        devices, and always before the page's scripts. `cookies`: initial cookies. `size`: width and height of the
        window, in px.
        """
        self.context: BrowserContext = (
            browser.new_context(locale=locale, viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
            if isinstance(browser, Browser)
            else browser
        )
        self.context.add_cookies(list(cookies))
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(before + FAKE_AUDIO_DEVICES_SCRIPT + after)
        self.page.goto(url, wait_until="domcontentloaded")
        self.page.wait_for_selector(CALL_BUTTON)
        self.page.evaluate("caller.ready")

    # ---------------------------------------------------------------- actions

    def press_call_button(self, *, force: bool = False) -> None:
        """Press the round button. `force`: also one that the style sheet blocks."""
        if force:
            self.page.locator(CALL_BUTTON).dispatch_event("click")
        else:
            self.page.locator(CALL_BUTTON).click()

    def start_call(self) -> None:
        """Press the green button and wait until the call listens."""
        self.wait_for_stage("idle", "ended", "failed")
        self.press_call_button()
        self.wait_for_stage("listening")

    def hang_up(self) -> None:
        self.press_call_button()
        self.wait_for_stage("ended")

    def play_speech(self, samples: NDArray[np.float32]) -> SpokenInterval:
        begin, end = self.page.evaluate("(s) => caller.say(s)", base64.b64encode(samples.tobytes()).decode())
        return SpokenInterval(begin, end)

    def send_typed_message(self, text: str) -> None:
        self.page.locator("#voice-input textarea").fill(text)
        self.page.keyboard.press("Enter")

    def open_settings(self, group: str) -> None:
        """Open the settings panel, and one of its groups, where they are closed. `group`: its name, as "devices"."""
        if self.page.get_attribute("html", "data-panel") != "open":
            self.page.locator("#settings-open").click()
        title = self.page.locator(f"#settings .group-{group} > .label-wrap")
        title.wait_for()
        if title.get_attribute("aria-expanded") != "true":
            title.click()

    def close_settings(self) -> None:
        self.page.locator("#settings-close").click()

    def open_more_menu(self) -> None:
        """Open the dock's "More" menu where it is closed."""
        if self.page.get_attribute("#voice-more", "aria-expanded") != "true":
            self.page.locator("#voice-more").click()

    def close(self) -> None:
        self.context.close()

    # ---------------------------------------------------------------- waiting for visible or audible events

    def wait_for_stage(self, *names: str, timeout: float = EVENT_TIMEOUT_S) -> None:
        """Wait until the status bar shows one of these stages."""
        wanted = ", ".join(f'#status [data-stage="{name}"]' for name in names)
        try:
            self.page.wait_for_selector(wanted, timeout=timeout * 1000)
        except PlaywrightTimeout:
            shown = self.page.inner_text("#status"), self.page.inner_text("#voice-hint")
            button, peers = self.page.get_attribute(CALL_BUTTON, "data-state"), self.page.evaluate("caller.peers()")
            raise AssertionError(f"not {names} but {shown}, button {button}, connections {peers}") from None

    def wait_until(self, expression: str, argument: object = None, timeout: float = EVENT_TIMEOUT_S) -> None:
        self.page.wait_for_function(expression, arg=argument, timeout=timeout * 1000, polling=20)

    def wait_until_loud(self, since: float, level: float = 0.01, timeout: float = EVENT_TIMEOUT_S) -> None:
        """Wait until audio is played after `since`."""
        self.wait_until("([since, level]) => caller.loud(since, level)", [since, level], timeout)

    def wait_until_quiet(self, seconds: float = 1.0, level: float = 0.003, timeout: float = EVENT_TIMEOUT_S) -> None:
        """Wait until the output was silent for `seconds`."""
        self.wait_until("([seconds, level]) => caller.quiet(seconds, level)", [seconds, level], timeout)

    # ---------------------------------------------------------------- reading the page and its audio

    def audio_clock_s(self) -> float:
        return float(self.page.evaluate("caller.now()"))

    def voice_messages(self) -> list[ShownMessage]:
        found = self.page.evaluate(
            """() => [...document.querySelectorAll('#voice-chat [data-testid=user], #voice-chat [data-testid=bot]')]
                .map((e) => [e.dataset.testid, e.innerText.replace(e.querySelector('.note')?.innerText ?? '', '')])"""
        )
        return [ShownMessage("user" if role == "user" else "assistant", text.strip()) for role, text in found]

    def status_text(self) -> str:
        return self.page.inner_text("#status .status")

    def recorded_output(self, begin: float, end: float) -> NDArray[np.float32]:
        """Return the recorded output between two times: float32 at 24 kHz."""
        raw = base64.b64decode(self.page.evaluate("([a, b]) => caller.recording(a, b)", [begin, end]))
        return np.frombuffer(raw, np.float32)

    def microphone_track_states(self) -> list[list[str]]:
        """Return the readyState of every track of every opened microphone stream."""
        states: list[list[str]] = self.page.evaluate("caller.opened()")
        return states
