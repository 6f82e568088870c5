"""The loudspeaker's queue: what is sent, what is heard."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.playback import queued_ms
from voicechat.audio.format import FRAME, RATE
from voicechat.audio.playback_buffer import FADE_SAMPLES, MAX_REMEMBERED, PlaybackBuffer, PlaybackState, Truncation
from voicechat.conversation.responses import ResponseRegistry

FRAME_DURATION_S = 0.02


def pcm(ms: float, level: int = 1000) -> bytes:
    return np.full(round(ms * RATE / 1000), level, dtype="<i2").tobytes()


class PlaybackDriver:
    """Counts frames, so that times are exact."""

    def __init__(self, playback: PlaybackBuffer) -> None:
        self.playback = playback
        self.frames = 0

    @property
    def now(self) -> float:
        return self.frames * FRAME_DURATION_S

    def play(self, count: int) -> np.ndarray:
        out = [np.zeros(0, dtype=np.int16)]
        for _ in range(count):
            out.append(self.playback.next_frame(self.now))
            self.frames += 1
        return np.concatenate(out)


@pytest.fixture
def driver() -> PlaybackDriver:
    return PlaybackDriver(PlaybackBuffer(ResponseRegistry()))


def test_silence_when_there_is_nothing(driver: PlaybackDriver) -> None:
    frame = driver.playback.next_frame(0.0)
    assert frame.dtype == np.int16
    assert frame.shape == (FRAME,)
    assert not frame.any()


def test_starts_when_the_jitter_buffer_is_filled(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(40), driver.now)
    assert not driver.play(1).any()
    assert driver.playback.state is PlaybackState.BUFFERING
    driver.playback.push("a", 0, "r", pcm(20), driver.now)
    assert driver.play(3).all()


def test_starts_at_once_when_the_part_is_whole(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(30), driver.now)
    driver.playback.finish_part("a", 0)
    out = driver.play(2)
    assert np.count_nonzero(out) == 30 * RATE // 1000


def test_does_not_wait_for_ever_for_the_jitter_buffer(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(20), driver.now)
    assert np.count_nonzero(driver.play(20)) == FRAME


def test_what_is_on_its_way_to_the_ear_is_heard_too(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(2000), driver.now)
    driver.play(50)
    assert driver.playback.interrupt(driver.now) == [Truncation("a", 0, 1000)]
    assert driver.playback.interrupt(driver.now) == []


def test_an_interruption_names_items_that_were_never_played(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(500), driver.now)
    driver.playback.finish_part("a", 0)
    driver.playback.push("b", 0, "r", pcm(500), driver.now)
    driver.play(20)
    assert driver.playback.interrupt(driver.now) == [Truncation("a", 0, 400), Truncation("b", 0, 0)]


def test_what_was_played_to_its_end_is_not_cut(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(200), driver.now)
    driver.playback.finish_part("a", 0)
    driver.play(10)
    assert driver.playback.interrupt(driver.now) == []


def test_a_reply_that_has_run_dry_is_cut_at_what_came(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(200), driver.now)
    driver.play(30)
    assert driver.playback.interrupt(driver.now) == [Truncation("a", 0, 200)]


def test_an_interruption_fades_and_is_silent(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(2000, 20_000), driver.now)
    driver.play(10)
    driver.playback.interrupt(driver.now)
    out = driver.play(3).astype(int)
    assert 0 < np.count_nonzero(out) <= FADE_SAMPLES
    assert np.all(np.diff(out[:FADE_SAMPLES]) <= 0)
    assert not out[FADE_SAMPLES:].any()


def test_late_audio_of_what_was_interrupted_is_refused(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(500), driver.now)
    driver.play(5)
    driver.playback.interrupt(driver.now)
    assert driver.playback.push("a", 0, "r", pcm(500), driver.now) == 0
    assert driver.playback.push("b", 0, "r", pcm(500), driver.now) == 0
    assert driver.playback.push("c", 0, "r2", pcm(500), driver.now) == 500 * 24


def test_a_response_is_refused_before_its_first_sound(driver: PlaybackDriver) -> None:
    driver.playback.responses.cancel("r")
    assert driver.playback.push("a", 0, "r", pcm(500), driver.now) == 0


def test_half_a_sample_waits_for_its_other_half(driver: PlaybackDriver) -> None:
    data = np.arange(1, 2401, dtype="<i2").tobytes()
    driver.playback.push("a", 0, "r", data[:1001], driver.now)
    driver.playback.push("a", 0, "r", data[1001:], driver.now)
    out = driver.play(20)
    assert out[out != 0].tolist() == list(range(1, 2401))


def test_the_queue_is_bounded(driver: PlaybackDriver) -> None:
    minute = pcm(60_000)
    taken = sum(driver.playback.push("a", 0, "r", minute, driver.now) for _ in range(12))
    assert taken == 10 * 60 * RATE
    assert queued_ms(driver.playback) == 600_000


def test_parts_that_were_played_are_forgotten_and_others_are_not(driver: PlaybackDriver) -> None:
    for number in range(2 * MAX_REMEMBERED):
        driver.playback.push(f"old{number}", 0, "r", pcm(20), driver.now)
        driver.playback.finish_part(f"old{number}", 0)
        driver.play(1)
    driver.playback.push("new", 0, "r2", pcm(200), driver.now)
    driver.play(5)
    assert len(driver.playback._parts) == MAX_REMEMBERED
    assert driver.playback.interrupt(driver.now) == [Truncation("new", 0, 100)]


def test_items_move_to_a_new_connection(driver: PlaybackDriver) -> None:
    driver.playback.push("a", 0, "r", pcm(1000), driver.now)
    driver.play(20)
    driver.playback.assign_new_ids({"a": "z"})
    assert driver.playback.interrupt(driver.now) == [Truncation("z", 0, 400)]


@given(st.lists(st.integers(1, 4000), max_size=20), st.integers(1, 1200))
@settings(max_examples=60)
def test_every_sample_comes_out_once_and_in_order(sizes: list[int], seed: int) -> None:
    playback = PlaybackBuffer(ResponseRegistry())
    clock = PlaybackDriver(playback)
    samples = (np.arange(sum(sizes)) % 30_000 + 1).astype("<i2")
    out = []
    start = 0
    for size in sizes:
        assert playback.push("a", 0, "r", samples[start : start + size].tobytes(), clock.now) == size
        start += size
        out.append(clock.play((seed * size) % 7))
    playback.finish_part("a", 0)
    out.append(clock.play(len(samples) // FRAME + 40))
    played = np.concatenate(out)
    assert np.array_equal(played[played != 0], samples)
    assert playback.played_samples == len(samples)
    assert not playback.has_queued_audio


class PlaybackMachine(RuleBasedStateMachine):
    """Any order of events: the reported heard samples of each part are its played ones, and none is lost or made."""

    def __init__(self) -> None:
        super().__init__()
        self.playback = PlaybackBuffer(ResponseRegistry())
        self.now = 0.0
        self.pulled_samples = 0
        self.dropped = 0
        self.received: set[tuple[str, int]] = set()
        self.out: Counter[tuple[str, int]] = Counter()
        """Samples of each part that came out."""

    @rule(item=st.integers(0, 3), index=st.integers(0, 1), size=st.integers(0, 5000))
    def add_audio(self, item: int, index: int, size: int) -> None:
        name = f"item{item}"
        data = np.full(size, 1 + item * 2 + index, dtype="<i2").tobytes()  # each part is known by its level
        taken = self.playback.push(name, index, f"response{item // 2}", data, self.now)
        assert taken in (0, size)
        self.pulled_samples += taken
        if taken:
            self.received.add((name, index))

    @rule(item=st.integers(0, 3), index=st.integers(0, 1))
    def finish(self, item: int, index: int) -> None:
        self.playback.finish_part(f"item{item}", index)

    @rule(frames=st.integers(1, 30), late=st.floats(0, 0.05))
    def play(self, frames: int, late: float) -> None:
        for _ in range(frames):
            before = self.playback.played_samples
            frame = self.playback.next_frame(self.now)
            assert frame.shape == (FRAME,)
            sounding = Counter[str]()
            if self.playback.played_samples > before:  # else it is the fade of what was cut
                for level, count in zip(*np.unique(frame[frame != 0], return_counts=True), strict=True):
                    item, index = divmod(int(level) - 1, 2)
                    self.out[f"item{item}", index] += int(count)
                    sounding[f"item{item}"] += int(count)
            assert sounding.total() == self.playback.played_samples - before
            assert sorted(self.playback.item_ids_at(self.now)) == sorted(sounding)
            assert self.playback.item_ids_at(self.now - 1) == []
            self.now += FRAME_DURATION_S
        self.now += late

    @rule()
    @precondition(lambda self: self.playback.has_queued_audio)
    def interrupt(self) -> None:
        queued = self.pulled_samples - self.dropped - self.playback.played_samples
        for cut in self.playback.interrupt(self.now):
            key = (cut.item_id, cut.content_index)
            assert key in self.received
            assert cut.heard_ms == self.out[key] * 1000 // RATE
        assert queued > 0
        self.dropped += queued
        assert not self.playback.has_queued_audio

    @invariant()
    def samples_are_conserved(self) -> None:
        queued = self.pulled_samples - self.dropped - self.playback.played_samples
        assert queued >= 0
        assert queued_ms(self.playback) == queued * 1000 // RATE


PlaybackMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestPlaybackMachine = PlaybackMachine.TestCase


def test_ducked_sound_is_soft_without_a_click_and_counts_as_heard() -> None:
    speaker = PlaybackBuffer(ResponseRegistry())
    speaker.push("a1", 0, "r1", np.full(24_000, 10_000, "<i2").tobytes(), 0.0)
    speaker.finish_part("a1", 0)
    speaker.next_frame(0.0)
    speaker.set_gain(0.2)
    down = np.concatenate([speaker.next_frame(0.02), speaker.next_frame(0.04)])
    assert np.abs(np.diff(np.concatenate([[10_000], down]))).max() < 30
    assert (down[-200:] == 2000).all()
    speaker.set_gain(1.0)
    up = np.concatenate([speaker.next_frame(0.06), speaker.next_frame(0.08)])
    assert np.abs(np.diff(np.concatenate([[2000], up]))).max() < 30
    assert (up[-200:] == 10_000).all()
    speaker.set_gain(0.2)
    speaker.next_frame(0.1)
    speaker.next_frame(0.12)
    assert speaker.interrupt(0.14) == [("a1", 0, 140)]
    fade = speaker.next_frame(0.14)
    assert 1800 <= fade[0] <= 2000 and not fade[200:].any(), "it fades from where it was"
    speaker.push("a2", 0, "r2", np.full(24_000, 10_000, "<i2").tobytes(), 0.2)
    assert (speaker.next_frame(0.3) == 10_000).all(), "the next one is at full loudness"


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(1, 4)), max_size=20))
def test_any_loudness_is_reached_without_a_click(gains: list[tuple[float, int]]) -> None:
    speaker = PlaybackBuffer(ResponseRegistry())
    speaker.push("a1", 0, "r1", np.full(24_000 * 2, 10_000, "<i2").tobytes(), 0.0)
    heard, now = [np.array([10_000])], 0.0
    for gain, frames in gains:
        speaker.set_gain(gain)
        for _ in range(frames):
            heard.append(speaker.next_frame(now))
            now += 0.02
        if frames > 1:
            assert heard[-1][-1] == round(10_000 * gain)
    assert np.abs(np.diff(np.concatenate(heard).astype(int))).max(initial=0) < 30
