"""Child processes: their lines in the common log, their end, and when they count as ready."""

from __future__ import annotations

import asyncio
import io
import os
import queue
import re
import signal
import sys
from pathlib import Path

import pytest

from replicas import readiness
from replicas.child_process import MAX_LINE_BYTES, ChildProcess, PrefixedLog
from replicas.launch_plan import ListenAddress, ProcessSpec, ReadyCheck
from replicas.readiness import is_ready, wait_until_hanging, wait_until_ready
from replicas.supervision import ProcessRole

WAIT_S = 30


def spec_of(code: str, *, shows_stdout: bool = True) -> ProcessSpec:
    address = ListenAddress("127.0.0.1", 9)
    command = (sys.executable, "-c", code)
    return ProcessSpec("replica-1", ProcessRole.REPLICA, command, os.environ, address, ReadyCheck.HEALTH, shows_stdout)


def run_child(code: str, *, shows_stdout: bool = True) -> tuple[int, list[str]]:
    """Return the status and the logged lines of a process."""
    out, ends = io.BytesIO(), queue.Queue[int](1)
    ChildProcess(spec_of(code, shows_stdout=shows_stdout), 0, PrefixedLog(out), ends.put)
    return ends.get(timeout=WAIT_S), out.getvalue().decode().splitlines()


# -------------------------------------------------------------------- lines and ends


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_child_lines_carry_its_name_and_nothing_else() -> None:
    status, lines = run_child("import sys; print('one', flush=True); sys.exit('two')")
    assert (status, lines) == (1, ["replica-1: one", "replica-1: two"])


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_child_whose_stdout_is_for_programs_shows_its_stderr_only() -> None:
    status, lines = run_child("import sys; print('{}'); sys.exit('log')", shows_stdout=False)
    assert (status, lines) == (1, ["replica-1: log"])


def test_lines_that_are_left_out_are_not_written() -> None:
    out = io.BytesIO()
    PrefixedLog(out).copy_lines("redis", io.BytesIO(b"one\nWARNING two\nthree\n"), re.compile(rb"WARNING"))
    assert out.getvalue() == b"redis: one\nredis: three\n"


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_child_that_was_killed_reports_its_signal() -> None:
    ends = queue.Queue[int](1)
    child = ChildProcess(
        spec_of("import sys; sys.stdin.read(); import time; time.sleep(60)"), 0, PrefixedLog(io.BytesIO()), ends.put
    )
    child.send_signal(signal.SIGKILL)
    assert ends.get(timeout=WAIT_S) == -signal.SIGKILL
    child.send_signal(signal.SIGTERM)  # of a process that has ended


def test_log_continues_a_long_line_on_the_next() -> None:
    out = io.BytesIO()
    PrefixedLog(out).copy_lines("redis", io.BytesIO(b"x" * (MAX_LINE_BYTES + 2) + b"\r\nend"))
    assert out.getvalue() == b"redis: " + b"x" * MAX_LINE_BYTES + b"\nredis: xx\nredis: end\n"


def test_log_that_cannot_be_written_reads_on() -> None:
    lines = io.BytesIO(b"one\ntwo\n")
    out = io.BytesIO()
    out.close()
    PrefixedLog(out).copy_lines("redis", lines)
    assert lines.closed


# -------------------------------------------------------------------- readiness


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(b"HTTP/1.1 200 OK\r\n\r\n{}", True), (b"HTTP/1.1 503 Service Unavailable\r\n\r\n{}", True), (b"", False)],
)
async def test_replica_is_ready_when_it_answers_whatever_it_says(answer: bytes, expected: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"GET /health ")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await is_ready(ListenAddress("127.0.0.1", port), ReadyCheck.HEALTH) is expected


@pytest.mark.skipif(os.name == "nt", reason="UNIX sockets")
async def test_process_is_ready_when_its_socket_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "CHECK_PAUSE_S", 0.001)
    address = ListenAddress(str(tmp_path / "redis.sock"))
    spec = ProcessSpec("redis", ProcessRole.STORE, (), {}, address, ReadyCheck.ACCEPTS)
    waiting = asyncio.create_task(wait_until_ready(spec))
    with pytest.raises(OSError):
        await is_ready(address, ReadyCheck.ACCEPTS)
    assert not waiting.done()
    async with await asyncio.start_unix_server(lambda reader, writer: writer.close(), address.host):
        await asyncio.wait_for(waiting, WAIT_S)


async def test_replica_hangs_when_it_accepts_and_gives_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "HANG_CHECK_PAUSE_S", 0.001)
    monkeypatch.setattr(readiness, "HANG_LIMIT_S", 0.02)
    checks = 0
    checked, freeze = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            checked.set()
        writer.write(b"" if freeze.is_set() else b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = ListenAddress("127.0.0.1", server.sockets[0].getsockname()[1])
        spec = ProcessSpec("replica-1", ProcessRole.REPLICA, (), {}, address, ReadyCheck.HEALTH)
        waiting = asyncio.create_task(wait_until_hanging(spec))
        await asyncio.wait_for(checked.wait(), WAIT_S)
        assert not waiting.done()
        monkeypatch.setattr(readiness, "CHECK_TIMEOUT_S", 0.02)
        freeze.set()
        await asyncio.wait_for(waiting, WAIT_S)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
async def test_process_on_all_interfaces_is_asked_at_loopback(host: str) -> None:
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) as server:
        assert await is_ready(ListenAddress(host, server.sockets[0].getsockname()[1]), ReadyCheck.ACCEPTS)


@pytest.mark.parametrize(("host", "text"), [("::1", "[::1]:80"), ("voice.example", "voice.example:80")])
def test_address_of_ipv6_has_brackets(host: str, text: str) -> None:
    assert str(ListenAddress(host, 80)) == text
