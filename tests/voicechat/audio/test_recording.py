"""The recording of a call: both sides on one clock, whatever the network does, and nothing of it when it is erased."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicechat.audio import recording
from voicechat.audio.format import FRAME, FRAME_S, RATE
from voicechat.audio.recording import Recording, RecordingState
from voicechat.audio.spooled_audio import MAX_QUEUED_WRITES, SpooledAudio, new_disk_executor

WAV_HEADER_BYTES = 44


def frame(level: int) -> NDArray[np.int16]:
    return np.full(FRAME, level, dtype=np.int16)


def read_stereo(made: Recording) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Left and right, as any player reads them."""
    data = b"".join(made.iter_wav())
    assert len(data) == WAV_HEADER_BYTES + made.sample_count * 2 * 2  # two channels of 16 bits
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 2, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def level_interval_s(side: NDArray[np.int16], level: int) -> list[float]:
    """Seconds at which a level begins and ends; [] when it is not there."""
    indexes = np.flatnonzero(side == level)
    return [round(indexes[0] / RATE, 3), round((indexes[-1] + 1) / RATE, 3)] if len(indexes) else []


def test_recording_has_the_visitor_left_and_the_model_right() -> None:
    made = Recording(60)
    for k in range(100):
        made.write_microphone(k * FRAME_S, frame(7 if k < 50 else 0))
        made.write_speaker(k * FRAME_S, frame(9 if k >= 50 else 0))
    left, right = read_stereo(made)
    assert made.duration_s == 2.0
    assert level_interval_s(left, 7) == [0.0, 1.0]
    assert level_interval_s(right, 9) == [1.0, 2.0]
    assert np.count_nonzero(left) == np.count_nonzero(right) == RATE, "nothing but what was said"


def test_late_and_bunched_frames_are_recorded_without_a_gap() -> None:
    """A network that hesitates for 0.4 s, and a busy computer for 0.08 s, lose nothing."""
    made = Recording(60)
    for k in range(100):
        at = k * FRAME_S
        made.write_microphone(max(at, 1.4) if at >= 1.0 else at, frame(k + 1))
        made.write_speaker(max(at, 1.08) if at >= 1.0 else at, frame(k + 1))
    left, right = read_stereo(made)
    assert left.tolist() == right.tolist() == np.repeat(np.arange(1, 101), FRAME).tolist()


def test_microphone_stall_is_recorded_as_silence() -> None:
    made = Recording(60)
    for k in range(300):
        at = k * FRAME_S
        if not 1.0 <= at < 4.0:
            made.write_microphone(at, frame(5))
        made.write_speaker(at, frame(3))
    left, right = read_stereo(made)
    assert level_interval_s(left[: 2 * RATE], 5) == [0.0, 1.0]
    assert not left[RATE : 4 * RATE].any()
    assert (left[4 * RATE :] == 5).all()
    assert (right == 3).all()


def test_lost_packets_keep_the_channels_aligned() -> None:
    """Every tenth frame is lost: after a minute the microphone is still where the clock is."""
    made = Recording(120)
    for k in range(3000):
        at = k * FRAME_S
        if k % 10:
            made.write_microphone(at, frame(1 if k < 2900 else 2))
        made.write_speaker(at, frame(0))
    left, _ = read_stereo(made)
    begins, ends = level_interval_s(left, 2)
    assert begins == pytest.approx(58.0, abs=0.25)
    assert ends == pytest.approx(60.0, abs=0.25)


def test_fast_microphone_clock_is_corrected() -> None:
    made = Recording(120)
    for k in range(3000):
        made.write_microphone(k * FRAME_S * 0.99, frame(1))
    assert made.duration_s == pytest.approx(3000 * FRAME_S * 0.99, abs=0.15)


