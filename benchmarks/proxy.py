"""Gateway for programs: added round-trip time, and CPU time of each connection.

    python -m benchmarks.proxy [--quick] [--json]

Three processes run. A Realtime server answers each 20 ms of audio with 20 ms of audio. The gateway is served by uvicorn
as in production. The clients (this process) each send 50 events a second, in turns directly and through the gateway. A
round trip is the time from a client's event to the server's answer to it.

    added     percentile of the round trips through the gateway minus the same percentile of direct ones, in one round
    CPU       user and system time of the gateway's process in the measured time, for 50 answered events a second each
              way; one core is 100 %
    per core  100 % / that CPU: number of connections that would keep one core busy
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.support.local_machine import OtherProcessesCpu, free_port, listening_process, precise_cpu_s
from voicechat.config.settings import Settings
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.server import uvicorn_options
from voicechat.server.routes import Health, build_router

CONNECTIONS = (1, 10, 50)
"""Numbers of connections that are measured."""
PERIOD_S = 0.02
"""Seconds between two events of a client."""
FRAME_BASE64 = base64.b64encode(random.Random(1).randbytes(960)).decode()
"""20 ms of noise, PCM16 at 24 kHz: 1,280 characters."""
WARM_UP_S = 1.0
"""Seconds before the measurement of a round."""
MAX_ADDED_P95_MS = 3.0
"""Milliseconds, goal: added time at 10 connections, 95th percentile."""
MIN_CONNECTIONS_PER_CORE = 60
"""Goal: connections for each core, with 50 events a second each way."""


# ---------------------------------------------------------------- server and gateway


async def handle_connection(connection: ServerConnection) -> None:
    """Answer each audio event of one connection with one audio event."""
    await connection.send(
        json.dumps({"type": "session.created", "event_id": "event_0", "session": {"type": "realtime"}})
    )
    delta = {"type": "response.output_audio.delta", "response_id": "resp_1", "output_index": 0, "content_index": 0}
    try:
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "session.update":
                answer = {"type": "session.updated", "event_id": "event_1", "session": event["session"]}
            else:
                answer = {**delta, "event_id": event["event_id"], "item_id": "item_1", "delta": event["audio"]}
            await connection.send(json.dumps(answer))
    except ConnectionClosed:
        pass


async def run_upstream(port: int) -> None:
    """Serve as the Realtime server until the process ends."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # the port is probed without a handshake
    async with serve(handle_connection, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


def gateway_app() -> FastAPI:
    """Return the app's routes without its page, as served by uvicorn."""
    settings = Settings.from_env(os.environ)
    uvicorn_options.install()

    async def health() -> Health:
        return Health("ok", settings.server_kind, settings.model, 0, 0, 0.0, "")

    app = FastAPI(openapi_url=None)
    app.include_router(build_router(health, RealtimeGateway(settings, settings.endpoint)))
    return app


# ---------------------------------------------------------------- the clients


@dataclass
class RoundTrips:
    """Round trips of all clients in one round, in ms."""

    ms: list[float] = field(default_factory=list)
    per_second: float = 0.0
    """Answered events, all connections together."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """CPU time of the gateway's process in `seconds`."""

    def percentile(self, share: float) -> float:
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def run_client(connection: ClientConnection, trips: RoundTrips, start: float, seconds: float) -> None:
    """Send an event each 20 ms by the clock from `start` on, and collect the round trips.

    Late answers do not delay the next event.
    """
    sent_at: dict[str, float] = {}
    measured_from = start + WARM_UP_S
    count = int((WARM_UP_S + seconds) / PERIOD_S)

    async def send() -> None:
        for number in range(count):
            await asyncio.sleep(start + number * PERIOD_S - time.perf_counter())
            name = str(number)
            text = f'{{"type":"input_audio_buffer.append","event_id":"{name}","audio":"{FRAME_BASE64}"}}'
            sent_at[name] = time.perf_counter()
            await connection.send(text)

    sending = asyncio.create_task(send())
    for _ in range(count):
        event = json.loads(await connection.recv())
        now, then = time.perf_counter(), sent_at.pop(event["event_id"])
        if then >= measured_from:
            trips.ms.append((now - then) * 1000)
    await sending


async def measure_clients(url: str, connections: int, seconds: float, gateway: psutil.Process) -> RoundTrips:
    """Measure `connections` clients at once. Their events are spread evenly over each 20 ms."""
    trips = RoundTrips()
    async with connected_clients(url, connections) as clients:
        start = time.perf_counter() + 0.1
        offsets = [start + index * PERIOD_S / connections for index in range(connections)]
        running = [
            asyncio.create_task(run_client(client, trips, at, seconds))
            for client, at in zip(clients, offsets, strict=True)
        ]
        await asyncio.sleep(0.1 + WARM_UP_S)
        cpu_before, began = get_cpu_s(gateway), time.perf_counter()
        await asyncio.sleep(seconds - 0.1)
        trips.cpu_s, trips.seconds = get_cpu_s(gateway) - cpu_before, time.perf_counter() - began
        await asyncio.gather(*running)
        trips.per_second = len(trips.ms) / (time.perf_counter() - start - WARM_UP_S)
    return trips


@asynccontextmanager
async def connected_clients(url: str, connections: int) -> AsyncIterator[list[ClientConnection]]:
    """Yield clients that have received `session.created`."""
    clients: list[ClientConnection] = []
    try:
        for _ in range(connections):
            clients.append(await connect(url, compression=None))
            assert json.loads(await clients[-1].recv())["type"] == "session.created"
        yield clients
    finally:
        await asyncio.gather(*(client.close() for client in clients))


def get_cpu_s(process: psutil.Process) -> float:
    """Return the user and system time of a process, in seconds."""
    if Path("/proc/self/schedstat").exists():
        return precise_cpu_s(process.pid)
    times = process.cpu_times()
    return float(times.user + times.system)


# ---------------------------------------------------------------- the result


@dataclass
class ProxyRow:
    """Results for one number of connections: medians of the rounds, some with minimum and maximum."""

    connections: int
    events_per_s: float
    """Each way, all connections together."""
    direct_ms: tuple[float, float]
    """Median and 95th percentile."""
    gateway_ms: tuple[float, float]
    """The same through the gateway."""
    added_median_ms: tuple[float, float, float]
    """Median, minimum, maximum of the rounds."""
    added_p95_ms: tuple[float, float, float]
    cpu_percent_each: tuple[float, float, float]
    """Percent of one core, for each connection."""
    per_core: float


def median_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, minimum and maximum."""
    return round(statistics.median(values), 3), round(min(values), 3), round(max(values), 3)


def make_row(connections: int, direct: list[RoundTrips], proxied: list[RoundTrips]) -> ProxyRow:
    """Return the results for one number of connections; `proxied` are the rounds through the gateway."""
    both = list(zip(direct, proxied, strict=True))
    cpu = [100 * trips.cpu_s / trips.seconds / (trips.per_second * PERIOD_S) for trips in proxied]

    def middle(trips: list[RoundTrips], share: float) -> float:
        return round(statistics.median(one.percentile(share) for one in trips), 3)

    return ProxyRow(
        connections,
        round(statistics.median(trips.per_second for trips in proxied), 1),
        (middle(direct, 0.5), middle(direct, 0.95)),
        (middle(proxied, 0.5), middle(proxied, 0.95)),
        median_and_range([b.percentile(0.5) - a.percentile(0.5) for a, b in both]),
        median_and_range([b.percentile(0.95) - a.percentile(0.95) for a, b in both]),
        median_and_range(cpu),
        round(100 / statistics.median(cpu), 1),
    )


async def run_benchmark(rounds: int, seconds: float) -> dict[str, Any]:
    """Run server and gateway, and measure `rounds` of `seconds` for each number of connections."""
    behind, front = free_port(), free_port()
    direct, through = f"ws://127.0.0.1:{behind}/v1/realtime", f"ws://127.0.0.1:{front}/realtime-voice"
    server = listening_process(behind, "-m", "benchmarks.proxy", "--upstream", str(behind))
    command = ("-m", "uvicorn", "--factory", "benchmarks.proxy:gateway_app", "--log-level", "warning")
    proxy = listening_process(front, *command, "--port", str(front), REALTIME_URL=direct, OPENAI_API_KEY="")
    with server as server_pid, proxy as gateway_pid:
        others = OtherProcessesCpu([server_pid, gateway_pid, os.getpid()])
        gateway = psutil.Process(gateway_pid)
        rows = []
        for connections in CONNECTIONS:
            urls = (direct, through)
            pairs = [[await measure_clients(url, connections, seconds, gateway) for url in urls] for _ in range(rounds)]
            rows.append(make_row(connections, [a for a, _ in pairs], [b for _, b in pairs]))
        busy = others.busy_cores()
    ten = next(row for row in rows if row.connections == 10)
    return {
        "rounds": rounds,
        "seconds": seconds,
        "rows": [asdict(row) for row in rows],
        "other_programs_cores": None if busy is None else round(busy, 2),
        "reached": {
            f"p95 added < {MAX_ADDED_P95_MS} ms at 10 connections": ten.added_p95_ms[0] < MAX_ADDED_P95_MS,
            # The row nearest to a busy core: an idle process also pays for waking up at each event.
            f">= {MIN_CONNECTIONS_PER_CORE} connections per core": rows[-1].per_core >= MIN_CONNECTIONS_PER_CORE,
        },
    }


def format_table(result: dict[str, Any]) -> str:
    """Return the result as a table."""
    lines = [
        f"{result['rounds']} rounds of {result['seconds']} s each; medians (minimum-maximum of the rounds).",
        "connections  events/s   direct p50 p95      gateway p50 p95     added p50            added p95"
        "            CPU each %         per core",
    ]
    for row in result["rows"]:
        added, tail, cpu = (
            f"{middle:.2f} ({low:.2f}-{high:.2f})"
            for middle, low, high in (row["added_median_ms"], row["added_p95_ms"], row["cpu_percent_each"])
        )
        direct, proxied = ("{:.2f} {:.2f} ms".format(*row[name]) for name in ("direct_ms", "gateway_ms"))
        lines.append(
            f"{row['connections']:>11}  {row['events_per_s']:>8}   {direct:<17}   {proxied:<17}   {added:<20} "
            f"{tail:<20} {cpu:<18} {row['per_core']:.0f}"
        )
    lines += [f"{'reached' if yes else 'MISSED'}: {goal}" for goal, yes in result["reached"].items()]
    busy = result["other_programs_cores"]
    return "\n".join([*lines, f"Other programs kept {'an unknown number of' if busy is None else busy} cores busy."])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one round of four seconds: under a minute")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--upstream", type=int, metavar="PORT", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.upstream:
        asyncio.run(run_upstream(given.upstream))
        return
    rounds, seconds = (1, 4.0) if given.quick else (3, 8.0)
    result = asyncio.run(run_benchmark(rounds, seconds))
    print(json.dumps(result, indent=2) if given.json else format_table(result))


if __name__ == "__main__":
    main()
