"""Server events as small frozen values: each event is parsed once, leniently, and dispatched by its class. Pure.

A server may leave out or misshape any field: a missing text is "", a missing object {}, a missing count 0.
An event of a type that is not in the table stays as it came, in `UnknownEvent`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from .event_fields import (
    Event,
    get_content_index,
    get_item_ids,
    get_object,
    get_objects,
    get_response_id,
    get_string,
    to_count,
)
from .objects.function_call import FunctionCall, parse_function_call
from .objects.server_item import ServerItem, parse_item

MAX_TIMESTAMP = 2**40
"""Seconds since 1970. A larger expiry is a mistake of the server."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """Base of all events, with the ids of the response and the item that an event is about."""

    response_id: str
    """Id of the response; "" when the event names none."""
    item_id: str
    """Id of the item; "" when the event names none, or names it inside an object."""

    @property
    def item_ids(self) -> list[str]:
        """All items that the event names."""
        return [self.item_id] if self.item_id else []


@dataclass(frozen=True, slots=True)
class UnknownEvent(ServerEvent):
    """An event of a type that has no class here, unchanged."""

    raw: Event

    @property
    def item_ids(self) -> list[str]:
        return get_item_ids(self.raw)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """A session object, as far as it matters here."""

    model: str
    expires_at: float | None
    """Seconds since 1970; None when the server does not say."""
    turn_detection: Event
    transcription: Event


# ---------------------------------------------------------------- session and input


@dataclass(frozen=True, slots=True)
class SessionEvent(ServerEvent):
    """Base of the events that hold a session object."""

    session: SessionConfig


class SessionCreated(SessionEvent):
    __slots__ = ()


class SessionUpdated(SessionEvent):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ServerError(ServerEvent):
    """`error`."""

    code: str
    event_id: str
    """Id of our event that the error is about; "" when the server does not say."""
    error: Event


@dataclass(frozen=True, slots=True)
class SpeechStarted(ServerEvent):
    audio_start_ms: int | None


@dataclass(frozen=True, slots=True)
class SpeechStopped(ServerEvent):
    audio_end_ms: int | None
    silence_ms: int | None = None  # that ended the turn, where the server chooses it for each turn


@dataclass(frozen=True, slots=True)
class InputCommitted(ServerEvent):
    previous_item_id: str


class InputCleared(ServerEvent):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TranscriptDelta(ServerEvent):
    """A piece of what the visitor said."""

    content_index: int
    delta: str


@dataclass(frozen=True, slots=True)
class TranscriptUpdated(ServerEvent):
    """All of what is understood so far; more may come."""

    content_index: int
    transcript: str


@dataclass(frozen=True, slots=True)
class TranscriptCompleted(ServerEvent):
    content_index: int
    transcript: str
    usage: Event
    endpoint_fault: str = ""
    """Why the embedded server recognised the words itself instead of its endpoint; "" when it did not."""


@dataclass(frozen=True, slots=True)
class TranscriptFailed(ServerEvent):
    error_code: str


# ---------------------------------------------------------------- items


@dataclass(frozen=True, slots=True)
class _ItemEvent(ServerEvent):
    item: ServerItem

    @property
    def item_ids(self) -> list[str]:
        return [name for name in (self.item_id, self.item.id) if name]


@dataclass(frozen=True, slots=True)
class ItemAdded(_ItemEvent):
    """`conversation.item.added`, or `created` of older servers."""

    previous_item_id: str


class ItemDone(_ItemEvent):
    """`conversation.item.done`, or `retrieved`."""

    __slots__ = ()


class OutputItem(_ItemEvent):
    """An item of a response, at its beginning or end."""

    __slots__ = ()


class ItemDeleted(ServerEvent):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ItemTruncated(ServerEvent):
    content_index: int
    audio_end_ms: int


# ---------------------------------------------------------------- responses


class ResponseCreated(ServerEvent):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ResponseDone(ServerEvent):
    status: str
    """Status of the response: "completed" when it is missing or null, "" when it is not a string."""
    reason: str
    """Reason of an incomplete or cancelled response, as the server gives it; "" when it gives none."""
    output: tuple[ServerItem, ...]
    usage: Event
    error: Event
    """Error of a failed response; {} when the server gives none."""
    fallback_fault: str = ""
    """Why the embedded server's own model answered instead of its chat endpoint; "" when it did not."""
    speech_fault: str = ""
    """Why the embedded server's own voice spoke instead of its speech endpoint; "" when it did not."""

    @property
    def error_code(self) -> str:
        return get_string(self.error, "code")

    @property
    def item_ids(self) -> list[str]:
        return [name for name in (self.item_id, *(item.id for item in self.output)) if name]


