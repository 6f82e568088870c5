"""A call over a web socket, for browsers that WebRTC does not reach: the same `RealtimeHandler`, driven as fastrtc drives it.

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

from voicechat.config.limit_settings import BURST_S
from voicechat.limits.token_bucket import TokenBucket
from voicechat.logs import error_location
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess, RouteRule, path_with_token
from voicechat.transport.stall_watchdog import StallWatchdog
from voicechat.transport.stream_handler import StreamState, TransportLease
from voicechat.transport.websocket_protocol import ENDED_MESSAGE, STALL_TIMEOUT_S, FlowControl, ProtocolViolation
from voicechat.turn_taking.snapshot import Snapshot

from .call_handler import CallHandler
from .visitor import Visitor

log = logging.getLogger(__name__)

PATH = "/voice-socket"
ROUTE_RULES = (RouteRule(WEBSOCKET_METHOD, path_with_token(PATH), RouteAccess.ASSET),)
TICKET_TTL_S = 60.0
MAX_TICKETS = 256
"""Tickets not yet used; the oldest go first."""
RECONNECT_GRACE_S = 5.0
"""A call whose socket was lost waits so long for another one."""
CLOSE_TIMEOUT_S = 1.0
"""For closing what is closed already, or does not answer."""
CLOSE_UNKNOWN_TICKET = 4404
CLOSE_NORMAL = 1000
INTENTIONAL_CLOSE_CODES = frozenset({CLOSE_NORMAL, 1001, 1005, 1012})
"""Close codes that are meant: hung up, page gone, and 1012, our own server going down. All others: it was lost."""
CLOSE_TRY_AGAIN_LATER = 1013
"""Said to a browser that takes nothing any more; it may try again."""
CLOSE_INTERNAL_ERROR = 1011


class TicketState(Enum):
    """Life of one ticket."""

    ISSUED = "offered"
    OPEN = "open"
    CLOSED = "over"


class AudioSocketTicket:
    """What one ticket leads to: the socket's side, and the page's."""

    def __init__(self, visitor: Visitor, release_transport: Callable[[], Awaitable[None]], expires_at: float) -> None:
        self.visitor = visitor
        self.release_transport = release_transport
        self.expires_at = expires_at
        self.state = TicketState.ISSUED
        self.call_to_resume = visitor.call if visitor.call is not None and visitor.call.is_active else None
        """The call that is to be carried on; None: one is to begin."""
        self.is_watched = False
        """Its news have a reader."""
        self._latest: Snapshot | None = None
        self._changed = asyncio.Event()

    def publish(self, snapshot: Snapshot | None) -> None:
        """What the page should show now; what it has not yet shown of before does not matter any more."""
        self._latest = snapshot or self._latest
        self._changed.set()

    def close(self) -> None:
        """There is no more to come."""
        self.state = TicketState.CLOSED
        self._changed.set()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """What the page should show, whenever it has changed, until the socket is over. For one reader. Ends after a
        while when no socket comes, and at once for a second reader."""
        if self.is_watched:
            return
        self.is_watched = True
        shown: Snapshot | None = None
        while True:
            if self.state is TicketState.ISSUED:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), TICKET_TTL_S)
                if not self._changed.is_set():
                    return
            else:
                await self._changed.wait()
            self._changed.clear()
            over = self.state is TicketState.CLOSED
            if self._latest is not None and self._latest is not shown:
                shown = self._latest
                yield shown
            if over:
                return


class AudioSocketRegistry:
    """The tickets and sockets of one process."""

    def __init__(
        self,
        prototype: CallHandler,
        clock: Callable[[], float] = time.monotonic,
        *,
        grace_s: float = RECONNECT_GRACE_S,
    ) -> None:
        """`prototype`: of calls that begin here."""
        self.prototype = prototype
        self._clock = clock
        self._grace_s = grace_s
        self._tickets: OrderedDict[str, AudioSocketTicket] = OrderedDict()

    def issue_ticket(
        self, visitor: Visitor, release_transport: Callable[[], Awaitable[None]]
    ) -> tuple[str, AudioSocketTicket]:
        """Returns where to open the socket, relative to the page, and what comes of it. `let_go` frees what carried
        the visitor's call until then; it is awaited when the socket is there."""
        self._expire_tickets()
        while len(self._tickets) >= MAX_TICKETS:
            self._tickets.popitem(last=False)[1].close()
        for ticket in [ticket for ticket, lane in self._tickets.items() if lane.visitor is visitor]:
            self._tickets.pop(ticket).close()  # one at a time for each visitor
        ticket = secrets.token_urlsafe(32)
        lane = self._tickets[ticket] = AudioSocketTicket(visitor, release_transport, self._clock() + TICKET_TTL_S)
        return f"{PATH[1:]}/{ticket}", lane

    def _redeem(self, ticket: str) -> AudioSocketTicket | None:
        """What a ticket leads to; it is worth nothing from then on."""
        self._expire_tickets()
        return self._tickets.pop(ticket, None)

    def _expire_tickets(self) -> None:
        now = self._clock()
        while self._tickets and next(iter(self._tickets.values())).expires_at <= now:
            self._tickets.popitem(last=False)[1].close()

    def add_to(self, router: APIRouter) -> None:
        """Serve the sockets. The route is for the page alone, and is in no list of routes."""
        router.add_api_websocket_route(f"{PATH}/{{ticket}}", self.serve)

    async def serve(self, websocket: WebSocket) -> None:
        lane = self._redeem(websocket.path_params["ticket"])
        if lane is None:
            await websocket.close(CLOSE_UNKNOWN_TICKET)  # before it is accepted: the browser gets 403
            return
        lane.state = TicketState.OPEN
        try:
            await websocket.accept()
            await self._run_call(websocket, lane)
        except WebSocketDisconnect:
            pass
        finally:
            lane.close()

    async def _run_call(self, websocket: WebSocket, ticket: AudioSocketTicket) -> None:
        """One call, from where it is to its end or to the next carrier."""
        if (
            ticket.call_to_resume is not None and not ticket.call_to_resume.is_active
        ):  # it has ended meanwhile: that is to be told, no new call
            ticket.publish(ticket.call_to_resume.snapshot)
            await websocket.send_text(ENDED_MESSAGE)
            await _close(websocket, CLOSE_NORMAL)
            return
        running = ticket.visitor.call
        goes_on = running is not None and running.is_active and running.stream_state is StreamState.OPEN
        call = running if running is not None and goes_on else self.prototype.copy()
        carrier = call.take_over_transport()
        try:
            with suppress(Exception):  # it is of no more use; the call does not wait for it either
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await ticket.release_transport()
            if not goes_on:
                await call.start_without_webrtc([ticket.visitor])
            ticket.publish(call.snapshot)
            code = await AudioSocketPump(websocket, call, carrier, ticket).run()
            await _close(websocket, code)
            if code == CLOSE_TRY_AGAIN_LATER and call.is_active:
                with suppress(TimeoutError):
                    await asyncio.wait_for(carrier.superseded.wait(), self._grace_s)
        finally:
            await call.on_disconnect(carrier)
            if not carrier.superseded.is_set():
                ticket.publish(call.snapshot)


