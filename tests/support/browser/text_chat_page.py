"""Page object of the text tab, for browser tests."""

from __future__ import annotations

from playwright.sync_api import Browser, BrowserContext, Locator, Route

from .browser_page import EVENT_TIMEOUT_S, BrowserPage, ShownMessage

FLICKER_PROBE_SCRIPT = """
window.flashes = [];  // drops of the number of messages: [before, after]
{
  let previous = 0;
  const countMessages = () => {
    const now = document.querySelectorAll("#text-chat [data-testid=user], #text-chat [data-testid=bot]").length;
    if (now < previous) window.flashes.push([previous, now]);
    previous = now;
  };
  new MutationObserver(countMessages).observe(document, { childList: true, subtree: true });
}
"""


class TextChatPage(BrowserPage):
    """Drives the text tab of one page; the inherited methods drive its voice tab."""

    def __init__(
        self, browser: Browser | BrowserContext, url: str, *, locale: str = "en-US", tab: str = "Text", before: str = ""
    ) -> None:
        super().__init__(browser, url, locale=locale, before=FLICKER_PROBE_SCRIPT + before)
        self.select_tab(tab)

    def select_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    @property
    def message_box(self) -> Locator:
        return self.page.locator("#text-input textarea")

    def send_message(self, text: str) -> None:
        """Type a message, line by line, and send it with Enter."""
        self.message_box.click()
        for i, line in enumerate(text.split("\n")):
            if i:
                self.page.keyboard.press("Shift+Enter")
            self.page.keyboard.insert_text(line)
        self.page.keyboard.press("Enter")

    def send_over_slow_network(self, text: str, meanwhile: str) -> None:
        """Send a message over a slow network, pressing Enter twice, and type another before it has arrived."""
        held: list[Route] | None = []

        def hold(route: Route) -> None:
            if held is None:
                route.continue_()
            else:
                held.append(route)

        self.page.route("**/queue/join*", hold)
        with self.page.expect_request("**/queue/join*"):
            self.send_message(text)
        # As on a busy computer: the next text is in the box before Gradio reads it after the second Enter.
        self.message_box.evaluate(
            """(box, meanwhile) => {
                box.focus();
                const enter = { key: "Enter", code: "Enter", bubbles: true, cancelable: true };
                box.dispatchEvent(new KeyboardEvent("keypress", enter));
                document.execCommand("insertText", false, meanwhile);
            }""",
            meanwhile,
        )
        held_routes, held = held, None
        for route in held_routes:
            route.continue_()

    def send_and_await_reply(self, text: str, timeout: float = EVENT_TIMEOUT_S) -> str:
        """Send a message, wait for the whole reply, and return its visible text."""
        before = len(self.chat_messages())
        self.send_message(text)
        self.wait_until(
            "n => document.querySelectorAll('#text-chat [data-testid]').length >= n", before + 2, timeout=timeout
        )
        self.wait_for_chat_stage("listening", timeout=timeout)
        return self.chat_messages()[-1].text

    def connect_chat(self) -> None:
        self.page.locator("#text-connect").click()
        self.wait_for_chat_stage("listening")

    def wait_for_chat_stage(self, *names: str, timeout: float = EVENT_TIMEOUT_S) -> None:
        wanted = ", ".join(f'#text-status [data-stage="{name}"]' for name in names)
        self.page.wait_for_selector(wanted, timeout=timeout * 1000)

    def chat_status_text(self) -> str:
        return self.page.inner_text("#text-status .status")

    def message_count_drops(self) -> list[list[int]]:
        """Return each drop of the number of messages: [before, after]."""
        return list(self.page.evaluate("window.flashes"))

    def chat_messages(self) -> list[ShownMessage]:
        found = self.page.evaluate(
            """() => [...document.querySelectorAll('#text-chat [data-testid=user], #text-chat [data-testid=bot]')]
                .map((e) => [e.dataset.testid, e.innerText.trim()])"""
        )
        return [ShownMessage("user" if role == "user" else "assistant", text) for role, text in found]

    @property
    def last_reply(self) -> Locator:
        """Locator of the last reply."""
        return self.page.locator("#text-chat [data-testid=bot]").last
