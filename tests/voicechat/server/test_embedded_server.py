"""The embedded server's process: it starts, is restarted when it dies, and never outlives the app."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from tests.support.app.embedded_server import wait_for, wait_for_phase
from tests.support.offline.offline_process import child_command
from voicechat.server.embedded_server import PROJECT_DIR, EmbeddedServer, EmbeddedServerPhase
from voicechat.upstream.model_news import EmbeddedPart, ModelKind, ModelNews, ModelNewsStage

HEALTHY_CHILD = """
import sys, json
print("a library's chatter", flush=True)
print(json.dumps({"listening": "ws://127.0.0.1:9/v1/realtime", "port": 9}), flush=True)
print(json.dumps({"progress": "loading a model"}), flush=True)
print(json.dumps({"ready": True, "model": "small", "languages": ["en"], "voices": ["hibari"]}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def servers() -> Iterator[list[EmbeddedServer]]:
    made: list[EmbeddedServer] = []
    yield made
    for server in made:
        server.stop()


def has_exited(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_server_becomes_ready_with_its_address(servers: list[EmbeddedServer]) -> None:
    server = EmbeddedServer(child_command(HEALTHY_CHILD))
    servers.append(server)
    assert server.phase is EmbeddedServerPhase.STOPPED
    server.start()
    wait_for_phase(server, EmbeddedServerPhase.READY)
    assert server.url == "ws://127.0.0.1:9/v1/realtime"
    assert server.languages == ("en",)
    assert server.voices == ("hibari",)
    assert server.model == "small"


CAPACITY_CHILD = """
import sys, json
for line in sys.stdin:
    capacity = line.strip() if line.strip().isdecimal() else "5"  # the first line is the key
    print(json.dumps({"ready": True, "model": "small", "languages": ["en"], "capacity": int(capacity)}), flush=True)
"""


async def test_capacity_that_the_child_tells_is_reported_in_the_event_loop(servers: list[EmbeddedServer]) -> None:
    server = EmbeddedServer(child_command(CAPACITY_CHILD))
    servers.append(server)
    assert server.capacity is None and server.find_address() is None
    reports: asyncio.Queue[tuple[int | None, int]] = asyncio.Queue()
    here = threading.get_ident()
    async with (
        asyncio.timeout(20),
        server.run_in_background(lambda: reports.put_nowait((server.capacity, threading.get_ident()))),
    ):
        assert await reports.get() == (None, here)
        server.start()
        assert await reports.get() == (5, here)
        child = server._child
        assert child is not None and child.stdin is not None
        for capacity in ("5", "3"):
            child.stdin.write(f"{capacity}\n")
            child.stdin.flush()
        assert await reports.get() == (3, here), "the same number is no news"


UPGRADING_CHILD = """
import sys, json
for line in sys.stdin:
    print(line, end="", flush=True)
    if not line.startswith("{"):  # the key
        print(json.dumps({"ready": True, "model": "small", "languages": ["en"]}), flush=True)
        print(json.dumps({"upgrade": "Fetching.", "model": "small", "news": [
            {"stage": "fetching", "kind": "stt", "percent": 5, "megabytes": 486}, {"stage": "of a later version"},
        ]}), flush=True)
"""


def test_news_and_fallbacks_follow_the_status_lines_of_the_child(servers: list[EmbeddedServer]) -> None:
    server = EmbeddedServer(child_command(UPGRADING_CHILD), sleep=lambda seconds: None)
    servers.append(server)
    assert not server.news
    server.start()
    wait_for(lambda: bool(server.news))
    assert server.news == (ModelNews(ModelNewsStage.FETCHING, ModelKind.STT, 5, 486),)
    assert (server.upgrade, server.model) == ("Fetching.", "small")
    child = server._child
    assert child is not None and child.stdin is not None
    child.stdin.write('{"upgrade": "", "model": "medium", "news": []}\n')
    child.stdin.flush()
    wait_for(lambda: server.model == "medium")
    wait_for(lambda: server.news == ())
    assert server.fallbacks == frozenset()
    child.stdin.write('{"endpoint_faults": {"llm": "unreachable", "tts": "", "stt": 7, "other": "timeout"}}\n')
    child.stdin.flush()
    wait_for(lambda: server.fallbacks == {EmbeddedPart.LLM})
    child.stdin.write('{"endpoint_faults": {}}\n')
    child.stdin.flush()
    wait_for(lambda: server.fallbacks == frozenset())


def test_stop_ends_the_child(servers: list[EmbeddedServer]) -> None:
    server = EmbeddedServer(child_command(HEALTHY_CHILD))
    servers.append(server)
    server.start()
    wait_for_phase(server, EmbeddedServerPhase.READY)
    pid = server.pid
    assert pid is not None
    server.stop()
    assert has_exited(pid)
    assert server.phase is EmbeddedServerPhase.STOPPED
    assert server.url is None


def test_child_that_exits_is_restarted(servers: list[EmbeddedServer]) -> None:
    pauses: list[tuple[float, EmbeddedServerPhase]] = []
    server = EmbeddedServer(child_command(HEALTHY_CHILD), sleep=lambda seconds: pauses.append((seconds, server.phase)))
    servers.append(server)
    server.start()
    wait_for_phase(server, EmbeddedServerPhase.READY)
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for_phase(server, EmbeddedServerPhase.READY, pid_before=first)
    assert server.pid != first
    assert pauses == [(0.5, EmbeddedServerPhase.RESTARTING)]


@pytest.mark.parametrize(
    ("source", "phase", "expected", "detail"),
    [
        ("raise SystemExit(3)", EmbeddedServerPhase.RESTARTING, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], "exit code 3"),
        (
            """
            import sys
            print('{"ready": false, "detail": "The speech model is missing."}', flush=True)
            sys.stdin.read()
            """,
            EmbeddedServerPhase.FAILED,
            [30] * 9,
            "The speech model is missing.",
        ),
    ],
    ids=["it dies at once", "it has no models"],
)
def test_child_that_fails_to_start_is_retried_with_backoff_and_a_reason(
    servers: list[EmbeddedServer], source: str, phase: EmbeddedServerPhase, expected: list[float], detail: str
) -> None:
    pauses: list[float] = []
    seen: list[tuple[EmbeddedServerPhase, str]] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        seen.append((server.phase, server.detail))
        if len(pauses) == 9:
            server._stopping.set()

    server = EmbeddedServer(child_command(source), sleep=sleep)
    servers.append(server)
    server.start()
    assert server._thread is not None
    server._thread.join(60)
    assert pauses == expected
    assert {p for p, _ in seen} == {phase}
    assert detail in seen[-1][1]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("before", "phase"), [("", EmbeddedServerPhase.UNAVAILABLE), (HEALTHY_CHILD, EmbeddedServerPhase.RESTARTING)]
)
def test_child_with_an_illegal_instruction_is_restarted_if_it_was_ready(
    before: str, phase: EmbeddedServerPhase
) -> None:
    source = f"{before.replace('sys.stdin.read()', '')}\nimport os, signal\nos.kill(os.getpid(), signal.SIGILL)"
    assert EmbeddedServer(child_command(source))._run_child()[0] is phase


def test_child_ends_when_the_app_is_killed() -> None:
    """SIGKILL leaves no time for clean-up: the child notices by itself that its parent's pipe is closed."""
    app = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import sys, time
                from tests.support.app.embedded_server import wait_for, wait_for_phase
                from voicechat.server.embedded_server import EmbeddedServer, EmbeddedServerPhase
                server = EmbeddedServer({child_command(HEALTHY_CHILD)!r})
                server.start()
                wait_for_phase(server, EmbeddedServerPhase.READY)
                print(server.pid, flush=True)
                sys.stdin.read()
            """),
        ],
        cwd=PROJECT_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert app.stdout is not None
    pid = int(app.stdout.readline())
    handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    app.kill()
    app.wait()
    if handle is not None:
        import select

        assert select.select([handle], [], [], 10)[0], "the child outlived the app"
        os.close(handle)
