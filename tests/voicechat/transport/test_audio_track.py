"""Audio between aiortc and a call: Opus, the decoder queue, and a whole connection without a browser."""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import aioice.ice
import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpCodecParameters,
    RTCSessionDescription,
    rtcdtlstransport,
    rtcrtpreceiver,
    rtcrtpsender,
)
from aiortc.codecs import get_encoder
from aiortc.jitterbuffer import JitterFrame
from fastrtc import AdditionalOutputs
from fastrtc import webrtc_connection_mixin as mixin
from fastrtc.tracks import AudioCallback
from numpy.typing import NDArray

from tests.data.speech import load_clip
from voicechat.audio import opus
from voicechat.audio.format import FRAME
from voicechat.dependency_checks import DependencyChanged
from voicechat.transport import audio_track, rtp_fast_path
from voicechat.transport.audio_track import REFETCH_INTERVAL_FRAMES, InlineDecoderQueue, VoiceTrack, install_track
from voicechat.transport.rtp_fast_path import install_rtp_fast_path
from voicechat.transport.stream_handler import PacedStreamHandler

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=96)
PCMU = RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8000, channels=1, payloadType=0)


def speech_frames() -> list[bytes]:
    """Two seconds of speech in frames of 20 ms."""
    samples = (load_clip("en", "human", 3).samples[: 24_000 * 2] * 32767).astype("<i2")
    return [samples[at : at + FRAME].tobytes() for at in range(0, len(samples) - FRAME + 1, FRAME)]


def correlation(said: list[bytes], heard: list[bytes]) -> float:
    """Correlation of two sounds at the delay at which it is largest, without what is too low to be heard."""
    one, other = (np.diff(np.frombuffer(b"".join(frames), "<i2").astype(float)) for frames in (said, heard))
    size = 2 * max(len(one), len(other))
    both = np.fft.irfft(np.conj(np.fft.rfft(one, size)) * np.fft.rfft(other, size))
    return float(both.max() / np.sqrt((one**2).sum() * (other**2).sum()))


# -------------------------------------------------------------------- Opus


