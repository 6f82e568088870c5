"""Transcription prompts, and transcripts that only repeat them. Pure.

Recognizers return their own prompt for silence: such a transcript is emptied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .chinese.traditional_chinese import to_traditional

SENTENCE_PROMPT = "以下是台灣使用者的繁體中文對話。"
"""Prompt for models that take free text: output that begins in Traditional characters goes on in them."""
KEYWORD_PROMPT = "繁體中文、台灣、國語"
"""Prompt for whisper-1, which takes a list of words."""
PROMPTS = (SENTENCE_PROMPT, KEYWORD_PROMPT)
KEYWORDS_INTRO = "Names and products that may come up: "
KEYWORDS_INTRO_CHINESE = "對話中可能提到："
"""Introductions of the operator's keywords in a free-text prompt."""
SEPARATOR = "、"
"""Separator between keywords."""
MIN_ECHO_KEYWORDS = 3
"""Keywords in our order, and nothing else, that are taken for an echo."""
_NON_WORD = re.compile(r"[\W_]+")
_ECHOED_PROMPTS = [_NON_WORD.sub("", prompt) for prompt in PROMPTS]
_ECHO_PREFIXES = tuple(
    _NON_WORD.sub("", text)
    for text in (SENTENCE_PROMPT + KEYWORDS_INTRO_CHINESE, KEYWORDS_INTRO_CHINESE, KEYWORDS_INTRO)
)
_ECHO_FIRST_CHARS = frozenset("以對对Nn")
"""First characters of these prefixes, in either script and case."""


def strip_prompt_echo(transcript: str, prompt: str = "") -> str:
    """Return the transcript, or "" when it only repeats our prompt: once or more, with other punctuation, or in
    Simplified characters. `prompt`: the transcription prompt that the server confirmed."""
    letters = _NON_WORD.sub("", transcript)
    names = _NON_WORD.sub("", prompt) if prompt.count(SEPARATOR) >= MIN_ECHO_KEYWORDS - 1 else ""
    echoes = [echo for echo in (*_ECHOED_PROMPTS, names) if echo and letters and len(letters) % len(echo) == 0]
    if not echoes and letters[:1] not in _ECHO_FIRST_CHARS:
        return transcript  # most transcripts: no need to look closer
    letters = _normalize(letters)
    if any(letters == _normalize(echo) * (len(letters) // len(echo)) for echo in echoes):
        return ""
    return "" if letters.startswith(tuple(map(_normalize, _ECHO_PREFIXES))) else transcript


def _normalize(letters: str) -> str:
    """Return letters in one script and case, to compare them."""
    return to_traditional(letters).replace("臺", "台").casefold()


def transcription_prompt(transcription: Mapping[str, object]) -> str:
    """Return the prompt of a `transcription` object; its keywords are joined as a prompt would have them."""
    prompt, keywords = transcription.get("prompt"), transcription.get("keywords")
    if isinstance(prompt, str) and prompt:
        return prompt
    return SEPARATOR.join(map(str, keywords)) if isinstance(keywords, list) else ""
