"""Launch plan: the command and the environment of each process, and how to see that it is ready. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from .programs import SystemPrograms
from .supervision import ProcessRole

PROJECT_DIR = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
"""Networks from which HAProxy reaches the replicas."""
MAX_WORKERS = 64
"""Replicas at most, as for WORKERS. This package imports nothing of the app, so a test compares both."""
REDIS_MB_PER_REPLICA = 200
"""Megabytes of the bundled Redis at most, for each replica. A replica holds 64 MB of conversations, for which Redis
needs half as much again. A replica that has died may have left as much."""
SYSTEM_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "LD_LIBRARY_PATH")
"""Environment variables that HAProxy and Redis get. All others may be secrets of the app."""
SOCKET_NAME = "redis.sock"
HAPROXY_CONFIG_NAME = "haproxy.cfg"
GRADIO_FOLDER_NAME = "gradio"
REDIS_LINES_LEFT_OUT = re.compile(rb"WARNING Memory overcommit must be enabled")
"""Advice for saving to the disk, which this Redis does not do."""
HAPROXY_LINES_LEFT_OUT = re.compile(rb"^\[NOTICE\]|[ ']programs[/']")
"""Each replica is in two backends, which always agree: the lines of `pages` are enough."""


class ReadyCheck(Enum):
    """How a process shows that it is ready."""

    HEALTH = "health"
    """It answers GET /health, with any status: HAProxy decides by the answer of a replica who gets visitors."""
    ACCEPTS = "accepts"
    """It accepts connections."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Address that a process listens on."""

    host: str
    """Name or address of a host; path of a UNIX socket when the port is 0."""
    port: int = 0

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process."""

    name: str
    role: ProcessRole
    command: Sequence[str] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    """All variables of the process. Some are secret."""
    address: ListenAddress
    check: ReadyCheck
    shows_stdout: bool = True
    """Lines of its stdout belong in the log. The embedded server writes its progress there for programs."""
    left_out: re.Pattern[bytes] | None = None
    """Lines that do not belong in the log."""


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """What the operator asks for."""

    host: str
    """Address that HAProxy listens on."""
    port: int
    workers: int
    """Number of replicas, 1 to `MAX_WORKERS`."""
    drain_s: float
    """Seconds that conversations may last after the signal to end."""
    has_embedded_server: bool
    """One embedded server answers for all replicas."""
    fetches_models: bool = False
    """The embedded server first downloads missing models."""
    replica_port: int = 0
    """Port of the first replica, which the others follow; 0 for the port after `port`."""
    trusted_proxies: Sequence[str] = ()
    """Networks of other proxies in front of HAProxy."""


@dataclass(frozen=True, slots=True)
class LoopbackPorts:
    """Ports of the loopback address."""

    replicas: Sequence[int]
    embedded_server: int


def system_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the supervisor's environment that programs of the system get."""
    return {name: environ[name] for name in SYSTEM_VARIABLES if name in environ}


def plan_processes(
    options: LaunchOptions,
    folder: Path,
    ports: LoopbackPorts,
    programs: SystemPrograms,
    environ: Mapping[str, str],
    embedded_key: str,
) -> list[ProcessSpec]:
    """Return all processes, those first that others need.

    `folder`: private folder of this supervisor. `environ`: the supervisor's own. `embedded_key`: bearer token of the
    embedded server. Without `programs.redis` the replicas use REDIS_URL of `environ`.
    """
    shared = dict(environ)
    specs = []
    if programs.redis:
        socket_path = folder / SOCKET_NAME
        shared["REDIS_URL"] = f"unix://{socket_path}"
        specs.append(_redis(programs.redis, folder, socket_path, options.workers, system_environ(environ)))
    if options.has_embedded_server:
        address = ListenAddress(LOOPBACK, ports.embedded_server)
        shared |= {"OFFLINE_URL": f"ws://{address}/v1/realtime", "OFFLINE_KEY": embedded_key}
        specs.append(_embedded_server(address, options, {**environ, "OFFLINE_KEY": embedded_key}))
    shared |= {
        "HOST": LOOPBACK,
        "FRONTEND_HOST": options.host,
        "REPLICAS": str(len(ports.replicas)),
        "SHARE": "false",
        "TRUSTED_PROXIES": ",".join((*options.trusted_proxies, *LOOPBACK_NETWORKS)),
        "GRADIO_TEMP_DIR": environ.get("GRADIO_TEMP_DIR", "").strip() or str(folder / GRADIO_FOLDER_NAME),
    }
    for number, port in enumerate(ports.replicas, 1):
        specs.append(
            ProcessSpec(
                f"replica-{number}",
                ProcessRole.REPLICA,
                (sys.executable, str(PROJECT_DIR / "app.py")),
                {**shared, "PORT": str(port)},
                ListenAddress(LOOPBACK, port),
                ReadyCheck.HEALTH,
            )
        )
    haproxy = (programs.haproxy, "-db", "-f", str(folder / HAPROXY_CONFIG_NAME))
    listen = ListenAddress(options.host, options.port)
    specs.append(
        ProcessSpec(
            "haproxy",
            ProcessRole.PROXY,
            haproxy,
            system_environ(environ),
            listen,
            ReadyCheck.ACCEPTS,
            left_out=HAPROXY_LINES_LEFT_OUT,
        )
    )
    return specs


def _redis(executable: str, folder: Path, socket_path: Path, replicas: int, environ: Mapping[str, str]) -> ProcessSpec:
    """Return Redis without a port and without files: what it knows ends with it."""
    command = (
        *(executable, "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
        *("--maxmemory", f"{REDIS_MB_PER_REPLICA * replicas}mb"),
        *("--daemonize", "no", "--loglevel", "warning"),
    )
    address = ListenAddress(str(socket_path))
    return ProcessSpec(
        "redis", ProcessRole.STORE, command, environ, address, ReadyCheck.ACCEPTS, left_out=REDIS_LINES_LEFT_OUT
    )


def _embedded_server(address: ListenAddress, options: LaunchOptions, environ: Mapping[str, str]) -> ProcessSpec:
    """Return the embedded server. Its key is in the environment, where other users cannot read it."""
    command = (
        *(sys.executable, "-m", "offline", "--host", address.host, "--port", str(address.port), "--key-from-env"),
        *(["--fetch"] if options.fetches_models else []),
    )
    role = ProcessRole.EMBEDDED_SERVER
    return ProcessSpec("offline", role, command, environ, address, ReadyCheck.HEALTH, shows_stdout=False)
