"""A growing text cut into clauses to speak: the first one early, the later ones long enough to leave no gap."""

from __future__ import annotations

import re

from pypinyin.seg.mmseg import seg

from offline.tts.chinese_text import HAN_CHARACTER, contains_han, to_simplified

_SENTENCE_BREAK = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？…]+[」』”’）]*|(?=\n)")
_CLAUSE_BREAK = re.compile(r"[,;:](?=\s)|\s[—–-](?=\s)|[，；：、]")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|No|[A-Z])|^\s*\d{1,2})\.$")

_PHRASE_STARTERS = frozenset(
    {"about", "after", "and", "as", "at", "because", "before", "between", "but", "by", "during", "for", "from", "if"}
    | {"in", "into", "of", "on", "or", "over", "since", "so", "than", "that", "through", "to", "under", "when"}
    | {"where", "which", "while", "who", "whose", "with", "without"}
)
"""Words that begin a phrase: people breathe before them."""

_LIST_NUMBER = re.compile(
    r"(\A\s*(?=1\D)|\n\s*)(?:\*\*)?\d{1,2}(?:[.)](?:\*\*)?[ \t]+(?=\S)|[.)、．][ \t]*(?=[\u3400-\u9fff]))"
)

FIRST_CLAUSE_MIN_WORDS = 4
"""English words from which on the first clause may end at a comma."""
FIRST_CLAUSE_MAX_WORDS = 8
"""Words at which the first clause is cut even where nothing joins on: on two cores a word takes 30 ms to write."""
LATER_CLAUSE_MIN_WORDS = 12
CHINESE_FIRST_CLAUSE_CHARS = (5, 7)
"""Characters of a Chinese reply's first clause: at least, so that its sound lasts while the second is made, and at
most."""
CHINESE_LATER_CLAUSE_CHARS = (5, 20)
"""Characters of the later ones. Within these, a clause is as long as the sound of the earlier ones lasts."""
CHINESE_REAL_TIME_FACTOR = 0.75
"""Time to write and synthesise one character on two cores, in times of its sound (0.2 s)."""
CHINESE_CLAUSE_OVERHEAD_CHARS = 1.0
"""What a clause costs however short it is, in characters."""
CHINESE_OVERSHOOT_CHARS = 3
"""Characters by which a clause may be longer when it then ends at a mark: a lone 的。 sounds cut off."""


def strip_markdown(text: str) -> str:
    """`text` without the marks of Markdown that nobody says, and without the numbers before a list's items.

    A reply that begins with a number may answer with it, so only "1." is a list there.
    """
    text = _LIST_NUMBER.sub(lambda m: m[1], text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s*(#{1,6}|>|[-*+•])\s+", "", text)
    text = re.sub(r"(\*\*|__|`+|~~)", "", text)
    return re.sub(r"(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)", "", text)


class ClauseSplitter:
    """Takes the text of a reply piece by piece and gives it back clause by clause; joined, they are the text."""

    def __init__(self) -> None:
        self._pending_text = ""
        self._clause_count = 0
        self._playout_lead_chars = 0.0
        """Characters of sound that will be left to play when the next clause is begun."""

    def push(self, piece: str) -> list[str]:
        """Clauses that `piece` completes, each with the white space before it."""
        self._pending_text += piece
        clauses = []
        while (end := self._clause_end()) is not None:
            clause, self._pending_text = self._pending_text[:end], self._pending_text[end:]
            clauses.append(clause)
            length = len(clause.strip())
            cost = CHINESE_REAL_TIME_FACTOR * length + CHINESE_CLAUSE_OVERHEAD_CHARS if self._clause_count else 0.0
            self._playout_lead_chars = max(0.0, self._playout_lead_chars - cost) + length
            self._clause_count += 1
        return clauses

    @property
    def has_pending(self) -> bool:
        """Whether text waits for the rest of its clause."""
        return bool(self._pending_text)

    def flush(self) -> list[str]:
        """What is left; call it once, after the last piece."""
        rest, self._pending_text = self._pending_text, ""
        return [rest] if rest else []

    def _clause_end(self) -> int | None:
        """Where the next clause ends, or None as long as it may go on."""
        text = self._pending_text
        if not text.strip():
            return None
        start = len(text) - len(text.lstrip())
        strong = next(
            (m.end() for m in _SENTENCE_BREAK.finditer(text, start) if not _ABBREVIATION.search(text[: m.end()])), None
        )
        if contains_han(text[: strong or len(text)]):
            return self._chinese_clause_end(text)
        if strong is not None:
            return strong
        least = FIRST_CLAUSE_MIN_WORDS if self._clause_count == 0 else LATER_CLAUSE_MIN_WORDS
        weak = next((m.end() for m in _CLAUSE_BREAK.finditer(text) if len(text[: m.end()].split()) >= least), None)
        return weak if weak is not None or self._clause_count else self._first_phrase_end(text)

    def _first_phrase_end(self, text: str) -> int | None:
        """The end of the first phrase of a clause without a mark: somebody waits for the first sound."""
        words = list(re.finditer(r"\S+(?=\s)", text))  # the last one may still be growing
        for word in words[FIRST_CLAUSE_MIN_WORDS:]:
            if word[0].lower() in _PHRASE_STARTERS:
                return word.start() - 1
        return words[FIRST_CLAUSE_MAX_WORDS].start() - 1 if len(words) > FIRST_CLAUSE_MAX_WORDS else None

    def _chinese_clause_end(self, text: str) -> int | None:
        least, most = CHINESE_FIRST_CLAUSE_CHARS if self._clause_count == 0 else CHINESE_LATER_CLAUSE_CHARS
        if self._clause_count:
            most = max(
                least,
                min(most, int((self._playout_lead_chars - CHINESE_CLAUSE_OVERHEAD_CHARS) / CHINESE_REAL_TIME_FACTOR)),
            )
        start = len(text) - len(text.lstrip())
        reach = start + most + CHINESE_OVERSHOOT_CHARS
        strong = [
            m.end() for m in _SENTENCE_BREAK.finditer(text, start) if self._clause_count or m.end() - start >= least
        ]
        if strong and strong[0] <= reach:
            return strong[0]
        weak = [m.end() for m in _CLAUSE_BREAK.finditer(text, start) if start + least <= m.end() <= reach]
        full = len(text.rstrip()) > reach
        if weak:
            return weak[0] if self._clause_count == 0 else weak[-1] if full else None
        if not full:
            return None
        # No mark in reach: cut between two words, and not before a mark.
        end, cut = 0, None
        for word in seg.cut(to_simplified(text)):
            if end - start > most:
                break
            if end - start >= least and HAN_CHARACTER.match(text[end]):
                cut = end
            end += len(word)
        return cut
