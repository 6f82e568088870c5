"""Clause splitter: cuts a growing reply into clauses for speech synthesis.

The first clause is short, so that speech starts early. Later ones are long enough to play without a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from offline.chinese_text import HAN_CHARACTER, contains_han, to_simplified

_SENTENCE_BREAK = re.compile(r"[.!?…]+[\"'”’)\]*_`~]*(?=\s)|[。！？…]+[」』”’）]*|(?=\n)")
_CLAUSE_BREAK = re.compile(r"[,;:](?=\s)|(?<!\d)\s[—–-](?=\s)|[，；：、]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|Mt|vs|etc|e\.g|i\.e|[ap]\.m|Ph\.D|approx|Fig|Vol|No|[A-Z]"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)|^\s*\d{1,2})\.$"
)
_DIGIT = re.compile(r"[0-9０-９]")
_QUOTES = (("「", "」"), ("『", "』"), ("（", "）"), ("“", "”"))
_WITHIN_WORD = re.compile(r"[!-~]{2}")
"""Last characters of a text that ends within a Latin word, where no clause ends."""
_WORD_GAP = re.compile(r"(?<=\S)\s(?=\S)")
_NUMBER_MAY_GO_ON = re.compile(r"(?:[:：][ \t]*|\d[,，、][ \t]*)$")
"""Text before a break after which a digit belongs to the same clause: "2：30", "code: 402918", "Nov. 26, 2026"."""
_IN_NUMBER_PHRASE = re.compile(r"[\d%°$€£¥.,:/~+-]\s*$|\d\s*[公英平立毫海美歐港台新小分星禮]$")
"""Text after which a cut would part a number from its unit or measure word."""
_NUMBER_SOON = re.compile(r"\D{0,3}\d")
"""Text before which a cut would part a number from the word that says how it is read."""

_PHRASE_STARTERS = frozenset(
    {"about", "after", "and", "as", "at", "because", "before", "between", "but", "by", "during", "for", "from", "if"}
    | {"in", "into", "of", "on", "or", "over", "since", "so", "than", "that", "through", "to", "under", "when"}
    | {"where", "which", "while", "who", "whose", "with", "without"}
)
"""Words that begin a phrase. Speakers pause before them."""

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
"""Ratio of the time to generate and synthesise a character to its playout time (0.2 s), where it is not measured."""
CHINESE_MIN_FACTOR = 0.6
"""Least ratio that is relied on: a moment later the computer may have other work."""
CHINESE_CLAUSE_OVERHEAD_CHARS = 1.0
"""Characters of playout that a clause costs regardless of its length."""
CHINESE_OVERSHOOT_CHARS = 3
"""Characters above the maximum that a clause may have to end at a mark. A lone 的。 sounds cut off."""
NUMBER_LOOKAHEAD_CHARS = 4
"""Characters behind a cut that are looked at for a number."""
ENGLISH_CLAUSE_LIMIT_CHARS = 400
"""Characters after which an English clause without a mark is cut between two words."""
CHINESE_CLAUSE_LIMIT_CHARS = 120
"""Characters after which a Chinese clause is cut behind any Chinese character."""


def _split_words(text: str) -> Iterable[str]:
    """Return the words of a Chinese text; without pypinyin its characters, which no voice speaks then."""
    try:
        from pypinyin.seg.mmseg import seg
    except Exception:  # reported when the Mandarin voice was loaded
        return text
    words: Iterable[str] = seg.cut(text)
    return words


class ClauseSplitter:
    """Takes the pieces of a reply and returns its clauses. Joined, the clauses are the text."""

    def __init__(self, real_time_factor: float = CHINESE_REAL_TIME_FACTOR) -> None:
        """`real_time_factor` is the ratio of the time that a Chinese character takes to its playout time."""
        self._factor = max(CHINESE_MIN_FACTOR, real_time_factor)
        self._pending_text = ""
        self._clause_count = 0
        self._playout_lead_chars = 0.0
        """Characters of audio that are still to play when the next clause is started."""

    def push(self, piece: str) -> list[str]:
        """Return the clauses that `piece` completes, each with the white space before it."""
        clauses = []
        for char in piece:  # one by one, so that the clauses do not depend on the pieces
            self._pending_text += char
            if _WITHIN_WORD.fullmatch(self._pending_text[-2:]):
                continue
            while (end := self._clause_end()) is not None:
                clauses.append(self._take(end))
        return clauses

    def _take(self, end: int) -> str:
        clause, self._pending_text = self._pending_text[:end], self._pending_text[end:]
        length = len(clause.strip())
        cost = self._factor * length + CHINESE_CLAUSE_OVERHEAD_CHARS if self._clause_count else 0.0
        self._playout_lead_chars = max(0.0, self._playout_lead_chars - cost) + length
        self._clause_count += 1
        return clause

    def take_line(self) -> str:
        """Remove and return the text of the incomplete clause that is in the last line."""
        start = self._pending_text.rfind("\n") + 1
        line, self._pending_text = self._pending_text[start:], self._pending_text[:start]
        return line

    def flush(self) -> list[str]:
        """Return the incomplete clause, if any. Call it once, after the last piece."""
        rest, self._pending_text = self._pending_text, ""
        return [rest] if rest else []

    def _clause_end(self) -> int | None:
        """Return the end index of the next clause; None while it is incomplete."""
        text = self._pending_text
        if not any(map(str.isalnum, text)):
            return None
        start = len(text) - len(text.lstrip())
        sentence_end = next(_sentence_ends(text, start), None)
        if contains_han(text[: sentence_end or len(text)]):
            return self._chinese_clause_end(text)
        if sentence_end is not None:
            return sentence_end
        min_words = FIRST_CLAUSE_MIN_WORDS if self._clause_count == 0 else LATER_CLAUSE_MIN_WORDS
        clause_end = next((end for end in _clause_ends(text) if len(text[:end].split()) >= min_words), None)
        if clause_end is None and not self._clause_count:
            clause_end = self._first_phrase_end(text)
        if clause_end is None and len(text) > ENGLISH_CLAUSE_LIMIT_CHARS:
            clause_end = max((m.start() for m in _WORD_GAP.finditer(text)), default=None)
        return clause_end

    def _first_phrase_end(self, text: str) -> int | None:
        """Return where a first clause without punctuation ends: before a phrase, or at the maximum length."""
        words = list(re.finditer(r"\S+(?=\s)", text))  # without the last word, which may be incomplete
        for index, word in enumerate(words[FIRST_CLAUSE_MIN_WORDS:], FIRST_CLAUSE_MIN_WORDS):
            if word[0].lower() in _PHRASE_STARTERS:
                return word.start() - 1
            before = words[index - 1][0]
            is_within_number = _DIGIT.search(before) or _DIGIT.match(word[0]) or before.endswith(".")
            if index >= FIRST_CLAUSE_MAX_WORDS and not is_within_number:
                return word.start() - 1
        return None

    def _chinese_clause_end(self, text: str) -> int | None:
        is_first = self._clause_count == 0
        min_chars, max_chars = CHINESE_FIRST_CLAUSE_CHARS if is_first else CHINESE_LATER_CLAUSE_CHARS
        if not is_first:
            playable = int((self._playout_lead_chars - CHINESE_CLAUSE_OVERHEAD_CHARS) / self._factor)
            max_chars = max(min_chars, min(max_chars, playable))
        start = len(text) - len(text.lstrip())
        limit = start + max_chars + CHINESE_OVERSHOOT_CHARS
        sentence_ends = [end for end in _sentence_ends(text, start) if not is_first or end - start >= min_chars]
        if sentence_ends and sentence_ends[0] <= limit:
            return sentence_ends[0]
        clause_ends = [end for end in _clause_ends(text, start) if end >= start + min_chars]
        within = [end for end in clause_ends if end <= limit]
        is_full = len(text.rstrip()) > limit
        if within:
            return within[0] if is_first else within[-1] if is_full else None
        if not is_full:
            return None
        return _word_cut(text, start, min_chars, max_chars) or min([*sentence_ends, *clause_ends], default=None)


def _sentence_ends(text: str, start: int = 0) -> Iterator[int]:
    """Yield the ends of the sentences in `text`. One that a closing quote may follow is left for the next character."""
    for match in _SENTENCE_BREAK.finditer(text, start):
        before = text[: match.end()]
        is_quote_open = match.end() == len(text) and any(before.count(a) > before.count(b) for a, b in _QUOTES)
        if not _ABBREVIATION.search(before) and not is_quote_open:
            yield match.end()


def _clause_ends(text: str, start: int = 0) -> Iterator[int]:
    """Yield the ends of the clauses in `text`, but not those before which or after which a number goes on."""
    for match in _CLAUSE_BREAK.finditer(text, start):
        following = text[match.end() :].lstrip(" \t")[:1]
        may_go_on = _NUMBER_MAY_GO_ON.search(text[: match.end()]) is not None
        if not (may_go_on and (not following or _DIGIT.match(following))):
            yield match.end()


def _word_cut(text: str, start: int, min_chars: int, max_chars: int) -> int | None:
    """Return where a clause without punctuation is cut: between two words, not before punctuation, not in a number."""
    end, cut = 0, None
    for word in _split_words(to_simplified(text)):
        if (end - start > max_chars and cut is not None) or end + NUMBER_LOOKAHEAD_CHARS > len(text):
            break
        if end - start >= min_chars and HAN_CHARACTER.match(text[end]) and not _is_in_number(text, end):
            cut = end
        end += len(word)
    if cut is None and len(text) > CHINESE_CLAUSE_LIMIT_CHARS:
        return next((i for i in range(len(text) - 1, 0, -1) if HAN_CHARACTER.match(text[i - 1])), None)
    return cut


def _is_in_number(text: str, index: int) -> bool:
    return _IN_NUMBER_PHRASE.search(text, 0, index) is not None or _NUMBER_SOON.match(text, index) is not None
