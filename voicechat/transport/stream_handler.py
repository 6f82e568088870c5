"""A fastrtc handler with the traps taken out. fastrtc 0.0.34 and aiortc 1.16 are pinned.

Here and in the other `webrtc_*.py` is every use of their insides, each with its reason. `PacedStreamHandler`: 20 ms in, exactly
20 ms out by a monotonic clock, no exception that leaves it, and an end that the page sees. Subclasses fill in what is
heard and said.
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
"""Later than this, the clock starts anew: catching up in a burst would only fill the browser's jitter buffer."""
UPDATE_INTERVAL_S = 0.05
"""Between two outputs to the page: 20 a second look continuous, and fastrtc's queue for them has no bound."""
CLOSE_GRACE_S = 0.4
"""Between the end of a call and closing it: closing throws away outputs that the page has not fetched."""
INPUTS_TIMEOUT_S = 15.0
"""For the page to send its inputs after the connection stands."""

SERVER_RTC_CONFIGURATION: dict[str, Any] = {"iceServers": []}
"""For WebRTC(server_rtc_configuration=...). Without one, aiortc asks a public STUN server by name."""


# -------------------------------------------------------------------- loggers


# -------------------------------------------------------------------- clock


class Pacer:
    """One tick per 20 ms by the clock that is handed in. Late ticks are made up for, long pauses are not."""

    def __init__(self) -> None:
        self._next_tick_at: float | None = None

    def remaining_s(self, now: float) -> float:
        """Seconds until the next tick; 0.0 or less when it is due."""
        if self._next_tick_at is None or now - self._next_tick_at > MAX_LATENESS_S:
            self._next_tick_at = now
        return self._next_tick_at - now

    def tick(self) -> None:
        """A tick was taken."""
        assert self._next_tick_at is not None
        self._next_tick_at += FRAME_S


# -------------------------------------------------------------------- handler


class StreamState(Enum):
    """Life of one connection to the browser."""

    PROTOTYPE = "prototype"
    OPEN = "open"
    CLOSING_GRACE = "farewell"
    """The call is over; the page is being told."""
    CLOSING = "closing"
    """The browser was asked to close."""
    CLOSED = "closed"


class TransportLease:
    """What carries a call to the browser and back once it is not fastrtc: one web socket."""

    def __init__(self) -> None:
        self.superseded = asyncio.Event()
        """Another one carries the call now."""


