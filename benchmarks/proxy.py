"""What our WebSocket endpoint for programs costs: time added to a round trip, and CPU for each connection.

    python -m benchmarks.proxy [--quick] [--json]

Three processes: a Realtime server that answers each 20 ms of sound with 20 ms of sound at once; our relay, served by
uvicorn as in production; and the clients (this one), each sending 50 events a second. In turn they connect directly and
through the relay. A round trip is from a client's event to the server's answer to it.

    added     a percentile of the round trips through the relay, minus the same of the direct ones in the same round
    CPU       user and system time of the relay's process over the time it was measured, for 50 events a second each way
              that were answered; one core is 100 %
    per core  100 % / that CPU: how many connections would keep one core busy all the time
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.support.machine_load import OtherProcessesCpu
from voicechat.config.settings import Settings
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.server import uvicorn_options
from voicechat.server.routes import Health, build_router

PROJECT = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 10, 50)
PERIOD_S = 0.02
FRAME_BASE64 = base64.b64encode(random.Random(1).randbytes(960)).decode()
"""20 ms of PCM16 at 24 kHz, as a microphone fills it: 1,280 characters."""
WARM_UP_S = 1.0
MAX_ADDED_P95_MS = 3.0
"""To reach: 95th percentile added at 10 connections."""
MIN_CONNECTIONS_PER_CORE = 60
"""To reach: connections at 50 events a second each way for each core."""


# ---------------------------------------------------------------- the other two processes


async def handle_connection(connection: ServerConnection) -> None:
    """The server's side of one connection: a sound for each sound."""
    await connection.send(
        json.dumps({"type": "session.created", "event_id": "event_0", "session": {"type": "realtime"}})
    )
    delta = {"type": "response.output_audio.delta", "response_id": "resp_1", "output_index": 0, "content_index": 0}
    try:
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "session.update":
                answered = {"type": "session.updated", "event_id": "event_1", "session": event["session"]}
            else:
                answered = {**delta, "event_id": event["event_id"], "item_id": "item_1", "delta": event["audio"]}
            await connection.send(json.dumps(answered))
    except ConnectionClosed:
        pass


