"""`python -m replicas`: several replicas of the app behind HAProxy, until SIGTERM or Ctrl+C.

SIGHUP restarts one replica after the other. `start.sh` runs it when WORKERS is 2 or more, with the values of the
settings. Logs go to stderr, those of the processes to stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from network.ports import MAX_PORT, listen_reason, probe_port

from .child_process import PrefixedLog
from .haproxy_config import HaproxyValueError, render_haproxy_config
from .launch_plan import (
    HAPROXY_CONFIG_NAME,
    LOOPBACK,
    MAX_WORKERS,
    SOCKET_NAME,
    LaunchOptions,
    ListenAddress,
    LoopbackPorts,
    plan_processes,
    system_environ,
)
from .programs import SystemPrograms, describe_packages, find_programs, missing_packages
from .supervisor import Supervisor

MAX_SOCKET_PATH_BYTES = 100
"""Bytes of the path of a UNIX socket. Systems have a few more."""
FIRST_PORT, LAST_PORT = 20_000, 31_999
"""Ports of processes whose port no setting names. Systems assign higher ones to outgoing connections, which would block
a restart."""


class StartRefused(Exception):
    """The replicas cannot be started. The message is one sentence."""


def parse_arguments(arguments: Sequence[str]) -> LaunchOptions:
    """Return the options of the command line. Exit with status 2 when they are unusable."""
    parser = argparse.ArgumentParser(prog="python -m replicas", description="Replicas of the app behind HAProxy.")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, required=True, help=f"number of replicas, 1 to {MAX_WORKERS}")
    parser.add_argument(
        "--replica-port", type=int, default=0, help="port of the first replica (default: the one after --port)"
    )
    parser.add_argument(
        "--drain-seconds", type=float, default=10.0, help="seconds that conversations may last (default: %(default)s)"
    )
    parser.add_argument("--embedded-server", action="store_true", help="run one embedded server for all replicas")
    parser.add_argument("--fetch", action="store_true", help="the embedded server first downloads missing models")
    parser.add_argument(
        "--trusted-proxy", action="append", default=[], help="network of another proxy in front; repeat it for each"
    )
    given = parser.parse_args(arguments)
    if not 1 <= given.workers <= MAX_WORKERS:
        parser.error(f"--workers must be from 1 to {MAX_WORKERS}")
    for name, port in (("--port", given.port), ("--replica-port", given.replica_port)):
        if not 0 <= port <= MAX_PORT:
            parser.error(f"{name} must be from 0 to {MAX_PORT}")
    return LaunchOptions(
        host=given.host,
        port=given.port,
        workers=given.workers,
        replica_port=given.replica_port,
        drain_s=given.drain_seconds,
        has_embedded_server=given.embedded_server,
        fetches_models=given.fetch,
        trusted_proxies=given.trusted_proxy,
    )


def check_port(host: str, port: int, workers: int = 1) -> int:
    """Return the port that HAProxy can listen on; a free one for port 0. Raise StartRefused.

    `workers`: number of replicas, whose ports follow; those of other replicas may too. HAProxy itself would share a
    port with another HAProxy of the same user.
    """
    try:
        return probe_port(host, port)
    except OSError as error:
        reason = f"The page cannot be served at {host} port {port}: {listen_reason(error)}."
        if error.errno == errno.EADDRINUSE and (other := port + workers + 1) + workers <= MAX_PORT:
            reason += f" `PORT={other} ./start.sh` uses another one."
        raise StartRefused(reason) from None


def choose_replica_ports(options: LaunchOptions, page_port: int) -> list[int]:
    """Return the ports of the replicas. They are fixed, so that their metrics can be scraped. Raise StartRefused."""
    if not options.replica_port and not options.port:
        return find_free_ports(options.workers, excluded=[page_port])
    first = options.replica_port or page_port + 1
    ports = [*range(first, first + options.workers)]
    needed = f"The replicas need the ports {first} to {ports[-1]}"
    if ports[-1] > MAX_PORT:
        raise StartRefused(f"{needed}, and {MAX_PORT} is the last one: change REPLICA_PORT.")
    if page_port in ports:
        raise StartRefused(f"{needed}, and the page has {page_port}: change REPLICA_PORT.")
    setting = "REPLICA_PORT" if options.replica_port else "PORT"
    for number, port in enumerate(ports, 1):
        try:
            probe_port(LOOPBACK, port)
        except OSError as error:
            where = f"{LOOPBACK} port {port}, which follows from {setting}"
            raise StartRefused(f"Replica {number} cannot listen at {where}: {listen_reason(error)}.") from None
    return ports


def find_free_ports(count: int, excluded: Collection[int]) -> list[int]:
    """Return free ports of the loopback address, without excluded ones. Raise StartRefused."""
    candidates = [port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in excluded]
    random.shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        with suppress(OSError), socket.create_server((LOOPBACK, port)):
            found.append(port)
        if len(found) == count:
            return found
    raise StartRefused(f"There are no {count} free ports from {FIRST_PORT} to {LAST_PORT}.")


def make_folder() -> Path:
    """Return a new folder that only this user can enter. Raise StartRefused."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="voice-replicas-"))
        if len(os.fsencode(folder / SOCKET_NAME)) > MAX_SOCKET_PATH_BYTES:
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix="voice-replicas-", dir="/tmp"))
    except OSError as error:
        raise StartRefused(f"No folder for Redis and HAProxy can be made: {error.strerror}.") from None
    return folder


