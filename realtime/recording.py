"""The recording of a conversation's calls: the visitor on the left, the model on the right, as it was heard.

Each side is a file of PCM16 mono at 24 kHz. Times come from `timeline.CallClock`; a place on that clock is the same
place in both files, so the sides never drift apart. What the loudspeaker was given is what was heard: a reply that was
interrupted ends here where it ended there. Where nothing was written there is silence.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from functools import partial
from threading import Lock

import numpy as np

from .playback import RATE, Samples
from .sound_file import Pen, SoundFile, at_once

log = logging.getLogger(__name__)

FRESH = RATE * 2
"""Bytes of a side, 1 s, that are gathered before they are written."""
WINDOW = 50
"""Frames, one second, over which lateness is judged: of so many, one arrives as early as it can."""
DRIFT = RATE * 60 // 1000
"""Samples a side may be beside the clock. Lost packets and another computer's clock add up to more in time."""
MICROPHONE_STALL = RATE
"""Samples. A microphone so late has been silent; less is a network that hesitates, and what it held back does come."""
SPEAKER_STALL = RATE // 10
"""Samples. The loudspeaker's clock makes up for shorter pauses, and not for longer ones."""
BLOCK = RATE
"""Samples read at a time."""
CHANNELS, WIDTH = 2, 2


class RecordingState(Enum):
    """Whether a recording takes sound."""

    OPEN = "open"
    CLOSED = "closed"
    """Erased, and nothing is taken until it is cleared: the page has gone, or the disk is full."""


class Channel(Enum):
    """The two sides, in the order of a stereo file."""

    LEFT = "visitor"
    RIGHT = "model"


class _Side:
    """One channel: frames that follow one another, held to the clock. Counts in samples."""

    def __init__(self, most: int, stall: int) -> None:
        self.end = 0
        self._most = most
        self._stall = stall
        self._late: deque[int] = deque(maxlen=WINDOW)
        self._surplus = 0
        """Samples to leave out: the side is ahead of the clock."""
        self.file = SoundFile()
        self._fresh = bytearray()
        """The newest sound, up to `end`, which is not in the file yet: a file is dear to write to 50 times a second."""
        self.handed_in = False
        """The file has something to write that no pen was told of."""

    def write(self, place: int, samples: Samples) -> None:
        """Add a frame that came when the clock was at `place`. Raises OSError when the disk does not keep up."""
        late = place - self.end
        if late < -RATE:  # frames in a burst, from a network that stood still: their time is over
            return
        if late > self._stall or not self.end:
            self._move(max(0, late))
        else:
            self._late.append(late)
            if late > DRIFT and len(self._late) == WINDOW and min(self._late) > DRIFT:
                self._move(min(self._late))
            elif late < -DRIFT and len(self._late) == WINDOW and max(self._late) < -DRIFT:
                self._surplus = -max(self._late)
                self._late.clear()
        room = self._most - self.end
        kept = samples
        if self._surplus or room < len(samples):
            left_out = min(self._surplus, len(samples))
            self._surplus -= left_out
            kept = samples[left_out : left_out + max(0, room)]
        if len(kept):
            self._fresh += kept.astype("<i2", copy=False).tobytes()
            self.end += len(kept)
            if len(self._fresh) >= FRESH:
                self.hand_in()

    def hand_in(self) -> None:
        """Leave what is fresh to the file."""
        if self._fresh:
            self.file.hand_in(self.end * WIDTH - len(self._fresh), bytes(self._fresh))
            self._fresh.clear()
            self.handed_in = True

    def forget(self) -> None:
        """Nothing that is not in the file yet comes there any more."""
        self._fresh.clear()

    def _move(self, silence: int) -> None:
        self.hand_in()
        self.end = min(self.end + silence, self._most)
        self._late.clear()
        self._surplus = 0


