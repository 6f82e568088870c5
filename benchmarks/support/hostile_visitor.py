"""Hostile visitor: sends the offers that cost the most, and offers that are refused, at a rate."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.support.webrtc import hostile_offers
from voicechat.security.sdp_limits import OfferTooLarge, check_sdp_limits

from .gradio_page import GradioPage, fetch_config

OFFERS_PER_SECOND = 20.0
"""Offers to the page's calls and to the UDP check, in turns; half of them are within the limits."""
REFUSED_CHARS = 25_000
"""Characters of an offer that is refused. The request is within its limit of bytes."""


def _fits(sdp: str) -> bool:
    try:
        check_sdp_limits(sdp)
    except OfferTooLarge:
        return False
    return True


class HostileVisitor:
    """Sender of the offers. Each offer comes from a new visitor of the same address."""

    def __init__(self, page: GradioPage) -> None:
        self._url = page.url
        self._component = page.component(type="webrtc")
        self.statuses: Counter[int] = Counter()
        """Number of answers by HTTP status; 0 for no answer."""
        self.call_offers, self.check_offers = (
            [hostile_offers.combined(_fits, build)]
            + [hostile_offers.endless(kind, REFUSED_CHARS, build) for kind in ("sources", "codecs")]
            for build in (hostile_offers.call_offer, hostile_offers.check_offer)
        )
        """The worst offer within the limits, and some beyond them."""

    async def run(self) -> None:
        """Send offers until cancelled."""
        async with httpx.AsyncClient(timeout=30) as client, asyncio.TaskGroup() as requests:
            for number in itertools.count():
                worst, *refused = self.check_offers if number % 2 else self.call_offers
                offer = worst if number % 4 < 2 else refused[number // 4 % len(refused)]
                requests.create_task(self._send(client, number, offer))
                await asyncio.sleep(1 / OFFERS_PER_SECOND)

    async def _send(self, client: httpx.AsyncClient, number: int, sdp: str) -> None:
        offer = {"type": "offer", "sdp": sdp}
        path, body = "/udp-check", json.dumps(offer)
        if number % 2 == 0:
            session = f"hostile{number}"
            call = {"component_id": self._component, "fn_name": "offer", "session_hash": session}
            path, body = (
                "/gradio_api/component_server/",
                json.dumps({**call, "data": {**offer, "webrtc_id": session}}),
            )
        headers = {"Content-Type": "application/json", "Cookie": f"voice_visitor=hostile-{number}"}
        try:
            answer = await client.post(self._url + path, content=body, headers=headers)
            self.statuses[answer.status_code] += 1
        except httpx.HTTPError:
            self.statuses[0] += 1


@asynccontextmanager
async def hostile_visitor(url: str) -> AsyncIterator[HostileVisitor]:
    """Send offers to the app at `url` until the block ends."""
    visitor = HostileVisitor(GradioPage(url, await fetch_config(url)))
    task = asyncio.create_task(visitor.run())
    try:
        yield visitor
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
