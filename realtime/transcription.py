"""How the visitor's words are to be written down: which model, which hints it takes, and what it makes up. Pure."""

from __future__ import annotations

import re
from typing import Any

from .captions import traditional
from .endpoint import ServerKind
from .settings import Language, Settings

SENTENCE_PROMPT = "以下是台灣使用者的繁體中文對話。"
"""For models that take a prompt in free text: what begins in Traditional characters goes on in them."""
KEYWORD_PROMPT = "繁體中文、台灣、國語"
"""The same for whisper-1, which takes a list of words."""
PROMPTS = (SENTENCE_PROMPT, KEYWORD_PROMPT)

DEFAULT_MODEL = "whisper-1"
"""The name most servers know. Only a guess: one that says it has another keeps that (`opening.py`)."""

_SEPARATORS = re.compile(r"[\W_]+")
_ECHOES = [_SEPARATORS.sub("", prompt) for prompt in PROMPTS]


def transcription(settings: Settings, kind: ServerKind, language: Language) -> dict[str, Any]:
    """The `audio.input.transcription` object. Transcription is off at most servers unless asked for."""
    model = settings.transcription_model or ("gpt-realtime-whisper" if kind is ServerKind.OPENAI else DEFAULT_MODEL)
    wanted: dict[str, Any] = {"model": model}
    if language is not Language.AUTO:
        wanted["language"] = language.value
    prompt = _prompt(model) if language is Language.CHINESE and kind is not ServerKind.OFFLINE else ""
    if prompt:
        wanted["prompt"] = prompt
    if settings.transcription_delay and model.startswith("gpt-realtime-whisper"):
        wanted["delay"] = settings.transcription_delay
    return wanted


def _prompt(model: str) -> str:
    """What steers a model to Traditional characters; "" for models that are not known to take a prompt."""
    if model.startswith(("gpt-4o-transcribe", "gpt-4o-mini-transcribe")) and "diarize" not in model:
        return SENTENCE_PROMPT
    return KEYWORD_PROMPT if model == DEFAULT_MODEL else ""


def without_echo(transcript: str) -> str:
    """The transcript, or "" when it is nothing but our prompt: models hear it in silence, once or again and again,
    with other punctuation, and in Simplified characters."""
    letters = _SEPARATORS.sub("", transcript)
    for echo in _ECHOES:
        times, rest = divmod(len(letters), len(echo))
        if times and not rest and traditional(letters).replace("臺", "台") == echo * times:
            return ""
    return transcript
