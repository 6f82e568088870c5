"""The WebSocket endpoints for programs: who comes in, and what each of them is served (`relay_session`)."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from realtime.accounts import Account, Accounts
from realtime.allowance import Stay
from realtime.failures import Failure
from realtime.places import Kind, Limits, Places, needs_session
from realtime.session import Mode
from realtime.settings import Endpoint, Settings

from .relay_client import Client, Seat, wishes
from .relay_failures import REFUSALS, VISITOR_DAY, word
from .relay_session import Session
from .who import visitor_key

log = logging.getLogger(__name__)

EndpointSource = Callable[[], Endpoint | Failure]


class Relay:
    """All clients of our sockets."""

    def __init__(
        self,
        settings: Settings,
        endpoint: EndpointSource,
        accounts: Accounts | None = None,
        places: Places | None = None,
    ) -> None:
        """`endpoint`: where the server is now, or why there is none."""
        self._settings = settings
        self._accounts = accounts or Accounts()
        self._places = places or Places(Limits.of(settings))
        self._endpoint = endpoint
        self._live: Counter[Mode] = Counter()

    def live(self, mode: Mode) -> int:
        """Clients connected now."""
        return self._live[mode]

    async def serve(self, websocket: WebSocket, mode: Mode) -> None:
        """One client, from its request to its end."""
        wanted = wishes(websocket)
        websocket.scope["query_string"] = b""  # the server logs the address that it accepts: there may be a key in it
        client = Client(websocket, wanted.dialect)
        endpoint = self._endpoint()
        with suppress(WebSocketDisconnect), self._seat(mode, visitor_key(websocket), endpoint) as seat:
            await websocket.accept(wanted.subprotocol)
            if seat.place.refusal is not None:
                log.info("A program was turned away: %d are connected.", self._live.total())
                last = REFUSALS[seat.place.refusal]
                await client.leave(last.farewell, last)
                return
            if mode is Mode.VOICE and self._accounts.allowance.over(seat.place.visitor):
                await client.leave(VISITOR_DAY.farewell, VISITOR_DAY)
                return
            if not isinstance(endpoint, Endpoint):
                await client.leave(word(endpoint).farewell, word(endpoint))
                return
            account = Account(self._accounts, self._settings, mode)
            account.open()
            try:
                seat.stay = Stay(self._accounts.allowance, seat.place.visitor, time.monotonic())
                await Session(client, endpoint, self._settings, mode, wanted.model, account, seat).run()
            finally:
                account.close("hung_up")

    @contextmanager
    def _seat(self, mode: Mode, visitor: str, endpoint: Endpoint | Failure) -> Iterator[Seat]:
        """One of the places there are, given back however it ends; or none, and `place.refusal` says why."""
        seat = Seat()
        seat.place = self._places.enter(seat, Kind.PROGRAM, visitor, session=needs_session(endpoint))
        counted = seat.place.refusal is None
        self._live[mode] += counted
        try:
            yield seat
        finally:
            self._live[mode] -= counted
            seat.place.leave()