class PacedStreamHandler(AsyncStreamHandler):  # type: ignore[misc]
    """A fastrtc handler for one call. Subclasses implement what raises NotImplementedError, and copy()."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__("mono", output_sample_rate=RATE, input_sample_rate=RATE)
        self.clock = clock
        self.stream_state = StreamState.PROTOTYPE
        self._sleep = sleep
        self._pacer = Pacer()
        self._last_update_at = float("-inf")
        self._close_at = 0.0
        self._close_message = ""
        self._disconnected = asyncio.Event()
        self._lease: TransportLease | None = None  # None: fastrtc
        self._voice_resampler: av.AudioResampler | None = None

    # ---------------------------------------------------------------- for subclasses

    async def on_start(self, inputs: list[Any]) -> None:
        """The page's inputs (without the WebRTC component itself) have come. Must return soon."""
        raise NotImplementedError

    def on_audio_frame(self, pcm: bytes) -> None:
        """About 20 ms of the visitor: PCM16 mono 24 kHz."""
        raise NotImplementedError

    def next_audio_frame(self, now: float) -> NDArray[np.int16]:
        """The next 20 ms to be heard: int16[480]."""
        raise NotImplementedError

    def next_update(self, now: float) -> Any | None:
        """What the page should show, or None when nothing has changed."""
        raise NotImplementedError

    async def on_end(self) -> None:
        """The browser is gone. Called exactly once, however the call ended, if it had started."""
        raise NotImplementedError

    def begin_close(self, message: str = "") -> None:
        """End the call from this side: the page gets the last news, then its button returns to the start."""
        if self.stream_state is StreamState.OPEN:
            self.stream_state = StreamState.CLOSING_GRACE
            self._close_message = message
            self._close_at = self.clock() + CLOSE_GRACE_S

    def fail(self, error: Exception) -> None:
        """An error that should not be. fastrtc would show its text in the page and leave the call open and silent."""
        log.error("A call is ended by an error: %s", error_location(error))
        self.begin_close()

    # ---------------------------------------------------------------- fastrtc's side

    def set_channel(self, channel: Any) -> None:
        """A message to a page that has just hung up is lost, and no error: aiortc raises then, and fastrtc, which does
        not look before it sends, logs a traceback."""
        if "send" not in vars(channel):  # fastrtc may hand over the same channel twice
            send = channel.send
            channel.send = lambda data: send(data) if channel.readyState == "open" else None
        super().set_channel(channel)

    async def start_up(self) -> None:
        """Runs beside receive() and emit() once the data channel is open."""
        try:
            silence_hangup_errors(asyncio.get_running_loop())
            if self.stream_state is StreamState.PROTOTYPE:
                self.stream_state = StreamState.OPEN
            if not await self._wait_for_inputs():
                return
            await self.on_start(list(self.latest_args[2:]))  # 0 and 1 are fastrtc's own
        except Exception as error:
            self.fail(error)

    async def _wait_for_inputs(self) -> bool:
        """Wait for the page's inputs. fastrtc waits for ever, also when the tab has gone."""
        arguments = asyncio.ensure_future(self.wait_for_args())
        gone = asyncio.ensure_future(self._disconnected.wait())
        try:
            await asyncio.wait({arguments, gone}, timeout=INPUTS_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if self._disconnected.is_set():
                return False
            if not arguments.done():
                raise TimeoutError
            arguments.result()
            return True
        finally:
            arguments.cancel()
            gone.cancel()

    def resample(self, frame: Any) -> Generator[Any, None, None]:
        """20 ms in, 20 ms out. fastrtc counts the input's frame size at the output's rate and waits for 40 ms."""
        if self._voice_resampler is None:
            self._voice_resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        yield from self._voice_resampler.resample(frame)

    def on_webrtc_audio(self, pcm: bytes) -> None:
        """Some of the visitor, from `webrtc_media.VoiceTrack`: PCM16 mono 24 kHz."""
        if self._lease is None:
            self.push_audio(pcm)

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.on_webrtc_audio(np.ascontiguousarray(frame[1], dtype="<i2").tobytes())

    async def emit(self) -> Any:
        return await self.next_output(None)

    async def shutdown(self) -> None:
        """fastrtc calls this when the connection to the browser has ended."""
        await self.on_disconnect(None)

    # ---------------------------------------------------------------- whoever carries the call

    def take_over_transport(self) -> TransportLease:
        """From now on this carries the call, and nobody else: what fastrtc or an older one still asks for is moot."""
        if self._lease is not None:
            self._lease.superseded.set()
        self._lease = TransportLease()
        return self._lease

    async def start_without_webrtc(self, inputs: list[Any]) -> None:
        """start_up() of a call that begins without fastrtc."""
        self.stream_state = StreamState.OPEN
        try:
            await self.on_start(inputs)
        except Exception as error:
            self.fail(error)

    def push_audio(self, pcm: bytes) -> None:
        """Some of the visitor: PCM16 mono 24 kHz."""
        try:
            if self.stream_state is StreamState.OPEN:
                self.on_audio_frame(pcm)
        except Exception as error:
            self.fail(error)

    async def next_output(self, lease: TransportLease | None) -> Any:
        """One frame per 20 ms, (24000, int16[1, 480]), and `AdditionalOutputs` in between; `CloseStream` at the end.
        None when there is nothing to pass on, as for one who no longer carries the call.

        fastrtc asks again at once and queues without a bound, so the pace is kept here. Frames that are queued cannot
        be taken back: clear_queue() leaves a hole in the timestamps and the browser then plays everything late.
        """
        try:
            return await self._next_output(lease)
        except Exception as error:
            self.fail(error)
            await self._sleep(FRAME_S)
            return None

    async def _next_output(self, lease: TransportLease | None) -> Any:
        while self._lease is lease and self.stream_state in (
            StreamState.PROTOTYPE,
            StreamState.OPEN,
            StreamState.CLOSING_GRACE,
        ):
            now = self.clock()
            if self.stream_state is StreamState.CLOSING_GRACE and now >= self._close_at:
                self.stream_state = StreamState.CLOSING
                return CloseStream(self._close_message)
            wait = self._pacer.remaining_s(now)
            if wait <= 0:
                self._pacer.tick()
                return RATE, self.next_audio_frame(now).reshape(1, -1)
            if now - self._last_update_at >= UPDATE_INTERVAL_S and self._is_page_reachable():
                news = self.next_update(now)
                if news is not None:
                    self._last_update_at = now
                    return AdditionalOutputs(news)
            await self._sleep(wait)
        await self._sleep(0.1)  # the track is about to be stopped
        return None

    def _is_page_reachable(self) -> bool:
        """An output goes with a message on the data channel; on a closed one fastrtc logs a traceback each time."""
        if self._lease is not None:
            return True
        return self.channel is not None and getattr(self.channel, "readyState", "open") == "open"

    async def on_disconnect(self, lease: TransportLease | None) -> None:
        """The browser is gone. Nothing happens when something else carries the call by now."""
        if self.stream_state is StreamState.CLOSED or self._lease is not lease:
            return
        self.stream_state = StreamState.CLOSED
        self._disconnected.set()
        try:
            await self.on_end()
        except Exception as error:
            log.error("Ending a call went wrong: %s", error_location(error))
