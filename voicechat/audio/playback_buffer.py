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

from voicechat.audio.format import FRAME, RATE, Samples

FADE_SAMPLES = RATE * 5 // 1000
"""Samples of the fade-out when playback is cut: a hard edge is heard as a click."""
GAIN_RAMP_SAMPLES = RATE * 30 // 1000
"""Samples over which the loudness changes from silent to full, or back: quick, and no click."""
MAX_QUEUED_SAMPLES = RATE * 600
"""Ten minutes waiting to be played; what comes on top is refused."""
MAX_REMEMBERED = 64
"""Parts that were played, responses and items that were dropped; events of older ones no longer arrive."""
MAX_UNFINISHED_PARTS = 1000
PREBUFFER_TIMEOUT_S = 0.25
"""Seconds a half-filled jitter buffer waits for more before what is there is played."""


class PlaybackState(Enum):
    """What the loudspeaker is doing."""

    EMPTY = "empty"
    BUFFERING = "filling"
    """Audio has come, but not enough of it to start."""
    PLAYING = "playing"


class Truncation(NamedTuple):
    """An item whose audio was interrupted, with what was heard of it."""

    item_id: str
    content_index: int
    heard_ms: int


@dataclass(slots=True)
class _PartAudio:
    """The audio of one content part of an item. All counts in samples."""

    item_id: str
    content_index: int
    response_id: str
    received_samples: int = 0
    played_samples: int = 0
    """Handed out."""
    is_complete: bool = False
    """The server said that no more will come."""
    odd_byte: bytes = b""
    """Half a sample, when a delta was cut in the middle of one."""


@dataclass(slots=True)
class _Chunk:
    part: _PartAudio
    samples: Samples
    offset: int = 0


@dataclass(slots=True)
class UnderrunStats:
    """Times the loudspeaker ran dry in the middle of a reply."""

    count: int = 0
    total_ms: float = 0.0
    longest_ms: float = 0.0


