"""Welcome of a tab: shown in the conversation's place while it is empty. welcome.js wires the buttons. Pure.

The texts are filled in by page_texts.js, in the page's language.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from voicechat.config.personas import Persona

from .sound_check import SECTION_HTML

VOICE_SUGGESTIONS = ("tides", "bedtime", "tainan", "coffee")
TEXT_SUGGESTIONS = ("table", "function", "email")
"""Suggestions by code; their texts are `suggest_<code>` in i18n/script_texts.py."""


def render_persona_cards(personas: Sequence[Persona]) -> str:
    """Return the HTML of one button per persona, the first one chosen."""
    return "".join(
        f'<button class="card" type="button" role="radio" aria-checked="{"true" if number == 0 else "false"}"'
        f' data-persona="{escape(persona.key)}">'
        f'<span class="picture"><i class="icon" data-icon="{persona.icon}"></i></span>'
        f"{_both('b', persona.name)}{_both('small', persona.note)}</button>"
        for number, persona in enumerate(personas)
    )


def render_voice_welcome(personas: Sequence[Persona]) -> str:
    """Return the HTML of the voice tab's welcome: title, suggestions and personas."""
    return (
        '<div class="welcome">'
        '<div><h2 data-text="welcome_voice"></h2><p class="lead" data-text="welcome_voice_lead"></p></div>'
        f"{SECTION_HTML}{_suggestions('suggest_title', VOICE_SUGGESTIONS)}"
        '<div><span class="label" id="persona-label" data-text="persona_title"></span>'
        '<div class="cards rail" role="radiogroup" aria-labelledby="persona-label">'
        f"{render_persona_cards(personas)}</div></div></div>"
    )


def render_text_welcome() -> str:
    """Return the HTML of the text tab's welcome."""
    return (
        '<div class="welcome">'
        '<div><h2 data-text="welcome_text"></h2><p class="lead" data-text="welcome_text_lead"></p></div>'
        f"{_suggestions('suggest_text_title', TEXT_SUGGESTIONS)}</div>"
    )


def _suggestions(title: str, codes: Sequence[str]) -> str:
    chips = "".join(f'<button class="chip" type="button" data-text="suggest_{code}"></button>' for code in codes)
    return f'<div><span class="label" data-text="{title}"></span><div class="chips rail">{chips}</div></div>'


def _both(tag: str, wording: tuple[str, str]) -> str:
    """Return an element with both wordings; page_texts.js shows one."""
    english, chinese = (escape(text, quote=True) for text in wording)
    return f'<{tag} data-en="{english}" data-zh="{chinese}"></{tag}>'
