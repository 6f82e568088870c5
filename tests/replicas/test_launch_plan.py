"""Launch plan of the replicas: commands, environments and what each process is asked for."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from replicas import launch_plan, supervision
from replicas.launch_plan import PROJECT_DIR, LaunchOptions, LoopbackPorts, ProcessSpec, ReadyCheck, plan_processes
from replicas.programs import SystemPrograms
from replicas.supervision import ProcessRole
from tests.support.deploy.deploy_files import redis_bytes_for, redis_size
from voicechat.config.groups import scale_settings
from voicechat.config.settings import ServerKind, Settings
from voicechat.server import graceful_shutdown

FOLDER = Path("/run/voice")
OPTIONS = LaunchOptions("0.0.0.0", 7860, workers=2, drain_s=10.0, has_embedded_server=True)
PROGRAMS = SystemPrograms("/usr/sbin/haproxy", "/usr/bin/redis-server")
KEY = "key-of-the-embedded-server"


def plan(options: LaunchOptions = OPTIONS, programs: SystemPrograms = PROGRAMS, **environ: str) -> list[ProcessSpec]:
    return plan_processes(options, FOLDER, LoopbackPorts((20_001, 20_002), 20_000), programs, environ, KEY)


def replicas_of(specs: list[ProcessSpec]) -> list[ProcessSpec]:
    return [spec for spec in specs if spec.role is ProcessRole.REPLICA]


def test_limits_of_replicas_are_those_of_the_app() -> None:
    assert launch_plan.MAX_WORKERS == scale_settings.MAX_WORKERS
    assert supervision.DUPLICATE_SIGNAL_S == graceful_shutdown.DUPLICATE_SIGNAL_S


def test_plan_has_each_process_once_and_every_replica() -> None:
    assert [spec.name for spec in plan()] == ["redis", "offline", "replica-1", "replica-2", "haproxy"]
    assert [(str(spec.address), spec.check) for spec in replicas_of(plan())] == [
        ("127.0.0.1:20001", ReadyCheck.HEALTH),
        ("127.0.0.1:20002", ReadyCheck.HEALTH),
    ]


def test_replicas_share_redis_the_embedded_server_and_the_temporary_folder() -> None:
    first, second = (dict(spec.environ) for spec in replicas_of(plan(PATH="/bin")))
    assert first.pop("PORT") == "20001" and second.pop("PORT") == "20002"
    assert first == second
    assert first["REDIS_URL"] == "unix:///run/voice/redis.sock"
    assert (first["OFFLINE_URL"], first["OFFLINE_KEY"]) == ("ws://127.0.0.1:20000/v1/realtime", KEY)
    assert first["GRADIO_TEMP_DIR"] == "/run/voice/gradio" and first["PATH"] == "/bin"


def test_settings_of_a_replica_are_those_of_the_page_behind_haproxy() -> None:
    options = replace(OPTIONS, trusted_proxies=("10.0.0.0/8",))
    environ = replicas_of(plan(options, WORKERS="4", HOST="0.0.0.0", SHARE="1", TRUSTED_PROXIES="10.0.0.0/8"))[
        0
    ].environ
    assert environ["REPLICAS"] == "2"
    settings = Settings.from_env(environ)
    assert (settings.host, settings.port, settings.share) == ("127.0.0.1", 20_001, False)
    assert settings.scale.frontend_host == "0.0.0.0" and settings.scale.redis_url.startswith("unix://")
    assert [str(network) for network in settings.security.trusted_proxies] == ["10.0.0.0/8", "127.0.0.0/8", "::1/128"]
    assert settings.server_kind is ServerKind.OFFLINE


def test_plan_without_an_embedded_server_names_none() -> None:
    specs = plan(replace(OPTIONS, has_embedded_server=False), REALTIME_URL="wss://voice.example")
    assert "offline" not in [spec.name for spec in specs]
    assert all("OFFLINE_URL" not in spec.environ for spec in specs)


def test_plan_with_redis_of_the_operator_starts_none() -> None:
    specs = plan(programs=replace(PROGRAMS, redis=""), REDIS_URL="redis://10.0.0.9/1")
    assert "redis" not in [spec.name for spec in specs]
    assert {spec.environ["REDIS_URL"] for spec in replicas_of(specs)} == {"redis://10.0.0.9/1"}


def test_redis_keeps_nothing_on_the_disk_and_has_no_port() -> None:
    command = list(plan()[0].command)
    following = dict(pairwise(command))
    assert (following["--port"], following["--save"], following["--appendonly"]) == ("0", "", "no")
    assert (following["--maxmemory-policy"], following["--unixsocketperm"]) == ("noeviction", "700")


@pytest.mark.parametrize("workers", [2, 64])
def test_redis_has_memory_for_the_conversations_of_all_replicas(workers: int) -> None:
    following = dict(pairwise(plan(replace(OPTIONS, workers=workers))[0].command))
    assert redis_size(following["--maxmemory"]) >= redis_bytes_for(workers)


@pytest.mark.parametrize(
    ("name", "line", "is_shown"),
    [
        ("redis", b"1:C # WARNING Memory overcommit must be enabled! Without it, a background save may fail", False),
        ("redis", b"1:M # Server initialized", True),
        ("haproxy", b"[NOTICE]   (1) : haproxy version is 2.6.12-1", False),
        ("haproxy", b"[WARNING]  (1) : Server pages/replica1 is DOWN, reason: Layer4 timeout", True),
        ("haproxy", b"[WARNING]  (1) : Server programs/replica1 is DOWN via pages/replica1.", False),
        ("haproxy", b"[ALERT]    (1) : backend 'pages' has no server available!", True),
        ("haproxy", b"[ALERT]    (1) : backend 'programs' has no server available!", False),
        ("haproxy", b"[ALERT]    (1) : Binding [h.cfg:40] for frontend voice: cannot bind socket", True),
    ],
)
def test_line_that_says_nothing_new_is_left_out_of_the_log(name: str, line: bytes, is_shown: bool) -> None:
    left_out = next(spec.left_out for spec in plan() if spec.name == name)
    assert left_out is not None and (left_out.search(line) is None) is is_shown


@pytest.mark.parametrize("fetches", [True, False])
def test_key_of_the_embedded_server_is_in_no_command_and_no_repr(fetches: bool) -> None:
    specs = plan(replace(OPTIONS, fetches_models=fetches))
    embedded = next(spec for spec in specs if spec.role is ProcessRole.EMBEDDED_SERVER)
    assert embedded.environ["OFFLINE_KEY"] == KEY and ("--fetch" in embedded.command) is fetches
    assert not embedded.shows_stdout
    for spec in specs:
        assert KEY not in " ".join(spec.command) and KEY not in repr(spec)


def test_programs_of_the_system_get_no_variable_of_the_operator() -> None:
    needed = {"PATH": "/bin", "HOME": "/home/voice", "LANG": "C.UTF-8", "TZ": "Asia/Taipei"}
    app_only = ("OPENAI_API_KEY", "APP_PASSWORD", "TURN_SECRET", "API_TOKENS", "REDIS_URL", "HTTPS_PROXY")
    for environ, expected in (({**needed, **dict.fromkeys(app_only, "secret")}, needed), ({}, {})):
        specs = plan_processes(OPTIONS, FOLDER, LoopbackPorts((20_001, 20_002), 20_000), PROGRAMS, environ, KEY)
        others = {spec.role: spec.environ for spec in specs if spec.role in (ProcessRole.PROXY, ProcessRole.STORE)}
        assert others == {ProcessRole.PROXY: expected, ProcessRole.STORE: expected}


def test_command_of_the_embedded_server_has_options_that_it_takes() -> None:
    specs = plan(replace(OPTIONS, fetches_models=True))
    command = next(spec.command for spec in specs if spec.role is ProcessRole.EMBEDDED_SERVER)
    done = subprocess.run([*command, "--help"], cwd=PROJECT_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {word for word in command if word.startswith("--")} <= {*re.findall(r"--[a-z-]+", done.stdout)}
