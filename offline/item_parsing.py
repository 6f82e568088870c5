"""Items as clients write them: checked, and made into `Item` values."""

from __future__ import annotations

from typing import Any

from offline.audio_formats import BYTES_PER_MS, decode_all, from_base64
from offline.events import Ids, Json, invalid_type, invalid_value, missing
from offline.items import Conversation, Item, Part, PartType, Words

MAX_TEXT = 262_144
"""Characters of one text in an item."""

CONTENT: dict[str, tuple[PartType, ...]] = {
    "user": ("input_text", "input_audio"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


def parse_item(raw: Any, path: str, ids: Ids, audio_format: str) -> Item:
    """The item a client wants to add. `audio_format`: that of `input_audio` in it. Raises `ProtocolError`."""
    if not isinstance(raw, dict):
        raise invalid_type(path, "an object")
    item_id = _text(raw, "id", path, default="", limit=64) or ids.new("item")
    kind = _text(raw, "type", path)
    if kind == "message":
        return _message(raw, path, item_id, audio_format)
    if kind == "function_call":
        name, arguments = _text(raw, "name", path), _text(raw, "arguments", path)
        call_id = _text(raw, "call_id", path, default="") or ids.new("call")
        return Item(item_id, "function_call", "assistant", name=name, call_id=call_id, payload=arguments)
    if kind == "function_call_output":
        call_id, output = _text(raw, "call_id", path), _text(raw, "output", path)
        return Item(item_id, "function_call_output", call_id=call_id, payload=output)
    raise invalid_value(f"{path}.type", "Supported values are: 'message', 'function_call' and 'function_call_output'.")


def resolve(raw: Any, path: str, conversation: Conversation, ids: Ids, audio_format: str) -> Item:
    """An entry of `response.input`: a new item, or one of the conversation by reference. Raises `ProtocolError`."""
    if isinstance(raw, dict) and raw.get("type") == "item_reference":
        return conversation.get(_text(raw, "id", path), f"{path}.id")
    return parse_item(raw, path, ids, audio_format)


def _message(raw: Json, path: str, item_id: str, audio_format: str) -> Item:
    role = _text(raw, "role", path)
    if role not in CONTENT:
        raise invalid_value(f"{path}.role", "Supported values are: 'user', 'assistant' and 'system'.")
    content = raw.get("content")
    if content is None:
        raise missing(f"{path}.content")
    if not isinstance(content, list):
        raise invalid_type(f"{path}.content", "an array")
    parts = [_part(entry, f"{path}.content[{index}]", role, audio_format) for index, entry in enumerate(content)]
    item = Item(item_id, "message", "user", parts=parts)
    if role == "system":
        item.role = "system"
    elif role == "assistant":
        item.role = "assistant"
    if any(part.audio for part in parts):
        item.words = Words.AWAITED
    return item


def _part(raw: Any, path: str, role: str, audio_format: str) -> Part:
    if not isinstance(raw, dict):
        raise invalid_type(path, "an object")
    kind = _text(raw, "type", path)
    if kind == "input_image":
        raise invalid_value(path, "The models of this server cannot see images.")
    allowed = next((known for known in CONTENT[role] if known == kind), None)
    if allowed is None:
        choices = " and ".join(map(repr, CONTENT[role]))
        raise invalid_value(f"{path}.type", f"Supported values for the role '{role}' are: {choices}.")
    if allowed in ("input_text", "output_text"):
        return Part(allowed, _text(raw, "text", path))
    audio = raw.get("audio")
    transcript = raw.get("transcript")
    if transcript is not None:
        transcript = _text(raw, "transcript", path)
    if allowed == "output_audio":
        if audio:
            raise invalid_value(f"{path}.audio", "The sound of an assistant message cannot be given, only its text.")
        return Part(allowed, transcript or "")
    if audio is None:
        if transcript is None:
            raise missing(f"{path}.audio")
        return Part(allowed, transcript)
    pcm = decode_all(audio_format, from_base64(audio, f"{path}.audio"), f"{path}.audio")
    return Part(allowed, "", shown=False, audio=bytearray(pcm), ms=len(pcm) / BYTES_PER_MS)


def _text(raw: Json, key: str, path: str, default: str | None = None, limit: int = MAX_TEXT) -> str:
    value = raw.get(key)
    if value is None:
        if default is not None:
            return default
        raise missing(f"{path}.{key}")
    if not isinstance(value, str):
        raise invalid_type(f"{path}.{key}", "a string")
    if len(value) > limit:
        raise invalid_value(f"{path}.{key}", f"At most {limit} characters are accepted.")
    return value
