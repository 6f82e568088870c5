"""Words of a turn that is still being spoken: only those that two successive hypotheses agree on are shown."""

from __future__ import annotations

import re

# A word with the white space before it; a Chinese character is a word of its own.
_WORD = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)")


def words(text: str) -> list[str]:
    """The words of `text` in order, each with the white space before it."""
    return _WORD.findall(text)


def _key(word: str) -> str:
    return re.sub(r"\W", "", word).casefold()


class Stable:
    """Turns hypotheses into an append-only caption. Nothing given out is taken back."""

    def __init__(self) -> None:
        self._last: list[str] = []
        self._shown: list[str] = []

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
