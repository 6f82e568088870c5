"""Audio-text alignment: the part of a text that was heard when its audio stopped. Pure.

The protocol does not align words with audio. Many servers send the text of each clause just before its audio: then the
points at which text and audio alternate are exact anchors. Where text runs far ahead of audio (OpenAI), the text is
taken as spread evenly over the audio. Text that is not read aloud, such as a code block, takes no part in it. Either
way the cut goes back to the end of a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from voicechat.audio.format import RATE

from .unspoken_text import SpokenText

MAX_LETTERS_PER_S = 30.0
"""Letters a second of the fastest speech. More text than that before its audio means that the text runs ahead."""
MIN_LETTERS_PER_S = 4.0
"""Letters a second of the slowest speech."""
MAX_PAUSE_S = 2.0
"""Seconds of one pause in a clause, added to its letters at the slowest speed: "1." may take a second and a half."""
MAX_TEXT_CHARS = 100_000
"""Characters kept of one part; more are dropped. No reply is that long."""
MAX_ANCHORS = 10_000
"""Anchors kept of one part."""
LETTERS_PER_CHINESE_CHAR = 3
"""Letters that are spoken in the time of one Chinese character."""

_WIDE = r"[\u2e80-\u9fff\uf900-\uffef\U00020000-\U0003ffff]"
_CHINESE = re.compile(_WIDE)
_BREAK = re.compile(rf"\s+|(?<={_WIDE})|(?={_WIDE})")
"""Points at which a text may be cut: white space, and both sides of a Chinese character or full-width sign."""


@dataclass(slots=True)
class ContentPart:
    """Text and audio of one content part, and where it was cut. Samples are at 24 kHz."""

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
        """Append a piece of text."""
        if self.heard_chars is not None:
            return
        new = not self.anchors or self.anchors[-1][0] != self.received_samples
        if new and len(self.anchors) < MAX_ANCHORS:
            self.anchors.append((self.received_samples, len(self.text)))
        self.text += delta[: max(0, MAX_TEXT_CHARS - len(self.text))]

    def set_text(self, text: str) -> None:
        """Replace the pieces by the whole text."""
        text = text[:MAX_TEXT_CHARS]
        if self.heard_chars is not None or text == self.text:
            return
        known = self.anchors[-1][1] if self.anchors else 0
        if text[:known] != self.text[:known]:
            self.anchors.clear()  # another text than the pieces: their anchors do not fit it
        self.text = text

    def add_audio(self, samples: int) -> None:
        """Count a piece of audio."""
        self.received_samples += samples

    def truncate(self, heard_samples: int) -> None:
        """Cut the text after `heard_samples` of audio. A second cut can only shorten it."""
        count = word_end(self.text, heard_char_count(self.text, self.anchors, self.received_samples, heard_samples))
        self.heard_chars = count if self.heard_chars is None else min(count, self.heard_chars)


def heard_char_count(text: str, anchors: list[tuple[int, int]], received_samples: int, heard_samples: int) -> float:
    """Return the characters of `text` that were heard after `heard_samples` of `received_samples`."""
    if heard_samples <= 0 or received_samples <= 0 or not text:
        return 0.0
    if heard_samples >= received_samples:
        return float(len(text))
    spoken = SpokenText.of(text)
    points = [(samples, spoken.spoken_index(chars)) for samples, chars in (*anchors, (received_samples, len(text)))]
    if points[0] != (0, 0) or not is_aligned(spoken.text, points):
        return spoken.whole_index(len(spoken.text) * heard_samples / received_samples)
    for (start, first), (end, last) in pairwise(points):
        if start <= heard_samples < end:
            return spoken.whole_index(first + (last - first) * (heard_samples - start) / (end - start))
    return float(len(text))


def is_aligned(text: str, points: list[tuple[int, int]]) -> bool:
    """Return whether the text between two anchors can be spoken in the audio between them, everywhere.

    Audio of the last stretch may still arrive: it can only be too long.
    """
    for (start, first), (end, last) in pairwise(points):
        seconds, letters = (end - start) / RATE, speech_length(text[first:last])
        if seconds > MAX_PAUSE_S + letters / MIN_LETTERS_PER_S:
            return False
        if end != points[-1][0] and letters > MAX_LETTERS_PER_S * seconds:
            return False
    return True


def speech_length(text: str) -> int:
    """Return the length of a text in spoken letters."""
    return sum(LETTERS_PER_CHINESE_CHAR if _CHINESE.match(letter) else 1 for letter in text)


def word_end(text: str, char_index: float) -> int:
    """Return the last index up to `char_index` at which `text` may be cut without cutting a word."""
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
