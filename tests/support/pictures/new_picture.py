"""Pictures of a call, for tests."""

from __future__ import annotations

import secrets

from voicechat.pictures.image_file import JPEG, ImageFile
from voicechat.pictures.picture import Picture


def make_picture(alt: str = "") -> Picture:
    """Return a small picture; its bytes are no image."""
    picture = Picture.of(secrets.token_urlsafe(8), ImageFile(JPEG, 640, 480, b"pixels"))
    picture.describe(alt)
    return picture
