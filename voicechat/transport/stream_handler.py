"""fastrtc handler with the traps taken out: 20 ms in, exactly 20 ms out, errors that stay inside, an end that shows.

fastrtc 0.0.34 is pinned. This module and its siblings in `voicechat/transport` hold every use of fastrtc's and aiortc's
internals. Subclasses of `PacedStreamHandler` supply the audio and the updates.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from enum import Enum
from typing import Any

import av
import numpy as np
from fastrtc import AdditionalOutputs, AsyncStreamHandler
from fastrtc.utils import CloseStream
from numpy.typing import NDArray

from voicechat.audio.format import FRAME_S, RATE
from voicechat.logs import error_location, silence_hangup_errors

log = logging.getLogger(__name__)

MAX_LATENESS_S = 0.1
"""Seconds of delay that are made up for. After more the pacer restarts: a burst would only fill the browser's jitter
buffer."""
UPDATE_INTERVAL_S = 0.04
"""Seconds between two updates of the page, at least: fastrtc's queue for them has no bound.

Two frames: words that come 20 times a second wait for the next frame only.
"""
CLOSE_GRACE_S = 0.4
"""Seconds between the end of a call and its close, which discards updates that the page has not fetched."""
INPUTS_TIMEOUT_S = 15.0
"""Seconds for the page to send its inputs after the connection is up."""

SERVER_RTC_CONFIGURATION: dict[str, Any] = {"iceServers": []}
"""For WebRTC(server_rtc_configuration=...). Without one, aiortc asks a public STUN server by name."""


class Pacer:
    """Emits one tick per 20 ms of the time passed in. Late ticks are made up for, long pauses are not."""

    def __init__(self) -> None:
        self._next_tick_at: float | None = None

    def remaining_s(self, now: float) -> float:
        """Return seconds until the next tick; 0.0 or less when it is due."""
        if self._next_tick_at is None or now - self._next_tick_at > MAX_LATENESS_S:
            self._next_tick_at = now
        return self._next_tick_at - now

    def tick(self) -> None:
        """Consume the tick that is due."""
        assert self._next_tick_at is not None
        self._next_tick_at += FRAME_S


class StreamState(Enum):
    """Life of one connection to the browser."""

    CONNECTING = "connecting"
    """The start of the call has not begun; microphone audio is dropped."""
    OPEN = "open"
    """The page's inputs are awaited, or the call is under way."""
    CLOSING_GRACE = "closing_grace"
    """The call has ended; the page gets its last update."""
    CLOSING = "closing"
    """The browser was asked to close."""
    CLOSED = "closed"


class TransportLease:
    """Right of one transport other than fastrtc, an audio socket, to carry the call."""

    def __init__(self) -> None:
        self.superseded = asyncio.Event()
        """Another transport carries the call now."""


