"""Every sentence a visitor reads, in English and in Traditional Chinese (Taiwan).

Static labels go through Gradio's own translation in the browser (`I18N`); sentences made on the server are looked up
here by code, in the language the visitor's browser asked for (`locale_of`). A code without a sentence is a bug, and a
test says so. (The login page has its own few: it stands before the page, `web/guard/words.py`.)
"""

from .choices import LANGUAGES, NOISES, PACES, PRESETS, WISHES
from .details import CONNECT_BUTTON, EXPORT, FIGURES, KEY_STATES, SERVERS
from .labels import I18N, LABELS, label
from .locale import Locale, Table, as_locale, locale_of, pick, sentence
from .scripts import PAGE, page_tables
from .states import CHAT_NOTICES, CHAT_STAGES, NOTICES, STAGES

__all__ = [
    "CHAT_NOTICES",
    "CHAT_STAGES",
    "CONNECT_BUTTON",
    "EXPORT",
    "FIGURES",
    "I18N",
    "KEY_STATES",
    "LABELS",
    "LANGUAGES",
    "NOISES",
    "NOTICES",
    "PACES",
    "PAGE",
    "PRESETS",
    "SERVERS",
    "STAGES",
    "WISHES",
    "Locale",
    "Table",
    "as_locale",
    "label",
    "locale_of",
    "page_tables",
    "pick",
    "sentence",
]
