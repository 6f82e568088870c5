"""Outbox: delivery of typed messages, with an acknowledgement for each.

The browser keeps a message until it is acknowledged, and sends it again after a lost connection (outbox.js). A message
that has arrived already is acknowledged again and not sent twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import gradio as gr
from gradio.events import Dependency

from voicechat.pictures.picture import MAX_PICTURES_PER_MESSAGE, Picture
from voicechat.session.picture_store import PictureStore
from voicechat.session.visitor import Visitor

MAX_DELIVERY_CHARS = 4000
"""Characters of a message's id with its pictures."""
_MESSAGE_ID = re.compile(r"[0-9a-f]{16,64}", re.ASCII)


class Delivery(StrEnum):
    """What became of a typed message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Blank, too long, or the session is ending: sending it again would not help."""
    WAITING = "waiting"
    """There is no call to send it in."""


SendMessage = Callable[[str, Sequence[Picture]], Delivery]
"""Send a text with its pictures."""


def deliver(visitor: Visitor, store: PictureStore, delivery: object, text: object, send: SendMessage) -> str:
    """Send a message unless it was accepted before. Return its acknowledgement: "<id> <`Delivery`>".

    `delivery` and `text`: anything that a browser may send. A message without an id is always sent. One whose pictures
    have expired is sent without them.
    """
    message_id, described = parse_delivery(delivery)
    known_id = message_id if _MESSAGE_ID.fullmatch(message_id) else ""
    if known_id and known_id in visitor.accepted_messages:
        return f"{known_id} {Delivery.ACCEPTED}"
    pictures = store.find_unsent(visitor.picture_owner, described)
    for picture in pictures:
        picture.describe(described[picture.view.name])
    is_sendable = isinstance(text, str) and text.strip()
    outcome = send(str(text), pictures) if is_sendable else Delivery.REFUSED
    if outcome is Delivery.ACCEPTED:
        store.release(pictures)
    if known_id and outcome is Delivery.ACCEPTED:
        visitor.accepted_messages.append(known_id)
    return f"{known_id} {outcome}"


def parse_delivery(delivery: object) -> tuple[str, dict[str, str]]:
    """Return the id of a message, and the alternative text of each of its pictures by name.

    `delivery`: the id, or JSON of `{"id", "pictures": [{"name", "alt"}]}`; anything that a browser may send.
    """
    if not isinstance(delivery, str) or not delivery.startswith("{") or len(delivery) > MAX_DELIVERY_CHARS:
        return (delivery, {}) if isinstance(delivery, str) else ("", {})
    try:
        value = json.loads(delivery)
        sent = [(each["name"], each["alt"]) for each in value["pictures"][:MAX_PICTURES_PER_MESSAGE]]
        message_id = value["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", {}
    pictures = {name: alt for name, alt in sent if isinstance(name, str) and isinstance(alt, str)}
    return (message_id if isinstance(message_id, str) else ""), pictures


def build_delivery(tab: str) -> gr.Textbox:
    """Lay out the hidden field of a tab: a message's id on the way in, its acknowledgement on the way back."""
    return gr.Textbox(visible=False, elem_id=f"{tab}-delivery")


def delivery_js(tab: str, input_count: int) -> str:
    """Return the `js=` of the event that delivers a tab's next message.

    The event has `input_count` inputs; those after the first are the message box and the field of `build_delivery`.
    """
    return f"""(...inputs) => {{
        [inputs[1], inputs[2]] = window.voiceOutbox.next("{tab}");
        return inputs.slice(0, {input_count});
    }}"""


def acknowledge(tab: str, delivered: Dependency, field: gr.Textbox) -> None:
    """Hand the acknowledgement of the event `delivered` to outbox.js."""
    options: dict[str, Any] = {"show_progress": "hidden", "api_name": False}
    delivered.then(
        None,
        field,
        None,
        js=f"""(answer) => {{ window.voiceOutbox.acknowledge("{tab}", answer); return []; }}""",
        **options,
    )
