"""What both tabs have: the list of messages, and the box to type in."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Bubble, BubbleState
from voicechat.ui.i18n import label

from .markdown import preserve_indentation

STATIC_DIR = Path(__file__).resolve().parent.parent / "static"
AVATARS = (str(STATIC_DIR / "user.svg"), str(STATIC_DIR / "model.svg"))
SPARE_QUEUE_SLOTS = 4
"""Of Gradio's queue, above the limit of calls and of chats: the one too many is told so in their own language."""

PENDING_PLACEHOLDER = "…"
"""Stands where words are about to come."""

ChatMessage = dict[str, str]


def queue_concurrency_limit(max_active: int, settings: Settings) -> int:
    """Of Gradio's queue, for `most` calls or chats: those who wait in line hold a connection and a generator too."""
    return max_active + settings.limits.max_waiting + SPARE_QUEUE_SLOTS


def to_chat_message(bubble: Bubble, markup: str) -> ChatMessage | None:
    """A bubble, whose text is `markup`, as a chatbot message; None when there is nothing to show yet."""
    content = preserve_indentation(markup)
    if not content and bubble.state in (BubbleState.PENDING, BubbleState.GROWING):
        content = PENDING_PLACEHOLDER
    return {"role": bubble.role, "content": content} if content else None


def build_chatbox(tab: str, *, height: str) -> gr.Chatbot:
    """The messages of the tab `voice` or `text`."""
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
    """Paths of the files that Gradio serves for this page: the copies it has made of the avatars."""
    boxes = (block for block in page.blocks.values() if isinstance(block, gr.Chatbot))
    pictures = (picture for box in boxes for picture in box.avatar_images or ())
    return frozenset(str(picture["path"]) for picture in pictures if isinstance(picture, dict))


def build_message_box(tab: str, *, max_lines: int) -> gr.Textbox:
    """Where a message is typed: Enter sends it, Shift+Enter makes a new line."""
    return gr.Textbox(
        elem_id=f"{tab}-input",
        show_label=False,
        container=False,
        placeholder=label(f"{tab}_input"),
        lines=1,
        max_lines=max_lines,
        scale=6,
    )


def clear_input_js(tab: str, input_count: int) -> str:
    """Script of an event with so many inputs, the second of them the text in the tab's box: it is taken out of the box
    at once, before the server has answered. What was typed since Enter, however little later, is another message."""
    return f"""(...given) => {{
        const box = document.querySelector("#{tab}-input textarea");
        const taken = given[1] ?? "";
        if (taken && box.value.startsWith(taken)) {{
            box.value = box.value.slice(taken.length);
            box.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}
        return given.slice(0, {input_count});
    }}"""
