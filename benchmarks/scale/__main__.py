"""Scale: what HAProxy and shared state over Redis cost, and how many calls two replicas hold beside one.

    python -m benchmarks.scale [--quick] [--json] [--only round_trips|page_events|shared_state|calls]

The system's HAProxy and Redis run with the project's configuration. What is compared runs in turns in the same run.

    round trips   50 events a second each way at `/realtime-voice` of a replica, directly and through HAProxy
    page events   from a press on a page to the streamed answer, directly and through HAProxy
    shared state  from the request for a slot to the slot; booking an amount; exchange of sums with Redis, once a second
    calls         WebRTC calls until the sound breaks, at one and at two replicas behind HAProxy. Callers, the Realtime
                  server and HAProxy share the computer with the replicas, and their part is shown.
    model         calculated from these: the share of Redis and HAProxy that many calls would take
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import asdict
from typing import Any

from benchmarks.support.local_machine import OtherProcessesCpu

from .calls import measure_calls
from .model import CALLS, MeasuredCosts, calls_per_redis, model_row
from .page_events import measure_page_events
from .report import format_report
from .round_trips import measure_round_trips
from .shared_state import measure_shared_state

PARTS = ("round_trips", "page_events", "shared_state", "calls")
ROUNDS = 5
"""Rounds of a full run; a quick one has one."""
CALL_ROUNDS = 2
"""Ramps of each number of replicas in a full run."""
ROUND_S, QUICK_ROUND_S = 6.0, 3.0
"""Seconds of one round of round trips."""


async def measure(parts: list[str], *, quick: bool) -> dict[str, Any]:
    """Measure the chosen parts, one after the other."""
    began, all_programs = time.monotonic(), OtherProcessesCpu([])
    rounds = 1 if quick else ROUNDS
    report: dict[str, Any] = {"quick": quick, "rounds": rounds, "computer_cores": os.cpu_count()}
    if "round_trips" in parts:
        rows = await measure_round_trips(rounds, QUICK_ROUND_S if quick else ROUND_S, quick=quick)
        report["round_trips"] = [asdict(row) for row in rows]
    if "page_events" in parts:
        report["page_events"] = asdict(await measure_page_events(rounds, quick=quick))
    if "shared_state" in parts:
        report["shared_state"] = [asdict(row) for row in await measure_shared_state(rounds, quick=quick)]
    if "calls" in parts:
        report["calls"] = await measure_calls(CALL_ROUNDS, quick=quick)
    if "round_trips" in report and "shared_state" in report:
        costs = MeasuredCosts.from_rows(report["shared_state"], report["round_trips"])
        rows = [{**asdict(row), "redis_share": row.redis_share} for row in (model_row(calls, costs) for calls in CALLS)]
        report["model"] = {"costs": asdict(costs), "calls_per_redis": calls_per_redis(costs), "rows": rows}
    report["seconds"] = round(time.monotonic() - began, 1)
    busy = all_programs.busy_cores()
    report["all_programs_cores"] = None if busy is None else round(busy, 2)
    return report


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round of each part: under a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only")
    given = parser.parse_args()
    report = asyncio.run(measure([part for part in PARTS if part in (given.only or PARTS)], quick=given.quick))
    print(json.dumps(report, indent=1) if given.json else format_report(report))


if __name__ == "__main__":
    main()
