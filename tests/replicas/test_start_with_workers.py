"""Start with WORKERS: one process as before, or the supervisor with the values of the settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from replicas.__main__ import parse_arguments
from scripts import start
from voicechat.config.settings import Settings

APP = [sys.executable, str(start.ROOT / "app.py")]
REMOTE = {"REALTIME_URL": "wss://voice.example"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder with programs, which has HAProxy and Redis; the settings are the defaults."""
    for name in ("haproxy", "redis-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr("replicas.programs.SYSTEM_FOLDERS", ())
    monkeypatch.chdir(tmp_path)  # a developer's .env is not read
    monkeypatch.setattr(os, "environ", {"PATH": str(tmp_path)})
    return tmp_path


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("workers", ["", "1", "many", "65"])
def test_start_without_several_workers_runs_the_app(
    workers: str, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_variables(monkeypatch, WORKERS=workers, **REMOTE)
    assert start.app_command() == APP  # which names an unusable value
    assert capsys.readouterr().err == ""


def test_start_with_workers_runs_the_supervisor_with_the_settings(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, WORKERS="4", HOST="::1", PORT="8000", DRAIN_SECONDS="2.5", **REMOTE)
    set_variables(monkeypatch, TRUSTED_PROXIES="10.0.0.0/8,192.168.0.1", FETCH_MODELS="true")
    python, dash_m, package, *arguments = start.app_command()
    assert (python, dash_m, package) == (sys.executable, "-m", "replicas")
    options = parse_arguments(arguments)
    assert (options.host, options.port, options.workers, options.drain_s) == ("::1", 8000, 4, 2.5)
    assert list(options.trusted_proxies) == ["10.0.0.0/8", "192.168.0.1/32"]
    assert not options.has_embedded_server and not options.fetches_models
    assert options.replica_port == 0, "the ports after PORT"
    set_variables(monkeypatch, REPLICA_PORT="9000")
    assert parse_arguments(start.app_command()[3:]).replica_port == 9000


def test_start_with_workers_in_the_env_file_runs_the_supervisor(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / ".env").write_text("WORKERS=3\nREALTIME_URL=wss://voice.example\n")
    assert "replicas" in start.app_command()


@pytest.mark.parametrize("fetches", [True, False])
def test_start_with_workers_and_no_other_server_runs_one_embedded_server(
    fetches: bool, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, WORKERS="2", FETCH_MODELS=str(fetches).lower())
    monkeypatch.setattr(start, "missing_engines", lambda: "")
    options = parse_arguments(start.app_command()[3:])
    assert options.has_embedded_server and options.fetches_models is fetches


@pytest.mark.parametrize(
    ("variables", "engines"),
    [
        ({"OPENAI_API_KEY": "sk-x"}, ""),
        ({"OFFLINE_URL": "ws://10.0.0.5:8765"}, ""),
        ({}, "A package of the embedded server is missing."),
    ],
)
def test_start_with_workers_and_another_server_runs_no_embedded_server(
    variables: dict[str, str], engines: str, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, WORKERS="2", **variables)
    monkeypatch.setattr(start, "missing_engines", lambda: engines)
    assert not parse_arguments(start.app_command()[3:]).has_embedded_server


@pytest.mark.parametrize(
    ("missing", "variables", "sentence"),
    [
        (["haproxy"], {}, "WORKERS needs haproxy (Debian: apt install haproxy): one process is started."),
        (
            ["redis-server"],
            {},
            "WORKERS needs redis-server (Debian: apt install redis-server): one process is started.",
        ),
        (["redis-server"], {"REDIS_URL": "redis://10.0.0.9/0"}, ""),
        ([], {"SHARE": "1"}, "WORKERS does not work with a public link (SHARE): one process is started."),
    ],
)
def test_start_where_replicas_cannot_run_says_why_and_runs_the_app(
    missing: list[str],
    variables: dict[str, str],
    sentence: str,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in missing:
        (programs / name).unlink()
    set_variables(monkeypatch, WORKERS="2", **REMOTE, **variables)
    assert (start.app_command() == APP) is bool(sentence)
    assert capsys.readouterr().err.strip() == sentence


def test_start_on_windows_says_so() -> None:
    sentence = start.reason_for_one_process(Settings(), "win32")
    assert sentence == "WORKERS does not work on Windows: one process is started."
