"""Sound between aiortc and a call, without the detours: fastrtc's and aiortc's insides, each with its reason.

fastrtc 0.0.34 and aiortc 1.16 are pinned. As they are, a frame of the visitor's goes through a thread, five tasks and
two queues before the call has it, and one of the model's through as many back: most of what a call costs. Here a packet
is decoded where it arrives, and a frame is encoded where it is asked for (`benchmarks/load.py`).
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from aiortc.codecs import get_decoder
from aiortc.codecs.opus import TIME_BASE
from aiortc.mediastreams import MediaStreamError
from fastrtc import AdditionalOutputs
from fastrtc.tracks import AudioCallback
from fastrtc.utils import CloseStream, create_message
from numpy.typing import NDArray

from voicechat.audio import opus
from voicechat.audio.format import RATE
from voicechat.dependency_checks import DependencyChanged, find_target, require_function, require_names
from voicechat.transport.jitter_buffer import MAX_EARLY_PACKETS

OPUS_CODEC = "opus"
DECODER_WORKER = "aiortc.rtcrtpreceiver:decoder_worker"
SAMPLE_TIME_BASE = Fraction(1, RATE)
REFETCH_INTERVAL_FRAMES = 25
"""Frames of 20 ms, after which a page that does not fetch what it is shown is asked again."""

# -------------------------------------------------------------------- from the browser


class InlineDecoderQueue(asyncio.Queue[Any]):
    """Takes the place of the queue that aiortc's decoder thread fills for a track: decodes each packet as it comes, and
    gives the sound to `hear` at once. Lives in the call's event loop; what comes before `open()` is kept."""

    def __init__(self, on_pcm: Callable[[bytes], None]) -> None:
        """`hear`: takes PCM16 mono at 24 kHz. Must not raise."""
        super().__init__()
        self.codec_name = ""
        """The name of what the browser sends, once it is known."""
        self._on_pcm = on_pcm
        self._early_pcm: deque[bytes] | None = deque(maxlen=MAX_EARLY_PACKETS)
        self._decode: Callable[[Any], bytes] = _decode_nothing
        self._decode_error: Any = None

    def start_delivery(self) -> None:
        """The call takes the sound from now on."""
        early, self._early_pcm = self._early_pcm or (), None
        for pcm in early:
            self._on_pcm(pcm)

    def attach(self, packets: queue.Queue[Any], decode_error: Any) -> None:
        """From now on, what aiortc puts into `packets` is decoded here, and not in a thread. `failed`: its event for a
        packet that could not be decoded."""
        self._decode_error = decode_error
        while not packets.empty():
            self._on_packet(packets.get_nowait())
        packets.put = self._on_packet  # type: ignore[method-assign, assignment]

    def _on_packet(self, task: Any) -> None:
        """(codec, encoded frame); None when the track has ended."""
        if task is None:
            self.put_nowait(None)
            return
        codec, encoded = task
        if codec.name != self.codec_name:
            self.codec_name, self._decode = codec.name, _make_decoder(codec)
        try:
            pcm = self._decode(encoded)
        except (ValueError, av.FFmpegError):  # av's is mostly a ValueError too
            self._decode_error.set()
            return
        if self._early_pcm is not None:
            self._early_pcm.append(pcm)
        else:
            self._on_pcm(pcm)


def _decode_nothing(_: Any) -> bytes:
    return b""


def _make_decoder(codec: Any) -> Callable[[Any], bytes]:
    """How frames of this codec are decoded to PCM16 at 24 kHz. Browsers send Opus, others what else aiortc takes."""
    if codec.name.lower() == OPUS_CODEC:
        decoder = opus.create_decoder()
        return lambda encoded: decoder.decode(encoded.data)
    theirs, resampler = get_decoder(codec), av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def decode(encoded: Any) -> bytes:
        parts = [part for frame in theirs.decode(encoded) for part in resampler.resample(frame)]
        return b"".join(bytes(part.planes[0])[: part.samples * 2] for part in parts)

    return decode


# -------------------------------------------------------------------- to the browser


class OpusPacket:
    """What aiortc wants of an `av.FakeRtpPacket` that it sends on as it is, and no more."""

    __slots__ = ("_data", "pts")

    time_base = TIME_BASE
    """aiortc's own, so that it has nothing to convert."""

    def __init__(self, data: bytes, pts: int) -> None:
        """`pts`: samples at 48 kHz, as Opus counts them."""
        self._data = data
        self.pts = pts

    def __bytes__(self) -> bytes:
        return self._data


