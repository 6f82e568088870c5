"""Style vectors of Kokoro's voices: each is read once, when it is first used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LOGGER = logging.getLogger(__name__)

Style = NDArray[np.float32]
"""Style vectors of one voice, float32 [510, 1, 256]: one for each number of phonemes."""


def read_style(path: Path) -> Style:
    """Return the style vectors in a file of 522,240 bytes. Raises `OSError`, and `ValueError` for another size."""
    return np.fromfile(path, np.float32).reshape(510, 1, 256)


class VoiceStyles:
    """Styles besides the default one. A file that comes after the start is found. Use it from one thread at a time."""

    def __init__(self, find: Callable[[str], Path | None]) -> None:
        """`find` returns the checked file of a voice; None while it is missing."""
        self._find = find
        self._styles: dict[str, Style] = {}  # as many as the table of voices has, 0.5 MB each
        self._reported: set[str] = set()

    def has(self, voice: str) -> bool:
        """Return whether the voice's style can be used now. It may be called from any thread."""
        return voice in self._styles or self._find(voice) is not None

    def get(self, voice: str) -> Style | None:
        """Return the style of a voice; None, with one log line for each voice, while its file is missing."""
        style = self._styles.get(voice)
        if style is None:
            path = self._find(voice)
            if path is None:
                if voice not in self._reported:
                    self._reported.add(voice)
                    LOGGER.warning("tts: voice is missing, using the default voice=%s", voice)
                return None
            style = self._styles[voice] = read_style(path)
        return style
