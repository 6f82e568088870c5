"""A person at the text tab, for tests."""

from __future__ import annotations

from playwright.sync_api import Browser, Locator, Route

from .caller import PATIENCE_S, Caller, Line

FLASHES = """
window.flashes = [];  // times at which messages that had been there were gone
{
  let had = 0;
  const look = () => {
    const now = document.querySelectorAll("#text-chat [data-testid=user], #text-chat [data-testid=bot]").length;
    if (now < had) window.flashes.push([had, now]);
    had = now;
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
}
"""


class Typist(Caller):
    """Drives the text tab of one page; what `Caller` does drives its voice tab."""

    def __init__(
        self, browser: Browser, url: str, *, locale: str = "en-US", tab: str = "Text", before: str = ""
    ) -> None:
        super().__init__(browser, url, locale=locale, before=FLASHES + before)
        self.to_tab(tab)

    def to_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    @property
    def box(self) -> Locator:
        return self.page.locator("#text-input textarea")

    def write(self, text: str) -> None:
        """Type a message, line by line, and send it with Enter."""
        self.box.click()
        for i, line in enumerate(text.split("\n")):
            if i:
                self.page.keyboard.press("Shift+Enter")
            self.page.keyboard.insert_text(line)
        self.page.keyboard.press("Enter")

    def send_slowly(self, text: str, meanwhile: str) -> None:
        """Send a message over a slow network, pressing Enter twice, and type another before it has arrived."""
        held: list[Route] | None = []

        def hold(route: Route) -> None:
            if held is None:
                route.continue_()
            else:
                held.append(route)

        self.page.route("**/queue/join*", hold)
        with self.page.expect_request("**/queue/join*"):
            self.write(text)
        # As on a busy computer: what is typed after the second Enter is there before Gradio has looked at the box.
        self.box.evaluate(
            """(box, meanwhile) => {
                box.focus();
                const enter = { key: "Enter", code: "Enter", bubbles: true, cancelable: true };
                box.dispatchEvent(new KeyboardEvent("keypress", enter));
                document.execCommand("insertText", false, meanwhile);
            }""",
            meanwhile,
        )
        waiting, held = held, None
        for route in waiting:
            route.continue_()

    def ask(self, text: str, timeout: float = PATIENCE_S) -> str:
        """Send a message and wait for the whole reply: its text as a person sees it."""
        before = len(self.history())
        self.write(text)
        self.until(
            "n => document.querySelectorAll('#text-chat [data-testid]').length >= n", before + 2, timeout=timeout
        )
        self.chat_stage("listening", timeout=timeout)
        return self.history()[-1].text

    def connect(self) -> None:
        self.page.locator("#text-connect").click()
        self.chat_stage("listening")

    def chat_stage(self, *names: str, timeout: float = PATIENCE_S) -> None:
        wanted = ", ".join(f'#text-status [data-stage="{name}"]' for name in names)
        self.page.wait_for_selector(wanted, timeout=timeout * 1000)

    def chat_status(self) -> str:
        return self.page.inner_text("#text-status .status")

    def flashes(self) -> list[list[int]]:
        """Each time messages went away: how many there were, and how many were left."""
        return list(self.page.evaluate("window.flashes"))

    def history(self) -> list[Line]:
        found = self.page.evaluate(
            """() => [...document.querySelectorAll('#text-chat [data-testid=user], #text-chat [data-testid=bot]')]
                .map((e) => [e.dataset.testid, e.innerText.trim()])"""
        )
        return [Line("user" if role == "user" else "assistant", text) for role, text in found]

    @property
    def answer(self) -> Locator:
        """The last reply."""
        return self.page.locator("#text-chat [data-testid=bot]").last
