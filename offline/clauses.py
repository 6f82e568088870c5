"""A growing text cut into clauses to speak: the first one early, the later ones long enough to leave no gap."""

from __future__ import annotations

import re

from pypinyin.seg.mmseg import seg

from offline.chinese import HAN, is_chinese, simplified

_STRONG = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？…]+[」』”’）]*|(?=\n)")
_WEAK = re.compile(r"[,;:](?=\s)|\s[—–-](?=\s)|[，；：、]")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|No|[A-Z])|^\s*\d{1,2})\.$")

_JOINING = frozenset(
    {"about", "after", "and", "as", "at", "because", "before", "between", "but", "by", "during", "for", "from", "if"}
    | {"in", "into", "of", "on", "or", "over", "since", "so", "than", "that", "through", "to", "under", "when"}
    | {"where", "which", "while", "who", "whose", "with", "without"}
)
"""Words that begin a phrase: people breathe before them."""

_NUMBERED = re.compile(
    r"(\A\s*(?=1\D)|\n\s*)(?:\*\*)?\d{1,2}(?:[.)](?:\*\*)?[ \t]+(?=\S)|[.)、．][ \t]*(?=[\u3400-\u9fff]))"
)

FIRST_WORDS = 4
"""English words from which on the first clause may end at a comma."""
FIRST_AT_MOST = 8
"""Words at which the first clause is cut even where nothing joins on: on two cores a word takes 30 ms to write."""
LATER_WORDS = 12
CHINESE_FIRST = (5, 7)
"""Characters of a Chinese reply's first clause: at least, so that its sound lasts while the second is made, and at
most."""
CHINESE_LATER = (5, 20)
"""Characters of the later ones. Within these, a clause is as long as the sound of the earlier ones lasts."""
CHINESE_COST = 0.75
"""Time to write and synthesise one character on two cores, in times of its sound (0.2 s)."""
CHINESE_COST_OF_CLAUSE = 1.0
"""What a clause costs however short it is, in characters."""
CHINESE_TAIL = 3
"""Characters by which a clause may be longer when it then ends at a mark: a lone 的。 sounds cut off."""


def plain(text: str) -> str:
    """`text` without the marks of Markdown that nobody says, and without the numbers before a list's items.

    A reply that begins with a number may answer with it, so only "1." is a list there.
    """
    text = _NUMBERED.sub(lambda m: m[1], text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s*(#{1,6}|>|[-*+•])\s+", "", text)
    text = re.sub(r"(\*\*|__|`+|~~)", "", text)
    return re.sub(r"(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)", "", text)


class Clauses:
    """Takes the text of a reply piece by piece and gives it back clause by clause; joined, they are the text."""

    def __init__(self) -> None:
        self._text = ""
        self._given = 0
        self._lead = 0.0
        """Characters of sound that will be left to play when the next clause is begun."""

    def push(self, piece: str) -> list[str]:
        """Clauses that `piece` completes, each with the white space before it."""
        self._text += piece
        clauses = []
        while (end := self._end()) is not None:
            clause, self._text = self._text[:end], self._text[end:]
            clauses.append(clause)
            length = len(clause.strip())
            cost = CHINESE_COST * length + CHINESE_COST_OF_CLAUSE if self._given else 0.0
            self._lead = max(0.0, self._lead - cost) + length
            self._given += 1
        return clauses

    @property
    def pending(self) -> bool:
        """Whether text waits for the rest of its clause."""
        return bool(self._text)

    def finish(self) -> list[str]:
        """What is left; call it once, after the last piece."""
        rest, self._text = self._text, ""
        return [rest] if rest else []

    def _end(self) -> int | None:
        """Where the next clause ends, or None as long as it may go on."""
        text = self._text
        if not text.strip():
            return None
        start = len(text) - len(text.lstrip())
        strong = next(
            (m.end() for m in _STRONG.finditer(text, start) if not _ABBREVIATION.search(text[: m.end()])), None
        )
        if is_chinese(text[: strong or len(text)]):
            return self._chinese_end(text)
        if strong is not None:
            return strong
        least = FIRST_WORDS if self._given == 0 else LATER_WORDS
        weak = next((m.end() for m in _WEAK.finditer(text) if len(text[: m.end()].split()) >= least), None)
        return weak if weak is not None or self._given else self._first_phrase(text)

    def _first_phrase(self, text: str) -> int | None:
        """The end of the first phrase of a clause without a mark: somebody waits for the first sound."""
        words = list(re.finditer(r"\S+(?=\s)", text))  # the last one may still be growing
        for word in words[FIRST_WORDS:]:
            if word[0].lower() in _JOINING:
                return word.start() - 1
        return words[FIRST_AT_MOST].start() - 1 if len(words) > FIRST_AT_MOST else None

    def _chinese_end(self, text: str) -> int | None:
        least, most = CHINESE_FIRST if self._given == 0 else CHINESE_LATER
        if self._given:
            most = max(least, min(most, int((self._lead - CHINESE_COST_OF_CLAUSE) / CHINESE_COST)))
        start = len(text) - len(text.lstrip())
        reach = start + most + CHINESE_TAIL
        strong = [m.end() for m in _STRONG.finditer(text, start) if self._given or m.end() - start >= least]
        if strong and strong[0] <= reach:
            return strong[0]
        weak = [m.end() for m in _WEAK.finditer(text, start) if start + least <= m.end() <= reach]
        full = len(text.rstrip()) > reach
        if weak:
            return weak[0] if self._given == 0 else weak[-1] if full else None
        if not full:
            return None
        # No mark in reach: cut between two words, and not before a mark.
        end, cut = 0, None
        for word in seg.cut(simplified(text)):
            if end - start > most:
                break
            if end - start >= least and HAN.match(text[end]):
                cut = end
            end += len(word)
        return cut
