"""Chat widgets of both tabs: the list of messages and the message box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Bubble, BubbleState
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import INCOMPLETE_MARKS, Locale, get_message, label
from voicechat.ui.tools.chip import render_chip

from .markdown import preserve_indentation, with_mark
from .pictures import with_pictures
from .status_bar import StatusRefresh

STATIC_DIR = Path(__file__).resolve().parent.parent / "static"
AVATARS = (str(STATIC_DIR / "user.svg"), str(STATIC_DIR / "model.svg"))
SPARE_QUEUE_SLOTS = 4
"""Queue slots above the limit of calls or chats, so that the app itself refuses further visitors in their language."""

PENDING_PLACEHOLDER = "…"
"""Shown while a message has no text yet."""

ChatMessage = dict[str, str]


@dataclass(frozen=True, slots=True)
class Tab:
    """A built tab, as the rest of the page uses it."""

    status: StatusRefresh
    chat: gr.Chatbot
    render: Callable[[Visitor, Locale], list[ChatMessage]]
    """Return the messages of a visitor's conversation while there is no session."""


def queue_concurrency_limit(max_active: int, settings: Settings) -> int:
    """Return the queue limit for this many calls or chats. Waiting visitors hold a generator too."""
    return max_active + settings.limits.max_waiting + SPARE_QUEUE_SLOTS


def to_chat_message(bubble: Bubble, markup: str, locale: Locale) -> ChatMessage | None:
    """Return a bubble as a chatbot message, with its text rendered as `markup`; None while it is empty.

    The message of an incomplete bubble ends with a mark that says why.
    """
    if bubble.tool_use is not None:
        return None
    if bubble.incomplete_reason is not None:
        markup = with_mark(markup, get_message(INCOMPLETE_MARKS, bubble.incomplete_reason, locale))
    content = with_pictures(preserve_indentation(markup), bubble.pictures, locale)
    if not content and bubble.state in (BubbleState.PENDING, BubbleState.GROWING):
        content = PENDING_PLACEHOLDER
    return {"role": bubble.role, "content": content} if content else None


def to_tool_message(bubble: Bubble, locale: Locale, heard_percent: int | None) -> ChatMessage | None:
    """Return the bubble of a tool call as a chatbot message; None for any other bubble."""
    if bubble.tool_use is None:
        return None
    return {"role": "assistant", "content": render_chip(bubble.tool_use, locale, heard_percent)}


def build_approval_bar(tab: str) -> gr.HTML:
    """Build the place of the approval bar, the first part of a dock. It is empty while nothing is asked."""
    return gr.HTML(elem_id=f"{tab}-approval", elem_classes="approval-place", padding=False)


def build_chatbox(tab: str) -> gr.Chatbot:
    """Build the list of messages. `tab`: "voice" or "text"."""
    return gr.Chatbot(
        type="messages",
        elem_id=f"{tab}-chat",
        label=label(f"{tab}_chat"),
        show_label=False,
        height="100%",
        placeholder=" ",  # conversation.css hides it; the welcome is in its place
        avatar_images=AVATARS,
        render_markdown=True,
        sanitize_html=True,
        allow_tags=False,
        group_consecutive_messages=False,
        autoscroll=False,  # scrolling.js: Gradio scrolls back a reader who looks at earlier messages
    )


def avatar_paths(page: gr.Blocks) -> frozenset[str]:
    """Return the paths of the avatar copies that Gradio serves for this page."""
    chatbots = (block for block in page.blocks.values() if isinstance(block, gr.Chatbot))
    pictures = (picture for chatbot in chatbots for picture in chatbot.avatar_images or ())
    return frozenset(str(picture["path"]) for picture in pictures if isinstance(picture, dict))


def build_message_box(tab: str, *, max_lines: int) -> gr.Textbox:
    """Build the message box: Enter sends, Shift+Enter starts a new line."""
    return gr.Textbox(
        elem_id=f"{tab}-input",
        label=label("message"),  # not shown: the accessible name
        show_label=False,
        container=False,
        placeholder=label(f"{tab}_input"),
        lines=1,
        max_lines=max_lines,
        scale=6,
    )
