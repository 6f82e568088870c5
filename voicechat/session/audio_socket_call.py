"""Voice call over a WebSocket, for browsers that WebRTC does not reach: the same handler, driven as fastrtc drives it.

The page asks for a ticket, 256 random bits, and opens the socket with it. A ticket is for one visitor, counts once and
expires after a minute. A call that still hangs on WebRTC, or on a lost socket, continues over the new one; otherwise a
call starts. Snapshots reach the page by `AudioSocketTicket.snapshots`, not over the socket.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from enum import Enum

from fastapi import APIRouter
from fastrtc import AdditionalOutputs
from fastrtc.utils import CloseStream
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from voicechat.config.groups.limit_settings import BURST_S
from voicechat.limits.token_bucket import TokenBucket
from voicechat.logs import error_location
from voicechat.protocol.notices import Notice
from voicechat.security.route_access import WEBSOCKET_METHOD, RouteAccess, RouteRule, path_with_token
from voicechat.transport.audio_socket_protocol import ENDED_MESSAGE, STALL_TIMEOUT_S, FlowControl, ProtocolViolation
from voicechat.transport.stall_watchdog import StallWatchdog
from voicechat.transport.stream_handler import StreamState, TransportLease
from voicechat.turn_taking.snapshot import CallStage, Snapshot

from .call_handler import CallHandler
from .visitor import Visitor
from .voice_session import VoiceSession

log = logging.getLogger(__name__)

PATH = "/voice-socket"
ROUTE_RULES = (RouteRule(WEBSOCKET_METHOD, path_with_token(PATH), RouteAccess.ASSET),)
TICKET_TTL_S = 60.0
MAX_TICKETS = 256
"""Unused tickets. The oldest go first."""
RECONNECT_GRACE_S = 5.0
"""Seconds that a call waits for another socket after it lost one."""
CLOSE_TIMEOUT_S = 1.0
"""Seconds for closing a connection that may be closed already, or does not answer."""
CLOSE_UNKNOWN_TICKET = 4404
CLOSE_NORMAL = 1000
INTENTIONAL_CLOSE_CODES = frozenset({CLOSE_NORMAL, 1001, 1005, 1012})
"""Close codes that end the call: hung up, page closed, and 1012, this server shutting down. After others it waits."""
CLOSE_TRY_AGAIN_LATER = 1013
"""Close code for a browser that takes nothing any more; it may try again."""
CLOSE_INTERNAL_ERROR = 1011


class TicketState(Enum):
    """Life of one ticket."""

    ISSUED = "issued"
    OPEN = "open"
    CLOSED = "closed"


class AudioSocketTicket:
    """One ticket: the socket writes snapshots, the page reads them."""

    def __init__(self, visitor: Visitor, release_transport: Callable[[], Awaitable[None]], expires_at: float) -> None:
        self.visitor = visitor
        self.release_transport = release_transport
        self.expires_at = expires_at
        self.state = TicketState.ISSUED
        self.call_to_resume = visitor.call if visitor.is_in_call else None
        """Call that is to continue; None: a call is to start."""
        self.is_watched = False
        """A page reads `snapshots()`."""
        self._latest: Snapshot | None = None
        self._changed = asyncio.Event()

    def publish(self, snapshot: Snapshot | None) -> None:
        """Replace the snapshot for the page."""
        self._latest = snapshot or self._latest
        self._changed.set()

    def close(self) -> None:
        """End `snapshots()` after the last one."""
        self.state = TicketState.CLOSED
        self._changed.set()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield each new snapshot until the socket has closed, or no socket came in time. A second reader gets none."""
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
            is_closed = self.state is TicketState.CLOSED
            if self._latest is not None and self._latest is not shown:
                shown = self._latest
                yield shown
            if is_closed:
                return


