"""Transcription of a session: keywords, prompts, and removal of their echo from transcripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.realtime import server_events
from voicechat.config.settings import Language, Settings, SettingsError
from voicechat.config.transcription import KEYWORD_PROMPT, SENTENCE_PROMPT, build_transcription
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.prompt_echo import strip_prompt_echo
from voicechat.protocol.endpoint import ServerKind
from voicechat.protocol.server_events import parse_event

NAMES = "Node.js, 台積電，Acme  Cloud、, Node.js"


def hints(model: str, language: Language = Language.AUTO, keywords: str = NAMES, **environ: str) -> dict[str, Any]:
    settings = Settings.from_env({"TRANSCRIPTION_MODEL": model, "KEYWORDS": keywords, **environ})
    kind = ServerKind.OFFLINE if model == "offline" else ServerKind.CUSTOM
    wanted = build_transcription(settings, kind, language)
    return {name: wanted[name] for name in ("prompt", "keywords") if name in wanted}


def test_keywords_are_kept_once_each() -> None:
    assert Settings.from_env({"KEYWORDS": NAMES}).keywords == ("Node.js", "台積電", "Acme Cloud")
    assert Settings.from_env({"KEYWORDS": " "}).keywords == ()


@pytest.mark.parametrize("value", [",".join(map(str, range(51))), "x" * 61])
def test_keywords_too_many_or_too_long_are_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="KEYWORDS"):
        Settings.from_env({"KEYWORDS": value})


@pytest.mark.parametrize("model", ["gpt-transcribe", "gpt-live-transcribe", "gpt-live-transcribe-2026-09-01"])
def test_keywords_list_for_models_that_take_one(model: str) -> None:
    assert hints(model) == {"keywords": ["Node.js", "台積電", "Acme Cloud"]}
    assert hints(model, keywords="") == {}


def test_prompt_for_models_that_take_one() -> None:
    assert hints("whisper-1") == {"prompt": "Node.js、台積電、Acme Cloud"}
    assert hints("whisper-1", Language.CHINESE) == {"prompt": f"{KEYWORD_PROMPT}、Node.js、台積電、Acme Cloud"}
    english = hints("gpt-4o-mini-transcribe")["prompt"]
    assert english == "Names and products that may come up: Node.js、台積電、Acme Cloud"
    chinese = hints("gpt-4o-transcribe", Language.CHINESE)["prompt"]
    assert chinese == f"{SENTENCE_PROMPT}對話中可能提到：Node.js、台積電、Acme Cloud"


def test_embedded_server_gets_the_keywords() -> None:
    assert hints("offline") == hints("offline", Language.CHINESE) == {"prompt": "Node.js、台積電、Acme Cloud"}
    assert hints("offline", keywords="") == {}


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-4o-transcribe-diarize", "other/model"])
def test_other_models_get_neither_prompt_nor_keywords(model: str) -> None:
    assert hints(model) == {}
    assert hints(model, Language.CHINESE) == {}


def said(model: str, language: Language, transcript: str) -> list[str]:
    conversation = Conversation()
    session = {"audio": {"input": {"transcription": hints(model, language)}}}
    conversation.apply(parse_event({"type": "session.updated", "session": session}))
    conversation.apply(parse_event(server_events.transcription_completed("u1", transcript)))
    return [bubble.text for bubble in conversation.bubbles()]


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe", "gpt-transcribe"])
@pytest.mark.parametrize("language", [Language.AUTO, Language.CHINESE])
def test_keyword_echo_is_removed_from_the_transcript(model: str, language: Language) -> None:
    wanted = hints(model, language)
    echo = wanted.get("prompt") or "、".join(wanted["keywords"])
    assert said(model, language, echo) == []
    assert said(model, language, echo.replace("、", ", ") + ".") == []
    assert said(model, language, f"{echo} {echo}") == []


@pytest.mark.parametrize("words", ["Node.js", "台積電", "Node.js and Acme Cloud", "Acme Cloud、台積電、Node.js"])
def test_spoken_keyword_stays_in_the_transcript(words: str) -> None:
    assert said("whisper-1", Language.AUTO, words) == [words]
    assert strip_prompt_echo(words, "Node.js、台積電") == words


@pytest.mark.parametrize("session", [None, [], {"audio": None}, {"audio": {"input": {"transcription": {"prompt": 3}}}}])
def test_session_of_another_shape_is_ignored(session: object) -> None:
    conversation = Conversation()
    conversation.apply(parse_event({"type": "session.updated", "session": session}))
    conversation.apply(parse_event(server_events.transcription_completed("u1", "Hello.")))
    assert len(conversation.bubbles()) == 1
