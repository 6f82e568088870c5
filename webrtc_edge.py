"""A fastrtc handler with the traps taken out. fastrtc 0.0.34 and aiortc 1.16 are pinned.

Here and in the other `webrtc_*.py` is every use of their insides, each with its reason. `VoiceEdge`: 20 ms in, exactly
20 ms out by a monotonic clock, no exception that leaves it, and an end that the page sees. Subclasses fill in what is
heard and said.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Generator
from enum import Enum
from typing import Any

import av
import numpy as np
from fastrtc import AdditionalOutputs, AsyncStreamHandler
from fastrtc.utils import CloseStream
from numpy.typing import NDArray

from webrtc_opus import RATE as RATE

log = logging.getLogger(__name__)

FRAME_S = 0.02
LATE_S = 0.1
"""Later than this, the clock starts anew: catching up in a burst would only fill the browser's jitter buffer."""
NEWS_S = 0.05
"""Between two outputs to the page: 20 a second look continuous, and fastrtc's queue for them has no bound."""
FAREWELL_S = 0.4
"""Between the end of a call and closing it: closing throws away outputs that the page has not fetched."""
ARGUMENTS_S = 15.0
"""For the page to send its inputs after the connection stands."""

SERVER_RTC_CONFIGURATION: dict[str, Any] = {"iceServers": []}
"""For WebRTC(server_rtc_configuration=...). Without one, aiortc asks a public STUN server by name."""


def where(error: BaseException) -> str:
    """Kind and place of an error. Never its message, which may quote what a visitor said."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}"


# -------------------------------------------------------------------- loggers


def quiet_loggers() -> None:
    """Bounds of other people's loggers, also under DEBUG.

    At DEBUG fastrtc logs every argument and message, and websockets every header and frame: what visitors say and the
    API key must not be in a log. aiortc warns with a traceback at every hang-up: fastrtc's track then has no frame to
    give. The others only drown ours.
    """
    for name in ("fastrtc", "websockets", "httpcore", "httpx", "urllib3", "asyncio", "numba"):
        _at_least(logging.INFO, name)
    _at_least(logging.WARNING, "aioice")
    _at_least(logging.ERROR, "aiortc")


def _at_least(level: int, name: str) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(max(level, logger.level))


def quiet_farewells(loop: asyncio.AbstractEventLoop) -> None:
    """aiortc's data channel goes on sending for a moment after a page has gone, in tasks whose errors nobody takes: the
    loop would log a traceback each. All other errors are logged as ever."""
    loop.set_exception_handler(_unless_aiortc_sends_to_nobody)


def _unless_aiortc_sends_to_nobody(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    task = context.get("future")
    sender = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
    if isinstance(context.get("exception"), ConnectionError) and sender.startswith("RTCSctpTransport."):
        return
    loop.default_exception_handler(context)


# -------------------------------------------------------------------- clock


class Pacer:
    """One tick per 20 ms by the clock that is handed in. Late ticks are made up for, long pauses are not."""

    def __init__(self) -> None:
        self._next: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until the next tick; 0.0 or less when it is due."""
        if self._next is None or now - self._next > LATE_S:
            self._next = now
        return self._next - now

    def tick(self) -> None:
        """A tick was taken."""
        assert self._next is not None
        self._next += FRAME_S


# -------------------------------------------------------------------- handler


class EdgeState(Enum):
    """Life of one connection to the browser."""

    PROTOTYPE = "prototype"
    OPEN = "open"
    FAREWELL = "farewell"
    """The call is over; the page is being told."""
    CLOSING = "closing"
    """The browser was asked to close."""
    CLOSED = "closed"


class Carrier:
    """What carries a call to the browser and back once it is not fastrtc: one web socket."""

    def __init__(self) -> None:
        self.superseded = asyncio.Event()
        """Another one carries the call now."""


