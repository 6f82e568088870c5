"""How the visitor's words are to be written down: which model, which hints it takes, and what it makes up. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from voicechat.conversation.traditional_chinese import to_traditional
from voicechat.protocol.endpoint import ServerKind

from .settings import Language, Settings

SENTENCE_PROMPT = "以下是台灣使用者的繁體中文對話。"
"""For models that take a prompt in free text: what begins in Traditional characters goes on in them."""
KEYWORD_PROMPT = "繁體中文、台灣、國語"
"""The same for whisper-1, which takes a list of words."""
PROMPTS = (SENTENCE_PROMPT, KEYWORD_PROMPT)
SEPARATOR = "、"
"""Between names."""
KEYWORDS_INTRO = "Names and products that may come up: "
KEYWORDS_INTRO_CHINESE = "對話中可能提到："
"""The operator's names in a prompt of free text."""
KEYWORD_LIST_MODELS = ("gpt-transcribe", "gpt-live-transcribe")
"""Models that take the names as a list of their own."""
MIN_ECHO_KEYWORDS = 3
"""Of so many names, all in our order and nothing else, nobody's speech consists."""

DEFAULT_TRANSCRIPTION_MODEL = "whisper-1"
"""The name most servers know. Only a guess: one that says it has another keeps that (`opening.py`)."""

_NON_WORD = re.compile(r"[\W_]+")
_ECHOED_PROMPTS = [_NON_WORD.sub("", prompt) for prompt in PROMPTS]
_ECHO_PREFIXES = tuple(
    _NON_WORD.sub("", text)
    for text in (SENTENCE_PROMPT + KEYWORDS_INTRO_CHINESE, KEYWORDS_INTRO_CHINESE, KEYWORDS_INTRO)
)
_ECHO_FIRST_CHARS = frozenset("以對对Nn")
"""What those begin with, in either script and case."""


def build_transcription(settings: Settings, kind: ServerKind, language: Language) -> dict[str, Any]:
    """The `audio.input_tokens.transcription` object. Transcription is off at most servers unless asked for."""
    model = settings.transcription_model or (
        "gpt-realtime-whisper" if kind is ServerKind.OPENAI else DEFAULT_TRANSCRIPTION_MODEL
    )
    wanted: dict[str, Any] = {"model": model}
    if language is not Language.AUTO:
        wanted["language"] = language.value
    prompt = _build_prompt(model, language, settings.keywords) if kind is not ServerKind.OFFLINE else ""
    if prompt:
        wanted["prompt"] = prompt
    if settings.keywords and kind is not ServerKind.OFFLINE and model.startswith(KEYWORD_LIST_MODELS):
        wanted["keywords"] = list(settings.keywords)
    if settings.transcription_delay and model.startswith("gpt-realtime-whisper"):
        wanted["delay"] = settings.transcription_delay
    return wanted


def _build_prompt(model: str, language: Language, keywords: tuple[str, ...]) -> str:
    """What steers a model to Traditional characters and to the names; "" for models not known to take a prompt."""
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


def strip_prompt_echo(transcript: str, prompt: str = "") -> str:
    """The transcript, or "" when it is nothing but our prompt: models hear it in silence, once or again and again,
    with other punctuation, and in Simplified characters. `prompt`: what the server said it was given."""
    letters = _NON_WORD.sub("", transcript)
    names = _NON_WORD.sub("", prompt) if prompt.count(SEPARATOR) >= MIN_ECHO_KEYWORDS - 1 else ""
    echoes = [echo for echo in (*_ECHOED_PROMPTS, names) if echo and letters and len(letters) % len(echo) == 0]
    if not echoes and letters[:1] not in _ECHO_FIRST_CHARS:
        return transcript  # as most are: no need to look closer
    letters = _normalize(letters)
    if any(letters == _normalize(echo) * (len(letters) // len(echo)) for echo in echoes):
        return ""
    return "" if letters.startswith(tuple(map(_normalize, _ECHO_PREFIXES))) else transcript


def _normalize(letters: str) -> str:
    """Letters as they are compared: in one script and case."""
    return to_traditional(letters).replace("臺", "台").casefold()


def transcription_prompt(session: object) -> str:
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