@dataclass
class PlaybackBuffer:
    """The loudspeaker's queue and the owner of "heard"."""

    prebuffer_ms: int = 60
    underruns: UnderrunStats = field(default_factory=UnderrunStats)
    state: PlaybackState = PlaybackState.EMPTY
    played_samples: int = 0
    """Samples handed out so far, silence not counted."""

    def __post_init__(self) -> None:
        self._parts: dict[tuple[str, int], _PartAudio] = {}
        self._queue: deque[_Chunk] = deque()
        self._queued_samples = 0
        self._frame_at = 0.0
        self._frame_parts: list[
            _PartAudio
        ] = []  # what the frame handed out at `_frame_at` holds sound of, in playing order
        self._fade_tail: Samples | None = None  # faded rest of what was cut, for the next frame
        self._buffering_since = 0.0
        self._underrun_since: float | None = None
        self._underrun_part: _PartAudio | None = None
        self._dropped: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._gain = self._target_gain = 1.0

    # ---------------------------------------------------------------- in

    def push(self, item_id: str, content_index: int, response_id: str, pcm: bytes, now: float) -> int:
        """Queue audio. Returns the samples taken: 0 for a dropped response and when the queue is full."""
        if self.is_dropped(response_id, item_id):
            return 0
        part = self._parts.get((item_id, content_index))
        if part is None:
            part = self._parts[item_id, content_index] = _PartAudio(item_id, content_index, response_id)
        data = part.odd_byte + pcm
        whole = len(data) // 2
        if self._queued_samples + whole > MAX_QUEUED_SAMPLES:
            return 0
        part.odd_byte = data[whole * 2 :]
        if not whole:
            return 0
        self._queue.append(_Chunk(part, np.frombuffer(data, dtype="<i2", count=whole).astype(np.int16, copy=False)))
        self._queued_samples += whole
        part.received_samples += whole
        part.is_complete = False
        if self.state is PlaybackState.EMPTY:
            self.state = PlaybackState.BUFFERING
            self._buffering_since = now
        return whole

    def finish_part(self, item_id: str, content_index: int) -> None:
        """No more audio of this part will come."""
        part = self._parts.get((item_id, content_index))
        if part is not None:
            part.is_complete = True
            part.odd_byte = b""

    def finish_response(self, response_id: str) -> None:
        """No more audio of this response will come."""
        for part in self._parts.values():
            if part.response_id == response_id:
                part.is_complete = True

    def drop_response(self, response_id: str) -> None:
        """Refuse audio of this response from now on. Late deltas of a cancelled response do arrive."""
        if response_id and response_id not in self._dropped:
            self._dropped.append(response_id)

    def has_response(self, response_id: str) -> bool:
        """True when sound of this response has come."""
        return any(part.response_id == response_id for part in self._parts.values())

    def is_dropped(self, response_id: str, item_id: str) -> bool:
        """True when audio of this response or item is refused."""
        return response_id in self._dropped or item_id in self._dropped

    def assign_new_ids(self, new_ids: dict[str, str]) -> None:
        """Items got new ids (old -> new): the conversation moved to a new connection. No more of them will come."""
        for part in self._parts.values():
            part.item_id = new_ids.get(part.item_id, f"{part.item_id} (gone)")
            part.is_complete = True
        self._parts = {(part.item_id, part.content_index): part for part in self._parts.values()}
        self._dropped.clear()

    # ---------------------------------------------------------------- out

    def next_frame(self, now: float) -> Samples:
        """The next 20 ms for the loudspeaker: int16[480]."""
        self._prune_parts()
        self._frame_at, self._frame_parts = now, []
        out = np.zeros(FRAME, dtype=np.int16)
        if self._fade_tail is not None:
            out[: len(self._fade_tail)] = self._fade_tail
            self._fade_tail = None
            return out
        if self.state is PlaybackState.BUFFERING and self._is_prebuffered(now):
            self._start_playing(now)
        if self.state is not PlaybackState.PLAYING:
            return out
        filled, last = 0, self._queue[0].part
        while filled < FRAME and self._queue:
            chunk = self._queue[0]
            count = min(FRAME - filled, len(chunk.samples) - chunk.offset)
            out[filled : filled + count] = chunk.samples[chunk.offset : chunk.offset + count]
            self._frame_parts.append(chunk.part)
            chunk.part.played_samples += count
            chunk.offset += count
            filled += count
            if chunk.offset == len(chunk.samples):
                self._queue.popleft()
                last = chunk.part
        if self._gain != 1.0 or self._target_gain != 1.0:
            out = self._apply_gain(out)
        self._queued_samples -= filled
        self.played_samples += filled
        if not self._queue:
            self.state = PlaybackState.EMPTY
            if not last.is_complete:
                self._underrun_since, self._underrun_part = now + filled / RATE, last
        return out

    def set_gain(self, gain: float) -> None:
        """Play on at this loudness (1: full), from the next frame on. What is heard softly is heard.

        Holds until it is changed, or until `interrupt()`: what comes after that is played at full loudness.
        """
        self._target_gain = gain

    def _apply_gain(self, samples: Samples) -> Samples:
        """A frame at the loudness that is wanted, on the way there from the present one."""
        way = self._target_gain - self._gain
        ramp = self._gain + np.sign(way) * np.minimum(np.arange(1, len(samples) + 1) / GAIN_RAMP_SAMPLES, abs(way))
        self._gain = float(ramp[-1])
        softened: Samples = np.rint(samples * ramp).astype(np.int16)
        return softened

    def _is_prebuffered(self, now: float) -> bool:
        enough = self._queued_samples >= RATE * self.prebuffer_ms // 1000
        whole = all(chunk.part.is_complete for chunk in self._queue)
        return enough or whole or now - self._buffering_since >= PREBUFFER_TIMEOUT_S

    def _start_playing(self, now: float) -> None:
        self.state = PlaybackState.PLAYING
        if self._underrun_since is None or self._underrun_part is None:
            return
        if self._underrun_part.response_id == self._queue[0].part.response_id:
            gap_ms = max(0.0, (now - self._underrun_since) * 1000)
            self.underruns.count += 1
            self.underruns.total_ms += gap_ms
            self.underruns.longest_ms = max(self.underruns.longest_ms, gap_ms)
        self._underrun_since = self._underrun_part = None

    def _prune_parts(self) -> None:
        """Old parts that were handed out to their end."""
        if len(self._parts) > MAX_REMEMBERED:
            flooded = len(self._parts) > MAX_UNFINISHED_PARTS  # by a server that ends none of them
            over = [
                key
                for key, part in self._parts.items()
                if (part.is_complete or flooded) and part.played_samples == part.received_samples
            ]
            for key in over[: len(self._parts) - MAX_REMEMBERED]:
                del self._parts[key]

    # ---------------------------------------------------------------- heard

    def item_ids_at(self, now: float) -> list[str]:
        """The items of which the frame handed out at `now` holds sound."""
        return list(dict.fromkeys(part.item_id for part in self._frame_parts)) if now == self._frame_at else []

    @property
    def has_queued_audio(self) -> bool:
        """Audio waits to be played."""
        return bool(self._queue)

    @property
    def queued_ms(self) -> int:
        """ms of audio waiting to be played."""
        return self._queued_samples * 1000 // RATE

    def interrupt(self, now: float) -> list[Truncation]:
        """Stop at once. Returns what was heard of each part that was cut, in playing order; 0 ms when never played.

        What was handed out is on its way and cannot be called back: it is heard too (measured at the ear by
        `benchmarks/barge_in.py`). So parts handed out to their end are left out.
        """
        cuts = []
        for part in list(self._parts.values()):
            if part.received_samples and not (part.is_complete and part.played_samples == part.received_samples):
                cuts.append(Truncation(part.item_id, part.content_index, part.played_samples * 1000 // RATE))
            for gone in (part.response_id, part.item_id):
                if gone and gone not in self._dropped:
                    self._dropped.append(gone)
        if self.state is PlaybackState.PLAYING and self._queue:
            chunk = self._queue[0]
            rest = chunk.samples[chunk.offset : chunk.offset + FADE_SAMPLES].astype(np.float64)
            self._fade_tail = (rest * np.linspace(self._gain, 0, len(rest), endpoint=False)).astype(np.int16)
        self._parts.clear()
        self._queue.clear()
        self._frame_parts = []
        self._queued_samples = 0
        self._underrun_since = self._underrun_part = None
        self._gain = self._target_gain = 1.0
        self.state = PlaybackState.EMPTY
        return cuts
