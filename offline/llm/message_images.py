"""Pictures in the messages of a chat request: as parts of the content, or as words for a model that sees none. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from offline.protocol.worker_messages import LlmMessage

UNSEEN_IMAGE = "[A picture was sent here. You cannot see it.]"
"""Words in the place of a picture."""
MAX_SHOWN_IMAGES = 4
"""Newest pictures of a conversation that a model gets. Each takes several hundred tokens."""
_ABOUT_IMAGES = re.compile(r"image|vision|multi-?modal|mmproj|content (part|type)|must be a string", re.IGNORECASE)


def render_content(message: LlmMessage, *, shows_images: bool) -> str | list[dict[str, Any]]:
    """Return the content of a message: its text, with pictures a list of parts."""
    if not message.images:
        return message.text
    if not shows_images:
        return "\n".join(filter(None, [message.text, *(UNSEEN_IMAGE for _ in message.images)]))
    text = [{"type": "text", "text": message.text}] if message.text else []
    return [*text, *({"type": "image_url", "image_url": {"url": url}} for url in message.images)]


def with_newest_images(messages: Sequence[LlmMessage], most: int = MAX_SHOWN_IMAGES) -> tuple[LlmMessage, ...]:
    """Return the messages with their newest pictures; the older ones are named in the text."""
    kept: list[LlmMessage] = []
    for message in reversed(messages):
        shown = message.images[max(0, len(message.images) - most) :] if most > 0 else ()
        most -= len(shown)
        words = [UNSEEN_IMAGE] * (len(message.images) - len(shown))
        text = "\n".join(filter(None, [message.text, *words])) if words else message.text
        kept.append(replace(message, text=text, images=shown) if message.images else message)
    return tuple(reversed(kept))


def has_images(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a rendered message has a picture."""
    return any(_is_image(part) for message in messages for part in _parts(message))


def without_images(messages: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return rendered messages with words in the place of their pictures."""
    return tuple(
        {**message, "content": "\n".join(UNSEEN_IMAGE if _is_image(part) else part["text"] for part in parts)}
        if (parts := _parts(message))
        else dict(message)
        for message in messages
    )


def refuses_images(error: Mapping[str, Any]) -> bool:
    """Return whether the error of a request with pictures is about them."""
    return _ABOUT_IMAGES.search(" ".join(str(error.get(key, "")) for key in ("message", "param", "code"))) is not None


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_image(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "image_url"