@pytest.fixture(params=["libopus", "PyAV"])
def opus_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Select the access to libopus."""
    if request.param == "PyAV":
        monkeypatch.setattr(opus, "load_libopus", lambda: None)
    else:
        assert opus.load_libopus() is not None, "PyAV's wheel has one"
    return str(request.param)


def test_opus_round_trip_keeps_speech(opus_backend: str) -> None:
    encoder, decoder = opus.create_encoder(), opus.create_decoder()
    packets = [encoder.encode(frame) for frame in speech_frames()]
    assert all(0 < len(packet) < 600 for packet in packets)
    heard = [decoder.decode(packet) for packet in packets]
    assert {len(frame) for frame in heard[2:]} == {FRAME * 2}
    assert correlation(speech_frames(), heard) > 0.97


def test_decoder_refuses_what_is_not_opus(opus_backend: str) -> None:
    with pytest.raises(ValueError, match="not Opus"):
        opus.create_decoder().decode(b"\xff" * 3)


def test_encoder_caches_silence_and_keeps_the_speech_after_it(opus_backend: str) -> None:
    """The encoder is not asked for silence again and again; what is heard is the same as if it were."""
    silence = [bytes(FRAME * 2)] * 100
    said = [*speech_frames()[:50], *silence, *speech_frames()[50:]]
    sparing = opus.create_encoder()
    asked: list[bytes] = []
    inner = sparing._encoder  # type: ignore[attr-defined]

    class Counting:
        def encode(self, pcm: bytes) -> bytes:
            asked.append(pcm)
            return bytes(inner.encode(pcm))

    sparing._encoder = Counting()  # type: ignore[attr-defined]
    always = type(inner)(*([opus.load_libopus()] if opus_backend == "libopus" else []))
    ears = opus.create_decoder(), opus.create_decoder()
    pairs = [(ears[0].decode(sparing.encode(pcm)), ears[1].decode(always.encode(pcm))) for pcm in said]
    assert len(said) - len(asked) >= 85
    ours, theirs = (np.frombuffer(b"".join(side), "<i2").astype(float) for side in zip(*pairs, strict=True))
    assert not np.abs(ours[FRAME * 70 : FRAME * 148]).max() > 1, "silence is silent"
    assert np.sqrt(((ours - theirs) ** 2).mean()) < 0.02 * np.sqrt((theirs**2).mean())


# -------------------------------------------------------------------- the decoder queue


def opus_packets() -> list[JitterFrame]:
    encoder = opus.create_encoder()
    return [JitterFrame(encoder.encode(frame), 960 * number) for number, frame in enumerate(speech_frames())]


async def test_decoder_queue_keeps_audio_until_delivery_starts() -> None:
    heard: list[bytes] = []
    decoder_queue, packets = InlineDecoderQueue(heard.append), queue.Queue[Any]()
    first, *others = opus_packets()
    packets.put((OPUS, first))  # aiortc may be quicker than its thread
    decoder_queue.attach(packets, threading.Event())
    for packet in others[:49]:
        packets.put((OPUS, packet))
    assert (len(heard), packets.qsize()) == (0, 0)
    decoder_queue.start_delivery()
    assert len(heard) == 50
    for packet in others[49:]:
        packets.put((OPUS, packet))
    assert correlation(speech_frames(), heard) > 0.97
    packets.put(None)
    assert await decoder_queue.get() is None, "the track has ended"


async def test_decoder_queue_drops_an_undecodable_packet() -> None:
    heard: list[bytes] = []
    decoder_queue, packets, failed = InlineDecoderQueue(heard.append), queue.Queue[Any](), threading.Event()
    decoder_queue.attach(packets, failed)
    decoder_queue.start_delivery()
    packets.put((OPUS, JitterFrame(b"\xff" * 3, 0)))
    assert failed.is_set() and not heard
    packets.put((OPUS, opus_packets()[0]))
    assert len(heard) == 1


async def test_decoder_queue_decodes_other_codecs() -> None:
    heard: list[bytes] = []
    decoder_queue, packets = InlineDecoderQueue(heard.append), queue.Queue[Any]()
    decoder_queue.attach(packets, threading.Event())
    decoder_queue.start_delivery()
    encoder = get_encoder(PCMU)
    for number, pcm in enumerate(speech_frames()):
        frame = opus.to_av_frame(np.frombuffer(pcm, "<i2"))
        frame.pts, frame.time_base = number * FRAME, Fraction(1, 24_000)
        for data in encoder.encode(frame)[0]:
            packets.put((PCMU, JitterFrame(data, number * 160)))
    assert correlation(speech_frames(), heard) > 0.8, "telephone quality"


def test_install_replaces_nothing_in_another_fastrtc_or_aiortc(monkeypatch: pytest.MonkeyPatch) -> None:
    other = lambda loop, something, else_: None  # noqa: E731
    monkeypatch.setattr(mixin, "AudioCallback", AudioCallback)
    monkeypatch.setattr(rtcrtpreceiver, "decoder_worker", other)
    with pytest.raises(DependencyChanged, match="decoder_worker"):
        install_track()
    assert mixin.AudioCallback is AudioCallback
    assert rtcrtpreceiver.decoder_worker is other
    sender = rtcrtpsender.RTCRtpSender
    stock = sender._run_rtp
    monkeypatch.delattr(rtcdtlstransport.RTCDtlsTransport, rtp_fast_path.DTLS_RUN_NAME)
    with pytest.raises(DependencyChanged, match=rtp_fast_path.DTLS_RUN):
        install_rtp_fast_path()
    assert sender._run_rtp is stock, "nothing is replaced"


# -------------------------------------------------------------------- a whole connection


class SpeakingHandler(PacedStreamHandler):
    """Says something, and keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.received_frames: list[bytes] = []
        self.frames_to_play = speech_frames()
        self.all_played, self.ended = asyncio.Event(), asyncio.Event()

    def copy(self) -> SpeakingHandler:
        return self

    async def on_start(self, inputs: list[Any]) -> None:
        pass

    def on_audio_frame(self, pcm: bytes) -> None:
        self.received_frames.append(pcm)

    def next_audio_frame(self, now: float) -> NDArray[np.int16]:
        if not self.frames_to_play:
            self.all_played.set()
        return np.frombuffer(self.frames_to_play.pop(0) if self.frames_to_play else bytes(FRAME * 2), "<i2")

    def next_update(self, now: float) -> None:
        return None

    async def on_end(self) -> None:
        self.ended.set()