class VoiceTrack(AudioCallback):  # type: ignore[misc]
    """fastrtc's track, both ways, for a `PacedStreamHandler`, which keeps the pace itself: what it gives is encoded and sent at
    once. fastrtc's own resamples each frame in a task of its own, keeps it in a queue without a bound, and waits there
    a second time; aiortc then encodes in a thread, as everything that is not yet a packet."""

    def __init__(self, track: Any, event_handler: Any, **others: Any) -> None:
        super().__init__(track, event_handler, **others)
        self._decoder_queue = InlineDecoderQueue(event_handler.on_webrtc_audio)
        track._source._queue = self._decoder_queue  # aiortc asks for it when the connection stands
        self.has_started = False
        self._encoder = opus.create_encoder()
        self._sent_samples = 0
        """Samples sent, at 24 kHz."""
        self.has_consumer = False
        """The page fetches what it is shown (`rtc_page.bind_additional_outputs`)."""
        self._unfetched_frames = 0
        """Frames since the page was asked to, while it does not; 0: it was not asked yet."""

    async def start(self) -> None:
        if not self.has_started:
            await self.wait_for_channel()
            self.has_started = True
            self.process_input_task = asyncio.create_task(self.process_input_frames())  # waits for the end of the track
            self.start_up_task = asyncio.create_task(self.event_handler.start_up())
            self._decoder_queue.start_delivery()

    async def next_packet(self) -> tuple[bytes, int]:
        """The next 20 ms as an Opus packet, and its place in samples at 48 kHz; at the handler's pace. Raises
        `MediaStreamError` at the end."""
        while True:
            samples = await self.next_samples()
            if data := self._encoder.encode(samples.tobytes()):
                place, self._sent_samples = self._sent_samples * 2, self._sent_samples + samples.size
                return data, place

    async def recv(self) -> Any:
        """What aiortc's own sender takes."""
        if self._decoder_queue.codec_name.lower() in ("", OPUS_CODEC):
            return OpusPacket(*await self.next_packet())
        samples = await self.next_samples()  # for no browser: aiortc encodes it
        frame = opus.to_av_frame(samples)
        frame.pts, frame.time_base = self._sent_samples, SAMPLE_TIME_BASE
        self._sent_samples += samples.size
        return frame

    async def next_samples(self) -> NDArray[np.int16]:
        if not self.has_started:
            await self.start()
        while self.readyState == "live":
            output = await self.event_handler.next_output(None)
            if isinstance(output, tuple):
                self._request_refetch()
                samples: NDArray[np.int16] = output[1]
                return samples
            if isinstance(output, CloseStream):
                self.channel.send(create_message("end_stream", output.msg))
                self.stop()
            elif isinstance(output, AdditionalOutputs):
                self.set_additional_outputs(output)
                self.channel.send(create_message("fetch_output", []))
                self._unfetched_frames = self._unfetched_frames or 1
        raise MediaStreamError

    def _request_refetch(self) -> None:
        """Gradio's page drops the request while it believes that the last call is still fetching, after a sleep for
        instance: this call would say "connecting" for ever."""
        if self.has_consumer or not self._unfetched_frames:
            return
        self._unfetched_frames += 1
        if self._unfetched_frames % REFETCH_INTERVAL_FRAMES == 0 and self.channel.readyState == "open":
            self.channel.send(create_message("fetch_output", []))


# -------------------------------------------------------------------- in place of theirs


def install_track() -> None:
    """Let fastrtc create `VoiceTrack`s. A second call does nothing.

    Neither fastrtc nor aiortc has a setting for it: the names that they look up are replaced. Raise DependencyChanged,
    with nothing replaced, when one of them is not as expected.
    """
    mixin, receiver = find_target("fastrtc.webrtc_connection_mixin"), find_target("aiortc.rtcrtpreceiver")
    track_class = find_target("fastrtc.webrtc_connection_mixin:AudioCallback")
    if track_class is VoiceTrack:
        return
    if track_class is not AudioCallback:
        raise DependencyChanged("fastrtc.webrtc_connection_mixin:AudioCallback", "not fastrtc's own")
    stock = require_function(DECODER_WORKER, ("loop", "input_q", "output_q", "decode_error"))
    require_names("aiortc.rtcrtpreceiver:RemoteStreamTrack.__init__", {"_queue"})
    require_names("aiortc.contrib.media:RelayStreamTrack.__init__", {"_source"})
    receiver.decoder_worker = partial(_decoder_worker, stock)
    mixin.AudioCallback = VoiceTrack


def _decoder_worker(
    stock: Callable[..., None], loop: asyncio.AbstractEventLoop, packets: Any, output: Any, decode_error: Any
) -> None:
    """aiortc's decoder thread. One that works for an `Ear` ends at once."""
    if isinstance(output, InlineDecoderQueue):
        loop.call_soon_threadsafe(output.attach, packets, decode_error)
    else:
        stock(loop, packets, output, decode_error)
