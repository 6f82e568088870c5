"""The PERSONAS setting: a JSON list, or the path of a file with one. Its errors quote no text of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voicechat.config.env_values import SettingsError

from .built_in import BUILT_IN
from .persona import ICONS, Persona, Wording

MAX_PERSONAS = 12
MAX_KEY_CHARS = 40
MAX_NAME_CHARS = 60
MAX_NOTE_CHARS = 120
MAX_INSTRUCTIONS_CHARS = 4000
MAX_FILE_BYTES = 256 * 1024
FIELDS = ("key", "icon", "name", "note", "instructions")
BYTE_ORDER_MARK = "\ufeff"


def load_personas(setting: str | tuple[Persona, ...]) -> tuple[Persona, ...]:
    """Return the personas of the PERSONAS setting: "" for the built-in ones. Raises `SettingsError`."""
    if not isinstance(setting, str):
        return setting
    text = setting.strip().removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text:
        return BUILT_IN
    if text[0] not in "[{":
        text = _read_file(text)
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        raise SettingsError("PERSONAS: this is not a JSON list.") from None
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_PERSONAS:
        raise SettingsError(f"PERSONAS: a list of 1 to {MAX_PERSONAS} personas is needed.")
    personas = tuple(_parse(row, number) for number, row in enumerate(rows, 1))
    if len({persona.key for persona in personas}) < len(personas):
        raise SettingsError("PERSONAS: two personas have the same key.")
    return personas


def _read_file(name: str) -> str:
    try:
        path = Path(name).expanduser()
        if not path.is_file():
            raise SettingsError("PERSONAS: no such file. The value must be a path, or a JSON list that starts with [.")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise SettingsError(f"PERSONAS: the file is larger than {MAX_FILE_BYTES // 1024} KiB.")
        return content.decode("utf-8-sig")
    except SettingsError:
        raise
    except (OSError, ValueError, RuntimeError):  # RuntimeError: "~" of a user that does not exist
        raise SettingsError("PERSONAS: the file cannot be read as UTF-8 text.") from None


def _parse(row: Any, number: int) -> Persona:
    where = f"PERSONAS: persona {number}"
    if not isinstance(row, dict):
        raise SettingsError(f"{where} is not an object.")
    if not row.keys() <= set(FIELDS):
        raise SettingsError(f"{where} has a field that does not exist; the fields are {', '.join(FIELDS)}.")
    name = _parse_wording(row.get("name", ""), f"{where}: name", MAX_NAME_CHARS)
    if not name[0]:
        raise SettingsError(f"{where} needs a name.")
    icon = row.get("icon", "person")
    if icon not in ICONS:
        raise SettingsError(f"{where}: icon must be one of {', '.join(ICONS)}.")
    key = row.get("key", f"persona-{number}")
    if not _is_key(key):
        raise SettingsError(f"{where}: key must be 1 to {MAX_KEY_CHARS} letters (a-z), digits, - or _.")
    instructions = row.get("instructions", "")
    if not _is_text(instructions, MAX_INSTRUCTIONS_CHARS):
        raise SettingsError(f"{where}: instructions must be text of at most {MAX_INSTRUCTIONS_CHARS} characters.")
    note = _parse_wording(row.get("note", ""), f"{where}: note", MAX_NOTE_CHARS)
    return Persona(key, icon, name, note, instructions.strip())


def _is_key(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_KEY_CHARS or not value.isascii():
        return False
    return all(letter.isalnum() or letter in "-_" for letter in value)


def _is_text(value: Any, max_chars: int) -> bool:
    """Return whether this is a text that can be shown and sent: without half characters."""
    return isinstance(value, str) and len(value) <= max_chars and not any("\ud800" <= c <= "\udfff" for c in value)


def _parse_wording(value: Any, where: str, max_chars: int) -> Wording:
    """Return both languages of a text: a string for both, or an object with "en" and "zh-TW"; one of them may lack."""
    if isinstance(value, dict) and value and value.keys() <= {"en", "zh-TW"}:
        english, chinese = value.get("en", ""), value.get("zh-TW", "")
    elif isinstance(value, str):
        english = chinese = value
    else:
        raise SettingsError(f'{where} must be text, or {{"en": …, "zh-TW": …}}.')
    if not _is_text(english, max_chars) or not _is_text(chinese, max_chars):
        raise SettingsError(f"{where} must be text of at most {max_chars} characters.")
    english, chinese = " ".join(english.split()), " ".join(chinese.split())
    return english or chinese, chinese or english
