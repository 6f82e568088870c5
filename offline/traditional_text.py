"""Traditional text of a growing reply, converted as its pieces arrive. Pure.

Most characters have one Traditional form and pass at once. An ambiguous one (后, 发, 里) waits for the characters after
it, at most `LOOKAHEAD_CHARS`, and only while a phrase of OpenCC's table may still go on. What a character becomes
depends on the text around it alone, so that the size of the pieces makes no difference.

Text that is Traditional already keeps the characters that have words of their own in it (里長, 干擾). OpenCC alone
would change those. A small model may change to Simplified in the middle of a reply, which ends the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from writing.chinese_script import count_simplified, count_traditional
from writing.verbatim_text import MAX_UNDECIDED_CHARS, TextKind, VerbatimScanner

from .chinese_text import HAN_CHARACTER, to_traditional

LOOKAHEAD_CHARS = 4
"""Characters after an ambiguous one that may decide it. With OpenCC's phrases in random order, 4 gave the result of the
whole sentence for each of 5,518 such characters, 3 for all but one."""
CONTEXT_CHARS = 8
"""Characters before it that are converted with it."""
TRADITIONAL_TOO = frozenset("丑仆伙余佣准划占吁后咨咸夸尸岩岳帘干征托斗朴杰栗涌游腌范谷辟郁采里")
"""Characters that OpenCC converts in Traditional words too, and that ordinary such words have. Others (于, 几, 种)
are more often Simplified, also right after Traditional ones: small models mix both."""
MAX_HELD_CHARS = MAX_UNDECIDED_CHARS + LOOKAHEAD_CHARS
"""Characters of the raw text that the converted text may lag behind."""


@cache
def _phrases() -> tuple[frozenset[str], frozenset[str]]:
    """Return the ambiguous characters, and every beginning of a phrase that contains one."""
    tables: list[dict[str, str]] = []
    for name in ("STCharacters.txt", "STPhrases.txt"):
        lines = (files("opencc") / "dictionary" / name).read_text("utf-8").splitlines()
        tables.append({key: values.split(" ")[0] for key, values in (line.split("\t") for line in lines if line)})
    characters, phrases = tables
    ambiguous = frozenset(
        raw
        for phrase, converted in phrases.items()
        for raw, new in zip(phrase, converted, strict=True)
        if characters.get(raw, raw) != new
    )
    beginnings = {
        phrase[:length]
        for phrase in phrases
        if not ambiguous.isdisjoint(phrase)
        for length in range(1, min(len(phrase), CONTEXT_CHARS + LOOKAHEAD_CHARS + 1))
    }
    return ambiguous, frozenset(beginnings)


def load_script_tables() -> None:
    """Load the tables of the conversion, which takes 0.3 s once, before the first reply needs them."""
    TraditionalConverter().push("后天")


class TraditionalConverter:
    """Converter of one reply, piece by piece. Code and the user's own quoted words stay as they are."""

    def __init__(self, typed_texts: Sequence[str] = ()) -> None:
        """`typed_texts`: what the user has typed, which is not converted when the reply quotes it."""
        self._scanner = VerbatimScanner(typed_texts)
        self._raw = ""
        """Characters of the context, then those that wait."""
        self._kinds: list[TextKind] = []
        self._next = 0
        """Index of the first character that waits."""
        self._has_simplified = False
        """A character of the prose so far occurs in Simplified text only."""
        self._has_traditional = False

    def push(self, piece: str) -> str:
        """Return the converted text that `piece` completes."""
        for character in piece:
            kind = self._scanner.scan(character)
            if self._kinds and self._kinds[-1] is TextKind.UNDECIDED and kind is not TextKind.UNDECIDED:
                self._decide(self._scanner.decided_kind)
            self._kinds.append(kind)
        self._raw += piece
        return self._convert(is_final=False)

    def flush(self) -> str:
        """Return the converted text of all characters that wait. The code and quotation they are in goes on."""
        self._decide(TextKind.QUOTATION)
        return self._convert(is_final=True)

    def _decide(self, kind: TextKind) -> None:
        for index in range(len(self._kinds) - 1, self._next - 1, -1):
            if self._kinds[index] is not TextKind.UNDECIDED:
                break
            self._kinds[index] = kind

    def _convert(self, *, is_final: bool) -> str:
        converted = []
        while self._next < len(self._raw):
            character = self._convert_next(is_final=is_final)
            if character is None:
                break
            converted.append(character)
            self._next += 1
        dropped = max(0, self._next - CONTEXT_CHARS)
        self._raw, self._kinds, self._next = self._raw[dropped:], self._kinds[dropped:], self._next - dropped
        return "".join(converted)

    def _convert_next(self, *, is_final: bool) -> str | None:
        """Return the next character as it is written; None while it waits."""
        index, kind = self._next, self._kinds[self._next]
        character = self._raw[index]
        if kind is TextKind.UNDECIDED:
            return None
        if kind is not TextKind.PROSE or not HAN_CHARACTER.match(character):
            return character
        end = self._decisive_end(index, is_final=is_final)
        if end is None:
            return None
        self._has_simplified = self._has_simplified or count_simplified(self._raw[index:end]) > 0
        self._has_traditional = self._has_traditional or count_traditional(self._raw[index:end]) > 0
        if character in TRADITIONAL_TOO and self._has_traditional and not self._has_simplified:
            return character
        start = index
        while start > max(0, index - CONTEXT_CHARS) and HAN_CHARACTER.match(self._raw[start - 1]):
            start -= 1
        return to_traditional(self._raw[start:end])[index - start]

    def _decisive_end(self, index: int, *, is_final: bool) -> int | None:
        """Return the end of the text that decides the character at `index`; None while that is not known."""
        ambiguous, beginnings = _phrases()
        if self._raw[index] not in ambiguous:
            return index + 1
        for end in range(index + 1, index + 1 + LOOKAHEAD_CHARS):
            starts = range(max(0, index - CONTEXT_CHARS), index + 1)
            if not any(self._raw[start:end] in beginnings for start in starts):
                return end
            if end >= len(self._raw):
                return end if is_final else None
            if not HAN_CHARACTER.match(self._raw[end]):
                return end
        return index + 1 + LOOKAHEAD_CHARS
