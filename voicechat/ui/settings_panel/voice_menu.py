"""Voice menu: OpenAI's voices, or those of the embedded server, grouped by language."""

from __future__ import annotations

from collections.abc import Callable

from voicechat.config.groups.embedded_settings import EndpointScope
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import EMBEDDED_VOICES, Locale, localize

from .model_note import EmbeddedModelStatus, EmbeddedModelStatusProvider

OPENAI_VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
"""Voices of OpenAI (2026-11). Other servers have other voices, so the field accepts any name."""

VoiceChoices = list[tuple[str, str]]
"""Entries of the menu: the words that it shows, and the voice's name in the protocol."""
VoiceMenu = Callable[[Visitor, Locale], VoiceChoices]
"""Entries for a visitor now. Without entries the menu is hidden."""


def openai_voices(*_: object) -> VoiceChoices:
    """Return OpenAI's voices, for any visitor."""
    return [(name, name) for name in OPENAI_VOICES]


def embedded_voices(status: EmbeddedModelStatus, locale: Locale) -> VoiceChoices:
    """Return the voices of the visitor's next call: the voices of the page's language first.

    None where an endpoint speaks. With the visitor's own key they are OpenAI's.
    """
    if status.has_own_key:
        return openai_voices()
    if status.tts is not EndpointScope.NONE:
        return []
    known = [each for each in EMBEDDED_VOICES if each in status.voices]  # in the order of the table: English first
    if locale == "zh-TW":
        known.sort(key=lambda each: not each.startswith("z"))
    return [(localize(EMBEDDED_VOICES[each], locale), each) for each in known]


def embedded_voice_menu(model_status: EmbeddedModelStatusProvider) -> VoiceMenu:
    """Return the menu of a page whose calls use the embedded server."""
    return lambda visitor, locale: embedded_voices(model_status(visitor.own_key), locale)
