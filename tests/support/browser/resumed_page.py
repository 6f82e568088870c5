"""Page object of a page that comes back: what it shows of a conversation, heard and unheard."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext

from .browser_page import BrowserPage
from .page_scripts import CALL_BUTTON

MESSAGES_JS = """() => [...document.querySelectorAll("#voice-chat [data-testid=user], #voice-chat [data-testid=bot]")]
  .map((message) => {
    const shown = message.cloneNode(true), unheard = shown.querySelector(".unheard");
    for (const each of shown.querySelectorAll(".unheard, .note")) each.remove();
    const plain = (element) => (element?.textContent ?? "").replaceAll("…", "").trim();
    return [message.dataset.testid, plain(shown), plain(unheard)];
  })"""


@dataclass(frozen=True)
class ShownSpeech:
    """Message of a call as shown on the page."""

    role: str
    heard: str
    unheard: str
    """Struck out."""


class ResumablePage(BrowserPage):
    """Drives a page whose browser has allowed the microphone for good."""

    def __init__(self, browser: Browser | BrowserContext, url: str, *, before: str = "") -> None:
        super().__init__(browser, url, before=before)
        self.context.grant_permissions(["microphone"])

    def reload(self) -> None:
        self.page.reload(wait_until="domcontentloaded")
        self.wait_until_loaded()

    def mark_document(self) -> None:
        """Mark the present document, for `wait_until_reloaded`."""
        self.page.evaluate("window.isEarlierDocument = true")

    def wait_until_reloaded(self) -> None:
        """Wait until the page has reloaded by itself since `mark_document`, and can be used."""
        self.wait_until("() => !window.isEarlierDocument")
        self.wait_until_loaded()

    def wait_until_loaded(self) -> None:
        """Wait until the page of the new document can be used."""
        self.page.wait_for_selector(CALL_BUTTON)
        self.page.evaluate("caller.ready")

    def messages(self) -> list[ShownSpeech]:
        """Return all messages of the voice tab."""
        return [
            ShownSpeech("user" if role == "user" else "assistant", heard, unheard)
            for role, heard, unheard in self.page.evaluate(MESSAGES_JS)
        ]

    def wait_for_messages(self, count: int) -> None:
        """Wait until the page shows that many messages."""
        self.wait_until(f"(n) => ({MESSAGES_JS})().length >= n", count)

    def wait_until_call_is_offered(self) -> None:
        """Wait until the page offers to go on with the call that was up."""
        self.page.wait_for_selector("#voice-resume:not([hidden])")

    def is_call_offered(self) -> bool:
        return self.page.locator("#voice-resume").is_visible()