class AudioSocketRegistry:
    """Tickets and sockets of one process."""

    def __init__(
        self,
        prototype: CallHandler,
        clock: Callable[[], float] = time.monotonic,
        *,
        grace_s: float = RECONNECT_GRACE_S,
    ) -> None:
        """`prototype`: copied for each call that starts here."""
        self.prototype = prototype
        self._clock = clock
        self._grace_s = grace_s
        self._tickets: OrderedDict[str, AudioSocketTicket] = OrderedDict()

    def issue_ticket(
        self, visitor: Visitor, release_transport: Callable[[], Awaitable[None]]
    ) -> tuple[str, AudioSocketTicket]:
        """Return the socket's address, relative to the page, and the ticket. `release_transport` frees the transport
        that carried the call until then; it is awaited once the socket is open."""
        self._expire_tickets()
        while len(self._tickets) >= MAX_TICKETS:
            self._tickets.popitem(last=False)[1].close()
        for token in [token for token, ticket in self._tickets.items() if ticket.visitor is visitor]:
            self._tickets.pop(token).close()  # one at a time for each visitor
        token = secrets.token_urlsafe(32)
        ticket = self._tickets[token] = AudioSocketTicket(visitor, release_transport, self._clock() + TICKET_TTL_S)
        return f"{PATH[1:]}/{token}", ticket

    def _redeem(self, token: str) -> AudioSocketTicket | None:
        """Return and remove the ticket of this token."""
        self._expire_tickets()
        return self._tickets.pop(token, None)

    def _expire_tickets(self) -> None:
        now = self._clock()
        while self._tickets and next(iter(self._tickets.values())).expires_at <= now:
            self._tickets.popitem(last=False)[1].close()

    def add_to(self, router: APIRouter) -> None:
        """Serve the sockets. The route is for the page alone, and is in no list of routes."""
        router.add_api_websocket_route(f"{PATH}/{{ticket}}", self.serve)

    async def serve(self, websocket: WebSocket) -> None:
        ticket = self._redeem(websocket.path_params["ticket"])
        if ticket is None:
            await websocket.close(CLOSE_UNKNOWN_TICKET)  # before it is accepted: the browser gets 403
            return
        ticket.state = TicketState.OPEN
        try:
            await websocket.accept()
            await self._run_call(websocket, ticket)
        except WebSocketDisconnect:
            pass
        finally:
            ticket.close()

    async def _run_call(self, websocket: WebSocket, ticket: AudioSocketTicket) -> None:
        """Carry one call to its end, or until another transport takes over."""
        to_resume = ticket.call_to_resume
        if to_resume is not None and not to_resume.is_active:  # it has ended meanwhile: show that, start no new one
            ticket.publish(to_resume.snapshot)
            await websocket.send_text(ENDED_MESSAGE)
            await _close(websocket, CLOSE_NORMAL)
            return
        session = ticket.visitor.call
        resumes = session is not None and session.is_active and session.handler.stream_state is StreamState.OPEN
        handler = session.handler if session is not None and resumes else self.prototype.copy()
        lease = handler.take_over_transport()
        try:
            with suppress(Exception):  # the old transport is useless by now; the call does not wait for it either
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await ticket.release_transport()
            if not resumes:
                await handler.start_without_webrtc([ticket.visitor])
                session = ticket.visitor.call
            if session is None or session.handler is not handler:  # it could not start; the handler has logged why
                session = None
                ticket.publish(replace(ticket.visitor.snapshot(), stage=CallStage.FAILED, notice=Notice.INTERNAL))
                await websocket.send_text(ENDED_MESSAGE)
                await _close(websocket, CLOSE_NORMAL)
                return
            ticket.publish(session.snapshot)
            code = await AudioSocketPump(websocket, session, lease, ticket).run()
            await _close(websocket, code)
            if code == CLOSE_TRY_AGAIN_LATER and session.is_active:
                with suppress(TimeoutError):
                    await asyncio.wait_for(lease.superseded.wait(), self._grace_s)
        finally:
            await handler.on_disconnect(lease)
            if session is not None and not lease.superseded.is_set():
                ticket.publish(session.snapshot)


async def _close(websocket: WebSocket, code: int) -> None:
    """Close the socket if it is open."""
    if websocket.application_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, TimeoutError):  # RuntimeError: uvicorn has closed the socket on its own account
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await websocket.close(code)


