"""Value types of settings: how the text of an environment variable becomes a checked value.

A type that needs more than pydantic's own check has a validator. It raises `SettingsError` with a sentence that names
the variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic.fields import FieldInfo

from voicechat.protocol.endpoint import is_valid_header_value, to_realtime_url

T = TypeVar("T")

MAX_KEY_CHARS: Final = 4000
"""Characters of a key: an access token of Microsoft Entra has about 2000."""


class SettingsError(ValueError):
    """Unusable settings: one sentence for each mistake, on a line of its own. Secret values are not repeated."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True, slots=True)
class SettingNotes:
    """Notes on a field beside its type and default: for the documentation, and the other name of its variable."""

    meaning_zh: str
    """Meaning in Traditional Chinese. The English one is the docstring under the field."""
    example: str = ""
    """Value as in `.env`, for settings whose default is empty."""
    fallback: str = ""
    """Variable that is read while the setting's own is not set."""
    values: str = ""
    """Allowed values, where the type and the bounds do not tell them. The same in both languages."""


def setting(
    default: T,
    meaning_zh: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    max_length: int | None = None,
    secret: bool = False,
    example: str = "",
    fallback: str = "",
    values: str = "",
) -> T:
    """Return the declaration of a setting. `secret` keeps its value out of `repr`; bounds are inclusive."""
    notes = {"meaning_zh": meaning_zh, "example": example, "fallback": fallback, "values": values}
    field: T = Field(default, ge=ge, le=le, max_length=max_length, repr=not secret, json_schema_extra={**notes})
    return field


def notes_of(field: FieldInfo) -> SettingNotes:
    """Return the notes that `setting` stored with a field."""
    extra: Any = field.json_schema_extra
    return SettingNotes(**extra)


def variable_names(field_name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the environment variables of a field, the preferred one first."""
    fallback = notes_of(field).fallback
    return (field_name.upper(), fallback) if fallback else (field_name.upper(),)


def variable_of(info: ValidationInfo) -> str:
    """Return the environment variable of the field under validation."""
    return (info.field_name or "").upper()


def check_key(text: str, name: str = "The key") -> str:
    """Return a key without surrounding spaces. Raise SettingsError, without the key, unless it is visible ASCII."""
    text = text.strip()
    if not is_valid_header_value(text) or len(text) > MAX_KEY_CHARS:
        raise SettingsError(f"{name} holds a space or a character that no key has: it may have been pasted wrongly.")
    return text


def _validate_key(value: str, info: ValidationInfo) -> str:
    return check_key(value, variable_of(info))


def _validate_realtime_url(value: str, info: ValidationInfo) -> str:
    """Return the URL with scheme and path completed. The error does not repeat it: it may hold a key."""
    try:
        return to_realtime_url(value) if value else ""
    except ValueError:
        raise SettingsError(f"{variable_of(info)} must be an address that starts with ws:// or wss://.") from None


def name_list(max_count: int, max_chars: int) -> BeforeValidator:
    """Return a validator that splits names at commas and keeps each name once."""

    def split(value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(dict.fromkeys(" ".join(word.split()) for word in re.split("[,，、]", value) if word.strip()))
        if len(names) > max_count or any(len(name) > max_chars for name in names):
            raise SettingsError(
                f"{variable_of(info)} must be at most {max_count} names of at most {max_chars} characters, "
                "between commas."
            )
        return names

    return BeforeValidator(split)


def _validate_llm_choice(value: str, info: ValidationInfo) -> str:
    """Return the choice. The embedded server has the same rule; it would end with a wrong one, and be started again."""
    value = value.strip()
    is_path = value.lower().endswith(".gguf") or "/" in value or "\\" in value
    if is_path or value.lower() in ("auto", "small", "medium", "large"):
        return value
    raise SettingsError(f"{variable_of(info)} must be auto, small, medium, large or the path of a GGUF file.")


Key = Annotated[str, AfterValidator(_validate_key)]
"""Key for an HTTP header."""
RealtimeUrl = Annotated[str, AfterValidator(_validate_realtime_url)]
"""Address of a Realtime server, as a WebSocket URL."""
LlmChoice = Annotated[str, AfterValidator(_validate_llm_choice)]
"""Language model of the embedded server: a tier, or the path of a file."""
IgnoreCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""Validator for enums: accept capital letters."""
