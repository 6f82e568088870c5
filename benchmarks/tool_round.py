"""Tool round: time that a tool adds to a call's turn, beside the tool's own time.

    python -m benchmarks.tool_round [--quick] [--json]

A call runs in this process against a scripted Realtime server that answers at once. Turns with a tool and turns without
one take turns in one run.

    request   from the end of the tool to `response.create` at the server
    plain     from a typed message to the first sound, without a tool
    tool      the same with a tool that takes 100 ms, without these 100 ms
    added     tool - plain, per pair
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at, running_call
from tests.support.tools.scripted_tool import ScriptedTool, running_tools
from tests.support.tools.tool_events import calling_response
from voicechat.conversation.conversation import Bubble
from voicechat.tools.definition import ToolContext, ToolResult
from voicechat.turn_taking.snapshot import CallStage

TOOL_S = 0.1
"""Seconds that the tool takes."""
PAIRS, QUICK_PAIRS = 40, 10
TARGET_REQUEST_MS, TARGET_ADDED_MS = 50.0, 150.0
"""Milliseconds, goals for the medians."""
CALL_PAIRS = 8
"""Pairs in one call: a call may not use a tool more often in so short a time."""
REPLY_MS = 200
"""Milliseconds of sound in a reply."""
SOUND_LEVEL = 50
"""Sample value (int16) from which on a frame has sound."""
QUIET_FRAMES = 5
"""Frames of 20 ms without sound before a turn."""


class TimedTool(ScriptedTool):
    """Tool that takes `TOOL_S` and notes when it has ended."""

    ended_at = 0.0

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        await asyncio.sleep(TOOL_S)
        self.ended_at = time.perf_counter()
        return ToolResult("42")


class ToolRoundBench:
    """One call whose turns are measured."""

    def __init__(self, server: ScriptedRealtimeServer, page: FakeRtcPage, tool: TimedTool) -> None:
        self.request_ms: list[float] = []
        self._server, self._page, self._tool = server, page, tool
        self._turns = self._requests = 0

    async def measure_turn_ms(self, *, with_tool: bool) -> float:
        """Return the ms from a typed message to the first sound of the reply, less the tool's own time."""
        self._turns += 1
        turn = self._turns
        await self._page.wait_until(lambda: not any(map(_has_sound, self._page.frames[-QUIET_FRAMES:])))
        frames = len(self._page.frames)
        began_at = time.perf_counter()
        self._page.session.send_text("Look")
        await self._await_request()
        if with_tool:
            await self._server.send(calling_response(f"c{turn}", [(f"call{turn}", "look", {"at": str(turn)})]))
            await self._await_request()
            self.request_ms.append((time.perf_counter() - self._tool.ended_at) * 1000)
        await self._server.send(server_events.complete_response(f"r{turn}", f"a{turn}", "It is so.", REPLY_MS))
        await self._page.wait_until(lambda: any(map(_has_sound, self._page.frames[frames:])))
        took_ms = (time.perf_counter() - began_at - TOOL_S * with_tool) * 1000
        await self._page.wait_for_snapshot(
            lambda snapshot: snapshot.stage is CallStage.LISTENING and self._heard_replies(snapshot.bubbles) == turn
        )
        return took_ms

    async def _await_request(self) -> None:
        self._requests += 1
        await self._server.wait_for("response.create", self._requests)

    @staticmethod
    def _heard_replies(bubbles: Sequence[Bubble]) -> int:
        return sum(bubble.role == "assistant" and not bubble.unheard for bubble in bubbles)


def _has_sound(frame: NDArray[np.int16]) -> bool:
    return bool(np.abs(frame.astype(int)).max() > SOUND_LEVEL)


async def measure(pairs: int) -> dict[str, Any]:
    """Return the results of this number of pairs of turns."""
    request, plain, used = list[float](), list[float](), list[float]()
    while len(used) < pairs:
        of_call = await measure_call(min(CALL_PAIRS, pairs - len(used)))
        for values, more in zip((request, plain, used), of_call, strict=True):
            values.extend(more)
    added = [one - other for one, other in zip(used, plain, strict=True)]
    figures = {"request_ms": request, "plain_ms": plain, "tool_ms": used, "added_ms": added}
    return {"pairs": pairs, **{name: spread(values) for name, values in figures.items()}}


async def measure_call(pairs: int) -> tuple[list[float], list[float], list[float]]:
    """Return the ms of requests, turns without a tool and turns with one, in one call. Its first pair warms up."""
    server, tool = ScriptedRealtimeServer(), TimedTool("look")
    plain, used = list[float](), list[float]()
    with running_tools(tool) as tools:
        async with running_server(server.handle_connection) as url, running_call(endpoint_at(url), tools=tools) as page:
            await page.wait_for_stage(CallStage.LISTENING)
            bench = ToolRoundBench(server, page, tool)
            for number in range(pairs + 1):
                for with_tool in (False, True) if number % 2 else (True, False):
                    took = await bench.measure_turn_ms(with_tool=with_tool)
                    (used if with_tool else plain).append(took)
    return bench.request_ms[1:], plain[1:], used[1:]


def spread(values: list[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 1) for name, value in found.items()}


def print_table(results: dict[str, Any]) -> None:
    """Print the results for people."""
    print(f"{results['pairs']} pairs of turns, ms      median      min      max   goal")
    for name, goal in (("request", TARGET_REQUEST_MS), ("plain", 0.0), ("tool", 0.0), ("added", TARGET_ADDED_MS)):
        each = results[f"{name}_ms"]
        wanted = f"{goal:7.0f}" if goal else ""
        print(f"{name:22} {each['median']:10.1f} {each['min']:8.1f} {each['max']:8.1f}{wanted}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PAIRS} pairs of turns")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    results = asyncio.run(measure(QUICK_PAIRS if options.quick else PAIRS))
    if options.json:
        print(json.dumps(results))
    else:
        print_table(results)


if __name__ == "__main__":
    main()
