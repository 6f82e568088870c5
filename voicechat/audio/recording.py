"""Stereo recording of a conversation's calls, as they were heard: visitor on the left, model on the right.

Each channel is a file of PCM16 mono at 24 kHz. `ClockAligner` holds both to the call clock, so that they never drift
apart. The right channel has what the loudspeaker was given: an interrupted reply ends here where it ended there.
Unwritten parts are silence.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from functools import partial
from threading import Lock

import numpy as np

from .clock_aligner import ClockAligner
from .format import RATE, Samples
from .spooled_audio import DiskExecutor, SpooledAudio, run_inline

log = logging.getLogger(__name__)

WRITE_BUFFER_BYTES = RATE * 2
"""Bytes of one channel, 1 s, gathered before they are written."""
MICROPHONE_STALL_SAMPLES = RATE
"""Samples, 1 s, of lateness that mean a silent microphone. A shorter delay is jitter: its audio still arrives."""
SPEAKER_STALL_SAMPLES = RATE // 10
"""Samples, 0.1 s, of lateness that mean a paused loudspeaker. Its clock makes up for shorter pauses."""
READ_BLOCK_SAMPLES = RATE
"""Samples of each channel read at a time."""
CHANNELS, SAMPLE_WIDTH_BYTES = 2, 2


class RecordingState(Enum):
    """Whether a recording accepts audio."""

    OPEN = "open"
    CLOSED = "closed"
    """Erased; accepts nothing until it is cleared. The page was closed, or the disk is full."""


class StereoChannel(Enum):
    """The two channels, in the order of a stereo file."""

    LEFT = "visitor"
    RIGHT = "model"


class _ChannelWriter:
    """File of one channel. Counts in samples."""

    def __init__(self, max_samples: int, stall_samples: int) -> None:
        self.end_sample = 0
        self._max_samples = max_samples
        self._aligner = ClockAligner(stall_samples)
        self.file = SpooledAudio()
        self._write_buffer = bytearray()
        """Newest audio, up to `end_sample`, not yet in the file: 50 small writes a second would be expensive."""
        self.needs_flush = False
        """The file has queued writes that no disk executor was given."""

    def write(self, clock_sample: int, samples: Samples) -> None:
        """Append a frame that arrived at `clock_sample`. Raise OSError when the disk does not keep up."""
        skip, pad = self._aligner.align(clock_sample, self.end_sample, len(samples))
        if pad:
            self.enqueue_buffer()
            self.end_sample = min(self.end_sample + pad, self._max_samples)
        kept = samples[skip : skip + max(0, self._max_samples - self.end_sample)]
        if len(kept):
            self._write_buffer += kept.astype("<i2", copy=False).tobytes()
            self.end_sample += len(kept)
            if len(self._write_buffer) >= WRITE_BUFFER_BYTES:
                self.enqueue_buffer()

    def enqueue_buffer(self) -> None:
        """Queue the buffered audio for the file."""
        if self._write_buffer:
            self.file.enqueue(self.end_sample * SAMPLE_WIDTH_BYTES - len(self._write_buffer), bytes(self._write_buffer))
            self._write_buffer.clear()
            self.needs_flush = True

    def discard_buffer(self) -> None:
        """Drop the buffered audio."""
        self._write_buffer.clear()


class Recording:
    """Both channels of one visitor's calls, at most `max_seconds` of them; later audio is dropped.

    Audio is written in the call's event loop, which never waits for the disk: `disk_executor` does. It is read in
    another thread.
    """

    def __init__(self, max_seconds: int, disk_executor: DiskExecutor = run_inline) -> None:
        self._max_samples = max_seconds * RATE
        self._disk_executor = disk_executor
        self._lock = Lock()
        self._generation = 0
        """Number of erasures. A reader of erased audio stops when it changes."""
        self._reset()

    def _reset(self) -> None:
        self.state = RecordingState.OPEN
        self._channels = {
            StereoChannel.LEFT: _ChannelWriter(self._max_samples, MICROPHONE_STALL_SAMPLES),
            StereoChannel.RIGHT: _ChannelWriter(self._max_samples, SPEAKER_STALL_SAMPLES),
        }

    def _erase(self) -> None:
        self._generation += 1
        for writer in self._channels.values():
            writer.discard_buffer()
            self._disk_executor(partial(_close_quietly, writer.file))

    # ---------------------------------------------------------------- in

    def write_microphone(self, at: float, samples: Samples) -> None:
        """Append microphone audio (int16 mono) that arrived `at` seconds of the call clock."""
        self._write(StereoChannel.LEFT, at, samples)

    def write_speaker(self, at: float, samples: Samples) -> None:
        """Append loudspeaker audio of `at` seconds of the call clock, silence included."""
        self._write(StereoChannel.RIGHT, at, samples)

    def _write(self, channel: StereoChannel, at: float, samples: Samples) -> None:
        with self._lock:
            if self.state is not RecordingState.OPEN:
                return
            writer = self._channels[channel]
            try:
                writer.write(round(at * RATE), samples)
            except OSError as error:
                self._fail(error)
                return
            needs_flush, writer.needs_flush = writer.needs_flush, False
        if needs_flush:
            self._disk_executor(partial(self._flush, writer))

    def _flush(self, writer: _ChannelWriter) -> None:
        """Write the queued audio of a channel. Runs in the disk executor."""
        try:
            writer.file.flush()
        except OSError as error:
            with self._lock:
                if writer in self._channels.values() and self.state is RecordingState.OPEN:
                    self._fail(error)

    def _fail(self, error: OSError) -> None:
        log.warning("recording: stopped error=%s", type(error).__name__)
        self._erase()
        self.state = RecordingState.CLOSED

    def clear(self) -> None:
        """Erase everything and accept audio again."""
        with self._lock:
            if self.state is RecordingState.OPEN:
                self._erase()
            self._reset()

    def close(self) -> None:
        """Erase everything and accept no more audio."""
        with self._lock:
            if self.state is RecordingState.OPEN:
                self._erase()
                self.state = RecordingState.CLOSED

    # ---------------------------------------------------------------- out

    @property
    def sample_count(self) -> int:
        """Length so far; 0 when there is nothing to hear."""
        with self._lock:
            return (
                max(writer.end_sample for writer in self._channels.values()) if self.state is RecordingState.OPEN else 0
            )

    @property
    def byte_count(self) -> int:
        """Bytes that both channels take of the temporary folder, at most."""
        return self.sample_count * CHANNELS * SAMPLE_WIDTH_BYTES

    @property
    def duration_s(self) -> float:
        return self.sample_count / RATE

    def iter_wav(self) -> Iterator[bytes]:
        """Yield a WAV file of the recording so far: stereo, int16, 24 kHz.

        It is empty without a recording, and ends early when the recording is erased or the disk is full.
        """
        with self._lock:
            generation, writers = self._generation, [self._channels[channel] for channel in StereoChannel]
        try:
            for writer in writers:
                writer.file.flush()
            with self._lock:
                total = max(writer.end_sample for writer in writers) if self.state is RecordingState.OPEN else 0
                if generation != self._generation or not total:
                    return
                for writer in writers:
                    writer.enqueue_buffer()
            yield wav_header(total)
            for start in range(0, total, READ_BLOCK_SAMPLES):
                count = min(READ_BLOCK_SAMPLES, total - start)
                pcm = [
                    _to_padded_samples(writer.file.read(start * SAMPLE_WIDTH_BYTES, count * SAMPLE_WIDTH_BYTES), count)
                    for writer in writers
                ]
                with self._lock:
                    if generation != self._generation:
                        return
                yield np.stack(pcm, axis=1).astype("<i2", copy=False).tobytes()
        except OSError:  # reading flushes queued writes first
            return


def _to_padded_samples(pcm: bytes, count: int) -> Samples:
    """Return int16[count], with silence after the end."""
    found = np.frombuffer(pcm, dtype="<i2")
    return np.pad(found, (0, count - len(found)))


def _close_quietly(file: SpooledAudio) -> None:
    with suppress(OSError):
        file.close()


def wav_header(samples: int) -> bytes:
    """Return the 44 header bytes of a stereo WAV file with this many samples a channel."""
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