class PacedStreamHandler(AsyncStreamHandler):  # type: ignore[misc]
    """fastrtc handler of one call. Subclasses implement `copy()` and the methods that raise NotImplementedError."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__("mono", output_sample_rate=RATE, input_sample_rate=RATE)
        self.clock = clock
        self.sleep = sleep
        self.stream_state = StreamState.CONNECTING
        self._pacer = Pacer()
        self._last_update_at = float("-inf")
        self._close_at = 0.0
        self._close_message = ""
        self._disconnected = asyncio.Event()
        self._lease: TransportLease | None = None  # None: fastrtc
        self._voice_resampler: av.AudioResampler | None = None

    # ---------------------------------------------------------------- for subclasses

    async def on_start(self, inputs: list[Any]) -> None:
        """Start the call with the page's inputs (without the WebRTC component itself). Must return soon."""
        raise NotImplementedError

    def on_audio_frame(self, pcm: bytes) -> None:
        """Take about 20 ms of the microphone: PCM16 mono 24 kHz."""
        raise NotImplementedError

    def next_audio_frame(self, now: float) -> NDArray[np.int16]:
        """Return the next 20 ms for the loudspeaker: int16[480]."""
        raise NotImplementedError

    def next_update(self, now: float) -> Any | None:
        """Return an update for the page, or None if nothing has changed."""
        raise NotImplementedError

    async def on_end(self) -> None:
        """Clean up after the browser has disconnected. Called exactly once, also if the call never started."""
        raise NotImplementedError

    def begin_close(self, message: str = "") -> None:
        """End the call from this side: the page gets the last update, then its button returns to the start."""
        if self.stream_state in (StreamState.CONNECTING, StreamState.OPEN):
            self.stream_state = StreamState.CLOSING_GRACE
            self._close_message = message
            self._close_at = self.clock() + CLOSE_GRACE_S

    def fail(self, error: Exception) -> None:
        """End the call after an internal error. fastrtc would show its text in the page and leave the call silent."""
        log.error("stream: internal error error=%s", error_location(error))
        self.begin_close()

    # ---------------------------------------------------------------- fastrtc's side

    def set_channel(self, channel: Any) -> None:
        """Store the data channel. A message to a page that has just hung up is dropped without an error: aiortc raises
        then, and fastrtc, which does not check before it sends, logs a traceback."""
        if "send" not in vars(channel):  # fastrtc may hand over the same channel twice
            send = channel.send
            channel.send = lambda data: send(data) if channel.readyState == "open" else None
        super().set_channel(channel)

    async def start_up(self) -> None:
        """Start the call. fastrtc runs this beside receive() and emit() once the data channel is open."""
        try:
            silence_hangup_errors(asyncio.get_running_loop())
            self._begin_start()
            if await self._wait_for_inputs():
                await self.on_start(list(self.latest_args[2:]))  # 0 and 1 are fastrtc's own
        except Exception as error:
            self.fail(error)

    def _begin_start(self) -> None:
        """Accept microphone audio from now on. Earlier audio does not belong to the call."""
        if self.stream_state is StreamState.CONNECTING:
            self.stream_state = StreamState.OPEN

    async def _wait_for_inputs(self) -> bool:
        """Return False if the browser disconnects first. fastrtc alone would wait for ever then."""
        arguments = asyncio.ensure_future(self.wait_for_args())
        disconnected = asyncio.ensure_future(self._disconnected.wait())
        try:
            await asyncio.wait({arguments, disconnected}, timeout=INPUTS_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if self._disconnected.is_set():
                return False
            if not arguments.done():
                raise TimeoutError
            arguments.result()
            return True
        finally:
            arguments.cancel()
            disconnected.cancel()

    def resample(self, frame: Any) -> Generator[Any, None, None]:
        """Resample 20 ms to 20 ms. fastrtc counts the input's frame size at the output's rate and waits for 40 ms."""
        if self._voice_resampler is None:
            self._voice_resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        yield from self._voice_resampler.resample(frame)

    def on_webrtc_audio(self, pcm: bytes) -> None:
        """Take microphone audio from `audio_track.VoiceTrack`: PCM16 mono 24 kHz. Ignore it if a lease is held."""
        if self._lease is None:
            self.push_audio(pcm)

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.on_webrtc_audio(np.ascontiguousarray(frame[1], dtype="<i2").tobytes())

    async def emit(self) -> Any:
        return await self.next_output(None)

    async def shutdown(self) -> None:
        """End the call after the connection to the browser has ended. Called by fastrtc."""
        await self.on_disconnect(None)

    # ---------------------------------------------------------------- any transport

    def take_over_transport(self) -> TransportLease:
        """Return a lease for a new transport. Requests of fastrtc, or of an older lease, have no effect from now on."""
        if self._lease is not None:
            self._lease.superseded.set()
        self._lease = TransportLease()
        return self._lease

    async def start_without_webrtc(self, inputs: list[Any]) -> None:
        """Start the call without fastrtc, in place of start_up()."""
        self._begin_start()
        try:
            await self.on_start(inputs)
        except Exception as error:
            self.fail(error)

    def push_audio(self, pcm: bytes) -> None:
        """Take microphone audio: PCM16 mono 24 kHz. Drop it before the start and after the end."""
        try:
            if self.stream_state is StreamState.OPEN:
                self.on_audio_frame(pcm)
        except Exception as error:
            self.fail(error)

    async def next_output(self, lease: TransportLease | None) -> Any:
        """Return one frame per 20 ms, (24000, int16[1, 480]), `AdditionalOutputs` in between, and `CloseStream` at the
        end. Return None if there is nothing to pass on, or if another transport carries the call.

        fastrtc asks again at once and queues without a bound, so the pace is kept here. Frames that are queued cannot
        be taken back: clear_queue() leaves a hole in the timestamps and the browser then plays everything late.
        """
        try:
            return await self._next_output(lease)
        except Exception as error:
            self.fail(error)
            await self.sleep(FRAME_S)
            return None

    async def _next_output(self, lease: TransportLease | None) -> Any:
        while self._lease is lease and self.stream_state not in (StreamState.CLOSING, StreamState.CLOSED):
            now = self.clock()
            if self.stream_state is StreamState.CLOSING_GRACE and now >= self._close_at:
                self.stream_state = StreamState.CLOSING
                return CloseStream(self._close_message)
            wait_s = self._pacer.remaining_s(now)
            if wait_s <= 0:
                self._pacer.tick()
                return RATE, self.next_audio_frame(now).reshape(1, -1)
            since_update_s = now - self._last_update_at
            # The loop comes here once a frame, a little sooner or later.
            if since_update_s >= UPDATE_INTERVAL_S - FRAME_S / 4 and self._is_page_reachable():
                update = self.next_update(now)
                if update is not None:
                    self._last_update_at = now
                    return AdditionalOutputs(update)
            await self.sleep(wait_s)
        await self.sleep(0.1)  # the track is about to be stopped
        return None

    def _is_page_reachable(self) -> bool:
        """Return True if a message can reach the page. On a closed data channel fastrtc logs a traceback each time."""
        if self._lease is not None:
            return True
        return self.channel is not None and getattr(self.channel, "readyState", "open") == "open"

    async def on_disconnect(self, lease: TransportLease | None) -> None:
        """End the call because its transport has disconnected. Do nothing if another transport carries it."""
        if self.stream_state is StreamState.CLOSED or self._lease is not lease:
            return
        self.stream_state = StreamState.CLOSED
        self._disconnected.set()
        try:
            await self.on_end()
        except Exception as error:
            log.error("stream: error while ending error=%s", error_location(error))
