"""Files that one visitor fetches once: nothing is written to a folder that is served.

The page asks for a ticket, 256 bits that nobody guesses, and its browser fetches the file with it. A ticket counts once
and for a minute. The file is made while it is fetched, from what the visitor's session holds at that moment.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from voicechat.security.route_access import RouteAccess, RouteRule, path_with_token

PATH = "/voice-export"
ROUTE_RULES = (RouteRule("GET", path_with_token(PATH), RouteAccess.ASSET),)
TICKET_LIFETIME_S = 60.0
MAX_TICKETS = 256
"""Tickets not yet used; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file."""

    name: str
    """ASCII."""
    media_type: str
    body: Callable[[], Iterable[bytes]]
    """Its content, piece by piece. Called in the event loop when the file is fetched, and read in another thread."""


class Downloads:
    """The tickets of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tickets: OrderedDict[str, tuple[float, Download]] = OrderedDict()

    def create_url(self, download: Download) -> str:
        """Returns where to fetch it, relative to the page."""
        self._expire_tickets()
        while len(self._tickets) >= MAX_TICKETS:
            self._tickets.popitem(last=False)
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = self._clock() + TICKET_LIFETIME_S, download
        return f"{PATH[1:]}/{ticket}"

    def redeem(self, ticket: str) -> Download | None:
        """The file of a ticket, which is worth nothing from then on."""
        self._expire_tickets()
        _, download = self._tickets.pop(ticket, (0.0, None))
        return download

    def _expire_tickets(self) -> None:
        now = self._clock()
        while self._tickets and next(iter(self._tickets.values()))[0] <= now:
            self._tickets.popitem(last=False)

    def add_to(self, router: APIRouter) -> None:
        """Serve the files. The route is for the page alone, and is in no list of routes."""
        router.add_route(f"{PATH}/{{ticket}}", self._serve, methods=["GET"], include_in_schema=False)

    async def _serve(self, request: Request) -> Response:
        if request.method == "HEAD":  # whoever only looks must not use the ticket up
            return Response(status_code=405, headers={"Allow": "GET"})
        download = self.redeem(request.path_params["ticket"])
        if download is None:
            return PlainTextResponse("This link has been used, or is too old.", status_code=404)
        headers = {
            "Content-Disposition": f'attachment; filename="{download.name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(download.body(), media_type=download.media_type, headers=headers)