class VoiceEdge(AsyncStreamHandler):  # type: ignore[misc]
    """A fastrtc handler for one call. Subclasses implement what raises NotImplementedError, and copy()."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        super().__init__("mono", output_sample_rate=RATE, input_sample_rate=RATE)
        self.clock = clock
        self.edge = EdgeState.PROTOTYPE
        self._sleep = sleep
        self._pacer = Pacer()
        self._news_at = float("-inf")
        self._farewell_at = 0.0
        self._farewell = ""
        self._gone = asyncio.Event()
        self._carrier: Carrier | None = None  # None: fastrtc
        self._voice_resampler: av.AudioResampler | None = None

    # ---------------------------------------------------------------- for subclasses

    async def call_started(self, inputs: list[Any]) -> None:
        """The page's inputs (without the WebRTC component itself) have come. Must return soon."""
        raise NotImplementedError

    def microphone(self, pcm: bytes) -> None:
        """About 20 ms of the visitor: PCM16 mono 24 kHz."""
        raise NotImplementedError

    def speaker(self, now: float) -> NDArray[np.int16]:
        """The next 20 ms to be heard: int16[480]."""
        raise NotImplementedError

    def news(self, now: float) -> Any | None:
        """What the page should show, or None when nothing has changed."""
        raise NotImplementedError

    async def call_over(self) -> None:
        """The browser is gone. Called exactly once, however the call ended, if it had started."""
        raise NotImplementedError

    def say_goodbye(self, message: str = "") -> None:
        """End the call from this side: the page gets the last news, then its button returns to the start."""
        if self.edge is EdgeState.OPEN:
            self.edge = EdgeState.FAREWELL
            self._farewell = message
            self._farewell_at = self.clock() + FAREWELL_S

    def broken(self, error: Exception) -> None:
        """An error that should not be. fastrtc would show its text in the page and leave the call open and silent."""
        log.error("A call is ended by an error: %s", where(error))
        self.say_goodbye()

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
            quiet_farewells(asyncio.get_running_loop())
            if self.edge is EdgeState.PROTOTYPE:
                self.edge = EdgeState.OPEN
            if not await self._arguments():
                return
            await self.call_started(list(self.latest_args[2:]))  # 0 and 1 are fastrtc's own
        except Exception as error:
            self.broken(error)

    async def _arguments(self) -> bool:
        """Wait for the page's inputs. fastrtc waits for ever, also when the tab has gone."""
        arguments = asyncio.ensure_future(self.wait_for_args())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({arguments, gone}, timeout=ARGUMENTS_S, return_when=asyncio.FIRST_COMPLETED)
            if self._gone.is_set():
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

    def from_browser(self, pcm: bytes) -> None:
        """Some of the visitor, from `webrtc_media.VoiceTrack`: PCM16 mono 24 kHz."""
        if self._carrier is None:
            self.hear(pcm)

    async def receive(self, frame: tuple[int, NDArray[np.int16]]) -> None:
        self.from_browser(np.ascontiguousarray(frame[1], dtype="<i2").tobytes())

    async def emit(self) -> Any:
        return await self.output(None)

    async def shutdown(self) -> None:
        """fastrtc calls this when the connection to the browser has ended."""
        await self.gone(None)

    # ---------------------------------------------------------------- whoever carries the call

    def take_over(self) -> Carrier:
        """From now on this carries the call, and nobody else: what fastrtc or an older one still asks for is moot."""
        if self._carrier is not None:
            self._carrier.superseded.set()
        self._carrier = Carrier()
        return self._carrier

    async def begin(self, inputs: list[Any]) -> None:
        """start_up() of a call that begins without fastrtc."""
        self.edge = EdgeState.OPEN
        try:
            await self.call_started(inputs)
        except Exception as error:
            self.broken(error)

    def hear(self, pcm: bytes) -> None:
        """Some of the visitor: PCM16 mono 24 kHz."""
        try:
            if self.edge is EdgeState.OPEN:
                self.microphone(pcm)
        except Exception as error:
            self.broken(error)

    async def output(self, carrier: Carrier | None) -> Any:
        """One frame per 20 ms, (24000, int16[1, 480]), and `AdditionalOutputs` in between; `CloseStream` at the end.
        None when there is nothing to pass on, as for one who no longer carries the call.

        fastrtc asks again at once and queues without a bound, so the pace is kept here. Frames that are queued cannot
        be taken back: clear_queue() leaves a hole in the timestamps and the browser then plays everything late.
        """
        try:
            return await self._emit(carrier)
        except Exception as error:
            self.broken(error)
            await self._sleep(FRAME_S)
            return None

    async def _emit(self, carrier: Carrier | None) -> Any:
        while self._carrier is carrier and self.edge in (EdgeState.PROTOTYPE, EdgeState.OPEN, EdgeState.FAREWELL):
            now = self.clock()
            if self.edge is EdgeState.FAREWELL and now >= self._farewell_at:
                self.edge = EdgeState.CLOSING
                return CloseStream(self._farewell)
            wait = self._pacer.wait(now)
            if wait <= 0:
                self._pacer.tick()
                return RATE, self.speaker(now).reshape(1, -1)
            if now - self._news_at >= NEWS_S and self._page_reachable():
                news = self.news(now)
                if news is not None:
                    self._news_at = now
                    return AdditionalOutputs(news)
            await self._sleep(wait)
        await self._sleep(0.1)  # the track is about to be stopped
        return None

    def _page_reachable(self) -> bool:
        """An output goes with a message on the data channel; on a closed one fastrtc logs a traceback each time."""
        if self._carrier is not None:
            return True
        return self.channel is not None and getattr(self.channel, "readyState", "open") == "open"

    async def gone(self, carrier: Carrier | None) -> None:
        """The browser is gone. Nothing happens when something else carries the call by now."""
        if self.edge is EdgeState.CLOSED or self._carrier is not carrier:
            return
        self.edge = EdgeState.CLOSED
        self._gone.set()
        try:
            await self.call_over()
        except Exception as error:
            log.error("Ending a call went wrong: %s", where(error))