@dataclass(frozen=True, slots=True)
class TextDelta(ServerEvent):
    """A piece of a reply's text, or of the transcript of its audio."""

    content_index: int
    delta: str


@dataclass(frozen=True, slots=True)
class TextDone(ServerEvent):
    content_index: int
    text: str


@dataclass(frozen=True, slots=True)
class AudioDelta(ServerEvent):
    """A piece of a reply's audio. `item_id` is never "": a server that names no item has one item a response."""

    content_index: int
    audio: str
    """Base64 of PCM16."""

    def decode(self) -> bytes | None:
        """Return the PCM16; None when `audio` is not base64. Left to the one who plays it: others need no audio."""
        try:
            return base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class AudioDone(ServerEvent):
    content_index: int


@dataclass(frozen=True, slots=True)
class FunctionCallDone(ServerEvent):
    """All arguments of a function call."""

    call: FunctionCall | None


def parse_event(raw: Event) -> ServerEvent:
    """Return the event as a value of its class. Never raises."""
    kind = raw.get("type")
    parser = EVENT_PARSERS.get(kind) if isinstance(kind, str) else None
    return UnknownEvent(get_response_id(raw), get_string(raw, "item_id"), raw) if parser is None else parser(raw)


def _ids(raw: Event) -> tuple[str, str]:
    return get_response_id(raw), get_string(raw, "item_id")


def _part_ids(raw: Event) -> tuple[str, str, int]:
    return *_ids(raw), get_content_index(raw)


def _message_part_ids(raw: Event) -> tuple[str, str, int]:
    """The ids of a piece of a reply, whose item is named after the response where the server names none."""
    response_id = get_response_id(raw)
    item_id = get_string(raw, "item_id") or (response_id and f"{response_id}.message")
    return response_id, item_id, get_content_index(raw)


def _audio_delta(raw: Event) -> AudioDelta:
    response_id = get_string(raw, "response_id")
    item_id = get_string(raw, "item_id") or f"{response_id}.message"
    return AudioDelta(response_id, item_id, to_count(raw.get("content_index")), get_string(raw, "delta"))


def _positions_ms(raw: Event, *keys: str) -> list[int | None]:
    values = [raw.get(key) for key in keys]
    return [to_count(value) if isinstance(value, int | float) else None for value in values]


def _parse_session(raw: Event) -> SessionConfig:
    session = get_object(raw, "session")
    audio_input = get_object(get_object(session, "audio"), "input")
    expires_at = session.get("expires_at")
    known = isinstance(expires_at, int | float) and 0 <= expires_at <= MAX_TIMESTAMP
    return SessionConfig(
        get_string(session, "model"),
        float(expires_at) if known and isinstance(expires_at, int | float) else None,
        get_object(audio_input, "turn_detection"),
        get_object(audio_input, "transcription"),
    )


def _item(raw: Event) -> ServerItem:
    return parse_item(get_object(raw, "item"))


