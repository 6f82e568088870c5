"""Settings of pictures in messages."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from voicechat.config.env_values import IgnoreCase, setting
from voicechat.config.settings_base import SettingsBase


class ImageMode(StrEnum):
    """Whether messages may have pictures."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class ImageSettings(SettingsBase):
    """Pictures in messages."""

    TITLES: ClassVar = ("Pictures", "圖片")

    images: Annotated[ImageMode, IgnoreCase] = setting(
        ImageMode.AUTO,
        "訊息能不能附圖片，包括用相機拍。auto：伺服器看得到圖才開；on：一律開；off：不開，網頁也不能用相機。",
    )
    """Pictures in messages, from files, the clipboard or the camera. auto: where the server can see; on: always; off:
    never, and the page may not use the camera."""
    max_image_bytes: int = setting(
        400_000,
        "一張圖片最大幾位元組。網頁會先縮小再上傳，一般在 250,000 以內。",
        ge=20_000,
        le=4_000_000,
    )
    """Bytes of one picture. The page makes pictures smaller before it sends them, mostly to less than 250,000."""
    max_images: int = setting(
        4,
        "伺服器的對話裡最多留幾張圖片，再多就把最舊的刪掉。每張圖在之後的每次回答都會再算一次錢。",
        ge=1,
        le=20,
    )
    """Pictures that stay in the server's conversation; older ones are deleted there. Each is paid again with every
    later reply."""
