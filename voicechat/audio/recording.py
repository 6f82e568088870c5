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

from voicechat.audio.format import RATE, Samples

from .spooled_audio import DiskExecutor, SpooledAudio, run_inline

log = logging.getLogger(__name__)

WRITE_BUFFER_BYTES = RATE * 2
"""Bytes of a side, 1 s, that are gathered before they are written."""
DRIFT_WINDOW_FRAMES = 50
"""Frames, one second, over which lateness is judged: of so many, one arrives as early as it can."""
MAX_DRIFT_SAMPLES = RATE * 60 // 1000
"""Samples a side may be beside the clock. Lost packets and another computer's clock add up to more in time."""
MICROPHONE_STALL_SAMPLES = RATE
"""Samples. A microphone so late has been silent; less is a network that hesitates, and what it held back does come."""
SPEAKER_STALL_SAMPLES = RATE // 10
"""Samples. The loudspeaker's clock makes up for shorter pauses, and not for longer ones."""
READ_BLOCK_SAMPLES = RATE
"""Samples read at a time."""
CHANNELS, SAMPLE_WIDTH_BYTES = 2, 2


class RecordingState(Enum):
    """Whether a recording takes sound."""

    OPEN = "open"
    CLOSED = "closed"
    """Erased, and nothing is taken until it is cleared: the page has gone, or the disk is full."""


class StereoChannel(Enum):
    """The two sides, in the order of a stereo file."""

    LEFT = "visitor"
    RIGHT = "model"


class _ChannelWriter:
    """One channel: frames that follow one another, held to the clock. Counts in samples."""

    def __init__(self, max_samples: int, stall_samples: int) -> None:
        self.end_sample = 0
        self._max_samples = max_samples
        self._stall_samples = stall_samples
        self._lateness_samples: deque[int] = deque(maxlen=DRIFT_WINDOW_FRAMES)
        self._surplus_samples = 0
        """Samples to leave out: the side is ahead of the clock."""
        self.file = SpooledAudio()
        self._write_buffer = bytearray()
        """The newest sound, up to `end`, which is not in the file yet: a file is dear to write to 50 times a second."""
        self.needs_flush = False
        """The file has something to write that no pen was told of."""

    def write(self, clock_sample: int, samples: Samples) -> None:
        """Add a frame that came when the clock was at `place`. Raises OSError when the disk does not keep up."""
        late = clock_sample - self.end_sample
        if late < -RATE:  # frames in a burst, from a network that stood still: their time is over
            return
        if late > self._stall_samples or not self.end_sample:
            self._insert_silence(max(0, late))
        else:
            self._lateness_samples.append(late)
            if (
                late > MAX_DRIFT_SAMPLES
                and len(self._lateness_samples) == DRIFT_WINDOW_FRAMES
                and min(self._lateness_samples) > MAX_DRIFT_SAMPLES
            ):
                self._insert_silence(min(self._lateness_samples))
            elif (
                late < -MAX_DRIFT_SAMPLES
                and len(self._lateness_samples) == DRIFT_WINDOW_FRAMES
                and max(self._lateness_samples) < -MAX_DRIFT_SAMPLES
            ):
                self._surplus_samples = -max(self._lateness_samples)
                self._lateness_samples.clear()
        room = self._max_samples - self.end_sample
        kept = samples
        if self._surplus_samples or room < len(samples):
            left_out = min(self._surplus_samples, len(samples))
            self._surplus_samples -= left_out
            kept = samples[left_out : left_out + max(0, room)]
        if len(kept):
            self._write_buffer += kept.astype("<i2", copy=False).tobytes()
            self.end_sample += len(kept)
            if len(self._write_buffer) >= WRITE_BUFFER_BYTES:
                self.enqueue_buffer()

    def enqueue_buffer(self) -> None:
        """Leave what is fresh to the file."""
        if self._write_buffer:
            self.file.enqueue(self.end_sample * SAMPLE_WIDTH_BYTES - len(self._write_buffer), bytes(self._write_buffer))
            self._write_buffer.clear()
            self.needs_flush = True

    def discard_buffer(self) -> None:
        """Nothing that is not in the file yet comes there any more."""
        self._write_buffer.clear()

    def _insert_silence(self, silence_samples: int) -> None:
        self.enqueue_buffer()
        self.end_sample = min(self.end_sample + silence_samples, self._max_samples)
        self._lateness_samples.clear()
        self._surplus_samples = 0