class AudioSocketPump:
    """Moves the audio of one call over one socket, both ways."""

    def __init__(
        self, websocket: WebSocket, session: VoiceSession, lease: TransportLease, ticket: AudioSocketTicket
    ) -> None:
        self._websocket = websocket
        self._session = session
        self._handler = session.handler
        self._lease = lease
        self._ticket = ticket
        self._flow_control = FlowControl(session.clock())
        self._ack_received = asyncio.Event()
        self._stall_watchdog = StallWatchdog()

    async def run(self) -> int:
        """Run until one side closes. Return the close code: the browser's, or one for it."""
        context = self._session.copy_log_context()
        sides = self._pump_uplink(), self._pump_downlink(), self._watch_stall()
        tasks = {asyncio.create_task(side, context=context) for side in sides}
        superseded = asyncio.create_task(self._lease.superseded.wait())
        try:
            done, _ = await asyncio.wait(tasks | {superseded}, return_when=asyncio.FIRST_COMPLETED)
            ended = next(iter(done & tasks), None)
            return int(ended.result()) if ended is not None else CLOSE_NORMAL
        except Exception as error:
            context.run(log.error, "audio socket: internal error error=%s", error_location(error))
            return CLOSE_INTERNAL_ERROR
        finally:
            for task in (*tasks, superseded):
                task.cancel()
            await asyncio.gather(*tasks, superseded, return_exceptions=True)

    async def _pump_uplink(self) -> int:
        """Take messages from the browser. Return the close code."""
        rate, clock = self._session.settings.limits.max_messages_per_second, self._session.clock
        bucket = TokenBucket(rate, rate * BURST_S, clock())
        while True:
            message = await self._websocket.receive()
            if (wait_s := bucket.take(clock())) > 0:  # for control messages; audio never comes that fast
                await asyncio.sleep(wait_s)
            if message["type"] == "websocket.disconnect":
                return CLOSE_NORMAL if message.get("code") in INTENTIONAL_CLOSE_CODES else CLOSE_TRY_AGAIN_LATER
            audio, text = message.get("bytes"), message.get("text")
            try:
                if audio is not None:
                    self._flow_control.on_audio(audio, clock())
                    self._handler.push_audio(audio)
                elif text is not None:
                    self._flow_control.on_control(text)
                    self._ack_received.set()
            except ProtocolViolation as violation:
                log.warning("audio socket: invalid message, closing code=%d", violation.close_code)
                return violation.close_code

    async def _pump_downlink(self) -> int:
        """Send frames to the browser at the pace of the call. Return the close code."""
        while True:
            while not self._flow_control.can_send:  # frames that the browser does not take stay unplayed
                with self._stall_watchdog:
                    self._ack_received.clear()
                    await self._ack_received.wait()
            output = await self._handler.next_output(self._lease)
            if isinstance(output, CloseStream):
                await self._send({"type": "websocket.send", "text": ENDED_MESSAGE})
                return CLOSE_NORMAL
            if isinstance(output, AdditionalOutputs):
                self._ticket.publish(output.args[0])
            elif output is not None:
                self._flow_control.on_frame_sent()
                if not await self._send({"type": "websocket.send", "bytes": output[1].astype("<i2").tobytes()}):
                    return CLOSE_TRY_AGAIN_LATER
            if self._handler.stream_state is StreamState.OPEN and not self._session.is_active:
                return CLOSE_NORMAL  # the visitor has hung up on the page, which closes the socket as well

    async def _watch_stall(self) -> int:
        """Wait until the browser has taken nothing for too long. Return the close code."""
        await self._stall_watchdog.wait_stalled(STALL_TIMEOUT_S)
        return CLOSE_TRY_AGAIN_LATER

    async def _send(self, message: dict[str, object]) -> bool:
        """Return False if the socket has closed."""
        try:
            with self._stall_watchdog:
                await self._websocket.send(message)
        except (RuntimeError, WebSocketDisconnect):  # RuntimeError: uvicorn has closed it by itself
            return False
        return True
