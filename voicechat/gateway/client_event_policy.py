"""Client event policy: checks, bounds and translates the events that a program sends to the operator's server. Pure.

Settings are checked in `session_settings_policy`. The text that is forwarded is always written from the checked values.
A client's own text can hold one name twice, which two readers may understand differently.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

from voicechat.config.session_update import SessionMode
from voicechat.protocol.beta_dialect import Dialect, client_to_beta, client_to_ga
from voicechat.protocol.event_fields import RawEvent
from voicechat.protocol.json_codec import InvalidJson, NotAnObject, read_object, write_json

from .client_event_errors import (
    FUNCTIONS_ONLY_MESSAGE,
    ClientEventRejected,
    invalid_json,
    invalid_value,
    missing_param,
    wrong_type,
)
from .session_settings_policy import SessionSettingsPolicy

MAX_AUDIO_BYTES = 15 * 2**20
"""Bytes of audio in one `input_audio_buffer.append`: the protocol's own limit."""
MAX_EVENT_ID_CHARS = 512
"""Characters of an `event_id`: the protocol's own limit."""
BILLABLE_EVENTS = frozenset(
    {"response.create", "input_audio_buffer.append", "input_audio_buffer.commit", "conversation.item.create"}
)
"""Events by which a client causes costs."""

_ALLOWED_EVENTS = frozenset(
    {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.create",
        "response.cancel",
        "output_audio_buffer.clear",
    }
)


def _accept_all(_: RawEvent) -> None:
    """Reject nothing."""


class ClientEventPolicy:
    """The rules for one client. Its only state is whether the client's audio is PCM16."""

    def __init__(
        self,
        mode: SessionMode,
        max_output_tokens: int,
        *,
        dialect: Dialect = Dialect.GA,
        check_budget: Callable[[RawEvent], None] = _accept_all,
    ) -> None:
        """`max_output_tokens`: of one response. `dialect`: of the client. `check_budget`: called last for every GA
        event; may raise `ClientEventRejected`."""
        self._mode = mode
        self._dialect = dialect
        self._settings = SessionSettingsPolicy(mode, max_output_tokens)
        self._is_pcm16 = True
        self._check_budget = check_budget

    def pin_transcription_model(self, model: str) -> None:
        """Give every later update the operator's transcription model; "" when it is unknown."""
        self._settings.transcription_model = model

    def process_message(self, message: str | bytes, server_dialect: Dialect = Dialect.GA) -> list[str]:
        """Return the messages to forward to a server of this dialect. Raises `ClientEventRejected`."""
        if isinstance(message, bytes):
            raise ClientEventRejected("invalid_event", "Expected a text WebSocket message, got a binary one.")
        event_id: str | None = None
        try:
            event = _read_event(message)
            event_id = _get_event_id(event)
            out: list[str] = []
            for old in client_to_ga(event) if self._dialect is Dialect.BETA else [event]:
                new = self._check_event(old)
                out += map(_write_event, client_to_beta(new) if server_dialect is Dialect.BETA else [new])
                self._check_budget(new)
            return out
        except ClientEventRejected as rejected:
            rejected.event_id = event_id
            raise

    def _check_event(self, event: RawEvent) -> RawEvent:
        """Return the event as it may be forwarded."""
        kind = event.get("type")
        if kind is None:
            raise missing_param("type")
        if not isinstance(kind, str):
            raise wrong_type("type", "a string")
        if kind not in _ALLOWED_EVENTS:
            raise invalid_value("The protocol has no client event of this type.", "type")
        if kind.startswith("input_audio_buffer.") and self._mode is SessionMode.TEXT:
            raise invalid_value("This endpoint is for text; sound is heard at /realtime-voice.", "type")
        if kind == "input_audio_buffer.append":
            _check_audio_payload(event.get("audio"), self._is_pcm16)
        elif kind == "session.update":
            return {**event, "session": self._check_session(event.get("session"))}
        elif kind == "response.create" and event.get("response") is not None:
            return {**event, "response": self._check_response(event["response"])}
        elif kind == "conversation.item.create":
            self._check_item(event.get("item"), "item")
        return event

    def _check_session(self, session: Any) -> RawEvent:
        new = self._settings.check_session(session)
        audio = new.get("audio")
        audio_in = audio.get("input") if isinstance(audio, dict) else None
        audio_format = audio_in.get("format") if isinstance(audio_in, dict) else None
        if isinstance(audio_format, dict) and "type" in audio_format:
            self._is_pcm16 = audio_format["type"] == "audio/pcm"  # a sample of the other formats is one byte
        return new

    def _check_response(self, response: Any) -> RawEvent:
        new = self._settings.check_response(response)
        items = new.get("input")
        for index, item in enumerate(items if isinstance(items, list) else []):
            self._check_item(item, f"response.input[{index}]")
        return new

    def _check_item(self, item: Any, path: str) -> None:
        """Reject an item that the server might accept and must not. The server itself rejects invalid ones."""
        if not isinstance(item, dict):
            return
        if str(item.get("type")).startswith("mcp"):
            raise invalid_value(FUNCTIONS_ONLY_MESSAGE, f"{path}.type")
        content = item.get("content")
        if self._mode is SessionMode.VOICE or not isinstance(content, list):
            return
        for index, part in enumerate(content):
            if isinstance(part, dict) and "audio" in str(part.get("type")):
                raise invalid_value("This endpoint is for text.", f"{path}.content[{index}].type")


def _read_event(text: str) -> RawEvent:
    try:
        return read_object(text)
    except NotAnObject:
        raise ClientEventRejected("invalid_event", "Expected a JSON object with a 'type'.") from None
    except InvalidJson:
        raise invalid_json() from None


def _write_event(event: RawEvent) -> str:
    try:
        return write_json(event)
    except InvalidJson:  # a number that is too large
        raise invalid_json() from None


def _check_audio_payload(audio: Any, is_pcm16: bool) -> None:
    if audio is None:
        raise missing_param("audio")
    if not isinstance(audio, str):
        raise wrong_type("audio", "a base64 string")
    size = len(audio) * 3 // 4
    if size <= MAX_AUDIO_BYTES + 2:  # with its padding
        try:
            size = len(binascii.a2b_base64(audio, strict_mode=True))
        except ValueError:
            raise invalid_value("It is not valid base64.", "audio") from None
    if size > MAX_AUDIO_BYTES:
        raise invalid_value(f"An event may carry at most {MAX_AUDIO_BYTES} bytes of sound.", "audio")
    if is_pcm16 and size % 2:
        raise invalid_value("PCM16 has two bytes for each sample; these are an odd number.", "audio")


def _get_event_id(event: RawEvent) -> str | None:
    given = event.get("event_id")
    if given is None:
        return None
    if not isinstance(given, str):
        raise wrong_type("event_id", "a string")
    if len(given) > MAX_EVENT_ID_CHARS:
        raise invalid_value(f"It may have at most {MAX_EVENT_ID_CHARS} characters.", "event_id")
    return given
