"""Server events: the event orders of the GA protocol as functions."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

Event = dict[str, Any]


def audio_base64(ms: int, level: int = 1000) -> str:
    """Return PCM16 at 24 kHz, in base64."""
    return base64.b64encode(np.full(ms * 24, level, dtype="<i2").tobytes()).decode("ascii")


def speech_started(item: str) -> Event:
    return {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 0}


def turn_committed(item: str, previous: str | None = None) -> list[Event]:
    return [
        {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": 900},
        {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": previous},
        {
            "type": "conversation.item.added",
            "previous_item_id": previous,
            "item": {
                "id": item,
                "type": "message",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_audio", "transcript": None}],
            },
        },
    ]


def transcription_completed(item: str, text: str) -> Event:
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item,
        "content_index": 0,
        "transcript": text,
        "usage": {"type": "duration", "seconds": 1},
    }


def transcription_delta(item: str, delta: str) -> Event:
    return {"type": "conversation.item.input_audio_transcription.delta", "item_id": item, "delta": delta}


def response_started(response: str, item: str, previous: str | None = None) -> list[Event]:
    message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    about = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    return [
        {"type": "response.created", "response": {"id": response, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "response_id": response, "output_index": 0, "item": message},
        {"type": "conversation.item.added", "previous_item_id": previous, "item": message},
        {"type": "response.content_part.added", **about, "part": {"type": "audio", "transcript": ""}},
    ]


def clause_deltas(response: str, item: str, text: str, ms: int, pieces: int = 1) -> list[Event]:
    """Return the text of a clause and then its audio, in `pieces` deltas."""
    about = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    audio = {"type": "response.output_audio.delta", **about, "delta": audio_base64(ms // pieces)}
    return [{"type": "response.output_audio_transcript.delta", **about, "delta": text}, *[audio] * pieces]


def response_finished(
    response: str, item: str, text: str, status: str = "completed", usage: Event | None = None
) -> list[Event]:
    about = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    message = {
        "id": item,
        "type": "message",
        "role": "assistant",
        "status": "completed" if status == "completed" else "incomplete",
        "content": [{"type": "output_audio", "transcript": text}],
    }
    return [
        {"type": "response.output_audio.done", **about},
        {"type": "response.output_audio_transcript.done", **about, "transcript": text},
        {"type": "response.content_part.done", **about, "part": {"type": "audio", "transcript": text}},
        {"type": "conversation.item.done", "previous_item_id": None, "item": message},
        {"type": "response.output_item.done", "response_id": response, "output_index": 0, "item": message},
        {"type": "response.done", "response": {"id": response, "status": status, "output": [message], "usage": usage}},
    ]


def complete_response(
    response: str, item: str, text: str, ms: int, previous: str | None = None, usage: Event | None = None
) -> list[Event]:
    return [
        *response_started(response, item, previous),
        *clause_deltas(response, item, text, ms),
        *response_finished(response, item, text, usage=usage),
    ]


def response_ended(response: str, status: object, details: object = None, output: list[Event] | None = None) -> Event:
    """Return `response.done` with any status and `status_details`."""
    ended = {"id": response, "status": status, "status_details": details, "output": output or []}
    return {"type": "response.done", "response": ended}


def incomplete(reason: str | None) -> Event:
    """Return the `status_details` of an incomplete response."""
    return {"type": "incomplete", "reason": reason}


def failed(code: str | None, kind: str = "server_error") -> Event:
    """Return the `status_details` of a failed response."""
    return {"type": "failed", "error": {"type": kind, "code": code, "message": "secret words"}}


def error_event(code: str | None, event_id: str | None = None, kind: str = "invalid_request_error") -> Event:
    return {
        "type": "error",
        "event_id": "event_1",
        "error": {"type": kind, "code": code, "message": "secret words", "param": None, "event_id": event_id},
    }
