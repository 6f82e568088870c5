"""Page: time until the call button can be pressed, what a visit transfers, and the delay of captions.

    python -m benchmarks.page [--quick] [--json] [--against COMMIT]

The app runs against a scripted Realtime server, and headless Chromium visits it. With `--against`, another commit of
this repository runs beside it, from a temporary folder with the same packages; the visits and calls of both alternate.

    pressable   from the start of the navigation until a click would reach the green call button, while the status says
                that the app is ready; no cache, no cookie
    mobile      the same over an emulated network with 150 ms round trips and 1.6 Mbit/s
    bytes       all responses with their headers, as the network carries them, until the page is quiet
    main CPU    CPU time of the page's main thread, until the page is quiet or for each word of a caption
    caption     from a text delta leaving the Realtime server until a frame of the page shows the word; 20 deltas a
                second, with their sound, below 2 and below 100 earlier messages
    stream      bytes that the page receives for each word of a caption

Ratios are this checkout / the other commit in neighbouring runs: median, minimum and maximum.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.support.local_machine import (
    NO_SERVER_SETTINGS,
    ROOT,
    OtherProcessesCpu,
    free_port,
    listening_process,
)
from benchmarks.support.page.captions import CaptionDelays, measure_captions
from benchmarks.support.page.checkouts import describe_commit, extracted_commit
from benchmarks.support.page.page_load import LOCAL, MOBILE, NetworkSpeed, PageLoad, measure_page_load
from tests.support.browser.chromium import launch_chromium
from tests.support.realtime.scripted.scripted_call_server import ScriptedCallServer

DELTAS_PER_S = 20.0
FEW_BUBBLES, MANY_BUBBLES = 2, 100
MAX_CAPTION_P95_MS = 150.0
"""Milliseconds, goal: 95th percentile of captions below 100 messages."""
MAX_STREAM_GROWTH = 1.2
"""Goal: bytes of a word below 100 messages / below 2."""
MAX_RATIO = 1.0
"""Goal: bytes, and median time until the button can be pressed, compared with the other commit."""
NOISE = 1.05
"""Times that differ by less than 5 % count as equal."""


@dataclass
class RunningPage:
    """A checkout's app, served, and what was measured of it."""

    name: str
    url: str
    server: ScriptedCallServer
    loads: dict[str, list[PageLoad]]
    captions: list[CaptionDelays]


@contextmanager
def serve_page(name: str, folder: Path) -> Iterator[RunningPage]:
    """Serve the app of a checkout until the block ends."""
    server, port = ScriptedCallServer(), free_port()
    with server.running():
        address = {"HOST": "127.0.0.1", "PORT": str(port), "REALTIME_URL": server.url}
        environment = {**NO_SERVER_SETTINGS, **address}
        with listening_process(port, "app.py", quiet=True, folder=folder, **environment):
            yield RunningPage(name, f"http://127.0.0.1:{port}", server, {}, [])


# ---------------------------------------------------------------- measuring


def measure_loads(browser: Browser, pages: Sequence[RunningPage], network: NetworkSpeed, runs: int) -> None:
    """Load each page `runs` times, in turns."""
    for number in range(runs):
        for page in pages if number % 2 == 0 else reversed(pages):
            page.loads.setdefault(network.name, []).append(measure_page_load(browser, page.url, network))


def measure_calls(browser: Browser, pages: Sequence[RunningPage], calls: int, replies: int) -> None:
    """Measure the captions of `calls` calls to each page below few and below many messages, in turns."""
    for _ in range(calls):
        for bubbles in (FEW_BUBBLES, MANY_BUBBLES):
            for page in pages:
                found = measure_captions(browser, page.url, page.server, bubbles, replies, DELTAS_PER_S)
                page.captions.append(found)


# ---------------------------------------------------------------- results


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize_loads(loads: Sequence[PageLoad]) -> dict[str, Any]:
    """Return the figures of one page over one network."""
    return {
        "runs": len(loads),
        "pressable_ms": spread([one.pressable_ms for one in loads]),
        "bytes": spread([one.transferred_bytes for one in loads]),
        "document_bytes": spread([one.document_bytes for one in loads]),
        "requests": spread([one.requests for one in loads]),
        "main_thread_ms": spread([one.main_thread_ms for one in loads]),
    }


def summarize_captions(calls: Sequence[CaptionDelays]) -> dict[str, Any]:
    """Return the figures of calls with the same number of messages."""
    delays = [delay for call in calls for delay in call.delays_ms]
    return {
        "words": len(delays),
        "caption_p50_ms": float(np.percentile(delays, 50)),
        "caption_p95_ms": float(np.percentile(delays, 95)),
        "stream_bytes_per_word": statistics.median(call.bytes_per_word for call in calls),
        "main_thread_ms_per_word": statistics.median(call.main_thread_ms_per_word for call in calls),
    }


def summarize_page(page: RunningPage) -> dict[str, Any]:
    """Return all figures of one checkout."""
    captions = {
        str(bubbles): summarize_captions([one for one in page.captions if one.bubbles == bubbles])
        for bubbles in (FEW_BUBBLES, MANY_BUBBLES)
    }
    return {"loads": {name: summarize_loads(loads) for name, loads in page.loads.items()}, "captions": captions}


