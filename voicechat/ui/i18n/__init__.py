"""Texts of the page in English and in Traditional Chinese (Taiwan).

Gradio translates the static labels in the browser (`I18N`). Sentences made on the server are looked up by code, in the
language of the visitor's browser (`negotiate_locale`). A test checks that every code has its sentences. The login page
and denied requests have their texts in voicechat/security (auth/login_page.py, denials.py).
"""

from .choices import ENDPOINTING_SPEEDS, LANGUAGES, NOISE_REDUCTIONS, PREFERENCE_MESSAGES, PRESETS
from .details import (
    CONNECT_BUTTON_LABELS,
    EXPORT_TEXTS,
    INCOMPLETE_MARKS,
    KEY_MESSAGES,
    SERVER_NAMES,
    USAGE_PANEL_TEXTS,
)
from .labels import I18N, LABELS, label
from .locale import Locale, TranslationTable, get_message, localize, negotiate_locale, parse_locale
from .script_texts import SCRIPT_TEXTS, script_texts_by_locale
from .status_texts import CALL_NOTICE_TEXTS, CALL_STAGE_TEXTS, CHAT_NOTICE_TEXTS, CHAT_STAGE_TEXTS, quote_server

__all__ = [
    "CALL_NOTICE_TEXTS",
    "CALL_STAGE_TEXTS",
    "CHAT_NOTICE_TEXTS",
    "CHAT_STAGE_TEXTS",
    "CONNECT_BUTTON_LABELS",
    "ENDPOINTING_SPEEDS",
    "EXPORT_TEXTS",
    "I18N",
    "INCOMPLETE_MARKS",
    "KEY_MESSAGES",
    "LABELS",
    "LANGUAGES",
    "NOISE_REDUCTIONS",
    "PREFERENCE_MESSAGES",
    "PRESETS",
    "SCRIPT_TEXTS",
    "SERVER_NAMES",
    "USAGE_PANEL_TEXTS",
    "Locale",
    "TranslationTable",
    "get_message",
    "label",
    "localize",
    "negotiate_locale",
    "parse_locale",
    "quote_server",
    "script_texts_by_locale",
]
