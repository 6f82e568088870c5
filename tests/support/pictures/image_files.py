"""Image files for tests, with and without metadata."""

from __future__ import annotations

import io
import struct

from PIL import Image

SECRET_PLACE = b"GPS-CANARY"
"""Bytes within the metadata of `jpeg_with_metadata`."""
ROTATED = 6
"""EXIF orientation: the camera was held upright."""


def jpeg(width: int = 64, height: int = 48, *, progressive: bool = False) -> bytes:
    """Return a JPEG without EXIF data."""
    file = io.BytesIO()
    _gradient(width, height).save(file, "JPEG", quality=85, progressive=progressive)
    return file.getvalue()


def png(width: int = 64, height: int = 48) -> bytes:
    """Return a PNG with a text chunk."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Comment", SECRET_PLACE.decode())
    file = io.BytesIO()
    _gradient(width, height).save(file, "PNG", pnginfo=texts)
    return file.getvalue()


def jpeg_with_metadata(width: int = 64, height: int = 48) -> bytes:
    """Return a JPEG with an orientation, a place, a comment, and something behind its end."""
    image = _gradient(width, height)
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    exif[0x010F] = SECRET_PLACE.decode()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (25.0, 2.0, 1.0)
    gps[29] = SECRET_PLACE.decode()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85, exif=exif, comment=SECRET_PLACE)
    return file.getvalue() + SECRET_PLACE


def segment(marker: int, payload: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def opened(content: bytes) -> Image.Image:
    """Return the decoded image."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def _gradient(width: int, height: int) -> Image.Image:
    """Return an image that is red on the left and blue on the right, dark above and light below."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across.point(lambda value: 255 - value), down, across))
