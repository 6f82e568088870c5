"""The `session.update` that opens a call: settings in, one GA event out. Pure.

Every field that matters is sent, because servers differ in their defaults (transcription is off by default, the silence
that ends a turn is documented as 500 ms and is 200), and because one unknown field makes a server refuse all of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from .settings import Language, ServerKind, Settings

SESSION_EVENT_ID = "session_update"
"""`event_id` of the update, so that a refusal can be told from any other error."""

PCM24 = {"type": "audio/pcm", "rate": 24_000}

Event = dict[str, Any]


class Mode(StrEnum):
    """What the session is for."""

    VOICE = "voice"
    TEXT = "text"


def session_update(
    settings: Settings, mode: Mode = Mode.VOICE, *, kind: ServerKind | None = None, language: Language | None = None
) -> Event:
    """The GA `session.update`. `kind` and `language` default to those of `settings`."""
    kind = settings.kind if kind is None else kind
    language = settings.language if language is None else language
    voice = mode is Mode.VOICE
    session: Event = {
        "type": "realtime",
        "instructions": settings.instructions,
        "output_modalities": ["audio" if voice else "text"],
        "max_output_tokens": settings.max_output_tokens,
        "tools": [],
        "tool_choice": "auto",
        "audio": {
            "input": {
                "format": dict(PCM24),
                "transcription": transcription(settings, kind, language) if voice else None,
                # The browser has already taken away noise and echo; twice makes speech worse.
                "noise_reduction": None,
                "turn_detection": turn_detection(settings) if voice else None,
            },
            "output": {"format": dict(PCM24), "voice": settings.voice, "speed": settings.speed},
        },
    }
    if kind is ServerKind.OPENAI and settings.model.startswith("gpt-realtime-2"):
        session["reasoning"] = {"effort": "low"}  # more of it is heard as silence before the first word
    return {"type": "session.update", "event_id": SESSION_EVENT_ID, "session": session}


def turn_detection(settings: Settings) -> Event:
    """Server VAD that answers by itself and stops its answer when the visitor speaks."""
    return {
        "type": "server_vad",
        "threshold": settings.vad_threshold,
        "prefix_padding_ms": settings.vad_prefix_padding_ms,
        "silence_duration_ms": settings.vad_silence_ms,
        "create_response": True,
        "interrupt_response": True,
    }


def transcription(settings: Settings, kind: ServerKind, language: Language) -> Event:
    """Transcription of what the visitor says, which is off unless asked for."""
    model = settings.transcription_model or ("gpt-realtime-whisper" if kind is ServerKind.OPENAI else "whisper-1")
    return {"model": model} if language is Language.AUTO else {"model": model, "language": language.value}