async def run_upstream(port: int) -> None:
    """The Realtime server, for ever."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # whoever only knocks is no fault
    async with serve(handle_connection, "127.0.0.1", port, compression=None) as server:
        await server.serve_forever()


def gateway_app() -> FastAPI:
    """What uvicorn serves: the routes of the app, without its page."""
    settings = Settings.from_env(os.environ)
    uvicorn_options.install()

    async def health() -> Health:
        return Health("ok", settings.server_kind, settings.model, 0, 0, 0.0, "")

    app = FastAPI(openapi_url=None)
    app.include_router(build_router(health, RealtimeGateway(settings, settings.endpoint)))
    return app


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def listening_process(port: int, *arguments: str, **environment: str) -> Iterator[int]:
    """A Python process that listens at `port`, ended with the block. Yields its id."""
    command = [sys.executable, "-m", *arguments]
    child = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **environment})
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if child.poll() is not None:
                    raise SystemExit(f"{' '.join(arguments)} ended with {child.returncode}") from None
                time.sleep(0.05)
        yield child.pid
    finally:
        child.terminate()
        child.wait()


# ---------------------------------------------------------------- the clients


@dataclass
class RoundTrips:
    """Round trips of some clients, in ms."""

    ms: list[float] = field(default_factory=list)
    per_second: float = 0.0
    """Events that were answered, all connections together."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of the relay's process, in those seconds."""

    def percentile(self, share: float) -> float:
        ordered = sorted(self.ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def run_client(connection: ClientConnection, trips: RoundTrips, start: float, seconds: float) -> None:
    """One client: an event each 20 ms from `start` on, by the clock, however late the answers are."""
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
    """`connections` clients at once, their events spread evenly over each 20 ms."""
    trips = RoundTrips()
    async with connected_clients(url, connections) as clients:
        start = time.perf_counter() + 0.1
        offsets = [start + index * PERIOD_S / connections for index in range(connections)]
        talking = [
            asyncio.create_task(run_client(c, trips, at, seconds)) for c, at in zip(clients, offsets, strict=True)
        ]
        await asyncio.sleep(0.1 + WARM_UP_S)
        before, began = get_cpu_s(gateway), time.perf_counter()
        await asyncio.sleep(seconds - 0.1)
        trips.cpu_s, trips.seconds = get_cpu_s(gateway) - before, time.perf_counter() - began
        await asyncio.gather(*talking)
        trips.per_second = len(trips.ms) / (time.perf_counter() - start - WARM_UP_S)
    return trips


@asynccontextmanager
async def connected_clients(url: str, connections: int) -> AsyncIterator[list[ClientConnection]]:
    """Connected clients that have seen their session."""
    clients: list[ClientConnection] = []
    try:
        for _ in range(connections):
            clients.append(await connect(url, compression=None))
            assert json.loads(await clients[-1].recv())["type"] == "session.created"
        yield clients
    finally:
        await asyncio.gather(*(client.close() for client in clients))


def get_cpu_s(process: psutil.Process) -> float:
    """CPU time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


# ---------------------------------------------------------------- the result


@dataclass
class ProxyRow:
    """One number of connections; medians over the rounds, with the smallest and largest."""

    connections: int
    events_per_s: float
    """Each way, all connections together."""
    direct_ms: tuple[float, float]
    """Median and 95th percentile."""
    relayed_ms: tuple[float, float]
    added_median_ms: tuple[float, float, float]
    """Median, smallest, largest of the rounds."""
    added_p95_ms: tuple[float, float, float]
    cpu_percent_each: tuple[float, float, float]
    """Of one core, for each connection."""
    per_core: float


def median_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return round(statistics.median(values), 3), round(min(values), 3), round(max(values), 3)


def make_row(connections: int, direct: list[RoundTrips], relayed: list[RoundTrips]) -> ProxyRow:
    """Rounds of one number of connections, direct and relayed in turn."""
    both = list(zip(direct, relayed, strict=True))
    cpu = [100 * trips.cpu_s / trips.seconds / (trips.per_second * PERIOD_S) for trips in relayed]

    def middle(trips: list[RoundTrips], share: float) -> float:
        return round(statistics.median(one.percentile(share) for one in trips), 3)

    return ProxyRow(
        connections,
        round(statistics.median(trips.per_second for trips in relayed), 1),
        (middle(direct, 0.5), middle(direct, 0.95)),
        (middle(relayed, 0.5), middle(relayed, 0.95)),
        median_and_range([b.percentile(0.5) - a.percentile(0.5) for a, b in both]),
        median_and_range([b.percentile(0.95) - a.percentile(0.95) for a, b in both]),
        median_and_range(cpu),
        round(100 / statistics.median(cpu), 1),
    )


async def run_benchmark(rounds: int, seconds: float) -> dict[str, Any]:
    """All of it."""
    behind, front = free_port(), free_port()
    direct, through = f"ws://127.0.0.1:{behind}/v1/realtime", f"ws://127.0.0.1:{front}/realtime-voice"
    server = listening_process(behind, "benchmarks.proxy", "--upstream", str(behind))
    command = ("uvicorn", "--factory", "benchmarks.proxy:gateway_app", "--log-level", "warning", "--port", str(front))
    with server as server_pid, listening_process(front, *command, REALTIME_URL=direct, OPENAI_API_KEY="") as relay_pid:
        others = OtherProcessesCpu([server_pid, relay_pid, os.getpid()])
        relay = psutil.Process(relay_pid)
        rows = []
        for connections in CONNECTIONS:
            urls = (direct, through)
            pairs = [[await measure_clients(url, connections, seconds, relay) for url in urls] for _ in range(rounds)]
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
            # Of the row nearest to a busy core: a process that mostly sleeps pays for waking up at every event.
            f">= {MIN_CONNECTIONS_PER_CORE} connections per core": rows[-1].per_core >= MIN_CONNECTIONS_PER_CORE,
        },
    }


def format_table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{result['rounds']} rounds of {result['seconds']} s each; medians (smallest-largest of the rounds).",
        "connections  events/s   direct p50 p95      relayed p50 p95     added p50            added p95"
        "            CPU each %         per core",
    ]
    for row in result["rows"]:
        added, tail, cpu = (
            f"{middle:.2f} ({low:.2f}-{high:.2f})"
            for middle, low, high in (row["added_median_ms"], row["added_p95_ms"], row["cpu_percent_each"])
        )
        direct, relayed = ("{:.2f} {:.2f} ms".format(*row[name]) for name in ("direct_ms", "relayed_ms"))
        lines.append(
            f"{row['connections']:>11}  {row['events_per_s']:>8}   {direct:<17}   {relayed:<17}   {added:<20} "
            f"{tail:<20} {cpu:<18} {row['per_core']:.0f}"
        )
    lines += [f"{'reached' if yes else 'MISSED'}: {goal}" for goal, yes in result["reached"].items()]
    busy = result["other_programs_cores"]
    return "\n".join([*lines, f"Other programs kept {'an unknown number of' if busy is None else busy} cores busy."])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", action="store_true", help="the numbers instead of a table")
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
