"""Where in a text a listener was when the sound stopped. Pure.

The protocol does not align words with sound. Two estimates: many servers send each clause's text just before its sound,
and then the places where text and sound take turns are exact anchors; where text runs far ahead of sound (OpenAI), the
text is taken as spread evenly over the sound. Either way the cut goes back to the end of a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from voicechat.audio.format import RATE

MAX_LETTERS_PER_S = 30.0
"""Letters a second nobody speaks faster than. More text than that before a piece of sound: the text runs ahead."""
MIN_LETTERS_PER_S = 4.0
MAX_PAUSE_S = 2.0
"""A clause takes at most its letters at the slowest pace and one such pause; "1." may well take a second and a half."""
MAX_TEXT_CHARS = 100_000
"""Characters kept of one part: more than anybody says, or a model writes, at a time. What comes on top is left out."""
MAX_ANCHORS = 10_000
LETTERS_PER_CHINESE_CHAR = 3
"""Letters that take as long to say as one Chinese character."""

_WIDE = r"[\u2e80-\u9fff\uf900-\uffef\U00020000-\U0003ffff]"
_CHINESE = re.compile(_WIDE)
_BREAK = re.compile(rf"\s+|(?<={_WIDE})|(?={_WIDE})")
"""Where a text may be cut: white space, and on both sides of every Chinese character or full-width sign."""


@dataclass(slots=True)
class ContentPart:
    """Text and sound of one content part, and where it was cut. Samples are at 24 kHz."""

    text: str = ""
    received_samples: int = 0
    """Audio received."""
    heard_chars: int | None = None
    """Characters that were heard; None: not interrupted."""
    anchors: list[tuple[int, int]] = field(default_factory=list)
    """(samples, characters) received each time text came in."""

    @property
    def heard_text(self) -> str:
        return self.text if self.heard_chars is None else self.text[: self.heard_chars]

    @property
    def unheard_text(self) -> str:
        return "" if self.heard_chars is None else self.text[self.heard_chars :]

    def add_text(self, delta: str) -> None:
        """A piece of text came."""
        if self.heard_chars is not None:
            return
        new = not self.anchors or self.anchors[-1][0] != self.received_samples
        if new and len(self.anchors) < MAX_ANCHORS:
            self.anchors.append((self.received_samples, len(self.text)))
        self.text += delta[: max(0, MAX_TEXT_CHARS - len(self.text))]

    def set_text(self, text: str) -> None:
        """The whole text came: it replaces the pieces."""
        text = text[:MAX_TEXT_CHARS]
        if self.heard_chars is not None or text == self.text:
            return
        known = self.anchors[-1][1] if self.anchors else 0
        if text[:known] != self.text[:known]:
            self.anchors.clear()  # another text than the pieces: their places mean nothing in it
        self.text = text

    def add_audio(self, samples: int) -> None:
        """A piece of sound came."""
        self.received_samples += samples

    def truncate(self, heard_samples: int) -> None:
        """The sound was stopped after `heard` samples. A later cut can only be an earlier place."""
        place = word_end(self.text, heard_char_count(self.text, self.anchors, self.received_samples, heard_samples))
        self.heard_chars = place if self.heard_chars is None else min(place, self.heard_chars)


def heard_char_count(text: str, anchors: list[tuple[int, int]], received_samples: int, heard_samples: int) -> float:
    """Characters of `text` heard after `heard` of `samples` received samples."""
    if heard_samples <= 0 or received_samples <= 0 or not text:
        return 0.0
    if heard_samples >= received_samples:
        return float(len(text))
    points = [*anchors, (received_samples, len(text))]
    if points[0] != (0, 0) or not is_aligned(text, points):
        return len(text) * heard_samples / received_samples
    for (start, first), (end, last) in pairwise(points):
        if start <= heard_samples < end:
            return first + (last - first) * (heard_samples - start) / (end - start)
    return float(len(text))


def is_aligned(text: str, points: list[tuple[int, int]]) -> bool:
    """Whether each stretch of text between anchors can be what is said in the sound between them.

    Of the last stretch the sound may still be under way: it can only be too long.
    """
    for (start, first), (end, last) in pairwise(points):
        seconds, said = (end - start) / RATE, speech_length(text[first:last])
        if seconds > MAX_PAUSE_S + said / MIN_LETTERS_PER_S:
            return False
        if end != points[-1][0] and said > MAX_LETTERS_PER_S * seconds:
            return False
    return True


def speech_length(text: str) -> int:
    """The length of a text as a mouth sees it."""
    return sum(LETTERS_PER_CHINESE_CHAR if _CHINESE.match(letter) else 1 for letter in text)


def word_end(text: str, char_index: float) -> int:
    """The last place at or before `place` where `text` may be cut without cutting a word."""
    if char_index >= len(text):
        return len(text)
    if char_index <= 0:
        return 0
    best = 0
    for found in _BREAK.finditer(text):
        if found.start() > char_index:
            break
        best = found.start()
    return best
