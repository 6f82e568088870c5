"""Speech pace: the seconds of work that a second of speech takes here, and what follows for the start of a reply. Pure.

The work is all that lies between two clauses of a reply: the words of the language model and the voice. Above 1, a
reply has gaps unless its beginning is held until enough of it is made. Texts and callers leave no trace in a pace.
"""

from __future__ import annotations

import math
from collections.abc import Callable

DEFAULT_FACTOR = 0.75
"""Seconds of work per second of Mandarin speech on two cores, before anything is measured."""
LANGUAGE_MODEL_FACTOR = 0.35
"""Seconds that the language model adds to those of the voice, until a reply has shown it."""
MIN_FACTOR, MAX_FACTOR = 0.1, 3.0
"""Limits of one measurement: a computer that was suspended says nothing about its speed."""
MEMORY_S = 8.0
"""Seconds of speech after which a measurement has a third of its weight left."""

SAFE_FACTOR = 0.9
"""Factor up to which the voice keeps ahead, so that a reply starts with its first clause."""
SHORT_REPLY_FACTOR = 1.25
"""Factor above which spoken replies have one sentence: two would be held for too long, or have gaps."""
EXPECTED_REPLY_S = 8.0
"""Seconds of speech of a reply of two sentences, at the upper end."""
EXPECTED_SHORT_REPLY_S = 5.0
"""Seconds of speech of a reply of one sentence, at the upper end."""
SHORT_CLAUSE_S = 1.6
"""Seconds of speech of the shortest clauses, into which the splitter cuts where no lead is left."""
MAX_HOLD_S = 3.0
"""Seconds for which the beginning of a reply is held at most."""


class SpeechPace:
    """Exponential mean of the seconds of work per second of speech. One per voice and process."""

    def __init__(self, factor: float = DEFAULT_FACTOR) -> None:
        self._factor = DEFAULT_FACTOR
        self.restore(factor)

    @property
    def factor(self) -> float:
        """Seconds of work per second of speech."""
        return self._factor

    @property
    def needs_short_replies(self) -> bool:
        """Whether replies should have one sentence."""
        return self._factor > SHORT_REPLY_FACTOR

    @property
    def expected_reply_s(self) -> float:
        """Seconds of speech of a usual reply."""
        return EXPECTED_SHORT_REPLY_S if self.needs_short_replies else EXPECTED_REPLY_S

    def restore(self, factor: float) -> None:
        """Begin with a factor that was measured before."""
        self._factor = min(MAX_FACTOR, max(MIN_FACTOR, factor))

    def record(self, work_s: float, speech_s: float) -> None:
        """Count a clause of `speech_s` that was there `work_s` after the one before it."""
        if speech_s > 0:
            measured = min(MAX_FACTOR, max(MIN_FACTOR, work_s / speech_s))
            self._factor += (1 - math.exp(-speech_s / MEMORY_S)) * (measured - self._factor)


def initial_factor(voice_factor: float | None) -> float:
    """Return the factor before a reply has shown it. `voice_factor` is that of the voice alone; None if unknown.

    It is never below the default: a first reply with long clauses has gaps where the language model is slow.
    """
    return DEFAULT_FACTOR if voice_factor is None else max(DEFAULT_FACTOR, voice_factor + LANGUAGE_MODEL_FACTOR)


def lead_to_start_s(factor: float, remaining_s: float, clause_s: float = SHORT_CLAUSE_S) -> float:
    """Return the seconds of speech to have ready before a reply starts to play, so that it has no gap.

    `remaining_s` of speech are to be made then, in clauses of `clause_s` at most. While one of them is made, those
    before it play, and `factor` - 1 seconds of the lead are lost with each of their seconds.
    """
    if factor <= SAFE_FACTOR:
        return 0.0
    return max(0.0, factor - 1) * remaining_s + factor * clause_s


class ReplyStart:
    """Decision when the speech of one reply starts to play. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._made_s = 0.0
        self._held_since_s: float | None = None
        self.is_started = False

    def add(self, speech_s: float, pace: SpeechPace) -> bool:
        """Count a clause that is ready. Return whether it is delivered now, with what is held. Silent ones begin so."""
        if self.is_started or not speech_s:
            return self.is_started or not self._made_s
        self._made_s += speech_s
        if self._held_since_s is None:
            self._held_since_s = self._clock()
        remaining_s = max(0.0, pace.expected_reply_s - self._made_s)
        next_at_s = self._clock() - self._held_since_s + pace.factor * SHORT_CLAUSE_S
        self.is_started = self._made_s >= lead_to_start_s(pace.factor, remaining_s) or next_at_s > MAX_HOLD_S
        return self.is_started
