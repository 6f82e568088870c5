"""Image files: format and size from the first bytes, and a copy without metadata. Pure.

No pixel is decoded. Only what an image needs to be shown is copied. EXIF data, comments and everything behind the end
of the image stay out, whatever the browser has done before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

JPEG, PNG = "image/jpeg", "image/png"

MAX_SIDE = 2048
"""Pixels of the longer side. The page sends 1568 at most."""
MAX_PIXELS = 4_000_000
"""Pixels of an image: a small file may unpack to gigabytes."""

_JPEG_START = b"\xff\xd8"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the segments that hold the size."""
_KEPT_MARKERS = _FRAME_MARKERS | {0xC4, 0xCC, 0xDA, 0xDB, 0xDD}
"""Markers of all that is needed to decode: sizes, code tables, scans, quantisation and restart interval."""
_KEPT_APPLICATIONS = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
"""Application segments that decide how the image is shown, each with its first bytes."""
_KEPT_APPLICATION_MAX_BYTES = 64
"""Bytes of a kept application segment: longer ones hold a thumbnail or something unknown."""
_MARKERS_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
"""Markers without a segment. None of them may stand between segments."""
_ENTROPY_MARKERS = frozenset({0x00, 0xFF, *range(0xD0, 0xD8)})
"""Bytes after 0xFF that belong to the compressed data."""
_PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sRGB", b"gAMA"})


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A JPEG or PNG file without metadata."""

    media_type: str
    width: int
    """Pixels, as stored."""
    height: int
    content: bytes = field(repr=False)


def parse_image(content: bytes) -> ImageFile | None:
    """Return the image without metadata; None for any other content, and for one that is cut or too large."""
    if content.startswith(_JPEG_START):
        image = _parse_jpeg(content)
    elif content.startswith(_PNG_START):
        image = _parse_png(content)
    else:
        return None
    if image is None or not 0 < min(image.width, image.height) <= max(image.width, image.height) <= MAX_SIDE:
        return None
    return image if image.width * image.height <= MAX_PIXELS else None


def _parse_jpeg(content: bytes) -> ImageFile | None:
    kept, at, width, height, has_scan = bytearray(_JPEG_START), 2, 0, 0, False
    while at + 2 <= len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == _END_OF_IMAGE:
            return ImageFile(JPEG, width, height, bytes(kept) + b"\xff\xd9") if has_scan else None
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        if marker in _MARKERS_WITHOUT_LENGTH or end < at + 4 or end > len(content):
            return None
        if marker in _FRAME_MARKERS:
            if end < at + 9 or width:  # too short, or a second size
                return None
            height, width = int.from_bytes(content[at + 5 : at + 7]), int.from_bytes(content[at + 7 : at + 9])
        if marker == _START_OF_SCAN:
            end, has_scan = _find_scan_end(content, end), True
        if marker in _KEPT_MARKERS or _is_kept_application(marker, content[at + 4 : end]):
            kept += content[at:end]
        at = end
    return None


def _is_kept_application(marker: int, payload: bytes) -> bool:
    start = _KEPT_APPLICATIONS.get(marker)
    return start is not None and payload.startswith(start) and len(payload) + 4 <= _KEPT_APPLICATION_MAX_BYTES


def _find_scan_end(content: bytes, start: int) -> int:
    """Return the index of the marker after the compressed data that begins at `start`."""
    at = content.find(b"\xff", start)
    while 0 <= at < len(content) - 1:
        if content[at + 1] not in _ENTROPY_MARKERS:
            return at
        at = content.find(b"\xff", at + (1 if content[at + 1] == 0xFF else 2))
    return len(content)


def _parse_png(content: bytes) -> ImageFile | None:
    kept, at, width, height, has_data = bytearray(_PNG_START), len(_PNG_START), 0, 0, False
    while at + 12 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(content) or (kind == b"IHDR") is not (at == len(_PNG_START)):
            return None
        if kind == b"IHDR":
            if length != 13:
                return None
            width, height = int.from_bytes(content[at + 8 : at + 12]), int.from_bytes(content[at + 12 : at + 16])
        has_data = has_data or kind == b"IDAT"
        if kind in _PNG_CHUNKS:
            kept += content[at:end]
        if kind == b"IEND":
            return ImageFile(PNG, width, height, bytes(kept)) if has_data else None
        at = end
    return None
