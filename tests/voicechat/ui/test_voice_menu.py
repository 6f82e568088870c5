"""Voice menu of the embedded server: its voices in both languages, and when it is hidden."""

from __future__ import annotations

import re
from typing import Any

import gradio as gr
import pytest

from offline.protocol.voices import HIBARI, SPEAKERS, VOICE_IDS, voice_pair
from voicechat.config.call_preferences import CallPreferences
from voicechat.config.groups.embedded_settings import EndpointScope
from voicechat.config.settings import Settings
from voicechat.session.visitor import Visitor
from voicechat.ui.i18n import EMBEDDED_VOICES, PREFERENCE_MESSAGES, Locale
from voicechat.ui.load_steps import LoadSteps
from voicechat.ui.settings_panel import panel
from voicechat.ui.settings_panel.call_preferences import wire
from voicechat.ui.settings_panel.model_note import EmbeddedModelStatus
from voicechat.ui.settings_panel.voice_menu import (
    OPENAI_VOICES,
    embedded_voice_menu,
    embedded_voices,
    openai_voices,
)

LOCALES: tuple[Locale, ...] = ("en", "zh-TW")
ALL = EmbeddedModelStatus("small", voices=tuple(SPEAKERS))


def test_menu_knows_each_speaker_and_the_server_each_name_of_the_menu() -> None:
    assert EMBEDDED_VOICES.keys() == SPEAKERS.keys()
    assert {name for _, name in openai_voices()} | set(EMBEDDED_VOICES) == set(VOICE_IDS)


@pytest.mark.parametrize("locale", LOCALES)
def test_voices_are_grouped_by_language_that_of_the_page_first(locale: Locale) -> None:
    names = [name for _, name in embedded_voices(ALL, locale)]
    languages = [SPEAKERS[name] for name in names]
    assert len(names) == len(SPEAKERS)
    assert languages == sorted(languages, reverse=locale == "zh-TW")


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_words_of_a_voice_say_its_language_its_kind_and_whether_it_is_slower(speaker: str) -> None:
    english, chinese = EMBEDDED_VOICES[speaker]
    is_woman = speaker == HIBARI or speaker[1] == "f"
    assert re.search(r"\b(wo)?man\b", english)[0] == ("woman" if is_woman else "man")  # type: ignore[index]
    assert ("女聲" in chinese, "男聲" in chinese) == (is_woman, not is_woman)
    assert english.split(":")[0] == ("English" if SPEAKERS[speaker] == "en" else "Mandarin")
    assert chinese.split("：")[0] == ("英語" if SPEAKERS[speaker] == "en" else "中文")
    is_slower = voice_pair(speaker).english != HIBARI
    assert ("slower to start" in english, "較慢" in chinese) == (is_slower, is_slower)


@pytest.mark.parametrize("locale", LOCALES)
def test_menu_shows_only_what_the_server_has(locale: Locale) -> None:
    status = EmbeddedModelStatus("small", voices=("hibari", "zm_yunxi", "of a later version"))
    assert {name for _, name in embedded_voices(status, locale)} == {"hibari", "zm_yunxi"}
    assert embedded_voices(EmbeddedModelStatus(), locale) == []
    assert embedded_voices(EmbeddedModelStatus("small", tts=EndpointScope.PRIVATE, voices=("hibari",)), locale) == []
    with_key = EmbeddedModelStatus("small", has_own_key=True, voices=("hibari",))
    assert [name for _, name in embedded_voices(with_key, locale)] == list(OPENAI_VOICES)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("status", "is_visible"), [(ALL, True), (EmbeddedModelStatus(), False)])
@pytest.mark.parametrize("chosen", ["", "zm_yunxi"])
async def test_field_of_a_loaded_page_shows_the_menu_and_the_choice(
    locale: Locale, status: EmbeddedModelStatus, is_visible: bool, chosen: str
) -> None:
    visitor, load_steps = Visitor(), LoadSteps()
    visitor.preferences = CallPreferences(voice=chosen)
    settings = Settings()
    with gr.Blocks():
        built = panel.build(settings)
        assert built.note is not None
        menu = embedded_voice_menu(lambda _: status)
        wire(built.preferences, settings, gr.State(), gr.State(), load_steps, menu, built.note.refresh)
    place = list(built.preferences.__dataclass_fields__).index("voice")
    field: Any = load_steps.values(visitor, locale)[place]
    as_set = PREFERENCE_MESSAGES["as_set"][LOCALES.index(locale)]
    assert field.visible is is_visible
    assert field.value == (chosen or as_set)
    assert [name for _, name in field.choices] == [as_set, *(name for _, name in embedded_voices(status, locale))]
