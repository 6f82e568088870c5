"""Hostile offers: what happens to calls while a visitor sends the offers that cost the most.

    python -m benchmarks.hostile_offers [--quick] [--json]

The app runs alone on one core with a dozen WebRTC calls, as in `benchmarks.load`. One window is quiet. In the next ones
a visitor sends 20 offers a second to the page's calls and to the UDP check; half of them are the worst that the limits
accept, the others are refused. Exits with 1 unless most windows with offers were intact and both kinds were answered.

    lag        lateness of the app's event loop, 99th percentile
    late       lateness of the frames that the callers get, 99th percentile and most
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Any

import httpx

from benchmarks.load import QUICK_CALLS, SETTLE_S, LoadBench, LoadKind, choose_cores, print_progress
from benchmarks.support.gradio_page import GradioPage, fetch_config
from benchmarks.support.load_window import WindowVerdict
from benchmarks.support.probed_process import disable_gc, pin_to_core
from tests.support.webrtc import hostile_offers
from voicechat.security.sdp_limits import OfferTooLarge, check_sdp_limits

WINDOWS, QUICK_WINDOWS = 3, 1
"""Windows with hostile offers; another process of the computer may break one of three."""
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
            [
                hostile_offers.combined(_fits, build),
                hostile_offers.codecs_times_feedback(REFUSED_CHARS, build),
                hostile_offers.endless("sources", REFUSED_CHARS, build),
            ]
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


async def measure(windows: int) -> dict[str, Any]:
    """Return the quiet window, those with offers, the answers by HTTP status, and whether the calls went on whole."""
    cores = choose_cores()
    pin_to_core(cores[1])
    disable_gc()
    with ExitStack() as stack:
        bench = LoadBench(LoadKind.WEBRTC, cores, stack)
        await bench.set_call_count(QUICK_CALLS[LoadKind.WEBRTC])
        await asyncio.sleep(SETTLE_S)
        quiet = await bench.measure_window()
        print_progress(LoadKind.WEBRTC, quiet)
        hostile = []
        async with hostile_visitor(bench.url) as visitor:
            for _ in range(windows):
                await asyncio.sleep(SETTLE_S)
                hostile.append(await bench.measure_window())
                print_progress(LoadKind.WEBRTC, hostile[-1])
        await bench.set_call_count(0)
    return {
        "offers_per_second": OFFERS_PER_SECOND,
        "answers": {str(status): count for status, count in sorted(visitor.statuses.items())},
        "quiet": asdict(quiet),
        "hostile": [asdict(window) for window in hostile],
        "reached": sum(window.verdict is WindowVerdict.INTACT for window in hostile) > windows // 2
        and all(visitor.statuses[status] for status in (200, 413)),
    }


def format_table(report: dict[str, Any]) -> str:
    """Return the report as a table."""
    lines = [f"{'':16}{'lag p99':>10}{'late p99':>10}{'late max':>10}{'words lost':>12}{'CPU':>8}"]
    windows = [("no offers", report["quiet"])] + [("hostile offers", each) for each in report["hostile"]]
    for name, window in windows:
        lines.append(
            f"{name:16}{window['lag_p99_ms']:>7.0f} ms{window['late_p99_ms']:>7.0f} ms{window['late_max_ms']:>7.0f} ms"
            f"{window['lost_words']:>12}{window['cpu_cores']:>8.2f}"
        )
    answers = ", ".join(f"{count} x {status}" for status, count in report["answers"].items())
    lines.append(f"{report['offers_per_second']:.0f} offers a second; answers: {answers}")
    lines.append(f"{'reached' if report['reached'] else 'MISSED'}: calls go on whole while hostile offers arrive")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile_offers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="one window with offers instead of three: under a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    report = asyncio.run(measure(QUICK_WINDOWS if given.quick else WINDOWS))
    print(json.dumps(report, indent=1) if given.json else format_table(report))
    sys.exit(0 if report["reached"] else 1)


if __name__ == "__main__":
    main()
