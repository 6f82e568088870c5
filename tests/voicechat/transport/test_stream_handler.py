"""The edge to fastrtc and aiortc: pace, frames, the jitter buffer, and errors that stay inside."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from typing import Any

import av
import numpy as np
import pytest
from aiortc import InvalidStateError, rtcrtpreceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream, player_worker_decode
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicechat.dependency_checks import DependencyChanged
from voicechat.logs import quiet_loggers, silence_hangup_errors
from voicechat.transport import stream_handler
from voicechat.transport.jitter_buffer import VoiceJitterBuffer, install_jitter_buffer
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
    """Counts what it is asked for; fails where it is told to."""

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


async def test_the_pages_inputs_arrive_without_fastrtcs_own(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    assert echo.inputs == ["visitor"]
    assert echo.stream_state is StreamState.OPEN


async def test_a_tab_closed_before_it_sent_its_inputs(clock: SteppedClock) -> None:
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


async def test_one_frame_per_20_ms(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    for _ in range(100):
        rate, frame = await echo.emit()
        assert rate == 24000
        assert frame.shape == (1, 480)
    assert np.diff(echo.frame_times) == pytest.approx(np.full(99, 0.02))


async def test_a_call_that_something_else_carries(clock: SteppedClock) -> None:
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


async def test_a_frame_is_not_handed_to_two(clock: SteppedClock) -> None:
    """Whoever waits for a frame while another takes over gets none."""
    echo = await started_handler(clock)
    await echo.emit()
    waiting = asyncio.create_task(echo.emit())
    await asyncio.sleep(0)
    carrier = echo.take_over_transport()
    spoken = len(echo.frame_times)
    assert await waiting is None
    assert len(echo.frame_times) == spoken
    assert (await echo.next_output(carrier))[0] == 24000


async def test_a_call_that_begins_without_fastrtc(clock: SteppedClock) -> None:
    echo = RecordingStreamHandler(clock)
    carrier = echo.take_over_transport()
    await echo.start_without_webrtc(["visitor"])
    assert (echo.inputs, echo.stream_state) == (["visitor"], StreamState.OPEN)
    echo.pending_updates = ["news"]
    outputs = [await echo.next_output(carrier) for _ in range(5)]
    assert [output.args for output in outputs if isinstance(output, AdditionalOutputs)] == [("news",)]
    broken = RecordingStreamHandler(clock, "start")
    await broken.start_without_webrtc(["visitor"])
    assert broken.stream_state is StreamState.CLOSING_GRACE


async def test_frames_before_the_inputs_are_there(clock: SteppedClock) -> None:
    echo = RecordingStreamHandler(clock)
    assert (await echo.emit())[1].shape == (1, 480)


async def test_news_go_in_between_and_never_delay_a_frame(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    echo.pending_updates = [str(number) for number in range(1000)]
    outputs = [await echo.emit() for _ in range(200)]
    news = [output.args[0] for output in outputs if isinstance(output, AdditionalOutputs)]
    assert news == [str(number) for number in range(len(news))]
    assert len(news) >= 40, "a third of the outputs at most: one per 50 ms, so one per three frames"
    assert np.diff(echo.frame_times) == pytest.approx(np.full(len(echo.frame_times) - 1, 0.02))


async def test_a_channel_that_closes_under_a_message_is_no_error(
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


class RTCSctpTransport:
    """Stands in for aiortc's."""

    async def _transmit(self) -> None:
        raise ConnectionError("Cannot send encrypted data, not connected")


async def fail_with_own_error() -> None:
    raise ConnectionError("of our own")


