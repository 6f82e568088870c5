"""The `session.update` that opens a call or a chat: from settings to one GA event. Pure.

Every relevant field is sent, because the defaults of servers differ. Transcription is off by default. Turns end after
200 ms of silence where 500 ms are documented. `voicechat/protocol/unsupported_fields.py` learns from refusals which
fields a server does not support.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from .groups.call_settings import DEFAULT_VAD_SILENCE_MS
from .settings import DuckingMode, NoiseReduction, ServerKind, Settings, TurnDetection
from .transcription import build_transcription

SESSION_EVENT_ID = "session_update"
"""`event_id` of the opening update. It identifies the refusal of the update among other errors."""

PCM_24KHZ_FORMAT = {"type": "audio/pcm", "rate": 24_000}
"""Audio format of both directions: 16-bit PCM, mono."""

DEFAULT_VOICE = "alloy"
"""Voice that every OpenAI model and the embedded server have."""

Event = dict[str, Any]


class SessionMode(StrEnum):
    """Kind of session: a voice call or a text chat."""

    VOICE = "voice"
    TEXT = "text"


def build_session_update(
    settings: Settings,
    mode: SessionMode = SessionMode.VOICE,
    *,
    kind: ServerKind | None = None,
    model: str = "",
    for_program: bool = False,
    tools: Sequence[Event] = (),
) -> Event:
    """Return the GA `session.update`. `kind` and `model` default to those of `settings`.

    `tools`: functions that the model may call, as the protocol declares them.

    `for_program`: without the embedded server's additions to the protocol, which a strict client does not know.
    """
    kind = settings.server_kind if kind is None else kind
    session = (
        _build_voice_session(settings, kind, adapts=not for_program)
        if mode is SessionMode.VOICE
        else _build_text_session(settings)
    )
    session["tools"] = list(tools)
    if kind is ServerKind.OPENAI and (model or settings.model_for(kind)).startswith("gpt-realtime-2"):
        session["reasoning"] = {"effort": "low"}  # more reasoning delays the first word
    return {"type": "session.update", "event_id": SESSION_EVENT_ID, "session": session}


def _build_voice_session(settings: Settings, kind: ServerKind, *, adapts: bool) -> Event:
    noise = settings.noise_reduction
    # Other servers may lack the voice "alloy" and then stay silent: they use their own default.
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
                "turn_detection": build_turn_detection(settings, kind, adapts=adapts),
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
        "audio": {"input": {"transcription": None, "turn_detection": None}},  # no speech in a chat
    }


def build_turn_detection(settings: Settings, kind: ServerKind, *, adapts: bool = True) -> Event:
    """Return the `turn_detection` object. The server ends turns and answers them in either case.

    With ducking, the client decides whether speech interrupts a reply, on servers that confirm it
    (`voicechat/turn_taking/session_capabilities.py`). Without it, the server does.

    The embedded server adapts the usual silence to the words and the voice of each pause; another one stays as it is.
    """
    responses = {"create_response": True, "interrupt_response": settings.ducking is DuckingMode.OFF}
    if settings.turn_detection is TurnDetection.SEMANTIC:
        return {"type": "semantic_vad", "eagerness": settings.eagerness.value, **responses}
    adapts = adapts and kind is ServerKind.OFFLINE and settings.vad_silence_ms == DEFAULT_VAD_SILENCE_MS
    return {
        "type": "server_vad",
        "threshold": settings.vad_threshold,
        "prefix_padding_ms": settings.vad_prefix_padding_ms,
        "silence_duration_ms": settings.vad_silence_ms,
        **({"adaptive_silence": True} if adapts else {}),
        **responses,
    }
