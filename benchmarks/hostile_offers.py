"""Hostile offers: what happens to calls while a visitor sends the offers that cost the most.

    python -m benchmarks.hostile_offers [--json]

The app runs alone on one core with a dozen WebRTC calls, as in `benchmarks.load`. One window is quiet. In the next ones
a visitor sends 20 offers a second to the page's calls and to the UDP check; half of them are the worst that the limits
accept, the others are refused. Exits with 1 when no window with offers was intact.

    lag        lateness of the app's event loop, 99th percentile
    late       lateness of the frames that the callers get, 99th percentile and most
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from benchmarks.load import QUICK_CALLS, SETTLE_S, LoadBench, LoadKind, choose_cores, print_progress
from benchmarks.support.hostile_visitor import OFFERS_PER_SECOND, hostile_visitor
from benchmarks.support.load_window import WindowVerdict
from benchmarks.support.probed_process import disable_gc, pin_to_core

WINDOWS = 3
"""Windows with hostile offers; another process of the computer may break one of them."""


async def measure() -> dict[str, Any]:
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
            for _ in range(WINDOWS):
                await asyncio.sleep(SETTLE_S)
                hostile.append(await bench.measure_window())
                print_progress(LoadKind.WEBRTC, hostile[-1])
        await bench.set_call_count(0)
    return {
        "offers_per_second": OFFERS_PER_SECOND,
        "answers": {str(status): count for status, count in sorted(visitor.statuses.items())},
        "quiet": asdict(quiet),
        "hostile": [asdict(window) for window in hostile],
        "reached": any(window.verdict is WindowVerdict.INTACT for window in hostile),
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
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    report = asyncio.run(measure())
    print(json.dumps(report, indent=1) if given.json else format_table(report))
    sys.exit(0 if report["reached"] else 1)


if __name__ == "__main__":
    main()