def _response_done(raw: Event) -> ResponseDone:
    response = get_object(raw, "response")
    status, details, answered_by = *map(response.get, ("status", "status_details")), get_object(response, "answered_by")
    status = "completed" if status is None else status
    return ResponseDone(
        *_ids(raw),
        status if isinstance(status, str) else "",
        details if isinstance(details, str) else get_string(get_object(response, "status_details"), "reason"),
        tuple(parse_item(item) for item in get_objects(response, "output")),
        get_object(response, "usage") or get_object(raw, "usage"),  # xAI puts it beside the response
        get_object(get_object(response, "status_details"), "error"),
        "" if answered_by.get("is_endpoint") else get_string(answered_by, "fault"),
        get_string(response, "speech_fault"),
    )


def _error(raw: Event) -> ServerError:
    error = get_object(raw, "error")
    return ServerError(*_ids(raw), get_string(error, "code"), get_string(error, "event_id"), error)


def _text_done(raw: Event) -> TextDone:
    return TextDone(*_message_part_ids(raw), get_string(raw, "transcript") or get_string(raw, "text"))


def _text_delta(raw: Event) -> TextDelta:
    return TextDelta(*_message_part_ids(raw), get_string(raw, "delta"))


def _item_added(raw: Event) -> ItemAdded:
    return ItemAdded(*_ids(raw), _item(raw), get_string(raw, "previous_item_id"))


_TRANSCRIPTION = "conversation.item.input_audio_transcription"
EVENT_PARSERS: dict[str, Callable[[Event], ServerEvent]] = {
    "session.created": lambda raw: SessionCreated(*_ids(raw), _parse_session(raw)),
    "session.updated": lambda raw: SessionUpdated(*_ids(raw), _parse_session(raw)),
    "error": _error,
    "input_audio_buffer.speech_started": lambda raw: SpeechStarted(*_ids(raw), *_positions_ms(raw, "audio_start_ms")),
    "input_audio_buffer.speech_stopped": lambda raw: SpeechStopped(
        *_ids(raw), *_positions_ms(raw, "audio_end_ms", "silence_ms")
    ),
    "input_audio_buffer.committed": lambda raw: InputCommitted(*_ids(raw), get_string(raw, "previous_item_id")),
    "input_audio_buffer.cleared": lambda raw: InputCleared(*_ids(raw)),
    f"{_TRANSCRIPTION}.delta": lambda raw: TranscriptDelta(*_part_ids(raw), get_string(raw, "delta")),
    f"{_TRANSCRIPTION}.updated": lambda raw: TranscriptUpdated(*_part_ids(raw), get_string(raw, "transcript")),
    f"{_TRANSCRIPTION}.completed": lambda raw: TranscriptCompleted(
        *_part_ids(raw), get_string(raw, "transcript"), get_object(raw, "usage"), get_string(raw, "endpoint_fault")
    ),
    f"{_TRANSCRIPTION}.failed": lambda raw: TranscriptFailed(*_ids(raw), get_string(get_object(raw, "error"), "code")),
    "conversation.item.added": _item_added,
    "conversation.item.created": _item_added,
    "conversation.item.done": lambda raw: ItemDone(*_ids(raw), _item(raw)),
    "conversation.item.retrieved": lambda raw: ItemDone(*_ids(raw), _item(raw)),
    "conversation.item.deleted": lambda raw: ItemDeleted(*_ids(raw)),
    "conversation.item.truncated": lambda raw: ItemTruncated(*_part_ids(raw), to_count(raw.get("audio_end_ms"))),
    "response.created": lambda raw: ResponseCreated(*_ids(raw)),
    "response.done": _response_done,
    "response.output_item.added": lambda raw: OutputItem(*_ids(raw), _item(raw)),
    "response.output_item.done": lambda raw: OutputItem(*_ids(raw), _item(raw)),
    "response.output_text.delta": _text_delta,
    "response.output_audio_transcript.delta": _text_delta,
    "response.output_text.done": _text_done,
    "response.output_audio_transcript.done": _text_done,
    "response.output_audio.delta": _audio_delta,
    "response.output_audio.done": lambda raw: AudioDone(*_message_part_ids(raw)),
    "response.function_call_arguments.done": lambda raw: FunctionCallDone(
        *_ids(raw), parse_function_call(raw, is_complete=True)
    ),
}
