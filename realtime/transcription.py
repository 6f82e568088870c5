"""How the visitor's words are to be written down: which model, which hints it takes, and what it makes up. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .captions import traditional
from .endpoint import ServerKind
from .settings import Language, Settings

SENTENCE_PROMPT = "以下是台灣使用者的繁體中文對話。"
"""For models that take a prompt in free text: what begins in Traditional characters goes on in them."""
KEYWORD_PROMPT = "繁體中文、台灣、國語"
"""The same for whisper-1, which takes a list of words."""
PROMPTS = (SENTENCE_PROMPT, KEYWORD_PROMPT)
SEPARATOR = "、"
"""Between names."""
NAMES = "Names and products that may come up: "
NAMES_CHINESE = "對話中可能提到："
"""The operator's names in a prompt of free text."""
TAKE_KEYWORDS = ("gpt-transcribe", "gpt-live-transcribe")
"""Models that take the names as a list of their own."""
FEWEST = 3
"""Of so many names, all in our order and nothing else, nobody's speech consists."""

DEFAULT_MODEL = "whisper-1"
"""The name most servers know. Only a guess: one that says it has another keeps that (`opening.py`)."""

_SEPARATORS = re.compile(r"[\W_]+")
_ECHOES = [_SEPARATORS.sub("", prompt) for prompt in PROMPTS]
_BEGINNINGS = tuple(_SEPARATORS.sub("", text) for text in (SENTENCE_PROMPT + NAMES_CHINESE, NAMES_CHINESE, NAMES))
_FIRST = frozenset("以對对Nn")
"""What those begin with, in either script and case."""


def transcription(settings: Settings, kind: ServerKind, language: Language) -> dict[str, Any]:
    """The `audio.input.transcription` object. Transcription is off at most servers unless asked for."""
    model = settings.transcription_model or ("gpt-realtime-whisper" if kind is ServerKind.OPENAI else DEFAULT_MODEL)
    wanted: dict[str, Any] = {"model": model}
    if language is not Language.AUTO:
        wanted["language"] = language.value
    prompt = _prompt(model, language, settings.keywords) if kind is not ServerKind.OFFLINE else ""
    if prompt:
        wanted["prompt"] = prompt
    if settings.keywords and kind is not ServerKind.OFFLINE and model.startswith(TAKE_KEYWORDS):
        wanted["keywords"] = list(settings.keywords)
    if settings.transcription_delay and model.startswith("gpt-realtime-whisper"):
        wanted["delay"] = settings.transcription_delay
    return wanted


def _prompt(model: str, language: Language, keywords: tuple[str, ...]) -> str:
    """What steers a model to Traditional characters and to the names; "" for models not known to take a prompt."""
    chinese = language is Language.CHINESE
    if model.startswith(("gpt-4o-transcribe", "gpt-4o-mini-transcribe")) and "diarize" not in model:
        sentence = SENTENCE_PROMPT if chinese else ""
        return sentence + (NAMES_CHINESE if chinese else NAMES) + SEPARATOR.join(keywords) if keywords else sentence
    if model == DEFAULT_MODEL:
        return SEPARATOR.join([KEYWORD_PROMPT, *keywords] if chinese else keywords)
    return ""


def without_echo(transcript: str, prompt: str = "") -> str:
    """The transcript, or "" when it is nothing but our prompt: models hear it in silence, once or again and again,
    with other punctuation, and in Simplified characters. `prompt`: what the server said it was given."""
    letters = _SEPARATORS.sub("", transcript)
    names = _SEPARATORS.sub("", prompt) if prompt.count(SEPARATOR) >= FEWEST - 1 else ""
    echoes = [echo for echo in (*_ECHOES, names) if echo and letters and len(letters) % len(echo) == 0]
    if not echoes and letters[:1] not in _FIRST:
        return transcript  # as most are: no need to look closer
    letters = _folded(letters)
    if any(letters == _folded(echo) * (len(letters) // len(echo)) for echo in echoes):
        return ""
    return "" if letters.startswith(tuple(map(_folded, _BEGINNINGS))) else transcript


def _folded(letters: str) -> str:
    """Letters as they are compared: in one script and case."""
    return traditional(letters).replace("臺", "台").casefold()


def prompt_of(session: object) -> str:
    """The prompt of a `session` object; names that stand in a list of their own, as a prompt would have them."""
    found = session
    for name in ("audio", "input", "transcription"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return ""
    prompt, keywords = found.get("prompt"), found.get("keywords")
    if isinstance(prompt, str) and prompt:
        return prompt
    return SEPARATOR.join(map(str, keywords)) if isinstance(keywords, list) else ""