async def test_aiortc_may_send_to_a_page_that_has_gone_and_nothing_else_is_hidden(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    silence_hangup_errors(loop)
    silence_hangup_errors(loop)
    for fails, logged in ((RTCSctpTransport()._transmit, 0), (fail_with_own_error, 1)):
        caplog.clear()
        task = loop.create_task(fails())
        await asyncio.wait([task])
        del task
        gc.collect()
        assert len(caplog.records) == logged
    assert "of our own" in caplog.text


async def test_no_news_over_a_closed_channel(clock: SteppedClock) -> None:
    echo = await started_handler(clock)
    echo.pending_updates = ["lost"]
    echo.channel.readyState = "closed"  # type: ignore[union-attr]
    for _ in range(10):
        assert not isinstance(await echo.emit(), AdditionalOutputs)


async def test_late_frames_are_made_up_for_and_long_pauses_are_not(clock: SteppedClock) -> None:
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


async def test_goodbye_tells_the_page_first(clock: SteppedClock) -> None:
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
async def test_an_error_ends_the_call_and_tells_no_one_its_words(
    clock: SteppedClock, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    echo = await started_handler(clock, failing)
    await echo.receive((24000, np.zeros((1, 480), dtype=np.int16)))
    outputs = []
    while not outputs or not isinstance(outputs[-1], CloseStream):
        outputs.append(await echo.emit())
    assert "ValueError at test_stream_handler.py" in caplog.text
    assert "what the visitor said" not in caplog.text + outputs[-1].msg


async def test_shutdown_happens_once_and_never_raises(clock: SteppedClock, caplog: pytest.LogCaptureFixture) -> None:
    echo = await started_handler(clock, "over")
    await echo.shutdown()
    await echo.shutdown()
    assert echo.end_count == 1
    assert "what the visitor said" not in caplog.text


async def test_the_microphone_comes_in_20_ms_frames_of_24_khz(clock: SteppedClock) -> None:
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


# -------------------------------------------------------------------- jitter buffer


class FakeRtpPacket:
    def __init__(self, number: int) -> None:
        self.sequence_number = number & 0xFFFF
        self.timestamp = number * 960
        self._data = str(number).encode()


def pass_through_buffer(numbers: list[int]) -> list[int]:
    buffer = VoiceJitterBuffer(JitterFrame)
    frames = []
    for number in numbers:
        key_frame, frame = buffer.add(FakeRtpPacket(number))
        assert key_frame is False
        if frame is not None:
            frames.append(int(frame.data))
    return frames


def test_packets_in_order_are_not_held_back() -> None:
    numbers = list(range(65_500, 65_600))
    assert pass_through_buffer(numbers) == numbers


def test_a_swap_is_put_right() -> None:
    assert pass_through_buffer([1, 2, 4, 3, 5, 6]) == [1, 2, 3, 4, 5]


def test_a_lost_packet_costs_little_and_only_once() -> None:
    numbers = [number for number in range(1000) if number % 50 != 10]
    frames = pass_through_buffer(numbers)
    assert frames == numbers[: len(frames)]
    assert len(numbers) - len(frames) <= VoiceJitterBuffer.MAX_HELD_PACKETS


def test_a_sender_that_begins_anew() -> None:
    assert pass_through_buffer([1, 2, 3, 40_000, 40_001])[3:] == [40_000, 40_001]


def test_aiortcs_own_buffer_stays_late_after_losses() -> None:
    """The reason for ours: should a newer aiortc do better, ours can go."""
    stock = JitterBuffer(capacity=16, prefetch=4)
    delivered = sum(stock.add(FakeRtpPacket(n))[1] is not None for n in range(300) if n != 100)
    assert 299 - delivered > 2 * VoiceJitterBuffer.MAX_HELD_PACKETS


@given(st.lists(st.floats(0, 60), min_size=1, max_size=200), st.integers(0, 0xFFFF), st.randoms(use_true_random=False))
def test_any_network_gives_packets_once_in_order_and_soon(
    delays: list[float], first: int, chance: random.Random
) -> None:
    sent = [(first + n, n * 20 + delay) for n, delay in enumerate(delays) if chance.random() > 0.05]
    arriving = [number for number, _ in sorted(sent, key=lambda packet: packet[1])]
    buffer = VoiceJitterBuffer(JitterFrame)
    last = -1
    for number in arriving:
        _, frame = buffer.add(FakeRtpPacket(number))
        if frame is not None:
            assert int(frame.data) > last
            last = int(frame.data)
        assert len(buffer._held_packets) <= VoiceJitterBuffer.MAX_HELD_PACKETS + 1


def test_installing_replaces_only_the_audio_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcrtpreceiver, "JitterBuffer", JitterBuffer)
    install_jitter_buffer()
    installed = rtcrtpreceiver.JitterBuffer
    install_jitter_buffer()
    assert rtcrtpreceiver.JitterBuffer is installed, "a second call changes nothing"
    assert isinstance(rtcrtpreceiver.JitterBuffer(capacity=16, prefetch=4), VoiceJitterBuffer)
    assert isinstance(rtcrtpreceiver.JitterBuffer(capacity=512, is_video=True), JitterBuffer)


def test_another_aiortc_keeps_its_own_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in (object, None):
        monkeypatch.setattr(rtcrtpreceiver, "JitterBuffer", other)
        with pytest.raises(DependencyChanged, match="aiortc.rtcrtpreceiver:JitterBuffer"):
            install_jitter_buffer()
        assert rtcrtpreceiver.JitterBuffer is other


# -------------------------------------------------------------------- the rest


def test_the_pacer_waits_for_what_is_left() -> None:
    pacer = Pacer()
    assert pacer.remaining_s(5.0) == 0
    pacer.tick()
    assert pacer.remaining_s(5.005) == pytest.approx(0.015)


@pytest.mark.parametrize("name", ["fastrtc", "websockets"])
def test_no_words_and_no_keys_in_the_log_of_others(name: str) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        quiet_loggers()
        assert not logging.getLogger(f"{name}.client").isEnabledFor(logging.DEBUG)
    finally:
        logger.setLevel(before)


def test_where_names_the_place_and_not_the_words() -> None:
    try:
        raise ValueError("a secret")
    except ValueError as error:
        told = stream_handler.error_location(error)
    assert told.startswith("ValueError at test_stream_handler.py:")
