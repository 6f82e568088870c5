"""Every sentence a visitor reads, in English and in Traditional Chinese (Taiwan).

Static labels go through Gradio's own translation in the browser (`I18N`); sentences made on the server are looked up
here by code, in the language the visitor's browser asked for (`negotiate_locale`). A code without a sentence is a bug, and a
test says so. (The login page has its own few: it stands before the page, `voicechat/security/denials.py`.)
"""

from .choices import ENDPOINTING_SPEEDS, LANGUAGES, NOISE_REDUCTIONS, PREFERENCE_MESSAGES, PRESETS
from .details import CONNECT_BUTTON_LABELS, EXPORT_TEXTS, KEY_MESSAGES, SERVER_NAMES, USAGE_PANEL_TEXTS
from .labels import I18N, LABELS, label
from .locale import Locale, TranslationTable, get_message, localize, negotiate_locale, parse_locale
from .script_texts import SCRIPT_TEXTS, script_texts_by_locale
from .status_texts import CALL_NOTICE_TEXTS, CALL_STAGE_TEXTS, CHAT_NOTICE_TEXTS, CHAT_STAGE_TEXTS

__all__ = [
    "CALL_NOTICE_TEXTS",
    "CALL_STAGE_TEXTS",
    "CHAT_NOTICE_TEXTS",
    "CHAT_STAGE_TEXTS",
    "CONNECT_BUTTON_LABELS",
    "ENDPOINTING_SPEEDS",
    "EXPORT_TEXTS",
    "I18N",
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
    "script_texts_by_locale",
]
