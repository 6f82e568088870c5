"""Words of a turn that is still being spoken: only those that two successive hypotheses agree on are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from offline.protocol.worker_messages import LanguageCode

from .recognition_rules import (
    CAPTION_WINDOW_MAX_S,
    FINALIZED_SEGMENT_MIN_S,
    STT_SAMPLE_RATE,
    Audio,
    RecognitionResult,
    Recognizer,
    find_quietest_sample,
)

# A word with the white space before it; a Chinese character is a word of its own.
_WORD_PATTERN = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)")


def split_words(text: str) -> list[str]:
    """The words of `text` in order, each with the white space before it."""
    return _WORD_PATTERN.findall(text)


def _normalize_word(word: str) -> str:
    return re.sub(r"\W", "", word).casefold()


class StablePrefix:
    """Turns hypotheses into an append-only caption. Nothing given out is taken back."""

    def __init__(self, stable_words: Sequence[str] = ()) -> None:
        """`shown`: words that the hypotheses will begin with and that were given out already."""
        self._last_hypothesis: list[str] = []
        self._stable_words = list(stable_words)

    @property
    def text(self) -> str:
        """All that was given out so far."""
        return "".join(self._stable_words)

    def add_hypothesis(self, hypothesis: str) -> str:
        """The new words that this hypothesis and the one before it agree on; "" when none."""
        now, before = split_words(hypothesis.strip()), self._last_hypothesis
        self._last_hypothesis = now
        agreed = 0
        # The last word is left out: the speaker may be in the middle of it.
        for old, new in zip(before, now[:-1], strict=False):
            if _normalize_word(old) != _normalize_word(new):
                break
            agreed += 1
        if [_normalize_word(w) for w in now[: len(self._stable_words)]] != [
            _normalize_word(w) for w in self._stable_words
        ]:
            return ""
        fresh = now[len(self._stable_words) : agreed]
        # A mark at the end of a partial hypothesis is a guess: more words may follow.
        if fresh:
            fresh[-1] = re.sub(r"[.?!。？！,，]+$", "", fresh[-1])
        self._stable_words += fresh
        return "".join(fresh)

    def finalize(self, final: str) -> tuple[str, StablePrefix]:
        """The beginning was said as `final`: its words that are still to be shown, and the caption of what follows."""
        said = split_words(final.strip())
        return "".join(said[len(self._stable_words) :]), StablePrefix(self._stable_words[len(said) :])


class IncrementalTranscript:
    """What is heard of one turn, at a cost that does not grow with the turn: what lies far back is settled for good.

    Blocks while it transcribes; belongs to the listening thread.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._language: LanguageCode = "en"
        self._finalized_texts: list[str] = []
        self._finalized_until_sample = 0
        """Sample (at 16 kHz) from which on nothing is settled."""
        self._stable_prefix = StablePrefix()
        self.caption_text = ""
        """The caption so far."""

    def unfinalized_s(self, audio: Audio) -> float:
        """Seconds of the turn `audio` that are not settled."""
        return max(0, len(audio) - self._finalized_until_sample) / STT_SAMPLE_RATE

    def extend_caption(self, audio: Audio, language: LanguageCode) -> str:
        """New words of the caption after more of the turn was heard; `audio` is all of it."""
        if language != self._language:
            self._language, self._finalized_texts, self._finalized_until_sample = language, [], 0
        if self.unfinalized_s(audio) <= CAPTION_WINDOW_MAX_S:
            return self._append_caption(
                self._stable_prefix.add_hypothesis(
                    self._recognizer.transcribe(audio[self._finalized_until_sample :], language).text
                )
            )
        end = find_quietest_sample(
            audio,
            self._finalized_until_sample + int(FINALIZED_SEGMENT_MIN_S * STT_SAMPLE_RATE),
            self._finalized_until_sample + int(CAPTION_WINDOW_MAX_S * STT_SAMPLE_RATE),
        )
        text = self._recognizer.transcribe(audio[self._finalized_until_sample : end], language).text
        self._finalized_texts.append(text)
        self._finalized_until_sample = end
        fresh, self._stable_prefix = self._stable_prefix.finalize(text)
        return self._append_caption(fresh)

    def transcribe_turn(self, audio: Audio, language: LanguageCode) -> RecognitionResult:
        """What was said in the whole turn."""
        if language != self._language or len(audio) < self._finalized_until_sample:
            return self._recognizer.transcribe(audio, language)
        rest = self._recognizer.transcribe(audio[self._finalized_until_sample :], language)
        between = "" if rest.language == "zh" else " "
        return RecognitionResult(
            between.join(text for text in (*self._finalized_texts, rest.text) if text), rest.language
        )

    def _append_caption(self, fresh: str) -> str:
        if fresh and self.caption_text and self._language == "en" and not fresh[0].isspace():
            fresh = " " + fresh
        self.caption_text += fresh
        return fresh