async def _close(websocket: WebSocket, code: int) -> None:
    """Harmless when it is closed."""
    if websocket.application_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, TimeoutError):  # RuntimeError: uvicorn has closed the socket on its own account
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await websocket.close(code)


class AudioSocketPump:
    """A call and a socket, sound both ways."""

    def __init__(
        self, websocket: WebSocket, call: CallHandler, lease: TransportLease, ticket: AudioSocketTicket
    ) -> None:
        self._websocket = websocket
        self._call = call
        self._lease = lease
        self._ticket = ticket
        self._flow_control = FlowControl(call.clock())
        self._ack_received = asyncio.Event()
        self._stall_watchdog = StallWatchdog()

    async def run(self) -> int:
        """Until one side has enough. Returns the close code: the browser's, or for it."""
        tasks = {
            asyncio.create_task(side) for side in (self._pump_uplink(), self._pump_downlink(), self._watch_stall())
        }
        superseded = asyncio.create_task(self._lease.superseded.wait())
        try:
            done, _ = await asyncio.wait(tasks | {superseded}, return_when=asyncio.FIRST_COMPLETED)
            ended = next(iter(done & tasks), None)
            return int(ended.result()) if ended is not None else CLOSE_NORMAL
        except Exception as error:
            log.error("A web socket is closed by an error: %s", error_location(error))
            return CLOSE_INTERNAL_ERROR
        finally:
            for task in (*tasks, superseded):
                task.cancel()
            await asyncio.gather(*tasks, superseded, return_exceptions=True)

    async def _pump_uplink(self) -> int:
        """From the browser. Returns the close code."""
        rate = self._call.settings.limits.max_messages_per_second
        bucket = TokenBucket(rate, rate * BURST_S, self._call.clock())
        while True:
            message = await self._websocket.receive()
            if (wait := bucket.take(self._call.clock())) > 0:  # words about frames; of sound there is never so much
                await asyncio.sleep(wait)
            if message["type"] == "websocket.disconnect":
                return CLOSE_NORMAL if message.get("code") in INTENTIONAL_CLOSE_CODES else CLOSE_TRY_AGAIN_LATER
            sound, text = message.get("bytes"), message.get("text")
            try:
                if sound is not None:
                    self._flow_control.on_audio(sound, self._call.clock())
                    self._call.push_audio(sound)
                elif text is not None:
                    self._flow_control.on_control(text)
                    self._ack_received.set()
            except ProtocolViolation as refused:
                log.warning("A page sent what is not spoken here; its socket is closed with %d.", refused.close_code)
                return refused.close_code

    async def _pump_downlink(self) -> int:
        """To the browser, at the pace of the call. Returns the close code."""
        while True:
            while not self._flow_control.can_send:  # nothing is handed out that nobody takes
                with self._stall_watchdog:
                    self._ack_received.clear()
                    await self._ack_received.wait()
            output = await self._call.next_output(self._lease)
            if isinstance(output, CloseStream):
                await self._send({"type": "websocket.send", "text": ENDED_MESSAGE})
                return CLOSE_NORMAL
            if isinstance(output, AdditionalOutputs):
                self._ticket.publish(output.args[0])
            elif output is not None:
                self._flow_control.on_frame_sent()
                if not await self._send({"type": "websocket.send", "bytes": output[1].astype("<i2").tobytes()}):
                    return CLOSE_TRY_AGAIN_LATER
            if self._call.stream_state is StreamState.OPEN and not self._call.is_active:
                return CLOSE_NORMAL  # the visitor has hung up on the page, and this is closed from there as well

    async def _watch_stall(self) -> int:
        """The browser has taken nothing for too long. Returns the close code."""
        await self._stall_watchdog.wait_stalled(STALL_TIMEOUT_S)
        return CLOSE_TRY_AGAIN_LATER

    async def _send(self, message: dict[str, object]) -> bool:
        """Returns whether there is still somebody to take it."""
        try:
            with self._stall_watchdog:
                await self._websocket.send(message)
        except (RuntimeError, WebSocketDisconnect):  # RuntimeError: uvicorn has closed it by itself
            return False
        return True
