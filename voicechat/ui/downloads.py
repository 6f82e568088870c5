"""Downloads: files that one visitor may fetch once. No file is written to a served folder.

The page gets a random ticket of 256 bits, and the browser fetches the file with it. A ticket is valid once and for one
minute. The file is generated during the download, from the visitor's session at that moment.
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
"""Path below which the tickets are redeemed."""
ROUTE_RULES = (RouteRule("GET", path_with_token(PATH), RouteAccess.ASSET, is_single_use=True),)
TICKET_LIFETIME_S = 60.0
"""Seconds a ticket is valid."""
MAX_TICKETS = 256
"""Unused tickets; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class Download:
    """File to be fetched with one ticket."""

    name: str
    """File name, ASCII."""
    media_type: str
    body: Callable[[], Iterable[bytes]]
    """Returns the content in pieces. Called in the event loop; the pieces are read in another thread."""


class Downloads:
    """Registry of the tickets of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tickets: OrderedDict[str, tuple[float, Download]] = OrderedDict()

    def create_url(self, download: Download) -> str:
        """Return the URL of a new ticket, relative to the page."""
        self._expire_tickets()
        while len(self._tickets) >= MAX_TICKETS:
            self._tickets.popitem(last=False)
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = self._clock() + TICKET_LIFETIME_S, download
        return f"{PATH[1:]}/{ticket}"

    def redeem(self, ticket: str) -> Download | None:
        """Return the file of a ticket and invalidate the ticket; None for an invalid one."""
        self._expire_tickets()
        _, download = self._tickets.pop(ticket, (0.0, None))
        return download

    def _expire_tickets(self) -> None:
        now = self._clock()
        while self._tickets and next(iter(self._tickets.values()))[0] <= now:
            self._tickets.popitem(last=False)

    def add_to(self, router: APIRouter) -> None:
        """Add the download route. It is internal to the page, so the API schema does not list it."""
        router.add_route(f"{PATH}/{{ticket}}", self._serve, methods=["GET"], include_in_schema=False)

    async def _serve(self, request: Request) -> Response:
        if request.method == "HEAD":  # a HEAD request must not use up the ticket
            return Response(status_code=405, headers={"Allow": "GET"})
        download = self.redeem(request.path_params["ticket"])
        if download is None:
            return PlainTextResponse("This link has expired or was already used.", status_code=404)
        headers = {
            "Content-Disposition": f'attachment; filename="{download.name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(download.body(), media_type=download.media_type, headers=headers)
