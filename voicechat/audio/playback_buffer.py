"""Playback buffer: reply audio waiting for the loudspeaker, and how much of each reply was heard. Pure: time goes in.

Audio is PCM16 mono at 24 kHz. `next_frame(now)` is called once per 20 ms and returns 480 samples, silence when the
buffer is empty. Samples that were returned count as heard: they cannot be called back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np

from .format import FRAME, RATE, Samples

FADE_SAMPLES = RATE * 5 // 1000
"""Samples of the fade-out when playback is interrupted: a hard edge is heard as a click."""
GAIN_RAMP_SAMPLES = RATE * 30 // 1000
"""Samples of a ramp between silence and full loudness: quick, and without a click."""
MAX_QUEUED_SAMPLES = RATE * 600
"""Samples that may wait (ten minutes); more are refused."""
MAX_REMEMBERED = 64
"""Played parts remembered. Audio of older ones no longer arrives."""
MAX_UNFINISHED_PARTS = 1000
"""Parts remembered of a server that ends none of them."""
PREBUFFER_TIMEOUT_S = 0.25
"""Seconds before a half-filled buffer is played all the same."""


class StaleResponses(Protocol):
    """Owner of the question whether a response is stale (`voicechat.conversation.responses.ResponseRegistry`)."""

    def is_stale(self, response_id: str, item_id: str = "") -> bool:
        """Return whether audio of this response is refused."""

    def cancel(self, response_id: str, item_id: str = "") -> None:
        """Mark a response as interrupted."""


class PlaybackState(Enum):
    """State of the loudspeaker."""

    EMPTY = "empty"
    BUFFERING = "filling"
    """Audio has come, but not enough of it to start."""
    PLAYING = "playing"


class Truncation(NamedTuple):
    """An item whose audio was interrupted, and the ms of it that were heard."""

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


@dataclass
class PlaybackBuffer:
    """Queue of the loudspeaker, and owner of the count of heard samples."""

    responses: StaleResponses
    prebuffer_ms: int = 60
    state: PlaybackState = PlaybackState.EMPTY
    played_samples: int = 0
    """Samples handed out so far, silence not counted."""

    def __post_init__(self) -> None:
        self._parts: dict[tuple[str, int], _PartAudio] = {}
        self._queue: deque[_Chunk] = deque()
        self._queued_samples = 0
        self._frame_at = 0.0
        self._frame_parts: list[_PartAudio] = []
        """Parts with audio in the frame returned at `_frame_at`, in playing order."""
        self._fade_tail: Samples | None = None
        """Faded end of the interrupted audio, for the next frame."""
        self._buffering_since = 0.0
        self._gain = self._target_gain = 1.0

    # ---------------------------------------------------------------- in

    def push(self, item_id: str, content_index: int, response_id: str, pcm: bytes, now: float) -> int:
        """Queue audio. Return the samples taken: 0 for a stale response and when the queue is full."""
        if self.responses.is_stale(response_id, item_id):
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
        """Note that no more audio of this part will come."""
        part = self._parts.get((item_id, content_index))
        if part is not None:
            part.is_complete = True
            part.odd_byte = b""

    def finish_response(self, response_id: str) -> None:
        """Note that no more audio of this response will come."""
        for part in self._parts.values():
            if part.response_id == response_id:
                part.is_complete = True

    def has_response(self, response_id: str) -> bool:
        """Return whether audio of this response has come."""
        return any(part.response_id == response_id for part in self._parts.values())

    def assign_new_ids(self, new_ids: dict[str, str]) -> None:
        """Rename items (old id -> new id) for a new connection, over which no more of their audio comes."""
        for part in self._parts.values():
            part.item_id = new_ids.get(part.item_id, f"{part.item_id} (lost)")
            part.response_id = ""  # the next server may use the id for another response
            part.is_complete = True
        self._parts = {(part.item_id, part.content_index): part for part in self._parts.values()}

    # ---------------------------------------------------------------- out

    def next_frame(self, now: float) -> Samples:
        """Return the next 20 ms for the loudspeaker: int16[480]."""
        self._prune_parts()
        self._frame_at, self._frame_parts = now, []
        out = np.zeros(FRAME, dtype=np.int16)
        if self._fade_tail is not None:
            out[: len(self._fade_tail)] = self._fade_tail
            self._fade_tail = None
            return out
        if self.state is PlaybackState.BUFFERING and self._is_prebuffered(now):
            self.state = PlaybackState.PLAYING
        if self.state is not PlaybackState.PLAYING:
            return out
        filled = 0
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
        if self._gain != 1.0 or self._target_gain != 1.0:
            out = self._apply_gain(out)
        self._queued_samples -= filled
        self.played_samples += filled
        if not self._queue:
            self.state = PlaybackState.EMPTY
        return out

    def set_gain(self, gain: float) -> None:
        """Play at this loudness (1: full) from the next frame on, until `interrupt()`. Soft audio counts as heard."""
        self._target_gain = gain

    def _apply_gain(self, samples: Samples) -> Samples:
        """Return a frame on the ramp from the present loudness to the target."""
        way = self._target_gain - self._gain
        ramp = self._gain + np.sign(way) * np.minimum(np.arange(1, len(samples) + 1) / GAIN_RAMP_SAMPLES, abs(way))
        self._gain = float(ramp[-1])
        softened: Samples = np.rint(samples * ramp).astype(np.int16)
        return softened

    def _is_prebuffered(self, now: float) -> bool:
        enough = self._queued_samples >= RATE * self.prebuffer_ms // 1000
        whole = all(chunk.part.is_complete for chunk in self._queue)
        return enough or whole or now - self._buffering_since >= PREBUFFER_TIMEOUT_S

    def _prune_parts(self) -> None:
        """Forget the oldest parts that were played to their end."""
        if len(self._parts) > MAX_REMEMBERED:
            flooded = len(self._parts) > MAX_UNFINISHED_PARTS
            over = [
                key
                for key, part in self._parts.items()
                if (part.is_complete or flooded) and part.played_samples == part.received_samples
            ]
            for key in over[: len(self._parts) - MAX_REMEMBERED]:
                del self._parts[key]

    # ---------------------------------------------------------------- heard

    def item_ids_at(self, now: float) -> list[str]:
        """Return the items with audio in the frame returned at `now`."""
        return list(dict.fromkeys(part.item_id for part in self._frame_parts)) if now == self._frame_at else []

    @property
    def has_queued_audio(self) -> bool:
        """Return whether audio waits to be played."""
        return bool(self._queue)

    def unfinished_parts(self) -> list[Truncation]:
        """Return what `interrupt()` would cut now."""
        return [
            Truncation(part.item_id, part.content_index, part.played_samples * 1000 // RATE)
            for part in self._parts.values()
            if part.received_samples and not (part.is_complete and part.played_samples == part.received_samples)
        ]

    def heard_fraction(self, response_id: str) -> float | None:
        """Return how much of a response's received audio was played, 0 to 1; None without any."""
        parts = [part for part in self._parts.values() if part.response_id == response_id and part.received_samples]
        received = sum(part.received_samples for part in parts)
        return sum(part.played_samples for part in parts) / received if received else None

    def interrupt(self, now: float) -> list[Truncation]:
        """Stop at once and cancel the responses. Return the unfinished parts in playing order, with their heard ms.

        Samples that were returned are on their way and are heard too (measured by `benchmarks/barge_in.py`). Parts
        returned to their end are therefore left out.
        """
        cuts = self.unfinished_parts()
        for part in list(self._parts.values()):
            self.responses.cancel(part.response_id, part.item_id)
        if self.state is PlaybackState.PLAYING and self._queue:
            chunk = self._queue[0]
            rest = chunk.samples[chunk.offset : chunk.offset + FADE_SAMPLES].astype(np.float64)
            self._fade_tail = (rest * np.linspace(self._gain, 0, len(rest), endpoint=False)).astype(np.int16)
        self._parts.clear()
        self._queue.clear()
        self._frame_parts = []
        self._queued_samples = 0
        self._gain = self._target_gain = 1.0
        self.state = PlaybackState.EMPTY
        return cuts
