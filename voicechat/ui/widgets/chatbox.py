"""Chat widgets of both tabs: the list of messages and the message box."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Bubble, BubbleState
from voicechat.ui.i18n import INCOMPLETE_MARKS, Locale, get_message, label

from .markdown import preserve_indentation, with_mark

STATIC_DIR = Path(__file__).resolve().parent.parent / "static"
AVATARS = (str(STATIC_DIR / "user.svg"), str(STATIC_DIR / "model.svg"))
SPARE_QUEUE_SLOTS = 4
"""Queue slots above the limit of calls or chats, so that the app itself refuses further visitors in their language."""

PENDING_PLACEHOLDER = "…"
"""Shown while a message has no text yet."""

ChatMessage = dict[str, str]


def queue_concurrency_limit(max_active: int, settings: Settings) -> int:
    """Return the queue limit for this many calls or chats. Waiting visitors hold a generator too."""
    return max_active + settings.limits.max_waiting + SPARE_QUEUE_SLOTS


def to_chat_message(bubble: Bubble, markup: str, locale: Locale) -> ChatMessage | None:
    """Return a bubble as a chatbot message, with its text rendered as `markup`; None while it is empty.

    The message of an incomplete bubble ends with a mark that says why.
    """
    if bubble.incomplete_reason is not None:
        markup = with_mark(markup, get_message(INCOMPLETE_MARKS, bubble.incomplete_reason, locale))
    content = preserve_indentation(markup)
    if not content and bubble.state in (BubbleState.PENDING, BubbleState.GROWING):
        content = PENDING_PLACEHOLDER
    return {"role": bubble.role, "content": content} if content else None


def build_chatbox(tab: str, *, height: str) -> gr.Chatbot:
    """Build the list of messages. `tab`: "voice" or "text"."""
    return gr.Chatbot(
        type="messages",
        elem_id=f"{tab}-chat",
        label=label(f"{tab}_chat"),
        show_label=False,
        height=height,
        min_height=220,
        placeholder=label(f"{tab}_placeholder"),
        avatar_images=AVATARS,
        render_markdown=True,
        sanitize_html=True,
        allow_tags=False,
        group_consecutive_messages=False,
        autoscroll=True,
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


def clear_input_js(tab: str, input_count: int) -> str:
    """Return the `js=` of a send event with `input_count` inputs, the second of them the text of the message box.

    The script removes the sent text from the box at once. Text typed after Enter belongs to the next message.
    """
    return f"""(...inputs) => {{
        const box = document.querySelector("#{tab}-input textarea");
        const sent = inputs[1] ?? "";
        if (sent && box.value.startsWith(sent)) {{
            box.value = box.value.slice(sent.length);
            box.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}
        return inputs.slice(0, {input_count});
    }}"""
