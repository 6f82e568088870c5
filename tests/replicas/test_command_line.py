"""Command line of `python -m replicas`: its options, and one sentence for each reason not to start."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from replicas import __main__ as command_line
from replicas.__main__ import (
    StartRefused,
    check_port,
    choose_replica_ports,
    find_free_ports,
    make_folder,
    parse_arguments,
)
from replicas.launch_plan import LaunchOptions, LoopbackPorts
from tests.support.app.app_process import find_port_run, free_port

OPTIONS = LaunchOptions("127.0.0.1", 7860, workers=2, drain_s=10.0, has_embedded_server=False)
UNKNOWN_HOST = OSError(-2, "Name or service not known (while attempting to bind on address ('nohost.example', 7860))")
PORTS = LoopbackPorts((20_001, 20_002), 20_000)


@pytest.mark.parametrize("count", ["0", "65", "many", "-1"])
def test_workers_out_of_bounds_are_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(["--workers", count])
    assert caught.value.code == 2 and "--workers" in capsys.readouterr().err


def test_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartRefused) as caught:
            check_port("127.0.0.1", port, 4)
    assert str(caught.value) == (
        f"The page cannot be served at 127.0.0.1 port {port}: Address already in use. "
        f"`PORT={port + 5} ./start.sh` uses another one."
    )


def test_unknown_host_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UNKNOWN_HOST

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(StartRefused) as caught:
        check_port("nohost.example", 7860)
    assert str(caught.value) == "The page cannot be served at nohost.example port 7860: Name or service not known."


def test_port_zero_becomes_a_free_one() -> None:
    assert check_port("127.0.0.1", 0) > 0


def test_free_ports_are_different_and_leave_out_those_that_are_used() -> None:
    first = find_free_ports(2, excluded=())
    found = find_free_ports(65, excluded=first)
    assert len(set(found)) == 65 and not {*first} & {*found}


@pytest.mark.parametrize(("given", "first"), [([], 8001), (["--replica-port", "9100"], 9100)])
def test_replicas_listen_at_the_ports_that_the_settings_name(
    given: list[str], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed: list[tuple[str, int]] = []
    monkeypatch.setattr(command_line, "probe_port", lambda host, port: probed.append((host, port)) or port)
    options = parse_arguments(["--workers", "3", "--port", "8000", "--host", "0.0.0.0", *given])
    assert choose_replica_ports(options, 8000) == [first, first + 1, first + 2]
    assert probed == [("127.0.0.1", port) for port in (first, first + 1, first + 2)]


def test_replicas_of_a_page_at_any_free_port_have_free_ones_too() -> None:
    found = choose_replica_ports(parse_arguments(["--workers", "2", "--port", "0"]), 21_000)
    assert len(set(found)) == 2 and 21_000 not in found


def test_replica_port_in_use_is_one_sentence() -> None:
    first = find_port_run(2)
    with socket.create_server(("127.0.0.1", first + 1)), pytest.raises(StartRefused) as caught:
        choose_replica_ports(parse_arguments(["--workers", "2", "--replica-port", str(first)]), 7860)
    assert str(caught.value) == (
        f"Replica 2 cannot listen at 127.0.0.1 port {first + 1}, which follows from REPLICA_PORT: "
        "Address already in use."
    )


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        (65_534, "The replicas need the ports 65534 to 65536, and 65535 is the last one: change REPLICA_PORT."),
        (7_858, "The replicas need the ports 7858 to 7860, and the page has 7860: change REPLICA_PORT."),
    ],
)
def test_replica_ports_that_cannot_be_are_one_sentence(first: int, sentence: str) -> None:
    with pytest.raises(StartRefused) as caught:
        choose_replica_ports(parse_arguments(["--workers", "3", "--replica-port", str(first)]), 7860)
    assert str(caught.value) == sentence


def test_free_ports_that_do_not_exist_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(command_line, "FIRST_PORT", port)
        monkeypatch.setattr(command_line, "LAST_PORT", port)
        with pytest.raises(StartRefused, match="There are no 1 free ports"):
            find_free_ports(1, excluded=())


@pytest.mark.skipif(os.name == "nt", reason="UNIX sockets")
def test_folder_is_private_and_short_enough_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "MAX_SOCKET_PATH_BYTES", len(os.fsencode(tmp_path)) + 60)
    for name, is_used in (("short", True), ("long" * 20, False)):
        parent = tmp_path / name
        parent.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(parent))
        folder = make_folder()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder.parent == parent) is is_used
        folder.rmdir()
        assert list(parent.iterdir()) == []


def test_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicas.programs.SYSTEM_FOLDERS", ())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StartRefused) as caught:
        command_line.require_programs(needs_redis=True)
    assert str(caught.value) == (
        "Several replicas need haproxy and redis-server (Debian: apt install haproxy redis-server)."
    )


def test_configuration_that_haproxy_refuses_is_one_sentence(tmp_path: Path) -> None:
    haproxy = tmp_path / "haproxy"
    haproxy.write_text("#!/bin/sh\necho '[ALERT]    (12) : config : no such thing.' >&2\nexit 1\n")
    haproxy.chmod(0o755)
    with pytest.raises(StartRefused, match=r"^HAProxy refuses its configuration: config : no such thing\.$"):
        command_line.write_haproxy_config(tmp_path / "haproxy.cfg", OPTIONS, PORTS, str(haproxy))


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "localhost"])
def test_configuration_of_a_usual_host_is_accepted_by_haproxy(host: str, tmp_path: Path) -> None:
    options = parse_arguments(["--workers", "2", "--host", host, "--trusted-proxy", "10.0.0.0/8"])
    haproxy = command_line.require_programs(needs_redis=False).haproxy
    command_line.write_haproxy_config(tmp_path / "haproxy.cfg", options, PORTS, haproxy)
    text = (tmp_path / "haproxy.cfg").read_text("utf-8")
    assert "127.0.0.1:20001" in text and "127.0.0.1:20002" in text and "10.0.0.0/8" in text


def test_host_that_haproxy_could_misread_is_one_sentence(tmp_path: Path) -> None:
    options = parse_arguments(["--workers", "2", "--host", "a b"])
    with pytest.raises(StartRefused, match=r"^HAProxy cannot serve the page with these settings: "):
        command_line.write_haproxy_config(tmp_path / "haproxy.cfg", options, PORTS, "haproxy")