def compare(ours: RunningPage, other: RunningPage) -> dict[str, Any]:
    """Return the ratios of neighbouring runs, this checkout / the other commit."""
    figures: dict[str, Callable[[PageLoad], float]] = {
        "pressable": lambda one: one.pressable_ms,
        "bytes": lambda one: one.transferred_bytes,
        "requests": lambda one: one.requests,
        "main_thread": lambda one: one.main_thread_ms,
    }
    return {
        network: {
            name: spread([value(a) / value(b) for a, b in zip(loads, other.loads[network], strict=True)])
            for name, value in figures.items()
        }
        for network, loads in ours.loads.items()
    }


def run_benchmark(against: str | None, *, quick: bool) -> dict[str, Any]:
    """Measure this checkout, and the commit `against` beside it."""
    runs, mobile_runs, calls, replies = (3, 0, 1, 1) if quick else (15, 5, 3, 4)
    others = OtherProcessesCpu([os.getpid()])
    report: dict[str, Any] = {}
    with ExitStack() as stack:
        pages = [stack.enter_context(serve_page("this checkout", ROOT))]
        if against is not None:
            name = describe_commit(against)
            pages.append(stack.enter_context(serve_page(name, stack.enter_context(extracted_commit(against)))))
        browser = launch_chromium(stack.enter_context(sync_playwright()))
        for page in pages:
            measure_page_load(browser, page.url, LOCAL)  # the first visit fills the server's own caches
        measure_loads(browser, pages, LOCAL, runs)
        measure_loads(browser, pages, MOBILE, mobile_runs)
        measure_calls(browser, pages, calls, replies)
        browser.close()
        report["pages"] = {page.name: summarize_page(page) for page in pages}
        report["ratios"] = compare(*pages) if against is not None else None
    report["all_programs_cores"] = others.busy_cores()
    report["load_average"] = os.getloadavg()[0]
    return report


def goals(report: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return each goal, and whether it is reached."""
    captions = report["pages"]["this checkout"]["captions"]
    few, many = captions[str(FEW_BUBBLES)], captions[str(MANY_BUBBLES)]
    found = [
        (
            f"captions below {MANY_BUBBLES} messages, p95 <= {MAX_CAPTION_P95_MS:.0f} ms",
            many["caption_p95_ms"] <= MAX_CAPTION_P95_MS,
        ),
        (
            "bytes of a word do not grow with the conversation",
            many["stream_bytes_per_word"] <= MAX_STREAM_GROWTH * few["stream_bytes_per_word"],
        ),
    ]
    for network, ratios in (report["ratios"] or {}).items():
        found += [
            (f"pressable, {network}: no later", ratios["pressable"]["median"] <= MAX_RATIO * NOISE),
            (f"bytes, {network}: no more", ratios["bytes"]["median"] <= MAX_RATIO),
        ]
    return found


def _print_table(report: dict[str, Any]) -> None:
    titles = "network", "pressable", "(range)", "kB", "document", "requests", "main CPU"
    print(f"{'':16}" + "".join(f"{title:>{13 if title == '(range)' else 10}}" for title in titles))
    for name, page in report["pages"].items():
        for network, row in page["loads"].items():
            time_ms = row["pressable_ms"]
            shown_range = f"{time_ms['min']:.0f}-{time_ms['max']:.0f}"
            kilobytes = [f"{row[each]['median'] / 1000:>10.0f}" for each in ("bytes", "document_bytes")]
            print(f"{name:16}{network:>10}{time_ms['median']:>7.0f} ms{shown_range:>13}{''.join(kilobytes)}", end="")
            print(f"{row['requests']['median']:>10.0f}{row['main_thread_ms']['median']:>7.0f} ms")
    for network, ratios in (report["ratios"] or {}).items():
        shown = (f"{name} {each['median']:.2f} ({each['min']:.2f}-{each['max']:.2f})" for name, each in ratios.items())
        print(f"ratio, {network}: {'  '.join(shown)}")
    print(f"\n{'':16}{'messages':>10}{'words':>8}{'caption p50':>13}{'p95':>8}{'stream':>16}{'main CPU':>16}")
    for name, page in report["pages"].items():
        for bubbles, row in page["captions"].items():
            print(f"{name:16}{bubbles:>10}{row['words']:>8}", end="")
            print(f"{row['caption_p50_ms']:>10.0f} ms{row['caption_p95_ms']:>5.0f} ms", end="")
            print(f"{row['stream_bytes_per_word']:>9.0f} B/word{row['main_thread_ms_per_word']:>8.1f} ms/word")
    cores = report["all_programs_cores"]
    print(f"\nall programs: {'-' if cores is None else f'{cores:.1f}'} cores", end="")
    print(f", load average {report['load_average']:.1f}")
    for goal, is_reached in goals(report):
        print(f"{'reached' if is_reached else 'MISSED'}: {goal}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few runs, without the mobile network: under a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--against", metavar="COMMIT", help="another commit, measured in turns with this checkout")
    options = parser.parse_args()
    report = run_benchmark(options.against, quick=options.quick)
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        _print_table(report)


if __name__ == "__main__":
    main()
