"""Events of a page, from the press to the answer that Gradio streams, directly at a replica and through HAProxy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.proxy import median_and_range
from benchmarks.support.gradio_page import GradioPage, fetch_config
from benchmarks.support.local_machine import free_port, listening_process

from .servers import running_haproxy

EVENTS, QUICK_EVENTS = 40, 20
"""Events of one round, one after the other."""
WARM_UP = 3
"""First events of a page that are not counted."""


@dataclass(frozen=True, slots=True)
class PageEventRow:
    """Results: medians of the rounds, some with minimum and maximum."""

    direct_ms: tuple[float, float]
    """Median and 95th percentile at the replica."""
    haproxy_ms: tuple[float, float]
    """The same through HAProxy."""
    added_median_ms: tuple[float, float, float]
    """Median, minimum and maximum of the rounds."""
    added_p95_ms: tuple[float, float, float]


def make_row(direct: Sequence[Sequence[float]], through: Sequence[Sequence[float]]) -> PageEventRow:
    """Return the results of rounds that alternated: each one is the times of its events in ms."""
    pairs = [(_median_and_p95(a), _median_and_p95(b)) for a, b in zip(direct, through, strict=True)]

    def middle(way: int) -> tuple[float, float]:
        median, p95 = (round(statistics.median(pair[way][value] for pair in pairs), 3) for value in (0, 1))
        return median, p95

    added = [median_and_range([b[value] - a[value] for a, b in pairs]) for value in (0, 1)]
    return PageEventRow(middle(0), middle(1), *added)


def _median_and_p95(times: Sequence[float]) -> tuple[float, float]:
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


async def _time_events(url: str, count: int) -> list[float]:
    """Open a page, and return the times of `count` events in ms. The event is one without inputs, outputs or work."""
    page = GradioPage(url, await fetch_config(url))
    await page.open()
    button = page.component(elem_id="events-reopen")
    event = page.event_id(button, "click")
    assert event is not None
    times = []
    try:
        for _ in range(WARM_UP + count):
            began = time.perf_counter()
            await (await page.run_event(event, [], button))
            times.append(1000 * (time.perf_counter() - began))
    finally:
        await page.close()
    return times[WARM_UP:]


async def measure_page_events(rounds: int, *, quick: bool) -> PageEventRow:
    """Run a replica behind HAProxy, and measure `rounds` each way."""
    port = free_port()
    environment = {"REALTIME_URL": "ws://127.0.0.1:9/v1/realtime", "OPENAI_API_KEY": "", "REDIS_URL": ""}
    replica = listening_process(port, "app.py", quiet=True, PORT=str(port), **environment)
    found: list[list[list[float]]] = [[], []]
    with replica, running_haproxy([port]) as haproxy:
        urls = [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{haproxy.port}"]
        for number in range(rounds):
            for way in (0, 1) if number % 2 == 0 else (1, 0):  # a drift of the computer meets both
                found[way].append(await _time_events(urls[way], QUICK_EVENTS if quick else EVENTS))
    return make_row(*found)