class Recording:
    """Both sides of one visitor's calls, `most_seconds` of them at most; what comes later is not recorded.

    Sound comes in the call's event loop, which never waits for the disk; `pen` does. It is read in another thread.
    """

    def __init__(self, most_seconds: int, pen: Pen = at_once) -> None:
        self._most = most_seconds * RATE
        self._pen = pen
        self._lock = Lock()
        self._generation = 0
        """Grows with everything that is erased: who still reads the old sound stops."""
        self._open()

    def _open(self) -> None:
        self.state = RecordingState.OPEN
        self._sides = {
            Channel.LEFT: _Side(self._most, MICROPHONE_STALL),
            Channel.RIGHT: _Side(self._most, SPEAKER_STALL),
        }

    def _erase(self) -> None:
        self._generation += 1
        for side in self._sides.values():
            side.forget()
            self._pen(partial(_closed, side.file))

    # ---------------------------------------------------------------- in

    def visitor(self, at: float, samples: Samples) -> None:
        """The microphone's next samples (int16 mono), which came `at` seconds of the call clock."""
        self._write(Channel.LEFT, at, samples)

    def model(self, at: float, samples: Samples) -> None:
        """What the loudspeaker is given `at` seconds of the call clock, silence included."""
        self._write(Channel.RIGHT, at, samples)

    def _write(self, channel: Channel, at: float, samples: Samples) -> None:
        with self._lock:
            if self.state is not RecordingState.OPEN:
                return
            side = self._sides[channel]
            try:
                side.write(round(at * RATE), samples)
            except OSError as error:
                self._fails(error)
                return
            told, side.handed_in = side.handed_in, False
        if told:
            self._pen(partial(self._settle, side))

    def _settle(self, side: _Side) -> None:
        """With the pen, which may wait."""
        try:
            side.file.settle()
        except OSError as error:
            with self._lock:
                if side in self._sides.values() and self.state is RecordingState.OPEN:
                    self._fails(error)

    def _fails(self, error: OSError) -> None:
        log.warning("A call is not recorded any further: %s", type(error).__name__)
        self._erase()
        self.state = RecordingState.CLOSED

    def clear(self) -> None:
        """Erase everything, and begin anew."""
        with self._lock:
            if self.state is RecordingState.OPEN:
                self._erase()
            self._open()

    def close(self) -> None:
        """Erase everything, and take no more."""
        with self._lock:
            if self.state is RecordingState.OPEN:
                self._erase()
                self.state = RecordingState.CLOSED

    # ---------------------------------------------------------------- out

    @property
    def samples(self) -> int:
        """Its length so far; 0: nothing to hear."""
        with self._lock:
            return max(side.end for side in self._sides.values()) if self.state is RecordingState.OPEN else 0

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    def wav(self) -> Iterator[bytes]:
        """A WAV file of what there is now, piece by piece: stereo, int16, 24 kHz. It ends early when the recording is
        erased meanwhile or the disk is full, and is empty when there is none."""
        with self._lock:
            generation, sides = self._generation, [self._sides[channel] for channel in Channel]
        try:
            for side in sides:
                side.file.settle()
            with self._lock:
                total = max(side.end for side in sides) if self.state is RecordingState.OPEN else 0
                if generation != self._generation or not total:
                    return
                for side in sides:
                    side.hand_in()
            yield wav_header(total)
            for start in range(0, total, BLOCK):
                count = min(BLOCK, total - start)
                pcm = [_samples(side.file.read(start * WIDTH, count * WIDTH), count) for side in sides]
                with self._lock:
                    if generation != self._generation:
                        return
                yield np.stack(pcm, axis=1).astype("<i2", copy=False).tobytes()
        except OSError:  # reading writes first what is still to be written
            return


def _samples(pcm: bytes, count: int) -> Samples:
    """int16[count], silence behind the end."""
    found = np.frombuffer(pcm, dtype="<i2")
    return np.pad(found, (0, count - len(found)))


def _closed(file: SoundFile) -> None:
    with suppress(OSError):
        file.close()


def wav_size(samples: int) -> int:
    """Bytes of the WAV file of a recording of this length."""
    return len(wav_header(samples)) + samples * CHANNELS * WIDTH


def wav_header(samples: int) -> bytes:
    """The 44 bytes before the sound of a stereo file with so many samples a side."""
    size = samples * CHANNELS * WIDTH
    layout = struct.pack("<HHIIHH", 1, CHANNELS, RATE, RATE * CHANNELS * WIDTH, CHANNELS * WIDTH, WIDTH * 8)
    return struct.pack("<4sI8sI", b"RIFF", 36 + size, b"WAVEfmt ", 16) + layout + struct.pack("<4sI", b"data", size)
