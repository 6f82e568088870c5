"""`session.update` events from settings, for calls and chats."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from openai.types.realtime import SessionUpdateEvent

from tests.support.realtime import server_events
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import ServerKind, Settings
from voicechat.config.transcription import KEYWORD_PROMPT, SENTENCE_PROMPT
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.prompt_echo import strip_prompt_echo
from voicechat.protocol.server_events import parse_event


def sent_session(mode: SessionMode = SessionMode.VOICE, **environ: str) -> dict[str, Any]:
    event = build_session_update(Settings.from_env(environ), mode)
    assert event["type"] == "session.update"
    session = event["session"]
    assert isinstance(session, dict)
    return session


def test_voice_update_has_every_field() -> None:
    session = sent_session(VAD_SILENCE_MS="420", VOICE="cedar", INSTRUCTIONS="Be kind.")
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
        "interrupt_response": False,
    }
    assert spoken["voice"] == "cedar"


@pytest.mark.parametrize(
    ("environ", "adapts"),
    [
        ({}, True),
        ({"VAD_SILENCE_MS": "420"}, False),
        ({"TURN_DETECTION": "semantic_vad"}, False),
        ({"OPENAI_API_KEY": "sk-x"}, False),
        ({"REALTIME_URL": "ws://127.0.0.1:1/v1"}, False),
    ],
)
def test_embedded_server_adapts_the_usual_silence(environ: dict[str, str], adapts: bool) -> None:
    event = build_session_update(Settings.from_env(environ))
    assert ("adaptive_silence" in event["session"]["audio"]["input"]["turn_detection"]) is adapts
    for_program = build_session_update(Settings.from_env(environ), for_program=True)
    assert "adaptive_silence" not in for_program["session"]["audio"]["input"]["turn_detection"]


@pytest.mark.parametrize("mode", list(SessionMode))
def test_update_is_valid_by_the_official_types(mode: SessionMode) -> None:
    for environ in ({}, {"OPENAI_API_KEY": "sk-x", "LANGUAGE": "zh"}):
        event = build_session_update(Settings.from_env(environ), mode)
        parsed = SessionUpdateEvent.model_validate(event)
        assert parsed.to_dict()["session"] == event["session"]


def test_update_of_every_combination_is_valid_by_the_official_types() -> None:
    for turns, noise, language, model in itertools.product(
        ("server_vad", "semantic_vad"), ("none", "near_field", "far_field"), ("auto", "en", "zh"), MODELS
    ):
        session = sent_session(
            TURN_DETECTION=turns, NOISE_REDUCTION=noise, LANGUAGE=language, TRANSCRIPTION_MODEL=model
        )
        parsed = SessionUpdateEvent.model_validate({"type": "session.update", "session": session})
        assert parsed.to_dict()["session"] == session


MODELS = (
    "gpt-realtime-whisper",
    "gpt-live-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
    "whisper-1",
)


def transcription_settings(**environ: str) -> dict[str, Any]:
    transcription: dict[str, Any] = sent_session(**environ)["audio"]["input"]["transcription"]
    return transcription


def test_voice_is_sent_only_to_servers_that_have_it() -> None:
    assert (
        sent_session()["audio"]["output"]["voice"]
        == sent_session(OPENAI_API_KEY="sk-x")["audio"]["output"]["voice"]
        == "alloy"
    )
    assert "voice" not in sent_session(REALTIME_URL="ws://h")["audio"]["output"]
    assert sent_session(REALTIME_URL="ws://h", VOICE="eve")["audio"]["output"]["voice"] == "eve"


def test_semantic_turn_detection_has_neither_silence_nor_threshold() -> None:
    turns = sent_session(TURN_DETECTION="semantic_vad", EAGERNESS="high", VAD_SILENCE_MS="420")["audio"]["input"][
        "turn_detection"
    ]
    acts = {"create_response": True, "interrupt_response": False}
    assert turns == {"type": "semantic_vad", "eagerness": "high", **acts}


@pytest.mark.parametrize("turns", ["server_vad", "semantic_vad"])
@pytest.mark.parametrize(
    ("ducking", "server", "theirs"),
    [
        ("auto", {}, False),
        ("auto", {"OPENAI_API_KEY": "sk-x"}, False),
        ("auto", {"REALTIME_URL": "ws://h"}, False),
        ("on", {"REALTIME_URL": "ws://h"}, False),
        ("off", {}, True),
        ("off", {"OPENAI_API_KEY": "sk-x"}, True),
        ("off", {"REALTIME_URL": "ws://h"}, True),
    ],
)
def test_interrupt_response_depends_on_ducking_only(
    turns: str, ducking: str, server: dict[str, str], theirs: bool
) -> None:
    found = sent_session(DUCKING=ducking, TURN_DETECTION=turns, **server)["audio"]["input"]["turn_detection"]
    assert found["create_response"] is True, "normal turns are answered without being asked about"
    assert found["interrupt_response"] is theirs


def test_noise_reduction_default_is_off() -> None:
    assert sent_session()["audio"]["input"]["noise_reduction"] is None
    assert sent_session(NOISE_REDUCTION="far_field")["audio"]["input"]["noise_reduction"] == {"type": "far_field"}


def test_language_is_sent_only_when_set() -> None:
    assert "language" not in transcription_settings()
    assert transcription_settings(LANGUAGE="zh")["language"] == "zh"


@pytest.mark.parametrize(
    ("model", "prompt"),
    [
        ("gpt-4o-transcribe", SENTENCE_PROMPT),
        ("gpt-4o-mini-transcribe-2025-12-15", SENTENCE_PROMPT),
        ("whisper-1", KEYWORD_PROMPT),
        ("gpt-4o-transcribe-diarize", None),
        ("gpt-realtime-whisper", None),
        ("gpt-live-transcribe", None),
        ("other/model", None),
    ],
)
def test_chinese_prompt_is_sent_to_models_that_take_one(model: str, prompt: str | None) -> None:
    environ = {"REALTIME_URL": "ws://h", "TRANSCRIPTION_MODEL": model}
    assert transcription_settings(LANGUAGE="zh", **environ).get("prompt") == prompt
    assert "prompt" not in transcription_settings(LANGUAGE="en", **environ)
    assert "prompt" not in transcription_settings(**environ), "it would make Chinese of English"


def test_embedded_server_gets_no_prompt() -> None:
    assert transcription_settings(LANGUAGE="zh") == {"model": "whisper-1", "language": "zh"}


def test_transcription_delay_is_sent_only_to_its_model() -> None:
    key = {"OPENAI_API_KEY": "sk-x"}
    assert "delay" not in transcription_settings(**key)
    assert transcription_settings(TRANSCRIPTION_DELAY="low", **key)["delay"] == "low"
    assert "delay" not in transcription_settings(
        TRANSCRIPTION_DELAY="low", TRANSCRIPTION_MODEL="gpt-live-transcribe", **key
    )


@pytest.mark.parametrize(
    "echo",
    [
        SENTENCE_PROMPT,
        KEYWORD_PROMPT,
        "以下是台湾使用者的繁体中文对话",
        "以下是臺灣使用者的繁體中文對話。以下是臺灣使用者的繁體中文對話。",
        " 繁體中文，台灣，國語 ",
        "繁体中文、台湾、国语、繁体中文、台湾、国语",
    ],
)
def test_prompt_echo_is_removed_from_the_transcript(echo: str) -> None:
    assert strip_prompt_echo(echo) == ""
    conversation = Conversation()
    for event in (
        server_events.speech_started("u1"),
        *server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", echo),
    ):
        conversation.apply(parse_event(event))
    assert conversation.bubbles() == ()


@pytest.mark.parametrize("said", ["", "。", "台灣", "國語", "請用繁體中文", f"他說：{SENTENCE_PROMPT}", "Hello."])
def test_speech_similar_to_the_prompt_stays(said: str) -> None:
    assert strip_prompt_echo(said) == said


def test_openai_gets_its_transcription_model_and_low_reasoning() -> None:
    session = sent_session(OPENAI_API_KEY="sk-x")
    assert session["audio"]["input"]["transcription"]["model"] == "gpt-realtime-whisper"
    assert session["reasoning"] == {"effort": "low"}
    assert "reasoning" not in sent_session(OPENAI_API_KEY="sk-x", REALTIME_MODEL="gpt-realtime-1.5")
    assert "reasoning" not in build_session_update(Settings(), kind=ServerKind.CUSTOM)["session"]
    chosen = build_session_update(Settings(openai_api_key="sk-x"), model="gpt-realtime-1.5")
    assert "reasoning" not in chosen["session"], "the model of this call counts"
    chosen = sent_session(OPENAI_API_KEY="sk-x", TRANSCRIPTION_MODEL="gpt-live-transcribe")
    assert chosen["audio"]["input"]["transcription"]["model"] == "gpt-live-transcribe"


def test_visitor_key_gets_an_update_for_openai() -> None:
    """Though the operator's server is the embedded one."""
    settings = Settings()
    session = build_session_update(settings, kind=settings.endpoint(own_key="sk-x").kind)["session"]
    assert session["reasoning"] == {"effort": "low"}
    assert session["audio"]["input"]["transcription"]["model"] == "gpt-realtime-whisper"


def test_text_update_has_neither_microphone_nor_voice() -> None:
    session = sent_session(
        SessionMode.TEXT, TURN_DETECTION="semantic_vad", LANGUAGE="zh", MAX_OUTPUT_TOKENS="7", MAX_TEXT_TOKENS="9"
    )
    assert session["output_modalities"] == ["text"]
    assert session["audio"] == {"input": {"turn_detection": None, "transcription": None}}
    assert session["max_output_tokens"] == 9


def test_text_update_has_its_own_instructions() -> None:
    assert sent_session(SessionMode.TEXT, INSTRUCTIONS="Speak.")["instructions"] == Settings().text_instructions
    assert sent_session(SessionMode.TEXT, TEXT_INSTRUCTIONS="Write.")["instructions"] == "Write."
    assert sent_session(TEXT_INSTRUCTIONS="Write.")["instructions"] == Settings().instructions
    assert "Markdown" in Settings().text_instructions
    assert "繁體中文" in Settings().text_instructions
