"""PacedStreamHandler: pace, frames, updates, transports, and errors that stay inside."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import av
import numpy as np
import pytest
from aiortc import InvalidStateError
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream, player_worker_decode
from numpy.typing import NDArray

from voicechat.transport.stream_handler import PacedStreamHandler, Pacer, StreamState


class SteppedClock:
    """A clock that moves only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class FakeDataChannel:
    readyState = "open"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.message_sent = asyncio.Event()

    def send(self, message: str) -> None:
        if self.readyState != "open":
            raise InvalidStateError
        self.sent.append(message)
        self.message_sent.set()


class RecordingStreamHandler(PacedStreamHandler):
    """Counts its calls; fails where the test says."""

    def __init__(self, time: SteppedClock, failing: str = "") -> None:
        super().__init__(time, time.sleep)
        self.time = time
        self.failing = failing
        self.inputs: list[Any] | None = None
        self.received_audio = b""
        self.frame_times: list[float] = []
        self.pending_updates: list[str] = []
        self.end_count = 0

    def copy(self) -> RecordingStreamHandler:
        return RecordingStreamHandler(self.time, self.failing)

    def _raise_if_failing(self, what: str) -> None:
        if what == self.failing:
            raise ValueError("what the visitor said")

    async def on_start(self, inputs: list[Any]) -> None:
        self._raise_if_failing("start")
        self.inputs = inputs

    def on_audio_frame(self, pcm: bytes) -> None:
        self._raise_if_failing("microphone")
        self.received_audio += pcm

    def next_audio_frame(self, now: float) -> NDArray[np.int16]:
        self._raise_if_failing("speaker")
        self.frame_times.append(now)
        return np.full(480, len(self.frame_times), dtype=np.int16)

    def next_update(self, now: float) -> str | None:
        self._raise_if_failing("news")
        return self.pending_updates.pop(0) if self.pending_updates else None

    async def on_end(self) -> None:
        self.end_count += 1
        self._raise_if_failing("over")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


async def started_handler(time: SteppedClock, failing: str = "") -> RecordingStreamHandler:
    echo = RecordingStreamHandler(time, failing)
    channel = FakeDataChannel()
    echo.set_channel(channel)
    starting = asyncio.create_task(echo.start_up())
    await channel.message_sent.wait()
    echo.set_args(["webrtc id", "visitor"])
    await starting
    return echo