def test_speaker_pause_is_recorded_as_silence() -> None:
    made = Recording(60)
    for k in range(50):
        made.write_speaker(k * FRAME_S + (0.5 if k >= 25 else 0), frame(8))
    _, right = read_stereo(made)
    assert (right[: RATE // 2] == 8).all()
    assert not right[RATE // 2 : RATE].any()
    assert (right[RATE:] == 8).all()


def test_recording_ends_at_its_maximum_length() -> None:
    made = Recording(2)
    for k in range(200):
        made.write_microphone(k * FRAME_S, frame(1))
        made.write_speaker(k * FRAME_S, frame(2))
    left, right = read_stereo(made)
    assert len(left) == 2 * RATE
    assert (left == 1).all()
    assert (right == 2).all()
    made.write_microphone(3600.0, frame(1))
    assert made.duration_s == 2.0


def test_burst_of_frames_is_bounded_by_the_clock() -> None:
    made = Recording(60)
    for _ in range(1000):
        made.write_microphone(0.5, frame(1))
    assert made.duration_s <= 0.5 + 1.0 + FRAME_S


def test_long_recording_moves_to_the_disk() -> None:
    """And what is read back from the disk is what was said."""
    made = Recording(120)
    for k in range(50 * 30):
        made.write_microphone(k * FRAME_S, frame(k + 1))
    side = made._channels[recording.StereoChannel.LEFT]
    assert side.file._file._rolled  # type: ignore[attr-defined]
    left, right = read_stereo(made)
    assert left.tolist() == np.repeat(np.arange(1, 1501), FRAME).tolist()
    assert not right.any()


def test_clear_erases_and_starts_again() -> None:
    made = Recording(60)
    made.write_microphone(0.0, frame(1))
    reading = made.iter_wav()
    assert next(reading)
    made.clear()
    assert list(reading) == [], "who was still reading stops"
    assert (made.sample_count, list(made.iter_wav())) == (0, [])
    made.write_speaker(0.0, frame(4))
    _, right = read_stereo(made)
    assert (right == 4).all()


def test_closed_recording_accepts_nothing_until_it_is_cleared() -> None:
    made = Recording(60)
    made.write_microphone(0.0, frame(1))
    made.close()
    made.close()
    assert not any(side._write_buffer for side in made._channels.values()), "no sound is kept, not even the newest"
    made.write_microphone(0.1, frame(1))
    assert (made.state, made.sample_count, list(made.iter_wav())) == (RecordingState.CLOSED, 0, [])
    made.clear()
    made.write_microphone(0.0, frame(1))
    assert made.sample_count == FRAME


def test_full_disk_ends_the_recording_and_not_the_call(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device: /tmp/secret")

    made = Recording(60)
    made.write_microphone(0.0, frame(1))
    monkeypatch.setattr(recording._ChannelWriter, "write", full)
    made.write_microphone(0.02, frame(1))
    assert (made.state, made.sample_count) == (RecordingState.CLOSED, 0)
    assert "recording: stopped" in caplog.text
    assert "secret" not in caplog.text


class SlowDisk:
    """Disk executor that runs its jobs on demand."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def __call__(self, job: Callable[[], None]) -> None:
        self.jobs.append(job)

    def run_jobs(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()


def test_write_does_not_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who reads what was not written yet, hears it all the same."""
    disk, touched = SlowDisk(), []
    monkeypatch.setattr(SpooledAudio, "flush", lambda _: touched.append("settle"))
    made = Recording(60, disk)
    for k in range(50 * 20):
        made.write_microphone(k * FRAME_S, frame(k + 1))
        made.write_speaker(k * FRAME_S, frame(5))
    assert disk.jobs and not touched
    monkeypatch.undo()
    for _ in range(2):
        left, right = read_stereo(made)
        assert left.tolist() == np.repeat(np.arange(1, 1001), FRAME).tolist()
        assert (right == 5).all() and len(right) == len(left)
        disk.run_jobs()


def test_slow_disk_ends_the_recording(caplog: pytest.LogCaptureFixture) -> None:
    disk = SlowDisk()
    made = Recording(600, disk)
    for k in range(50 * (MAX_QUEUED_WRITES + 2)):
        made.write_microphone(k * FRAME_S, frame(1))
    assert (made.state, made.sample_count, list(made.iter_wav())) == (RecordingState.CLOSED, 0, [])
    assert "recording: stopped" in caplog.text
    disk.run_jobs()
    made.clear()
    made.write_microphone(0.0, frame(1))
    assert made.sample_count == FRAME


def test_executor_error_is_logged_by_its_kind_only(caplog: pytest.LogCaptureFixture) -> None:
    pen, done = new_disk_executor(), Event()
    pen(lambda: None)

    def broken() -> None:
        raise ValueError("what was said")

    pen(broken)
    pen(done.set)  # the thread goes on
    assert done.wait(10)
    assert [record.message for record in caplog.records] == ["recording: write failed error=ValueError"]


def test_erased_audio_is_not_written() -> None:
    disk = SlowDisk()
    made = Recording(60, disk)
    for k in range(100):
        made.write_microphone(k * FRAME_S, frame(1))
    old = made._channels[recording.StereoChannel.LEFT].file
    made.clear()
    made.write_microphone(0.0, frame(2))
    disk.run_jobs()
    assert old.read(0, 10) == b""
    left, _ = read_stereo(made)
    assert left.tolist() == [2] * FRAME


def test_late_disk_error_ends_only_its_own_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: SpooledAudio) -> None:
        raise OSError(28, "No space left on device")

    disk = SlowDisk()
    made = Recording(60, disk)
    for k in range(100):
        made.write_microphone(k * FRAME_S, frame(1))
    late = disk.jobs.pop(0)
    monkeypatch.setattr(SpooledAudio, "flush", full)
    made.clear()
    late()
    assert made.state is RecordingState.OPEN
    for k in range(60):
        made.write_microphone(k * FRAME_S, frame(1))
    disk.run_jobs()
    assert made.state is RecordingState.CLOSED


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=200))
@settings(deadline=None)
def test_recording_is_the_same_whenever_the_disk_writes(steps: list[tuple[bool, float, int]]) -> None:
    disk, at = SlowDisk(), 0.0
    quick, slow = Recording(20), Recording(20, disk)
    for number, (model, pause, jobs) in enumerate(steps):
        at += pause
        for made in (quick, slow):
            (made.write_speaker if model else made.write_microphone)(at, frame(number + 1))
        for _ in range(min(jobs, len(disk.jobs))):
            disk.jobs.pop(0)()
        if len(disk.jobs) >= MAX_QUEUED_WRITES:
            disk.run_jobs()
    assert b"".join(quick.iter_wav()) == b"".join(slow.iter_wav())


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3), st.integers(0, 1200)), max_size=120))
@settings(deadline=None)
def test_any_frames_at_any_time_give_a_valid_bounded_file(steps: list[tuple[bool, float, int]]) -> None:
    made, at = Recording(5), 0.0
    for model, pause, count in steps:
        at += pause * 0.1
        (made.write_speaker if model else made.write_microphone)(at, np.ones(count, dtype=np.int16))
        assert made.duration_s <= min(5.0, at + 1.0 + 0.05)
    if made.sample_count:
        left, right = read_stereo(made)
        assert len(left) == len(right) == made.sample_count
