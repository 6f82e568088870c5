"""The `session.update` that opens a call or a chat: settings in, one GA event out. Pure.

Every field that matters is sent, because servers differ in their defaults (transcription is off by default, the silence
that ends a turn is documented as 500 ms and is 200). What a server does not know is learned from its refusal
(`refusals.py`); only what is certain beforehand is decided here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from .settings import DuckingMode, NoiseReduction, ServerKind, Settings, TurnDetection
from .transcription import build_transcription

SESSION_EVENT_ID = "session_update"
"""`event_id` of the update, so that a refusal can be told from any other error."""

PCM_24KHZ_FORMAT = {"type": "audio/pcm", "rate": 24_000}

DEFAULT_VOICE = "alloy"
"""Exists on every OpenAI model."""

Event = dict[str, Any]


class SessionMode(StrEnum):
    """What the session is for."""

    VOICE = "voice"
    TEXT = "text"


def build_session_update(
    settings: Settings, mode: SessionMode = SessionMode.VOICE, *, kind: ServerKind | None = None, model: str = ""
) -> Event:
    """The GA `session.update`. `kind` and `model` default to those of `settings`."""
    kind = settings.server_kind if kind is None else kind
    session = _build_voice_session(settings, kind) if mode is SessionMode.VOICE else _build_text_session(settings)
    if kind is ServerKind.OPENAI and (model or settings.model_for(kind)).startswith("gpt-realtime-2"):
        session["reasoning"] = {"effort": "low"}  # more of it is heard as silence before the first word
    return {"type": "session.update", "event_id": SESSION_EVENT_ID, "session": session}


def _build_voice_session(settings: Settings, kind: ServerKind) -> Event:
    noise = settings.noise_reduction
    # Elsewhere "alloy" may be no voice at all, and then nothing is heard: such a server speaks with its own.
    voice = settings.voice or ("" if kind is ServerKind.CUSTOM else DEFAULT_VOICE)
    return {
        "type": "realtime",
        "instructions": settings.instructions,
        "output_modalities": ["audio"],
        "max_output_tokens": settings.max_output_tokens,
        "tools": [],
        "tool_choice": "auto",
        "audio": {
            "input": {
                "format": dict(PCM_24KHZ_FORMAT),
                "transcription": build_transcription(settings, kind, settings.language),
                "noise_reduction": None if noise is NoiseReduction.NONE else {"type": noise.value},
                "turn_detection": build_turn_detection(settings, kind),
            },
            "output": {
                "format": dict(PCM_24KHZ_FORMAT),
                **({"voice": voice} if voice else {}),
                "speed": settings.speed,
            },
        },
    }


def _build_text_session(settings: Settings) -> Event:
    return {
        "type": "realtime",
        "instructions": settings.text_instructions,
        "output_modalities": ["text"],
        "max_output_tokens": settings.max_text_tokens,
        "tools": [],
        "tool_choice": "auto",
        "audio": {"input": {"transcription": None, "turn_detection": None}},  # nobody speaks
    }


def build_turn_detection(settings: Settings, kind: ServerKind) -> Event:
    """The server finds the end of a turn and answers by itself; it stops its answer when the visitor makes a sound,
    or leaves to us what that sound is (`ducking.py`). Normal turns are answered without asking in either case."""
    ours = settings.ducking is DuckingMode.ON or (
        settings.ducking is DuckingMode.AUTO and kind is not ServerKind.CUSTOM
    )
    acts = {"create_response": True, "interrupt_response": not ours}
    if settings.turn_detection is TurnDetection.SEMANTIC:
        return {"type": "semantic_vad", "eagerness": settings.eagerness.value, **acts}
    return {
        "type": "server_vad",
        "threshold": settings.vad_threshold,
        "prefix_padding_ms": settings.vad_prefix_padding_ms,
        "silence_duration_ms": settings.vad_silence_ms,
        **acts,
    }
