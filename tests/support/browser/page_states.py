"""States of the page's look, shown without a server that is in that state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import Page

from voicechat.conversation.conversation import Bubble, BubbleState
from voicechat.ui.i18n import Locale
from voicechat.ui.tabs.voice_tab import render_caption, render_status

SHOW_STATE_JS = """async ([button, statusHtml]) => {
  document.querySelector("#status .status").outerHTML = statusHtml;
  const call = document.querySelector('#voice-call button[aria-label="start stream"]');
  call.querySelector(".test-state")?.remove();
  const icon = { className: "test-state", title: button, hidden: true };
  if (button) call.append(Object.assign(document.createElement("span"), icon));
  await new Promise(requestAnimationFrame);
}"""
SHOW_NOTE_JS = (
    """(markup) => { document.querySelector("#voice-chat .bot-row:last-of-type .prose").innerHTML = markup; }"""
)
"""Puts a reply's markup into the newest bubble of the model. The markup is HTML but for its escaped characters."""


@dataclass(frozen=True)
class PageState:
    """State of the voice tab. `button`: title of the icon in fastrtc's call button that stands for it; "" for free."""

    stage: str
    button: str = ""
    notice: str | None = None
    queue_position: int = 0


HANG_UP, SPINNER = "stop recording", "spinner"
STATES: Sequence[PageState] = (
    PageState("connecting", SPINNER),
    PageState("waiting", HANG_UP, queue_position=3),
    PageState("listening", HANG_UP),
    PageState("hearing", HANG_UP),
    PageState("thinking", HANG_UP),
    PageState("speaking", HANG_UP),
    PageState("reconnecting", HANG_UP),
    PageState("loading"),
    PageState("failed", notice="wrong_key"),
    PageState("ended"),
)


def show_state(page: Page, state: PageState, locale: Locale) -> None:
    """Show a state of the voice tab. The page's scripts derive everything else from the status and the button."""
    html = render_status(state.stage, state.notice, "offline", locale, state.queue_position)
    page.evaluate(SHOW_STATE_JS, [state.button, html])


def show_interrupted_reply(page: Page, locale: Locale) -> None:
    """Show the newest reply as interrupted."""
    bubble = Bubble("a", "assistant", "The Moon pulls the water", "nearest to it the most", BubbleState.INTERRUPTED)
    message = render_caption(bubble, locale)
    assert message is not None
    page.evaluate(SHOW_NOTE_JS, f"<p>{message['content']}</p>")
