"""Stable partial transcripts: captions of a turn in progress that are only ever extended.

A word is shown when two successive hypotheses agree on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.chinese_text import WORD_PATTERN
from offline.protocol.worker_messages import LanguageCode

from .recognition_rules import (
    CAPTION_WINDOW_MAX_S,
    FINALIZED_SEGMENT_MIN_S,
    RecognitionResult,
    Recognizer,
    find_quietest_sample,
)


def split_words(text: str) -> list[str]:
    """Return the words of `text`, each with the white space before it. A Chinese character is a word."""
    return WORD_PATTERN.findall(text)


def _normalize_words(words: Sequence[str]) -> list[str]:
    return [re.sub(r"\W", "", word).casefold() for word in words]


class StablePrefix:
    """Turns hypotheses into an append-only caption."""

    def __init__(self, stable_words: Sequence[str] = ()) -> None:
        """`stable_words` were shown before, and the hypotheses will begin with them."""
        self._last_hypothesis: list[str] = []
        self._stable_words = list(stable_words)

    @property
    def text(self) -> str:
        """The caption so far."""
        return "".join(self._stable_words)

    def add_hypothesis(self, hypothesis: str) -> str:
        """Return the new words on which this hypothesis and the one before agree; "" without any."""
        now, before = split_words(hypothesis.strip()), self._last_hypothesis
        self._last_hypothesis = now
        agreed = 0
        # Without the last word, which may be incomplete.
        for old, new in zip(_normalize_words(before), _normalize_words(now[:-1]), strict=False):
            if old != new:
                break
            agreed += 1
        shown = len(self._stable_words)
        if _normalize_words(now[:shown]) != _normalize_words(self._stable_words):
            return ""
        fresh = now[shown:agreed]
        # Punctuation at the end of a partial hypothesis is a guess: more words may follow.
        if fresh:
            fresh[-1] = re.sub(r"[.?!。！？,，]+$", "", fresh[-1])
        self._stable_words += fresh
        return "".join(fresh)

    def finalize(self, final: str) -> tuple[str, StablePrefix]:
        """Replace the hypotheses by `final`. Return its words not shown yet, and the prefix for the next segment."""
        words = split_words(final.strip())
        return "".join(words[len(self._stable_words) :]), StablePrefix(self._stable_words[len(words) :])


class IncrementalTranscript:
    """Transcript of one turn at a bounded cost per caption: earlier audio is finalized and not transcribed again.

    Blocks while it transcribes; belongs to the recognition thread. `audio` is always the whole turn at 16 kHz.
    """

    def __init__(self, recognizer: Recognizer, context: str = "") -> None:
        """`context`: words that are likely in the turn."""
        self._recognizer = recognizer
        self._context = context
        self._language: LanguageCode = "en"
        self._finalized_texts: list[str] = []
        self._finalized_until_sample = 0
        """Sample (16 kHz) at which the audio that is not finalized begins."""
        self._stable_prefix = StablePrefix()
        self.caption_text = ""
        """The caption so far."""

    def unfinalized_s(self, audio: FloatAudio) -> float:
        """Return the seconds of the turn that are not finalized."""
        return max(0, len(audio) - self._finalized_until_sample) / STT_SAMPLE_RATE

    def extend_caption(self, audio: FloatAudio, language: LanguageCode) -> str:
        """Return the new words of the caption. Finalizes a segment when the turn has grown beyond the window."""
        if language != self._language:
            self._language, self._finalized_texts, self._finalized_until_sample = language, [], 0
        start = self._finalized_until_sample
        if self.unfinalized_s(audio) <= CAPTION_WINDOW_MAX_S:
            hypothesis = self._recognizer.transcribe(audio[start:], language, self._context).text
            return self._append_caption(self._stable_prefix.add_hypothesis(hypothesis))
        end = find_quietest_sample(
            audio,
            start + int(FINALIZED_SEGMENT_MIN_S * STT_SAMPLE_RATE),
            start + int(CAPTION_WINDOW_MAX_S * STT_SAMPLE_RATE),
        )
        text = self._recognizer.transcribe(audio[start:end], language, self._context).text
        self._finalized_texts.append(text)
        self._finalized_until_sample = end
        fresh, self._stable_prefix = self._stable_prefix.finalize(text)
        return self._append_caption(fresh)

    def transcribe_turn(self, audio: FloatAudio, language: LanguageCode) -> RecognitionResult:
        """Return the transcript of the whole turn: finalized segments and the rest, or all in another language."""
        if language != self._language or len(audio) < self._finalized_until_sample:
            return self._recognizer.transcribe(audio, language, self._context)
        rest = self._recognizer.transcribe(audio[self._finalized_until_sample :], language, self._context)
        separator = "" if rest.language == "zh" else " "
        return RecognitionResult(
            separator.join(text for text in (*self._finalized_texts, rest.text) if text), rest.language
        )

    def _append_caption(self, fresh: str) -> str:
        if fresh and self.caption_text and self._language == "en" and not fresh[0].isspace():
            fresh = " " + fresh
        self.caption_text += fresh
        return fresh