def write_haproxy_config(path: Path, options: LaunchOptions, ports: LoopbackPorts, haproxy: str) -> None:
    """Write the configuration, and let HAProxy check it. Raise StartRefused."""
    try:
        text = render_haproxy_config(
            str(ListenAddress(options.host, options.port)),
            [str(ListenAddress(LOOPBACK, port)) for port in ports.replicas],
            secrets.token_hex(32),
            trusted_proxies=options.trusted_proxies,
            logs_requests=False,
        )
    except HaproxyValueError as error:
        raise StartRefused(f"HAProxy cannot serve the page with these settings: {error}.") from None
    path.write_text(text, "utf-8")
    command, environ = [haproxy, "-c", "-f", str(path)], system_environ(os.environ)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "[ALERT]" in line]
        reason = (lines or ["no reason given"])[0].partition(" : ")[2] or "no reason given"
        raise StartRefused(f"HAProxy refuses its configuration: {reason.rstrip('.')}.")


def require_programs(*, needs_redis: bool) -> SystemPrograms:
    """Return the system's programs. Raise StartRefused."""
    programs = find_programs(os.environ, needs_redis=needs_redis)
    if missing := missing_packages(programs, needs_redis=needs_redis):
        raise StartRefused(f"Several replicas need {describe_packages(missing)}.")
    return programs


def run(options: LaunchOptions) -> int:
    """Run the replicas until a signal. Return the exit status. Raise StartRefused."""
    programs = require_programs(needs_redis=not os.environ.get("REDIS_URL", "").strip())
    page_port = check_port(options.host, options.port, options.workers)
    replica_ports = choose_replica_ports(options, page_port)
    (embedded_port,) = find_free_ports(1, excluded=[page_port, *replica_ports])
    options = replace(options, port=page_port)
    ports = LoopbackPorts(replica_ports, embedded_port)
    folder = make_folder()
    try:
        specs = plan_processes(options, folder, ports, programs, os.environ, secrets.token_urlsafe(32))
        write_haproxy_config(folder / HAPROXY_CONFIG_NAME, options, ports, programs.haproxy)
        return asyncio.run(Supervisor(specs, folder, options.drain_s, PrefixedLog(sys.stdout.buffer)).run())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Run the command line. Return the exit status."""
    options = parse_arguments(sys.argv[1:])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        return run(options)
    except StartRefused as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"The replicas cannot be started: {error.strerror or type(error).__name__}.", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
