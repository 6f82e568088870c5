"""The session.update of a call."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.realtime import SessionUpdateEvent

from realtime.session import Mode, session_update
from realtime.settings import Language, ServerKind, Settings


def sent(mode: Mode = Mode.VOICE, **environ: str) -> dict[str, Any]:
    event = session_update(Settings.from_env(environ), mode)
    assert event["type"] == "session.update"
    session = event["session"]
    assert isinstance(session, dict)
    return session


def test_a_voice_call_says_everything() -> None:
    session = sent(VAD_SILENCE_MS="420", VOICE="cedar", INSTRUCTIONS="Be kind.")
    assert session["type"] == "realtime"
    assert session["instructions"] == "Be kind."
    assert session["output_modalities"] == ["audio"]
    heard, spoken = session["audio"]["input"], session["audio"]["output"]
    assert heard["format"] == spoken["format"] == {"type": "audio/pcm", "rate": 24000}
    assert heard["transcription"] == {"model": "whisper-1"}
    assert heard["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 420,
        "create_response": True,
        "interrupt_response": True,
    }
    assert spoken["voice"] == "cedar"


@pytest.mark.parametrize("mode", list(Mode))
def test_the_official_types_accept_it(mode: Mode) -> None:
    for environ in ({}, {"OPENAI_API_KEY": "sk-x", "LANGUAGE": "zh"}):
        event = session_update(Settings.from_env(environ), mode)
        parsed = SessionUpdateEvent.model_validate(event)
        assert parsed.to_dict()["session"] == event["session"]


def test_a_language_is_only_a_hint_when_it_was_chosen() -> None:
    assert "language" not in sent()["audio"]["input"]["transcription"]
    assert sent(LANGUAGE="zh")["audio"]["input"]["transcription"]["language"] == "zh"
    event = session_update(Settings(), language=Language.ENGLISH)
    assert event["session"]["audio"]["input"]["transcription"]["language"] == "en"


def test_openai_gets_its_own_transcription_model_and_little_reasoning() -> None:
    session = sent(OPENAI_API_KEY="sk-x")
    assert session["audio"]["input"]["transcription"]["model"] == "gpt-realtime-whisper"
    assert session["reasoning"] == {"effort": "low"}
    assert "reasoning" not in sent(OPENAI_API_KEY="sk-x", REALTIME_MODEL="gpt-realtime-1.5")
    assert "reasoning" not in session_update(Settings(), kind=ServerKind.CUSTOM)["session"]
    chosen = sent(OPENAI_API_KEY="sk-x", TRANSCRIPTION_MODEL="gpt-live-transcribe")
    assert chosen["audio"]["input"]["transcription"]["model"] == "gpt-live-transcribe"


def test_a_text_chat_has_no_microphone() -> None:
    session = sent(Mode.TEXT)
    assert session["output_modalities"] == ["text"]
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["audio"]["input"]["transcription"] is None
