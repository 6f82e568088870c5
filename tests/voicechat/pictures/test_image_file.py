"""Image files: what is accepted, and that no metadata stays."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pictures.image_files import SECRET_PLACE, jpeg, jpeg_with_metadata, opened, png, segment
from voicechat.pictures.image_file import JPEG, MAX_SIDE, PNG, parse_image


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_accepted_with_its_size(progressive: bool) -> None:
    content = jpeg(320, 200, progressive=progressive)
    image = parse_image(content)
    assert image is not None
    assert (image.media_type, image.width, image.height) == (JPEG, 320, 200)
    assert opened(image.content).tobytes() == opened(content).tobytes()


def test_jpeg_with_metadata_keeps_only_the_image() -> None:
    content = jpeg_with_metadata(320, 200)
    assert content.count(SECRET_PLACE) >= 3
    image = parse_image(content)
    assert image is not None
    assert SECRET_PLACE not in image.content
    assert not opened(image.content).getexif()
    assert opened(image.content).tobytes() == opened(content).tobytes()


def test_png_keeps_only_the_image() -> None:
    content = png(320, 200)
    assert SECRET_PLACE in content
    image = parse_image(content + SECRET_PLACE)
    assert image is not None
    assert (image.media_type, image.width, image.height) == (PNG, 320, 200)
    assert SECRET_PLACE not in image.content
    assert opened(image.content).tobytes() == opened(content).tobytes()


def test_metadata_between_scans_is_cut() -> None:
    content = jpeg(64, 48, progressive=True)
    at = content.rindex(b"\xff\xda")
    image = parse_image(content[:at] + segment(0xE1, SECRET_PLACE) + segment(0xFE, SECRET_PLACE) + content[at:])
    assert image is not None
    assert SECRET_PLACE not in image.content


def test_large_application_segment_is_cut_and_the_colours_of_adobe_stay() -> None:
    content = jpeg()
    adobe = segment(0xEE, b"Adobe" + bytes(7))
    image = parse_image(content[:2] + adobe + segment(0xE0, b"JFXX" + SECRET_PLACE * 20) + content[2:])
    assert image is not None
    assert adobe in image.content
    assert SECRET_PLACE not in image.content


@pytest.mark.parametrize("marker", [0x02, 0xBF, 0xC8, 0xDC, 0xDE, 0xF0, 0xF7, 0xFD])
def test_jpeg_with_other_segments_keeps_only_the_image(marker: int) -> None:
    content = jpeg()
    hidden = segment(marker, SECRET_PLACE * 3)
    image = parse_image(content[:2] + hidden + content[2:-2] + hidden + content[-2:])
    assert image is not None
    assert SECRET_PLACE not in image.content
    assert opened(image.content).tobytes() == opened(content).tobytes()


@pytest.mark.parametrize("marker", [0x01, 0xD0, 0xD7, 0xD8])
def test_jpeg_with_misplaced_markers_is_refused(marker: int) -> None:
    content = jpeg()
    assert parse_image(content[:2] + bytes([0xFF, marker]) + content[2:]) is None


def test_image_of_many_pixels_in_a_small_file_is_refused() -> None:
    header = struct.pack(">BHHB", 8, MAX_SIDE + 1, 100, 1) + b"\x01\x11\x00"
    bomb = b"\xff\xd8" + segment(0xC0, header) + segment(0xDA, bytes(6)) + b"\x00\xff\xd9"
    assert parse_image(bomb) is None
    header = struct.pack(">BHHB", 8, 100, 100, 1) + b"\x01\x11\x00"
    assert parse_image(b"\xff\xd8" + segment(0xC0, header) + segment(0xDA, bytes(6)) + b"\x00\xff\xd9") is not None


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a" + bytes(50), b"RIFF\x00\x00\x00\x00WEBPVP8 ", b"<svg/>", b"\xff\xd8", b"\xff\xd8\xff\xd9"],
)
def test_anything_else_is_refused(content: bytes) -> None:
    assert parse_image(content) is None


@given(st.data())
def test_damaged_image_never_raises_and_never_grows(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([jpeg_with_metadata(), jpeg(progressive=True), png()]))
    start = data.draw(st.integers(0, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=20)) + whole[data.draw(st.integers(start, len(whole))) :]
    image = parse_image(damaged)
    assert image is None or len(image.content) <= len(damaged) + 2
