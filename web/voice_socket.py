"""A call over a web socket, for browsers that WebRTC does not reach: the same `VoiceCall`, driven as fastrtc drives it.

The page asks for a ticket, 256 bits that nobody guesses, and opens the socket with it: a ticket is for one visitor,
counts once and for a minute. A call of theirs that still hangs on WebRTC, or on a socket that was lost, goes on over
the new one; without one, a call begins. What the page shows comes by `Lane.news`, not over the socket.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from enum import Enum

from fastapi import APIRouter
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from realtime.bucket import Bucket
from realtime.place_settings import AT_ONCE_S
from realtime_handler import Snapshot, Visitor, VoiceCall
from webrtc_edge import Carrier, EdgeState, where

from .patience import Patience
from .voice_wire import ENDED, STALL_S, Refused, Wire

log = logging.getLogger(__name__)

PATH = "/voice-socket"
LIFE_S = 60.0
MAX_TICKETS = 256
"""Tickets not yet used; the oldest go first."""
GRACE_S = 5.0
"""A call whose socket was lost waits so long for another one."""
LET_GO_S = 1.0
"""For closing what is closed already, or does not answer."""
NO_TICKET = 4404
DONE = 1000
HUNG_UP = frozenset({DONE, 1001, 1005, 1012})
"""Close codes that are meant: hung up, page gone, and 1012, our own server going down. All others: it was lost."""
LOST = 1013
"""Said to a browser that takes nothing any more; it may try again."""
FAULT = 1011


class LaneState(Enum):
    """Life of one ticket."""

    OFFERED = "offered"
    OPEN = "open"
    OVER = "over"


class Lane:
    """What one ticket leads to: the socket's side, and the page's."""

    def __init__(self, visitor: Visitor, let_go: Callable[[], Awaitable[None]], until: float) -> None:
        self.visitor = visitor
        self.let_go = let_go
        self.until = until
        self.state = LaneState.OFFERED
        self.call = visitor.call if visitor.call is not None and visitor.call.under_way else None
        """The call that is to be carried on; None: one is to begin."""
        self.watched = False
        """Its news have a reader."""
        self._latest: Snapshot | None = None
        self._changed = asyncio.Event()

    def tell(self, snapshot: Snapshot | None) -> None:
        """What the page should show now; what it has not yet shown of before does not matter any more."""
        self._latest = snapshot or self._latest
        self._changed.set()

    def close(self) -> None:
        """There is no more to come."""
        self.state = LaneState.OVER
        self._changed.set()

    async def news(self) -> AsyncIterator[Snapshot]:
        """What the page should show, whenever it has changed, until the socket is over. For one reader. Ends after a
        while when no socket comes, and at once for a second reader."""
        if self.watched:
            return
        self.watched = True
        shown: Snapshot | None = None
        while True:
            if self.state is LaneState.OFFERED:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), LIFE_S)
                if not self._changed.is_set():
                    return
            else:
                await self._changed.wait()
            self._changed.clear()
            over = self.state is LaneState.OVER
            if self._latest is not None and self._latest is not shown:
                shown = self._latest
                yield shown
            if over:
                return


class VoiceSockets:
    """The tickets and sockets of one process."""

    def __init__(
        self, prototype: VoiceCall, clock: Callable[[], float] = time.monotonic, *, grace_s: float = GRACE_S
    ) -> None:
        """`prototype`: of calls that begin here."""
        self.prototype = prototype
        self._clock = clock
        self._grace_s = grace_s
        self._offered: OrderedDict[str, Lane] = OrderedDict()

    def offer(self, visitor: Visitor, let_go: Callable[[], Awaitable[None]]) -> tuple[str, Lane]:
        """Returns where to open the socket, relative to the page, and what comes of it. `let_go` frees what carried
        the visitor's call until then; it is awaited when the socket is there."""
        self._forget()
        while len(self._offered) >= MAX_TICKETS:
            self._offered.popitem(last=False)[1].close()
        for ticket in [ticket for ticket, lane in self._offered.items() if lane.visitor is visitor]:
            self._offered.pop(ticket).close()  # one at a time for each visitor
        ticket = secrets.token_urlsafe(32)
        lane = self._offered[ticket] = Lane(visitor, let_go, self._clock() + LIFE_S)
        return f"{PATH[1:]}/{ticket}", lane

    def _take(self, ticket: str) -> Lane | None:
        """What a ticket leads to; it is worth nothing from then on."""
        self._forget()
        return self._offered.pop(ticket, None)

    def _forget(self) -> None:
        now = self._clock()
        while self._offered and next(iter(self._offered.values())).until <= now:
            self._offered.popitem(last=False)[1].close()

    def add_to(self, router: APIRouter) -> None:
        """Serve the sockets. The route is for the page alone, and is in no list of routes."""
        router.add_api_websocket_route(f"{PATH}/{{ticket}}", self._serve)

    async def _serve(self, websocket: WebSocket) -> None:
        lane = self._take(websocket.path_params["ticket"])
        if lane is None:
            await websocket.close(NO_TICKET)  # before it is accepted: the browser gets 403
            return
        lane.state = LaneState.OPEN
        try:
            await websocket.accept()
            await self._carry(websocket, lane)
        except WebSocketDisconnect:
            pass
        finally:
            lane.close()

    async def _carry(self, websocket: WebSocket, lane: Lane) -> None:
        """One call, from where it is to its end or to the next carrier."""
        if lane.call is not None and not lane.call.under_way:  # it has ended meanwhile: that is to be told, no new call
            lane.tell(lane.call.snapshot)
            await websocket.send_text(ENDED)
            await _close(websocket, DONE)
            return
        running = lane.visitor.call
        goes_on = running is not None and running.under_way and running.edge is EdgeState.OPEN
        call = running if running is not None and goes_on else self.prototype.copy()
        carrier = call.take_over()
        try:
            with suppress(Exception):  # it is of no more use; the call does not wait for it either
                async with asyncio.timeout(LET_GO_S):
                    await lane.let_go()
            if not goes_on:
                await call.begin([lane.visitor])
            lane.tell(call.snapshot)
            code = await Passage(websocket, call, carrier, lane).run()
            await _close(websocket, code)
            if code == LOST and call.under_way:
                with suppress(TimeoutError):
                    await asyncio.wait_for(carrier.superseded.wait(), self._grace_s)
        finally:
            await call.gone(carrier)
            if not carrier.superseded.is_set():
                lane.tell(call.snapshot)