async def test_start_up_passes_inputs_without_fastrtcs_own(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    assert echo.inputs == ["visitor"]
    assert echo.stream_state is StreamState.OPEN


async def test_start_up_after_closed_tab_does_not_start(clock: SteppedClock) -> None:
    echo = RecordingStreamHandler(clock)
    channel = FakeDataChannel()
    echo.set_channel(channel)
    starting = asyncio.create_task(echo.start_up())
    await channel.message_sent.wait()
    await echo.shutdown()
    async with asyncio.timeout(1):
        await starting
    assert echo.inputs is None
    assert echo.end_count == 1


async def test_audio_before_the_start_is_dropped_and_audio_before_the_inputs_is_taken(clock: SteppedClock) -> None:
    """What the visitor says before the call starts does not belong to it."""
    echo = RecordingStreamHandler(clock)
    channel = FakeDataChannel()
    echo.set_channel(channel)
    echo.on_webrtc_audio(b"12")
    assert (echo.received_audio, echo.stream_state) == (b"", StreamState.CONNECTING)
    starting = asyncio.create_task(echo.start_up())
    await channel.message_sent.wait()
    echo.on_webrtc_audio(b"34")
    assert (echo.received_audio, echo.inputs) == (b"34", None)
    echo.set_args(["webrtc id", "visitor"])
    await starting
    echo.on_webrtc_audio(b"56")
    assert echo.received_audio == b"3456"


async def test_start_up_after_the_end_opens_nothing(clock: SteppedClock) -> None:
    echo = RecordingStreamHandler(clock)
    await echo.shutdown()
    await echo.start_up()
    echo.on_webrtc_audio(b"12")
    assert (echo.received_audio, echo.inputs, echo.stream_state) == (b"", None, StreamState.CLOSED)


async def test_output_is_one_frame_per_20_ms(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    for _ in range(100):
        rate, frame = await echo.emit()
        assert rate == 24000
        assert frame.shape == (1, 480)
    assert np.diff(echo.frame_times) == pytest.approx(np.full(99, 0.02))


async def test_lease_excludes_fastrtc_and_older_leases(clock: SteppedClock) -> None:
    """fastrtc still asks, and takes half a minute to say that the connection has ended."""
    echo = await started_handler(clock)
    await echo.emit()
    first = echo.take_over_transport()
    assert await echo.emit() is None
    await echo.receive((24000, np.ones((1, 480), np.int16)))
    await echo.shutdown()
    assert (echo.received_audio, echo.end_count, echo.stream_state) == (b"", 0, StreamState.OPEN)
    echo.push_audio(b"12")
    rate, frame = await echo.next_output(first)
    assert (echo.received_audio, rate, frame.shape) == (b"12", 24000, (1, 480))
    second = echo.take_over_transport()
    assert first.superseded.is_set() and not second.superseded.is_set()
    assert await echo.next_output(first) is None
    await echo.on_disconnect(first)
    assert (await echo.next_output(second))[0] == 24000
    assert echo.end_count == 0
    await echo.on_disconnect(second)
    await echo.on_disconnect(second)
    assert echo.end_count == 1


async def test_lease_taken_during_wait_gets_the_frame_alone(clock: SteppedClock) -> None:
    """A reader that waits during a take-over gets no frame."""
    echo = await started_handler(clock)
    await echo.emit()
    waiting = asyncio.create_task(echo.emit())
    await asyncio.sleep(0)
    lease = echo.take_over_transport()
    spoken = len(echo.frame_times)
    assert await waiting is None
    assert len(echo.frame_times) == spoken
    assert (await echo.next_output(lease))[0] == 24000


async def test_start_without_webrtc_starts_call_and_reports_failure(clock: SteppedClock) -> None:
    echo = RecordingStreamHandler(clock)
    lease = echo.take_over_transport()
    echo.push_audio(b"12")
    assert echo.received_audio == b""
    await echo.start_without_webrtc(["visitor"])
    assert (echo.inputs, echo.stream_state) == (["visitor"], StreamState.OPEN)
    echo.pending_updates = ["news"]
    outputs = [await echo.next_output(lease) for _ in range(5)]
    assert [output.args for output in outputs if isinstance(output, AdditionalOutputs)] == [("news",)]
    broken = RecordingStreamHandler(clock, "start")
    await broken.start_without_webrtc(["visitor"])
    assert broken.stream_state is StreamState.CLOSING_GRACE


async def test_output_before_inputs_has_frames(clock: SteppedClock) -> None:
    echo = RecordingStreamHandler(clock)
    assert (await echo.emit())[1].shape == (1, 480)


async def test_updates_between_frames_never_delay_a_frame(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    echo.pending_updates = [str(number) for number in range(1000)]
    outputs = [await echo.emit() for _ in range(200)]
    news = [output.args[0] for output in outputs if isinstance(output, AdditionalOutputs)]
    assert news == [str(number) for number in range(len(news))]
    assert len(news) >= 40, "a third of the outputs at most: one per 50 ms, so one per three frames"
    assert np.diff(echo.frame_times) == pytest.approx(np.full(len(echo.frame_times) - 1, 0.02))


async def test_channel_closed_under_message_logs_no_error(
    clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    echo, channel, over = RecordingStreamHandler(clock), FakeDataChannel(), asyncio.Event()
    echo.set_channel(channel)  # type: ignore[arg-type]
    echo.set_channel(channel)  # type: ignore[arg-type]

    async def emit() -> AdditionalOutputs:
        if channel.sent:  # the page hangs up after our news was made and before fastrtc has sent it
            channel.readyState = "closed"
            over.set()
        return AdditionalOutputs("news")

    worker = player_worker_decode(emit, asyncio.Queue(), over, lambda: channel, lambda _: None)  # type: ignore[arg-type]
    with caplog.at_level(logging.DEBUG):
        await worker
    assert over.is_set()
    assert len(channel.sent) == 1
    assert "InvalidStateError" not in caplog.text


async def test_closed_channel_gets_no_updates(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    echo.pending_updates = ["lost"]
    echo.channel.readyState = "closed"  # type: ignore[union-attr]
    for _ in range(10):
        assert not isinstance(await echo.emit(), AdditionalOutputs)


async def test_late_frames_are_made_up_for_and_long_pauses_not(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    await echo.emit()
    clock.now += 0.07
    for _ in range(4):
        await echo.emit()
    assert echo.frame_times[1] == echo.frame_times[3] == pytest.approx(echo.frame_times[0] + 0.07)
    assert echo.frame_times[4] == pytest.approx(echo.frame_times[0] + 0.08)
    clock.now += 3
    await echo.emit()
    await echo.emit()
    assert echo.frame_times[6] - echo.frame_times[5] == pytest.approx(0.02)


async def test_begin_close_sends_last_update_first(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    await echo.emit()
    echo.pending_updates = ["the end"]
    echo.begin_close("bye")
    outputs = []
    while not outputs or not isinstance(outputs[-1], CloseStream):
        outputs.append(await echo.emit())
    assert outputs[-1].msg == "bye"
    assert [output.args[0] for output in outputs if isinstance(output, AdditionalOutputs)] == ["the end"]
    assert await echo.emit() is None
    assert echo.stream_state is StreamState.CLOSING


@pytest.mark.parametrize("failing", ["start", "microphone", "speaker", "news"])
async def test_error_in_any_hook_ends_call_without_its_message(
    clock: SteppedClock, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    echo = await started_handler(clock, failing)
    await echo.receive((24000, np.zeros((1, 480), dtype=np.int16)))
    outputs = []
    while not outputs or not isinstance(outputs[-1], CloseStream):
        outputs.append(await echo.emit())
    assert "ValueError at test_stream_handler.py" in caplog.text
    assert "what the visitor said" not in caplog.text + outputs[-1].msg


async def test_shutdown_runs_once_and_never_raises(clock: SteppedClock, caplog: pytest.LogCaptureFixture) -> None:
    echo = await started_handler(clock, "over")
    await echo.shutdown()
    await echo.shutdown()
    assert echo.end_count == 1
    assert "what the visitor said" not in caplog.text


async def test_resample_gives_20_ms_frames_at_24_khz(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    chunks = []
    for number in range(50):
        tone = (8000 * np.sin(2 * np.pi * 440 * (np.arange(960) + 960 * number) / 48000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = 48000
        frame.pts = number * 960
        chunks += [out.to_ndarray() for out in echo.resample(frame)]
    sizes = [chunk.shape for chunk in chunks]
    assert all(size[0] == 1 and size[1] <= 480 for size in sizes)
    assert len(sizes) >= 49
    heard = np.concatenate([chunk[0] for chunk in chunks]).astype(float)
    spectrum = np.abs(np.fft.rfft(heard[: 24000 * 9 // 10]))
    assert np.argmax(spectrum) * 24000 / (24000 * 9 // 10) == pytest.approx(440, abs=2)
    await echo.receive((24000, chunks[5]))
    assert echo.received_audio == chunks[5].astype("<i2").tobytes()


def test_pacer_waits_for_the_rest() -> None:
    pacer = Pacer()
    assert pacer.remaining_s(5.0) == 0
    pacer.tick()
    assert pacer.remaining_s(5.005) == pytest.approx(0.015)


@pytest.mark.parametrize("phase_ms", range(0, 50, 5))
async def test_update_of_a_reply_at_20_words_a_second_waits_for_one_frame_at_most(
    clock: SteppedClock, phase_ms: int
) -> None:
    """Words that come more slowly than the limit of updates do not wait for the limit."""
    echo = await started_handler(clock)
    await echo.emit()
    start = clock.now + phase_ms / 1000
    due = [start + 0.05 * number for number in range(60)]
    waits: list[float] = []
    while due:
        while len(waits) + len(echo.pending_updates) < 60 and due[len(echo.pending_updates)] <= clock.now:
            echo.pending_updates.append("word")
        output = await echo.emit()
        if isinstance(output, AdditionalOutputs):
            waits.append(clock.now - due.pop(0))
    assert max(waits) <= 0.021


async def test_updates_are_at_most_25_a_second(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    echo.pending_updates = ["word"] * 200
    start, count = clock.now, 0
    while clock.now < start + 2.0:
        count += isinstance(await echo.emit(), AdditionalOutputs)
    assert 45 <= count <= 51
