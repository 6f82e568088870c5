"""Picture of a visitor's message: shown in its bubble, and sent to the server as `input_image`. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .image_file import JPEG, PNG, ImageFile

MAX_ALT_CHARS = 300
"""Characters of an alternative text."""
MAX_PICTURES_PER_MESSAGE = 4
"""Pictures of one message."""
MAX_TIMES_SENT = 3
"""Times that a picture is sent at most, replays included. One that makes a server close must not do so for ever."""
MAX_RECORD_SIDE = 10_000
"""Pixels of a side in a record that a browser sends back."""


class PictureView(NamedTuple):
    """What the page shows of a picture, without its content. The name is a secret of its owner."""

    name: str
    """Random, of 256 bits: names the picture in its URL. "" for one of an earlier conversation, without content."""
    width: int
    height: int
    alt: str
    """Alternative text by the visitor; "" without one."""
    media_type: str = JPEG

    @property
    def file_name(self) -> str:
        """Name for exports: no word of the visitor's, and not the secret one."""
        return f"picture-{self.width}x{self.height}.{'jpg' if self.media_type == JPEG else 'png'}"

    def to_json(self) -> dict[str, Any]:
        """Return the picture as values of JSON for a record or an export: its name, never its pixels."""
        return {"name": self.file_name, "alt": self.alt, "width": self.width, "height": self.height}


@dataclass(slots=True, weakref_slot=True, eq=False)
class Picture:
    """One picture. The messages that have it keep it alive; nothing else does. The `repr` has no content."""

    view: PictureView = field(repr=False)
    image: ImageFile | None = field(repr=False)
    """None once it is erased."""
    times_sent: int = 0

    @classmethod
    def of(cls, name: str, image: ImageFile) -> Picture:
        """Return the picture of a checked file."""
        return cls(PictureView(name, image.width, image.height, "", image.media_type), image)

    def describe(self, alt: str) -> None:
        """Set the alternative text."""
        self.view = self.view._replace(alt=clean_alt(alt))

    @property
    def byte_count(self) -> int:
        """Bytes of its content; 0 once it is erased."""
        return len(self.image.content) if self.image is not None else 0

    @property
    def can_be_sent(self) -> bool:
        """Whether there is content to send, and it was not sent too often."""
        return self.image is not None and self.times_sent < MAX_TIMES_SENT

    def erase(self) -> None:
        """Erase the content for good."""
        self.image = None


def picture_from_json(value: object) -> Picture:
    """Return the picture of `PictureView.to_json`, without content. Raises ValueError for any other value."""
    if not isinstance(value, dict):
        raise ValueError("not a picture of a record")
    alt, width, height = value.get("alt"), value.get("width"), value.get("height")
    if not isinstance(alt, str) or type(width) is not int or type(height) is not int:
        raise ValueError("not a picture of a record")
    if not (0 < width <= MAX_RECORD_SIDE and 0 < height <= MAX_RECORD_SIDE):
        raise ValueError("not the size of a picture")
    is_png = str(value.get("name")).endswith(".png")
    return Picture(PictureView("", width, height, clean_alt(alt), PNG if is_png else JPEG), None)


def clean_alt(text: str) -> str:
    """Return an alternative text on one line, without control characters and within its limit."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MAX_ALT_CHARS]


def picture_parts(pictures: Sequence[Picture], *, are_sent: bool) -> list[dict[str, Any]]:
    """Return the content parts of a message's pictures: the pictures, or words in their place.

    The words are a part of their own, so that the visitor's text stays as it is.
    """
    if not are_sent:
        return [{"type": "input_text", "text": _words_for(picture)} for picture in pictures]
    return [part for picture in pictures for part in _image_parts(picture)]


def _image_parts(picture: Picture) -> list[dict[str, Any]]:
    if picture.image is None:
        return [{"type": "input_text", "text": _words_for(picture)}]
    encoded = base64.b64encode(picture.image.content).decode("ascii")
    image = {"type": "input_image", "image_url": f"data:{picture.image.media_type};base64,{encoded}", "detail": "auto"}
    described = [{"type": "input_text", "text": f"[The picture: {picture.view.alt}]"}] if picture.view.alt else []
    return [image, *described]


def _words_for(picture: Picture) -> str:
    described = f": {picture.view.alt}" if picture.view.alt else ""
    return f"[A picture was sent here{described}. You cannot see it.]"
