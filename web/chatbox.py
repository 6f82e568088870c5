"""What both tabs have: the list of messages, and the box to type in."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from realtime.conversation import Bubble, BubbleState
from realtime.settings import Settings

from .markup import block
from .texts import label

STATIC = Path(__file__).parent / "static"
AVATARS = (str(STATIC / "user.svg"), str(STATIC / "model.svg"))
SPARE_PLACES = 4
"""Of Gradio's queue, above the limit of calls and of chats: the one too many is told so in their own language."""

AWAITED = "…"
"""Stands where words are about to come."""

Message = dict[str, str]


def places_in_queue(most: int, settings: Settings) -> int:
    """Of Gradio's queue, for `most` calls or chats: those who wait in line hold a connection and a generator too."""
    return most + settings.places.max_waiting + SPARE_PLACES


def shown(bubble: Bubble, markup: str) -> Message | None:
    """A bubble, whose text is `markup`, as a chatbot message; None when there is nothing to show yet."""
    content = block(markup)
    if not content and bubble.state in (BubbleState.PENDING, BubbleState.GROWING):
        content = AWAITED
    return {"role": bubble.role, "content": content} if content else None


def chatbox(tab: str, *, height: str) -> gr.Chatbot:
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


def pictures_in(page: gr.Blocks) -> frozenset[str]:
    """Paths of the files that Gradio serves for this page: the copies it has made of the avatars."""
    boxes = (block for block in page.blocks.values() if isinstance(block, gr.Chatbot))
    pictures = (picture for box in boxes for picture in box.avatar_images or ())
    return frozenset(str(picture["path"]) for picture in pictures if isinstance(picture, dict))


def message_box(tab: str, *, max_lines: int) -> gr.Textbox:
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


def taking(tab: str, inputs: int) -> str:
    """Script of an event with so many inputs, the second of them the text in the tab's box: it is taken out of the box
    at once, before the server has answered. What was typed since Enter, however little later, is another message."""
    return f"""(...given) => {{
        const box = document.querySelector("#{tab}-input textarea");
        const taken = given[1] ?? "";
        if (taken && box.value.startsWith(taken)) {{
            box.value = box.value.slice(taken.length);
            box.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}
        return given.slice(0, {inputs});
    }}"""
