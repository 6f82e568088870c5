"""Words of a turn that is still being spoken: only those that two successive hypotheses agree on are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from offline.hearing import CAPTION_MOST_S, RATE, SETTLE_FROM_S, Audio, Heard, Hearer, quietest
from offline.work import Language

# A word with the white space before it; a Chinese character is a word of its own.
_WORD = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)")


def words(text: str) -> list[str]:
    """The words of `text` in order, each with the white space before it."""
    return _WORD.findall(text)


def _key(word: str) -> str:
    return re.sub(r"\W", "", word).casefold()


class Stable:
    """Turns hypotheses into an append-only caption. Nothing given out is taken back."""

    def __init__(self, shown: Sequence[str] = ()) -> None:
        """`shown`: words that the hypotheses will begin with and that were given out already."""
        self._last: list[str] = []
        self._shown = list(shown)

    @property
    def text(self) -> str:
        """All that was given out so far."""
        return "".join(self._shown)

    def hear(self, hypothesis: str) -> str:
        """The new words that this hypothesis and the one before it agree on; "" when none."""
        now, before = words(hypothesis.strip()), self._last
        self._last = now
        agreed = 0
        # The last word is left out: the speaker may be in the middle of it.
        for old, new in zip(before, now[:-1], strict=False):
            if _key(old) != _key(new):
                break
            agreed += 1
        if [_key(w) for w in now[: len(self._shown)]] != [_key(w) for w in self._shown]:
            return ""
        fresh = now[len(self._shown) : agreed]
        # A mark at the end of a partial hypothesis is a guess: more words may follow.
        if fresh:
            fresh[-1] = re.sub(r"[.?!。？！,，]+$", "", fresh[-1])
        self._shown += fresh
        return "".join(fresh)

    def settle(self, final: str) -> tuple[str, Stable]:
        """The beginning was said as `final`: its words that are still to be shown, and the caption of what follows."""
        said = words(final.strip())
        return "".join(said[len(self._shown) :]), Stable(self._shown[len(said) :])


class TurnWords:
    """What is heard of one turn, at a cost that does not grow with the turn: what lies far back is settled for good.

    Blocks while it transcribes; belongs to the listening thread.
    """

    def __init__(self, hearer: Hearer) -> None:
        self._hearer = hearer
        self._language: Language = "en"
        self._settled: list[str] = []
        self._from = 0
        """Sample (at 16 kHz) from which on nothing is settled."""
        self._caption = Stable()
        self.shown = ""
        """The caption so far."""

    def open_s(self, audio: Audio) -> float:
        """Seconds of the turn `audio` that are not settled."""
        return max(0, len(audio) - self._from) / RATE

    def caption(self, audio: Audio, language: Language) -> str:
        """New words of the caption after more of the turn was heard; `audio` is all of it."""
        if language != self._language:
            self._language, self._settled, self._from = language, [], 0
        if self.open_s(audio) <= CAPTION_MOST_S:
            return self._show(self._caption.hear(self._hearer.transcribe(audio[self._from :], language).text))
        end = quietest(audio, self._from + int(SETTLE_FROM_S * RATE), self._from + int(CAPTION_MOST_S * RATE))
        text = self._hearer.transcribe(audio[self._from : end], language).text
        self._settled.append(text)
        self._from = end
        fresh, self._caption = self._caption.settle(text)
        return self._show(fresh)

    def all(self, audio: Audio, language: Language) -> Heard:
        """What was said in the whole turn."""
        if language != self._language or len(audio) < self._from:
            return self._hearer.transcribe(audio, language)
        rest = self._hearer.transcribe(audio[self._from :], language)
        between = "" if rest.language == "zh" else " "
        return Heard(between.join(text for text in (*self._settled, rest.text) if text), rest.language)

    def _show(self, fresh: str) -> str:
        if fresh and self.shown and self._language == "en" and not fresh[0].isspace():
            fresh = " " + fresh
        self.shown += fresh
        return fresh
