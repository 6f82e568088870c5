"""What goes to the loudspeaker, and how much of it was heard. Pure: time is handed in, in seconds.

Audio is PCM16 mono at 24 kHz. `frame(now)` is asked for once per 20 ms and gives 480 samples, silence when there is
nothing. What was handed out is heard: it cannot be called back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
FRAME = RATE // 50
"""Samples in one 20 ms frame."""
FRAME_S = FRAME / RATE
FADE = RATE * 5 // 1000
"""Samples of the fade-out when playback is cut: a hard edge is heard as a click."""
RAMP = RATE * 30 // 1000
"""Samples over which the loudness changes from silent to full, or back: quick, and no click."""
MAX_SAMPLES = RATE * 600
"""Ten minutes waiting to be played; what comes on top is refused."""
MAX_REMEMBERED = 64
"""Parts that were played, responses and items that were dropped; events of older ones no longer arrive."""
MOST_PARTS = 1000
PATIENCE_S = 0.25
"""Seconds a half-filled jitter buffer waits for more before what is there is played."""

Samples = NDArray[np.int16]


class Flow(Enum):
    """What the loudspeaker is doing."""

    EMPTY = "empty"
    FILLING = "filling"
    """Audio has come, but not enough of it to start."""
    PLAYING = "playing"


class Cut(NamedTuple):
    """An item whose audio was interrupted, with what was heard of it."""

    item_id: str
    content_index: int
    heard_ms: int


@dataclass(slots=True)
class _Part:
    """The audio of one content part of an item. All counts in samples."""

    item_id: str
    content_index: int
    response_id: str
    received: int = 0
    sent: int = 0
    """Handed out."""
    complete: bool = False
    """The server said that no more will come."""
    odd: bytes = b""
    """Half a sample, when a delta was cut in the middle of one."""


@dataclass(slots=True)
class _Chunk:
    part: _Part
    samples: Samples
    start: int = 0


@dataclass(slots=True)
class Gaps:
    """Times the loudspeaker ran dry in the middle of a reply."""

    count: int = 0
    total_ms: float = 0.0
    longest_ms: float = 0.0


@dataclass
class Playback:
    """The loudspeaker's queue and the owner of "heard"."""

    prefill_ms: int = 60
    gaps: Gaps = field(default_factory=Gaps)
    flow: Flow = Flow.EMPTY
    played: int = 0
    """Samples handed out so far, silence not counted."""

    def __post_init__(self) -> None:
        self._parts: dict[tuple[str, int], _Part] = {}
        self._queue: deque[_Chunk] = deque()
        self._queued = 0
        self._frame_at = 0.0
        self._frame_parts: list[_Part] = []  # what the frame handed out at `_frame_at` holds sound of, in playing order
        self._tail: Samples | None = None  # faded rest of what was cut, for the next frame
        self._filling_since = 0.0
        self._dry_since: float | None = None
        self._dry_part: _Part | None = None
        self._dropped: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._gain = self._wanted_gain = 1.0

    # ---------------------------------------------------------------- in

    def receive(self, item_id: str, content_index: int, response_id: str, pcm: bytes, now: float) -> int:
        """Queue audio. Returns the samples taken: 0 for a dropped response and when the queue is full."""
        if self.is_dropped(response_id, item_id):
            return 0
        part = self._parts.get((item_id, content_index))
        if part is None:
            part = self._parts[item_id, content_index] = _Part(item_id, content_index, response_id)
        data = part.odd + pcm
        whole = len(data) // 2
        if self._queued + whole > MAX_SAMPLES:
            return 0
        part.odd = data[whole * 2 :]
        if not whole:
            return 0
        self._queue.append(_Chunk(part, np.frombuffer(data, dtype="<i2", count=whole).astype(np.int16, copy=False)))
        self._queued += whole
        part.received += whole
        part.complete = False
        if self.flow is Flow.EMPTY:
            self.flow = Flow.FILLING
            self._filling_since = now
        return whole

    def finish(self, item_id: str, content_index: int) -> None:
        """No more audio of this part will come."""
        part = self._parts.get((item_id, content_index))
        if part is not None:
            part.complete = True
            part.odd = b""

    def finish_response(self, response_id: str) -> None:
        """No more audio of this response will come."""
        for part in self._parts.values():
            if part.response_id == response_id:
                part.complete = True

    def drop(self, response_id: str) -> None:
        """Refuse audio of this response from now on. Late deltas of a cancelled response do arrive."""
        if response_id and response_id not in self._dropped:
            self._dropped.append(response_id)

    def knows(self, response_id: str) -> bool:
        """True when sound of this response has come."""
        return any(part.response_id == response_id for part in self._parts.values())

    def is_dropped(self, response_id: str, item_id: str) -> bool:
        """True when audio of this response or item is refused."""
        return response_id in self._dropped or item_id in self._dropped

    def rename(self, names: dict[str, str]) -> None:
        """Items got new ids (old -> new): the conversation moved to a new connection. No more of them will come."""
        for part in self._parts.values():
            part.item_id = names.get(part.item_id, f"{part.item_id} (gone)")
            part.complete = True
        self._parts = {(part.item_id, part.content_index): part for part in self._parts.values()}
        self._dropped.clear()

    # ---------------------------------------------------------------- out

    def frame(self, now: float) -> Samples:
        """The next 20 ms for the loudspeaker: int16[480]."""
        self._forget()
        self._frame_at, self._frame_parts = now, []
        out = np.zeros(FRAME, dtype=np.int16)
        if self._tail is not None:
            out[: len(self._tail)] = self._tail
            self._tail = None
            return out
        if self.flow is Flow.FILLING and self._filled(now):
            self._start(now)
        if self.flow is not Flow.PLAYING:
            return out
        filled, last = 0, self._queue[0].part
        while filled < FRAME and self._queue:
            chunk = self._queue[0]
            count = min(FRAME - filled, len(chunk.samples) - chunk.start)
            out[filled : filled + count] = chunk.samples[chunk.start : chunk.start + count]
            self._frame_parts.append(chunk.part)
            chunk.part.sent += count
            chunk.start += count
            filled += count
            if chunk.start == len(chunk.samples):
                self._queue.popleft()
                last = chunk.part
        if self._gain != 1.0 or self._wanted_gain != 1.0:
            out = self._softened(out)
        self._queued -= filled
        self.played += filled
        if not self._queue:
            self.flow = Flow.EMPTY
            if not last.complete:
                self._dry_since, self._dry_part = now + filled / RATE, last
        return out

    def duck(self, gain: float) -> None:
        """Play on at this loudness (1: full), from the next frame on. What is heard softly is heard.

        Holds until it is changed, or until `interrupt()`: what comes after that is played at full loudness.
        """
        self._wanted_gain = gain

    def _softened(self, samples: Samples) -> Samples:
        """A frame at the loudness that is wanted, on the way there from the present one."""
        way = self._wanted_gain - self._gain
        ramp = self._gain + np.sign(way) * np.minimum(np.arange(1, len(samples) + 1) / RAMP, abs(way))
        self._gain = float(ramp[-1])
        softened: Samples = np.rint(samples * ramp).astype(np.int16)
        return softened

    def _filled(self, now: float) -> bool:
        enough = self._queued >= RATE * self.prefill_ms // 1000
        whole = all(chunk.part.complete for chunk in self._queue)
        return enough or whole or now - self._filling_since >= PATIENCE_S

    def _start(self, now: float) -> None:
        self.flow = Flow.PLAYING
        if self._dry_since is None or self._dry_part is None:
            return
        if self._dry_part.response_id == self._queue[0].part.response_id:
            gap_ms = max(0.0, (now - self._dry_since) * 1000)
            self.gaps.count += 1
            self.gaps.total_ms += gap_ms
            self.gaps.longest_ms = max(self.gaps.longest_ms, gap_ms)
        self._dry_since = self._dry_part = None

    def _forget(self) -> None:
        """Old parts that were handed out to their end."""
        if len(self._parts) > MAX_REMEMBERED:
            flooded = len(self._parts) > MOST_PARTS  # by a server that ends none of them
            over = [
                key for key, part in self._parts.items() if (part.complete or flooded) and part.sent == part.received
            ]
            for key in over[: len(self._parts) - MAX_REMEMBERED]:
                del self._parts[key]

    # ---------------------------------------------------------------- heard

    def items_at(self, now: float) -> list[str]:
        """The items of which the frame handed out at `now` holds sound."""
        return list(dict.fromkeys(part.item_id for part in self._frame_parts)) if now == self._frame_at else []

    @property
    def busy(self) -> bool:
        """Audio waits to be played."""
        return bool(self._queue)

    @property
    def queued_ms(self) -> int:
        """ms of audio waiting to be played."""
        return self._queued * 1000 // RATE

    def interrupt(self, now: float) -> list[Cut]:
        """Stop at once. Returns what was heard of each part that was cut, in playing order; 0 ms when never played.

        What was handed out is on its way and cannot be called back: it is heard too (measured at the ear by
        `benchmarks/barge_in.py`). So parts handed out to their end are left out.
        """
        cuts = []
        for part in list(self._parts.values()):
            if part.received and not (part.complete and part.sent == part.received):
                cuts.append(Cut(part.item_id, part.content_index, part.sent * 1000 // RATE))
            for gone in (part.response_id, part.item_id):
                if gone and gone not in self._dropped:
                    self._dropped.append(gone)
        if self.flow is Flow.PLAYING and self._queue:
            chunk = self._queue[0]
            rest = chunk.samples[chunk.start : chunk.start + FADE].astype(np.float64)
            self._tail = (rest * np.linspace(self._gain, 0, len(rest), endpoint=False)).astype(np.int16)
        self._parts.clear()
        self._queue.clear()
        self._frame_parts = []
        self._queued = 0
        self._dry_since = self._dry_part = None
        self._gain = self._wanted_gain = 1.0
        self.flow = Flow.EMPTY
        return cuts
