"""Where in a text a listener was when the sound stopped. Pure.

The protocol does not align words with sound. Two estimates: many servers send each clause's text just before its sound,
and then the places where text and sound take turns are exact anchors; where text runs far ahead of sound (OpenAI), the
text is taken as spread evenly over the sound. Either way the cut goes back to the end of a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

RATE = 24_000
SHORT_SEGMENT = RATE // 5
"""Samples between two anchors below which a speaking rate says little."""
RATE_SPREAD = 2.5
"""Clauses are spoken up to this much faster or slower than the whole. Beyond that, text and sound are not aligned."""

_BREAK = re.compile(
    r"\s+|(?<=[\u2e80-\u9fff\uf900-\uffef\U00020000-\U0003ffff])|(?=[\u2e80-\u9fff\uf900-\uffef\U00020000-\U0003ffff])"
)
"""Where a text may be cut: white space, and on both sides of every Chinese character or full-width sign."""


@dataclass(slots=True)
class Part:
    """Text and sound of one content part, and where it was cut. Samples are at 24 kHz."""

    text: str = ""
    samples: int = 0
    """Audio received."""
    cut: int | None = None
    """Characters that were heard; None: not interrupted."""
    anchors: list[tuple[int, int]] = field(default_factory=list)
    """(samples, characters) received each time text came in."""

    @property
    def heard_text(self) -> str:
        return self.text if self.cut is None else self.text[: self.cut]

    @property
    def unheard_text(self) -> str:
        return "" if self.cut is None else self.text[self.cut :]

    def add_text(self, delta: str) -> None:
        """A piece of text came."""
        if self.cut is not None:
            return
        if not self.anchors or self.anchors[-1][0] != self.samples:
            self.anchors.append((self.samples, len(self.text)))
        self.text += delta

    def set_text(self, text: str) -> None:
        """The whole text came: it replaces the pieces."""
        if self.cut is not None or text == self.text:
            return
        known = self.anchors[-1][1] if self.anchors else 0
        if text[:known] != self.text[:known]:
            self.anchors.clear()  # another text than the pieces: their places mean nothing in it
        self.text = text

    def add_audio(self, samples: int) -> None:
        """A piece of sound came."""
        self.samples += samples

    def cut_at(self, heard: int) -> None:
        """The sound was stopped after `heard` samples. A later cut can only be an earlier place."""
        place = word_end(self.text, characters(self.anchors, self.samples, len(self.text), heard))
        self.cut = place if self.cut is None else min(place, self.cut)


def characters(anchors: list[tuple[int, int]], samples: int, length: int, heard: int) -> float:
    """Characters of a text of `length` heard after `heard` of `samples` received samples."""
    if heard <= 0 or samples <= 0 or length <= 0:
        return 0.0
    if heard >= samples:
        return float(length)
    points = [*anchors, (samples, length)]
    if points[0] != (0, 0) or not aligned(points):
        return length * heard / samples
    for (start, first), (end, last) in pairwise(points):
        if start <= heard < end:
            return first + (last - first) * (heard - start) / (end - start)
    return float(length)


def aligned(points: list[tuple[int, int]]) -> bool:
    """Whether every stretch between anchors is spoken at about the same pace as the whole."""
    if len(points) < 3:
        return False
    whole = points[-1][1] / points[-1][0]
    for (start, first), (end, last) in pairwise(points):
        span, count = end - start, last - first
        if span <= 0 or count <= 0:
            return False
        # A short stretch may be spoken slowly, a pause is in it; it cannot hold many words.
        too_fast = count > whole * RATE_SPREAD * max(span, SHORT_SEGMENT)
        too_slow = span >= SHORT_SEGMENT and count < whole / RATE_SPREAD * span
        if too_fast or too_slow:
            return False
    return True


def word_end(text: str, place: float) -> int:
    """The last place at or before `place` where `text` may be cut without cutting a word."""
    if place >= len(text):
        return len(text)
    if place <= 0:
        return 0
    best = 0
    for found in _BREAK.finditer(text):
        if found.start() > place:
            break
        best = found.start()
    return best
