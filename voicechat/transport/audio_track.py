"""Audio track between aiortc and a call, without threads and queues in between. Replaces fastrtc's.

By default a microphone frame passes a thread, five tasks and two queues before the call has it, and a loudspeaker frame
as many back: most of a call's processor time. Here a packet is decoded where it arrives, and a frame is encoded where
it is requested (`benchmarks/load.py`). `patched_internals` lists what this relies on.
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

from .jitter_buffer import MAX_EARLY_PACKETS

OPUS_CODEC = "opus"
DECODER_WORKER = "aiortc.rtcrtpreceiver:decoder_worker"
SAMPLE_TIME_BASE = Fraction(1, RATE)
REFETCH_INTERVAL_FRAMES = 25
"""Frames, 0.5 s, after which a page that fetched no update is asked again."""

# -------------------------------------------------------------------- from the browser


class InlineDecoderQueue(asyncio.Queue[Any]):
    """Decoder in place of the queue that aiortc's decoder thread fills for a track.

    It decodes each packet on arrival, in the call's event loop, and passes the audio on at once. Audio before
    `start_delivery()` is kept. The handler drops what reaches it before the call has begun.
    """

    def __init__(self, on_pcm: Callable[[bytes], None]) -> None:
        """`on_pcm`: takes PCM16 mono at 24 kHz. Must not raise."""
        super().__init__()
        self.codec_name = ""
        """Codec of the browser's packets; "" before the first."""
        self._on_pcm = on_pcm
        self._early_pcm: deque[bytes] | None = deque(maxlen=MAX_EARLY_PACKETS)
        self._decode: Callable[[Any], bytes] = _decode_nothing
        self._decode_error: Any = None

    def start_delivery(self) -> None:
        """Pass the kept audio on, and all audio from now on."""
        early, self._early_pcm = self._early_pcm or (), None
        for pcm in early:
            self._on_pcm(pcm)

    def attach(self, packets: queue.Queue[Any], decode_error: Any) -> None:
        """Decode what aiortc puts into `packets` from now on. `decode_error`: its event for an undecodable packet."""
        self._decode_error = decode_error
        while not packets.empty():
            self._on_packet(packets.get_nowait())
        packets.put = self._on_packet  # type: ignore[method-assign, assignment]

    def _on_packet(self, task: Any) -> None:
        """Decode one (codec, encoded frame). None is the end of the track."""
        if task is None:
            self.put_nowait(None)
            return
        codec, encoded = task
        if codec.name != self.codec_name:
            self.codec_name, self._decode = codec.name, _make_decoder(codec)
        try:
            pcm = self._decode(encoded)
        except (ValueError, av.FFmpegError):  # most of av's errors are ValueErrors too
            self._decode_error.set()
            return
        if self._early_pcm is not None:
            self._early_pcm.append(pcm)
        else:
            self._on_pcm(pcm)


def _decode_nothing(_: Any) -> bytes:
    return b""


def _make_decoder(codec: Any) -> Callable[[Any], bytes]:
    """Return a decoder from this codec to PCM16 at 24 kHz. Browsers send Opus; other clients any codec of aiortc."""
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
    """Encoded packet with the attributes that aiortc reads of an `av.Packet`."""

    __slots__ = ("_data", "pts")

    time_base = TIME_BASE
    """Time base of aiortc's Opus encoder: no conversion is needed."""

    def __init__(self, data: bytes, pts: int) -> None:
        """`pts`: samples at 48 kHz, as Opus counts them."""
        self._data = data
        self.pts = pts

    def __bytes__(self) -> bytes:
        return self._data


class VoiceTrack(AudioCallback):  # type: ignore[misc]
    """fastrtc's track, both ways, for a `PacedStreamHandler`. Its frames are encoded and sent at once.

    The handler itself keeps the pace. fastrtc's own track resamples each frame in a task, queues it without a bound and
    waits a second time. aiortc then encodes it in a thread.
    """

    def __init__(self, track: Any, event_handler: Any, **others: Any) -> None:
        super().__init__(track, event_handler, **others)
        self._decoder_queue = InlineDecoderQueue(event_handler.on_webrtc_audio)
        track._source._queue = self._decoder_queue  # aiortc reads it when the connection is established
        self.has_started = False
        self._encoder = opus.create_encoder()
        self._sent_samples = 0
        """Samples sent, at 24 kHz."""
        self.has_consumer = False
        """The page fetches updates (`gradio_component.bind_additional_outputs`)."""
        self._unfetched_frames = 0
        """Frames since the page was asked to fetch, while it does not; 0 before it was asked."""

    async def start(self) -> None:
        if not self.has_started:
            await self.wait_for_channel()
            self.has_started = True
            self.process_input_task = asyncio.create_task(self.process_input_frames())  # waits for the end of the track
            self.start_up_task = asyncio.create_task(self.event_handler.start_up())
            self._decoder_queue.start_delivery()

    async def next_packet(self) -> tuple[bytes, int]:
        """Return the next 20 ms as an Opus packet and its position in samples at 48 kHz, at the handler's pace.

        Raise MediaStreamError at the end.
        """
        while True:
            samples = await self.next_samples()
            if data := self._encoder.encode(samples.tobytes()):
                position, self._sent_samples = self._sent_samples * 2, self._sent_samples + samples.size
                return data, position

    async def recv(self) -> Any:
        """Return the next packet or frame for aiortc's own sender."""
        if self._decoder_queue.codec_name.lower() in ("", OPUS_CODEC):
            return OpusPacket(*await self.next_packet())
        samples = await self.next_samples()  # a client without Opus: aiortc encodes the frame
        frame = opus.to_av_frame(samples)
        frame.pts, frame.time_base = self._sent_samples, SAMPLE_TIME_BASE
        self._sent_samples += samples.size
        return frame

    async def next_samples(self) -> NDArray[np.int16]:
        """Return the next 20 ms. Send the handler's updates to the page meanwhile."""
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
        """Repeat the request to fetch while the page ignores it.

        After a sleep, for instance, the page believes that the last call is still fetching and drops the request. The
        call would then show "connecting" forever.
        """
        if self.has_consumer or not self._unfetched_frames:
            return
        self._unfetched_frames += 1
        if self._unfetched_frames % REFETCH_INTERVAL_FRAMES == 0 and self.channel.readyState == "open":
            self.channel.send(create_message("fetch_output", []))


# -------------------------------------------------------------------- installation


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
    """Run aiortc's decoder thread. The thread of an `InlineDecoderQueue` ends at once."""
    if isinstance(output, InlineDecoderQueue):
        loop.call_soon_threadsafe(output.attach, packets, decode_error)
    else:
        stock(loop, packets, output, decode_error)
