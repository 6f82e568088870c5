"""Clause splitter: cuts a growing reply into clauses for speech synthesis.

The first clause is short, so that speech starts early. Later ones are long enough to play without a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from offline.chinese_text import HAN_CHARACTER, HAN_RANGE, contains_han, to_simplified

_SENTENCE_BREAK = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？…]+[」』”’）]*|(?=\n)")
_CLAUSE_BREAK = re.compile(r"[,;:](?=\s)|\s[—–-](?=\s)|[，；：、]")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|etc|e\.g|i\.e|No|[A-Z])|^\s*\d{1,2})\.$")

_PHRASE_STARTERS = frozenset(
    {"about", "after", "and", "as", "at", "because", "before", "between", "but", "by", "during", "for", "from", "if"}
    | {"in", "into", "of", "on", "or", "over", "since", "so", "than", "that", "through", "to", "under", "when"}
    | {"where", "which", "while", "who", "whose", "with", "without"}
)
"""Words that begin a phrase. Speakers pause before them."""

_LIST_NUMBER = re.compile(
    r"(\A\s*(?=1\D)|\n\s*)(?:\*\*)?\d{1,2}"
    rf"(?:[.)](?:\*\*)?[ \t]+(?=\S)|[.)、．][ \t]*(?=[{HAN_RANGE}]))"
)

FIRST_CLAUSE_MIN_WORDS = 4
"""Words before a comma that may end the first English clause."""
FIRST_CLAUSE_MAX_WORDS = 8
"""Words after which the first English clause is cut anywhere. Two cores take 30 ms to generate a word."""
LATER_CLAUSE_MIN_WORDS = 12
"""Words before a comma that may end a later English clause."""
CHINESE_FIRST_CLAUSE_CHARS = (5, 7)
"""Characters (minimum, maximum) of the first Chinese clause. The minimum plays until the second clause is ready."""
CHINESE_LATER_CLAUSE_CHARS = (5, 20)
"""Characters (minimum, maximum) of later Chinese clauses. The audio still to play limits them within this range."""
CHINESE_REAL_TIME_FACTOR = 0.75
"""Ratio of the time to generate and synthesise a character on two cores to its playout time (0.2 s)."""
CHINESE_CLAUSE_OVERHEAD_CHARS = 1.0
"""Characters of playout that a clause costs regardless of its length."""
CHINESE_OVERSHOOT_CHARS = 3
"""Characters above the maximum that a clause may have to end at a mark. A lone 的。 sounds cut off."""


def _split_words(text: str) -> Iterable[str]:
    """Return the words of a Chinese text; without pypinyin its characters, which no voice speaks then."""
    try:
        from pypinyin.seg.mmseg import seg
    except Exception:  # reported when the Mandarin voice was loaded
        return text
    words: Iterable[str] = seg.cut(text)
    return words


def strip_markdown(text: str) -> str:
    """Return `text` without Markdown marks and without the numbers of list items.

    At the start of a reply only "1." is a list number: another number may be the answer.
    """
    text = _LIST_NUMBER.sub(lambda m: m[1], text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s*(#{1,6}|>|[-*+•])\s+", "", text)
    text = re.sub(r"(\*\*|__|`+|~~)", "", text)
    return re.sub(r"(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)", "", text)


class ClauseSplitter:
    """Takes the pieces of a reply and returns its clauses. Joined, the clauses are the text."""

    def __init__(self) -> None:
        self._pending_text = ""
        self._clause_count = 0
        self._playout_lead_chars = 0.0
        """Characters of audio that are still to play when the next clause is started."""

    def push(self, piece: str) -> list[str]:
        """Return the clauses that `piece` completes, each with the white space before it."""
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
        """Return whether the text of an incomplete clause is held."""
        return bool(self._pending_text)

    def flush(self) -> list[str]:
        """Return the incomplete clause, if any. Call it once, after the last piece."""
        rest, self._pending_text = self._pending_text, ""
        return [rest] if rest else []

    def _clause_end(self) -> int | None:
        """Return the end index of the next clause; None while it is incomplete."""
        text = self._pending_text
        if not text.strip():
            return None
        start = len(text) - len(text.lstrip())
        sentence_end = next(
            (m.end() for m in _SENTENCE_BREAK.finditer(text, start) if not _ABBREVIATION.search(text[: m.end()])), None
        )
        if contains_han(text[: sentence_end or len(text)]):
            return self._chinese_clause_end(text)
        if sentence_end is not None:
            return sentence_end
        min_words = FIRST_CLAUSE_MIN_WORDS if self._clause_count == 0 else LATER_CLAUSE_MIN_WORDS
        clause_end = next(
            (m.end() for m in _CLAUSE_BREAK.finditer(text) if len(text[: m.end()].split()) >= min_words), None
        )
        return clause_end if clause_end is not None or self._clause_count else self._first_phrase_end(text)

    def _first_phrase_end(self, text: str) -> int | None:
        """Return where a first clause without punctuation ends: before a phrase, or at the maximum length."""
        words = list(re.finditer(r"\S+(?=\s)", text))  # without the last word, which may be incomplete
        for word in words[FIRST_CLAUSE_MIN_WORDS:]:
            if word[0].lower() in _PHRASE_STARTERS:
                return word.start() - 1
        return words[FIRST_CLAUSE_MAX_WORDS].start() - 1 if len(words) > FIRST_CLAUSE_MAX_WORDS else None

    def _chinese_clause_end(self, text: str) -> int | None:
        is_first = self._clause_count == 0
        min_chars, max_chars = CHINESE_FIRST_CLAUSE_CHARS if is_first else CHINESE_LATER_CLAUSE_CHARS
        if not is_first:
            playable = int((self._playout_lead_chars - CHINESE_CLAUSE_OVERHEAD_CHARS) / CHINESE_REAL_TIME_FACTOR)
            max_chars = max(min_chars, min(max_chars, playable))
        start = len(text) - len(text.lstrip())
        limit = start + max_chars + CHINESE_OVERSHOOT_CHARS
        sentence_ends = (m.end() for m in _SENTENCE_BREAK.finditer(text, start))
        sentence_end = next((end for end in sentence_ends if not is_first or end - start >= min_chars), None)
        if sentence_end is not None and sentence_end <= limit:
            return sentence_end
        clause_ends = [m.end() for m in _CLAUSE_BREAK.finditer(text, start) if start + min_chars <= m.end() <= limit]
        is_full = len(text.rstrip()) > limit
        if clause_ends:
            return clause_ends[0] if is_first else clause_ends[-1] if is_full else None
        if not is_full:
            return None
        # No punctuation within the limit: cut between two words, but not before punctuation.
        end, cut = 0, None
        for word in _split_words(to_simplified(text)):
            if end - start > max_chars:
                break
            if end - start >= min_chars and HAN_CHARACTER.match(text[end]):
                cut = end
            end += len(word)
        return cut
