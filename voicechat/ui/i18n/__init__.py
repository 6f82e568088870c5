"""Texts of the page in English and in Traditional Chinese (Taiwan).

Gradio translates the static labels in the browser (`I18N`). Sentences made on the server are looked up by code, in the
language of the visitor's browser (`negotiate_locale`). A test checks that every code has its sentences. The login page
and denied requests have their texts in voicechat/security (auth/login_page.py, denials.py).
"""

from .choices import ENDPOINTING_SPEEDS, LANGUAGES, NOISE_REDUCTIONS, PREFERENCE_MESSAGES
from .details import (
    CONNECT_BUTTON_LABELS,
    EXPORT_TEXTS,
    INCOMPLETE_MARKS,
    KEY_MESSAGES,
    MESSAGE_NOTES,
    SERVER_NAMES,
    SERVER_TITLES,
    USAGE_PANEL_TEXTS,
)
from .labels import I18N, LABELS, label
from .locale import Locale, TranslationTable, get_message, localize, negotiate_locale, parse_locale, parse_timezone
from .model_texts import MODEL_KINDS, MODEL_NEWS_TEXTS, MODEL_TEXTS, NOT_USED_REASONS
from .script_texts import SCRIPT_TEXTS, script_texts_by_locale
from .status_texts import CALL_NOTICE_TEXTS, CALL_STAGE_TEXTS, CHAT_NOTICE_TEXTS, CHAT_STAGE_TEXTS, quote_server
from .tool_texts import APPROVAL_TEXTS, TOOL_CHIP_TEXTS, TOOL_OUTCOMES, TOOL_SETTINGS_TEXTS
from .voice_texts import EMBEDDED_VOICES

__all__ = [
    "APPROVAL_TEXTS",
    "CALL_NOTICE_TEXTS",
    "CALL_STAGE_TEXTS",
    "CHAT_NOTICE_TEXTS",
    "CHAT_STAGE_TEXTS",
    "CONNECT_BUTTON_LABELS",
    "EMBEDDED_VOICES",
    "ENDPOINTING_SPEEDS",
    "EXPORT_TEXTS",
    "I18N",
    "INCOMPLETE_MARKS",
    "KEY_MESSAGES",
    "LABELS",
    "LANGUAGES",
    "MESSAGE_NOTES",
    "MODEL_KINDS",
    "MODEL_NEWS_TEXTS",
    "MODEL_TEXTS",
    "NOISE_REDUCTIONS",
    "NOT_USED_REASONS",
    "PREFERENCE_MESSAGES",
    "SCRIPT_TEXTS",
    "SERVER_NAMES",
    "SERVER_TITLES",
    "TOOL_CHIP_TEXTS",
    "TOOL_OUTCOMES",
    "TOOL_SETTINGS_TEXTS",
    "USAGE_PANEL_TEXTS",
    "Locale",
    "TranslationTable",
    "get_message",
    "label",
    "localize",
    "negotiate_locale",
    "parse_locale",
    "parse_timezone",
    "quote_server",
    "script_texts_by_locale",
]
