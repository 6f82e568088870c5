"""Pictures: what is sent in their place, and their records."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pictures.image_files import jpeg
from voicechat.pictures.image_file import ImageFile, parse_image
from voicechat.pictures.picture import MAX_ALT_CHARS, Picture, clean_alt, picture_from_json, picture_parts


def new_picture(alt: str = "") -> Picture:
    image = parse_image(jpeg())
    assert isinstance(image, ImageFile)
    picture = Picture.of("secret-name", image)
    picture.describe(alt)
    return picture


def test_picture_is_sent_as_a_data_uri() -> None:
    picture = new_picture()
    (part,) = picture_parts([picture], are_sent=True)
    kind, _, encoded = part["image_url"].partition(";base64,")
    assert (part["type"], kind) == ("input_image", "data:image/jpeg")
    assert picture.image is not None
    assert base64.b64decode(encoded) == picture.image.content


def test_words_take_the_place_of_a_picture_that_is_not_sent() -> None:
    picture = new_picture("a cat")
    (words,) = picture_parts([picture], are_sent=False)
    assert words["type"] == "input_text"
    assert "a cat" in words["text"]
    picture.erase()
    assert picture_parts([picture], are_sent=True) == [words]


def test_alternative_text_goes_with_the_picture() -> None:
    parts = picture_parts([new_picture("a cat")], are_sent=True)
    assert [part["type"] for part in parts] == ["input_image", "input_text"]


def test_record_has_the_name_and_never_the_content() -> None:
    picture = new_picture("a cat")
    assert picture.view.to_json() == {"name": "picture-64x48.jpg", "alt": "a cat", "width": 64, "height": 48}
    assert "secret" not in repr(picture)
    restored = picture_from_json(picture.view.to_json())
    assert restored.image is None
    assert restored.view._replace(name="secret-name") == picture.view


@pytest.mark.parametrize(
    "value",
    [None, {}, {"alt": 1, "width": 1, "height": 1}, {"alt": "", "width": 0, "height": 1}, {"alt": "", "width": True}],
)
def test_record_of_a_browser_is_checked(value: Any) -> None:
    with pytest.raises(ValueError, match="picture"):
        picture_from_json(value)


@given(st.text())
def test_alternative_text_is_one_printable_line(text: str) -> None:
    cleaned = clean_alt(text)
    assert len(cleaned) <= MAX_ALT_CHARS
    assert cleaned.isprintable()
