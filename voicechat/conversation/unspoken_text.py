"""Unspoken text: parts of a reply that are shown and not read aloud. Pure.

Voices say a sentence in place of a code block or a table, and of a URL the host. Such text takes no time in the audio.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ANNOUNCED_CHARS = 4
"""Characters of a block that stand for the sentence said in place of it."""

MIN_FENCE = "```"
_URL_PATH = re.compile(r"https?://[^\s/?#]+([/?#][^\s\u3000-\u9fff\uff00-\uffef]*)")
_MARGIN = " \t>\r\n"
_DELIMITER_CHARS = frozenset(" \t>|:-\r\n")


def unspoken_ranges(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each part that is not read aloud, in order."""
    lines, at, number = text.splitlines(keepends=True), 0, 0
    while number < len(lines):
        line, last = lines[number], number
        opening = _fence_start(line)
        if opening is not None:
            last = _code_end(lines, number, line[opening])
        elif _begins_table(lines, number):
            opening, last = 0, number + 1
            while last + 1 < len(lines) and "|" in lines[last + 1]:
                last += 1
        for match in _URL_PATH.finditer(line, 0, len(line) if opening is None else opening):
            yield at + match.start(1), at + match.end(1)
        end = at + sum(map(len, lines[number : last + 1]))
        if opening is not None:
            start, end = at + opening + ANNOUNCED_CHARS, end - len(lines[last]) + len(lines[last].rstrip("\r\n"))
            if start < end:
                yield start, end
        at += sum(map(len, lines[number : last + 1]))
        number = last + 1


def _fence_start(line: str) -> int | None:
    """Return where a fence in `line` opens a code block; None without one. Two fences are code within the line."""
    margin = len(line) - len(line.lstrip(_MARGIN))
    if line.startswith("~~~", margin):
        return margin
    start = line.find(MIN_FENCE)
    return start if start >= 0 and MIN_FENCE not in line[start:].lstrip("`") else None


def _code_end(lines: list[str], first: int, mark: str) -> int:
    """Return the number of the line that ends with the closing fence; the last line without one."""
    numbers = range(first + 1, len(lines))
    return next((n for n in numbers if lines[n].rstrip(_MARGIN).endswith(mark * 3)), len(lines) - 1)


def _begins_table(lines: list[str], number: int) -> bool:
    following = lines[number + 1] if number + 1 < len(lines) else ""
    return "|" in lines[number] and {"|", "-"} <= set(following) <= _DELIMITER_CHARS


@dataclass(frozen=True, slots=True)
class SpokenText:
    """The characters of a text that are read aloud, with their places in it."""

    text: str
    ranges: tuple[tuple[int, int], ...]
    """Start and end of each part of the whole text that is left out."""

    @classmethod
    def of(cls, whole: str) -> SpokenText:
        """Return the spoken characters of `whole`."""
        ranges, pieces, at = tuple(unspoken_ranges(whole)), list[str](), 0
        for start, end in ranges:
            pieces.append(whole[at:start])
            at = end
        return cls("".join(pieces) + whole[at:], ranges)

    def spoken_index(self, index: int) -> int:
        """Return how many spoken characters precede `index` of the whole text."""
        return index - sum(min(index, end) - start for start, end in self.ranges if start < index)

    def whole_index(self, count: float) -> float:
        """Return the index in the whole text up to which `count` spoken characters reach.

        The part that is left out counts as reached with the first character behind it, or at the end of the text.
        """
        is_all = count >= len(self.text)
        for start, end in self.ranges:
            if count < start or (count == start and not is_all):
                break
            count += end - start
        return count
