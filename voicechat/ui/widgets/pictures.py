"""Pictures of a message: the button and the strip of the message box, and the thumbnail in the bubble."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

from voicechat.config.groups.image_settings import ImageMode
from voicechat.config.settings import Settings
from voicechat.pictures.picture import MAX_PICTURES_PER_MESSAGE, PictureView
from voicechat.ui.i18n import MESSAGE_NOTES, Locale, get_message
from voicechat.ui.picture_routes import PATH

from .markdown import escape_with_entities


def picture_button_html(tab: str) -> str:
    """Return the button that adds a picture. pictures.js shows it where the server can see."""
    return (
        f'<button id="{tab}-picture" class="mini picture-add" type="button" data-name="picture_add" hidden>'
        '<i class="icon picture-icon"></i></button>'
    )


def picture_strip_html(tab: str) -> str:
    """Return the strip for the pictures of the message being written. pictures.js fills it."""
    return (
        f'<div id="{tab}-pictures" class="picture-strip"><ul data-name="picture_strip"></ul><p role="status"></p></div>'
    )


def picture_settings_script(settings: Settings) -> str:
    """Return the script that tells the page what it may do with pictures."""
    mode = settings.pictures.images if settings.may_show_pictures else ImageMode.OFF
    count = min(settings.pictures.max_images, MAX_PICTURES_PER_MESSAGE)
    values = {
        "mode": mode.value,
        "bytes": settings.pictures.max_image_bytes,
        "count": count,
        "embeddedServerIsBlind": settings.embedded_server_is_blind,
    }
    return f"window.voicePictureSettings = {json.dumps(values)};"


def with_pictures(markup: str, pictures: Sequence[PictureView], locale: Locale) -> str:
    """Return the Markdown of a message, below its pictures. One without content is named in words."""
    shown = "".join(_thumbnail(picture, get_message(MESSAGE_NOTES, "picture", locale)) for picture in pictures)
    return f"{shown}\n\n{markup}" if shown else markup


def _thumbnail(picture: PictureView, word: str) -> str:
    if not picture.name:
        words = escape_with_entities(f"[{word}: {picture.alt}]" if picture.alt else f"[{word}]")
        return f'<span class="incomplete">{words}</span> '
    alt = html.escape(picture.alt or word, quote=True)
    return (
        f'<button type="button" class="picture"><img src="{PATH[1:]}/{picture.name}" alt="{alt}"'
        f' width="{picture.width}" height="{picture.height}"></button>'
    )