class SpeechTrack(MediaStreamTrack):
    """A browser's microphone: 48 kHz."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    async def recv(self) -> Any:
        await asyncio.sleep(0.015)
        frames = speech_frames()
        frame = opus.to_av_frame(np.frombuffer(frames[self._number % len(frames)], "<i2"))
        frame.pts, frame.time_base = self._number * FRAME, Fraction(1, 24_000)
        self._number += 1
        return frame


class FakeWebRtcComponent(mixin.WebRTCConnectionMixin):  # type: ignore[misc]
    """fastrtc's, as the page's component sets it up."""

    def __init__(self, handler: PacedStreamHandler) -> None:
        super().__init__()
        self.event_handler, self.mode, self.modality = handler, "send-receive", "audio"
        self.concurrency_limit, self.time_limit, self.allow_extra_tracks = 10, None, False
        self.server_rtc_configuration = RTCConfiguration(iceServers=[])


@asynccontextmanager
async def connected_peer(
    handler: PacedStreamHandler,
) -> AsyncIterator[tuple[RTCPeerConnection, list[NDArray[np.int16]], FakeWebRtcComponent]]:
    """A peer as a browser is one; what it hears, at 48 kHz."""
    component, peer = FakeWebRtcComponent(handler), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    heard: list[NDArray[np.int16]] = []
    listening: list[asyncio.Task[None]] = []

    async def listen(track: Any) -> None:
        while True:
            heard.append((await track.recv()).to_ndarray().reshape(-1, 2)[:, 0])

    peer.on("track", lambda track: listening.append(asyncio.ensure_future(listen(track))))
    peer.createDataChannel("text").on("message", lambda _: handler.set_args(["component", "visitor"]))
    peer.addTrack(SpeechTrack())
    await peer.setLocalDescription(await peer.createOffer())
    body = {"sdp": peer.localDescription.sdp, "type": "offer", "webrtc_id": "one"}
    answer = await component.handle_offer(body, component.set_additional_outputs("one"))
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    try:
        yield peer, heard, component
    finally:
        await peer.close()
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


@pytest.fixture
def patched_media_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the app's patches of the media stack for one test."""
    monkeypatch.setattr(mixin, "AudioCallback", mixin.AudioCallback)
    monkeypatch.setattr(rtcrtpreceiver, "decoder_worker", rtcrtpreceiver.decoder_worker)
    transport, protocol = rtcdtlstransport.RTCDtlsTransport, aioice.ice.StunProtocol
    monkeypatch.setattr(transport, rtp_fast_path.DTLS_RUN_NAME, vars(transport)[rtp_fast_path.DTLS_RUN_NAME])
    monkeypatch.setattr(protocol, "datagram_received", protocol.datagram_received)
    sender = rtcrtpsender.RTCRtpSender
    monkeypatch.setattr(sender, "_run_rtp", sender._run_rtp)
    install_track()
    install_rtp_fast_path()
    installed = mixin.AudioCallback, rtcrtpreceiver.decoder_worker, sender._run_rtp
    install_track()
    install_rtp_fast_path()
    assert installed == (mixin.AudioCallback, rtcrtpreceiver.decoder_worker, sender._run_rtp), "a second call"
    assert installed[0] is VoiceTrack


async def test_connection_carries_audio_both_ways_and_its_end_is_noticed(
    patched_media_stack: None, caplog: pytest.LogCaptureFixture
) -> None:
    talker, ended = SpeakingHandler(), asyncio.Event()
    async with asyncio.timeout(20), connected_peer(talker) as (_, heard, component):
        await talker.all_played.wait()
        track = component.connections["one"][0]
        assert isinstance(track, VoiceTrack)
        track.on("ended", ended.set)
        decoding = [one for one in threading.enumerate() if one.name == "audio-decoder"]
        assert len(decoding) == 1, "the peer's own"
    assert (
        correlation(speech_frames()[: len(talker.received_frames)], talker.received_frames[: len(speech_frames())])
        > 0.8
    )
    back = np.concatenate(heard)[::2].astype("<i2")
    assert correlation(speech_frames(), [back.tobytes()]) > 0.7
    async with asyncio.timeout(30):
        await talker.ended.wait()
        await ended.wait()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_opus_packet_is_accepted_by_aiortc() -> None:
    packet = audio_track.OpusPacket(b"sound", 1920)
    assert get_encoder(OPUS).pack(packet) == ([b"sound"], 1920)
    assert not isinstance(packet, av.frame.Frame)


# ---------------------------------------------------------------- what the page is shown


class FakeHandlerAndChannel:
    """A handler that has one thing to show, and then sound; and the channel to the page."""

    readyState = "open"

    def __init__(self) -> None:
        self.first = True
        self.sent_types: list[str] = []

    async def next_output(self, _: object) -> object:
        if self.first:
            self.first = False
            return AdditionalOutputs("snapshot")
        return 24000, np.zeros((1, 480), np.int16)

    def send(self, message: str) -> None:
        self.sent_types.append(json.loads(message)["type"])


async def test_page_that_does_not_fetch_an_update_is_asked_again() -> None:
    """Its last call may still be fetching, and then Gradio drops the request."""
    shown = FakeHandlerAndChannel()
    track = VoiceTrack.__new__(VoiceTrack)
    MediaStreamTrack.__init__(track)
    track.event_handler, track.channel, track.set_additional_outputs = shown, shown, lambda _: None
    track.has_started, track.has_consumer, track._unfetched_frames = True, False, 0
    for _ in range(3 * REFETCH_INTERVAL_FRAMES):
        await track.next_samples()
    assert shown.sent_types == ["fetch_output"] * 4
    track.has_consumer = True
    for _ in range(3 * REFETCH_INTERVAL_FRAMES):
        await track.next_samples()
    assert shown.sent_types == ["fetch_output"] * 4
