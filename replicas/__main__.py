"""`python -m replicas`: several replicas of the app behind HAProxy, until SIGTERM or Ctrl+C.

SIGHUP restarts one replica after the other. `start.sh` runs it when WORKERS is 2 or more, with the values of the
settings. Logs go to stderr, those of the processes to stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .child_process import PrefixedLog
from .haproxy_config import HaproxyValueError, render_haproxy_config
from .launch_plan import (
    HAPROXY_CONFIG_NAME,
    LOOPBACK,
    MAX_WORKERS,
    SOCKET_NAME,
    FreePorts,
    LaunchOptions,
    ListenAddress,
    plan_processes,
    system_environ,
)
from .programs import SystemPrograms, describe_packages, find_programs, missing_packages
from .supervisor import Supervisor

MAX_SOCKET_PATH_BYTES = 100
"""Bytes of the path of a UNIX socket. Systems have a few more."""
FIRST_PORT, LAST_PORT = 20_000, 31_999
"""Ports of the replicas. Systems assign higher ones to outgoing connections, which would block a restart."""


class StartRefused(Exception):
    """The replicas cannot be started. The message is one sentence."""


def parse_arguments(arguments: Sequence[str]) -> LaunchOptions:
    """Return the options of the command line. Exit with status 2 when they are unusable."""
    parser = argparse.ArgumentParser(prog="python -m replicas", description="Replicas of the app behind HAProxy.")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, required=True, help=f"number of replicas, 1 to {MAX_WORKERS}")
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
    if not 0 <= given.port <= 65_535:
        parser.error("--port must be from 0 to 65535")
    return LaunchOptions(
        host=given.host,
        port=given.port,
        workers=given.workers,
        drain_s=given.drain_seconds,
        has_embedded_server=given.embedded_server,
        fetches_models=given.fetch,
        trusted_proxies=given.trusted_proxy,
    )


def check_port(host: str, port: int) -> int:
    """Return the port that HAProxy can listen on; a free one for port 0. Raise StartRefused.

    HAProxy itself would share a port with another HAProxy of the same user.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        number = error.errno or 0  # below 0: unknown host, which has its own message
        reason = os.strerror(number) if number > 0 else error.strerror or type(error).__name__
        raise StartRefused(f"The page cannot be served at {host} port {port}: {reason}.") from None


def find_free_ports(count: int, excluded: int) -> list[int]:
    """Return free ports of the loopback address, without an excluded one. Raise StartRefused."""
    candidates = [port for port in range(FIRST_PORT, LAST_PORT + 1) if port != excluded]
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


def write_haproxy_config(path: Path, options: LaunchOptions, ports: FreePorts, haproxy: str) -> None:
    """Write the configuration, and let HAProxy check it. Raise StartRefused."""
    try:
        text = render_haproxy_config(
            str(ListenAddress(options.host, options.port)),
            [str(ListenAddress(LOOPBACK, port)) for port in ports.replicas],
            secrets.token_hex(32),
            trusted_proxies=options.trusted_proxies,
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
    options = replace(options, port=check_port(options.host, options.port))
    embedded_port, *replica_ports = find_free_ports(options.workers + 1, excluded=options.port)
    ports = FreePorts(replica_ports, embedded_port)
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