async def _close(websocket: WebSocket, code: int) -> None:
    """Harmless when it is closed."""
    if websocket.application_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, TimeoutError):  # RuntimeError: uvicorn has closed the socket on its own account
            async with asyncio.timeout(LET_GO_S):
                await websocket.close(code)


class Passage:
    """A call and a socket, sound both ways."""

    def __init__(self, websocket: WebSocket, call: VoiceCall, carrier: Carrier, lane: Lane) -> None:
        self._websocket = websocket
        self._call = call
        self._carrier = carrier
        self._lane = lane
        self._wire = Wire(call.clock())
        self._taken = asyncio.Event()
        self._patience = Patience()

    async def run(self) -> int:
        """Until one side has enough. Returns the close code: the browser's, or for it."""
        tasks = {asyncio.create_task(side) for side in (self._listen(), self._speak(), self._stalled())}
        superseded = asyncio.create_task(self._carrier.superseded.wait())
        try:
            done, _ = await asyncio.wait(tasks | {superseded}, return_when=asyncio.FIRST_COMPLETED)
            ended = next(iter(done & tasks), None)
            return int(ended.result()) if ended is not None else DONE
        except Exception as error:
            log.error("A web socket is closed by an error: %s", where(error))
            return FAULT
        finally:
            for task in (*tasks, superseded):
                task.cancel()
            await asyncio.gather(*tasks, superseded, return_exceptions=True)

    async def _listen(self) -> int:
        """From the browser. Returns the close code."""
        rate = self._call.settings.places.max_messages_per_second
        bucket = Bucket(rate, rate * AT_ONCE_S, self._call.clock())
        while True:
            message = await self._websocket.receive()
            if (wait := bucket.take(self._call.clock())) > 0:  # words about frames; of sound there is never so much
                await asyncio.sleep(wait)
            if message["type"] == "websocket.disconnect":
                return DONE if message.get("code") in HUNG_UP else LOST
            sound, text = message.get("bytes"), message.get("text")
            try:
                if sound is not None:
                    self._wire.sound(sound, self._call.clock())
                    self._call.hear(sound)
                elif text is not None:
                    self._wire.control(text)
                    self._taken.set()
            except Refused as refused:
                log.warning("A page sent what is not spoken here; its socket is closed with %d.", refused.code)
                return refused.code

    async def _speak(self) -> int:
        """To the browser, at the pace of the call. Returns the close code."""
        while True:
            while not self._wire.room:  # nothing is handed out that nobody takes
                with self._patience:
                    self._taken.clear()
                    await self._taken.wait()
            output = await self._call.output(self._carrier)
            if isinstance(output, CloseStream):
                await self._send({"type": "websocket.send", "text": ENDED})
                return DONE
            if isinstance(output, AdditionalOutputs):
                self._lane.tell(output.args[0])
            elif output is not None:
                self._wire.sent()
                if not await self._send({"type": "websocket.send", "bytes": output[1].astype("<i2").tobytes()}):
                    return LOST
            if self._call.edge is EdgeState.OPEN and not self._call.under_way:
                return DONE  # the visitor has hung up on the page, and this is closed from there as well

    async def _stalled(self) -> int:
        """The browser has taken nothing for too long. Returns the close code."""
        await self._patience.run_out(STALL_S)
        return LOST

    async def _send(self, message: dict[str, object]) -> bool:
        """Returns whether there is still somebody to take it."""
        try:
            with self._patience:
                await self._websocket.send(message)
        except (RuntimeError, WebSocketDisconnect):  # RuntimeError: uvicorn has closed it by itself
            return False
        return True
