"""Item parsing: a client's JSON items -> `ConversationItem`."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from offline.audio import duration_ms
from offline.protocol.audio_formats import decode_recording, from_base64
from offline.protocol.outputs import IdGenerator, Json, invalid_type, invalid_value, missing_parameter
from offline.protocol.validators import read_string

from .conversation import ConversationHistory, ConversationItem, MessagePart, MessagePartType, TranscriptStatus

MAX_TEXT_CHARS = 262_144
"""Characters of one text in an item."""

MAX_IMAGE_CHARS = 6_000_000
"""Characters of a picture as a data URI."""
IMAGE_URI_START = re.compile(r"data:image/(png|jpeg);base64,(?=[A-Za-z0-9+/])")

_read_text = partial(read_string, limit=MAX_TEXT_CHARS)

CONTENT_TYPES_BY_ROLE: dict[str, tuple[MessagePartType, ...]] = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


def parse_item(
    raw: Any, path: str, ids: IdGenerator, audio_format: str, *, sees_images: bool = False
) -> ConversationItem:
    """Return the item of a client. `audio_format` is that of its `input_audio`. Raises `ProtocolError`."""
    if not isinstance(raw, dict):
        raise invalid_type(path, "an object")
    item_id = _read_text(raw, "id", path, default="", limit=64) or ids.new("item")
    kind = _read_text(raw, "type", path)
    if kind == "message":
        return _parse_message(raw, path, item_id, audio_format, sees_images=sees_images)
    if kind == "function_call":
        name, arguments = _read_text(raw, "name", path), _read_text(raw, "arguments", path)
        call_id = _read_text(raw, "call_id", path, default="") or ids.new("call")
        return ConversationItem(item_id, "function_call", "assistant", name=name, call_id=call_id, payload=arguments)
    if kind == "function_call_output":
        call_id, output = _read_text(raw, "call_id", path), _read_text(raw, "output", path)
        return ConversationItem(item_id, "function_call_output", call_id=call_id, payload=output)
    raise invalid_value(f"{path}.type", "Supported values are: 'message', 'function_call' and 'function_call_output'.")


def resolve_input_item(
    raw: Any,
    path: str,
    conversation: ConversationHistory,
    ids: IdGenerator,
    audio_format: str,
    *,
    sees_images: bool = False,
) -> ConversationItem:
    """Return an entry of `response.input`: a new item or a referenced one. Raises `ProtocolError`."""
    if isinstance(raw, dict) and raw.get("type") == "item_reference":
        return conversation.get(_read_text(raw, "id", path), f"{path}.id")
    return parse_item(raw, path, ids, audio_format, sees_images=sees_images)


def _parse_message(raw: Json, path: str, item_id: str, audio_format: str, *, sees_images: bool) -> ConversationItem:
    role = _read_text(raw, "role", path)
    if role not in CONTENT_TYPES_BY_ROLE:
        raise invalid_value(f"{path}.role", "Supported values are: 'user', 'assistant' and 'system'.")
    content = raw.get("content")
    if content is None:
        raise missing_parameter(f"{path}.content")
    if not isinstance(content, list):
        raise invalid_type(f"{path}.content", "an array")
    parts = [
        _parse_part(entry, f"{path}.content[{index}]", role, audio_format, sees_images=sees_images)
        for index, entry in enumerate(content)
    ]
    item = ConversationItem(item_id, "message", "user", parts=parts)
    if role == "system":
        item.role = "system"
    elif role == "assistant":
        item.role = "assistant"
    if any(part.audio for part in parts):
        item.transcript_status = TranscriptStatus.PENDING
    return item


def _parse_part(raw: Any, path: str, role: str, audio_format: str, *, sees_images: bool) -> MessagePart:
    if not isinstance(raw, dict):
        raise invalid_type(path, "an object")
    kind = _read_text(raw, "type", path)
    if kind == "input_image" and not sees_images:
        raise invalid_value(path, "The models of this server cannot see images.")
    allowed = next((part_type for part_type in CONTENT_TYPES_BY_ROLE[role] if part_type == kind), None)
    if allowed is None:
        choices = " and ".join(map(repr, CONTENT_TYPES_BY_ROLE[role]))
        raise invalid_value(f"{path}.type", f"Supported values for the role '{role}' are: {choices}.")
    if allowed in ("input_text", "output_text"):
        return MessagePart(allowed, _read_text(raw, "text", path))
    if allowed == "input_image":
        image_url = read_string(raw, "image_url", path, limit=MAX_IMAGE_CHARS)
        if not IMAGE_URI_START.match(image_url):
            raise invalid_value(f"{path}.image_url", "Expected a PNG or JPEG as a data URI in base64.")
        return MessagePart(allowed, image_url=image_url)
    audio = raw.get("audio")
    transcript = raw.get("transcript")
    if transcript is not None:
        transcript = _read_text(raw, "transcript", path)
    if allowed == "output_audio":
        if audio:
            raise invalid_value(f"{path}.audio", "An assistant message accepts only text, not audio.")
        return MessagePart(allowed, transcript or "")
    if audio is None:
        if transcript is None:
            raise missing_parameter(f"{path}.audio")
        return MessagePart(allowed, transcript)
    pcm = decode_recording(audio_format, from_base64(audio, f"{path}.audio"), f"{path}.audio")
    return MessagePart(allowed, "", has_public_transcript=False, audio=bytearray(pcm), duration_ms=duration_ms(pcm))
