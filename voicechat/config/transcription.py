"""Transcription settings of a session: model, language, prompt and keywords. Pure."""

from __future__ import annotations

from typing import Any

from voicechat.conversation.prompt_echo import (
    KEYWORD_PROMPT,
    KEYWORDS_INTRO,
    KEYWORDS_INTRO_CHINESE,
    SENTENCE_PROMPT,
    SEPARATOR,
)
from voicechat.protocol.endpoint import ServerKind

from .settings import Language, Settings

KEYWORD_LIST_MODELS = ("gpt-transcribe", "gpt-live-transcribe")
"""Prefixes of models that take keywords as a list."""

DEFAULT_TRANSCRIPTION_MODEL = "whisper-1"
"""Model name that most servers accept. A server that reports another one keeps its own
(`voicechat/upstream/handshake.py`)."""


def build_transcription(settings: Settings, kind: ServerKind, language: Language) -> dict[str, Any]:
    """Return the `audio.input.transcription` object. Most servers transcribe only on request."""
    model = settings.transcription_model or (
        "gpt-realtime-whisper" if kind is ServerKind.OPENAI else DEFAULT_TRANSCRIPTION_MODEL
    )
    wanted: dict[str, Any] = {"model": model}
    if language is not Language.AUTO:
        wanted["language"] = language.value
    is_embedded = kind is ServerKind.OFFLINE
    prompt = SEPARATOR.join(settings.keywords) if is_embedded else _build_prompt(model, language, settings.keywords)
    if prompt:
        wanted["prompt"] = prompt
    if settings.keywords and not is_embedded and model.startswith(KEYWORD_LIST_MODELS):
        wanted["keywords"] = list(settings.keywords)
    if settings.transcription_delay and model.startswith("gpt-realtime-whisper"):
        wanted["delay"] = settings.transcription_delay
    return wanted


def _build_prompt(model: str, language: Language, keywords: tuple[str, ...]) -> str:
    """Return the prompt for Traditional characters and keywords; "" for models that take no prompt."""
    chinese = language is Language.CHINESE
    if model.startswith(("gpt-4o-transcribe", "gpt-4o-mini-transcribe")) and "diarize" not in model:
        sentence = SENTENCE_PROMPT if chinese else ""
        return (
            sentence + (KEYWORDS_INTRO_CHINESE if chinese else KEYWORDS_INTRO) + SEPARATOR.join(keywords)
            if keywords
            else sentence
        )
    if model == DEFAULT_TRANSCRIPTION_MODEL:
        return SEPARATOR.join([KEYWORD_PROMPT, *keywords] if chinese else keywords)
    return ""