class Recording:
    """Both sides of one visitor's calls, `max_seconds` of them at most; what comes later is not recorded.

    Sound comes in the call's event loop, which never waits for the disk; `pen` does. It is read in another thread.
    """

    def __init__(self, max_seconds: int, disk_executor: DiskExecutor = run_inline) -> None:
        self._max_samples = max_seconds * RATE
        self._disk_executor = disk_executor
        self._lock = Lock()
        self._generation = 0
        """Grows with everything that is erased: who still reads the old sound stops."""
        self._reset()

    def _reset(self) -> None:
        self.state = RecordingState.OPEN
        self._channels = {
            StereoChannel.LEFT: _ChannelWriter(self._max_samples, MICROPHONE_STALL_SAMPLES),
            StereoChannel.RIGHT: _ChannelWriter(self._max_samples, SPEAKER_STALL_SAMPLES),
        }

    def _erase(self) -> None:
        self._generation += 1
        for side in self._channels.values():
            side.discard_buffer()
            self._disk_executor(partial(_close_quietly, side.file))

    # ---------------------------------------------------------------- in

    def write_microphone(self, at: float, samples: Samples) -> None:
        """The microphone's next samples (int16 mono), which came `at` seconds of the call clock."""
        self._write(StereoChannel.LEFT, at, samples)

    def write_speaker(self, at: float, samples: Samples) -> None:
        """What the loudspeaker is given `at` seconds of the call clock, silence included."""
        self._write(StereoChannel.RIGHT, at, samples)

    def _write(self, channel: StereoChannel, at: float, samples: Samples) -> None:
        with self._lock:
            if self.state is not RecordingState.OPEN:
                return
            side = self._channels[channel]
            try:
                side.write(round(at * RATE), samples)
            except OSError as error:
                self._fail(error)
                return
            told, side.needs_flush = side.needs_flush, False
        if told:
            self._disk_executor(partial(self._flush, side))

    def _flush(self, writer: _ChannelWriter) -> None:
        """With the pen, which may wait."""
        try:
            writer.file.flush()
        except OSError as error:
            with self._lock:
                if writer in self._channels.values() and self.state is RecordingState.OPEN:
                    self._fail(error)

    def _fail(self, error: OSError) -> None:
        log.warning("A call is not recorded any further: %s", type(error).__name__)
        self._erase()
        self.state = RecordingState.CLOSED

    def clear(self) -> None:
        """Erase everything, and begin anew."""
        with self._lock:
            if self.state is RecordingState.OPEN:
                self._erase()
            self._reset()

    def close(self) -> None:
        """Erase everything, and take no more."""
        with self._lock:
            if self.state is RecordingState.OPEN:
                self._erase()
                self.state = RecordingState.CLOSED

    # ---------------------------------------------------------------- out

    @property
    def sample_count(self) -> int:
        """Its length so far; 0: nothing to hear."""
        with self._lock:
            return max(side.end_sample for side in self._channels.values()) if self.state is RecordingState.OPEN else 0

    @property
    def duration_s(self) -> float:
        return self.sample_count / RATE

    def iter_wav(self) -> Iterator[bytes]:
        """A WAV file of what there is now, piece by piece: stereo, int16, 24 kHz. It ends early when the recording is
        erased meanwhile or the disk is full, and is empty when there is none."""
        with self._lock:
            generation, sides = self._generation, [self._channels[channel] for channel in StereoChannel]
        try:
            for side in sides:
                side.file.flush()
            with self._lock:
                total = max(side.end_sample for side in sides) if self.state is RecordingState.OPEN else 0
                if generation != self._generation or not total:
                    return
                for side in sides:
                    side.enqueue_buffer()
            yield wav_header(total)
            for start in range(0, total, READ_BLOCK_SAMPLES):
                count = min(READ_BLOCK_SAMPLES, total - start)
                pcm = [
                    _to_padded_samples(side.file.read(start * SAMPLE_WIDTH_BYTES, count * SAMPLE_WIDTH_BYTES), count)
                    for side in sides
                ]
                with self._lock:
                    if generation != self._generation:
                        return
                yield np.stack(pcm, axis=1).astype("<i2", copy=False).tobytes()
        except OSError:  # reading writes first what is still to be written
            return


def _to_padded_samples(pcm: bytes, count: int) -> Samples:
    """int16[count], silence behind the end."""
    found = np.frombuffer(pcm, dtype="<i2")
    return np.pad(found, (0, count - len(found)))


def _close_quietly(file: SpooledAudio) -> None:
    with suppress(OSError):
        file.close()


def wav_size(samples: int) -> int:
    """Bytes of the WAV file of a recording of this length."""
    return len(wav_header(samples)) + samples * CHANNELS * SAMPLE_WIDTH_BYTES


def wav_header(samples: int) -> bytes:
    """The 44 bytes before the sound of a stereo file with so many samples a side."""
    size = samples * CHANNELS * SAMPLE_WIDTH_BYTES
    layout = struct.pack(
        "<HHIIHH",
        1,
        CHANNELS,
        RATE,
        RATE * CHANNELS * SAMPLE_WIDTH_BYTES,
        CHANNELS * SAMPLE_WIDTH_BYTES,
        SAMPLE_WIDTH_BYTES * 8,
    )
    return struct.pack("<4sI8sI", b"RIFF", 36 + size, b"WAVEfmt ", 16) + layout + struct.pack("<4sI", b"data", size)
