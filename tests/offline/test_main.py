"""`python -m offline` as a program: what it says, how it ends. No models: their folder is an empty one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.offline.offline_process import offline_process

from .test_server import http_get


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes find no models."""
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_a_signal_ends_it_cleanly(name: str) -> None:
    async with offline_process() as server:
        said = await server.wait_for_line("listening")
        assert said["listening"] == f"ws://127.0.0.1:{said['port']}/v1/realtime"
        server.process.send_signal(getattr(signal, name))
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


async def test_it_ends_with_its_parent() -> None:
    async with offline_process() as server:
        await server.wait_for_line("listening")
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


async def test_a_port_that_is_taken() -> None:
    async with offline_process() as first:
        port = (await first.wait_for_line("listening"))["port"]
        async with offline_process("--port", str(port)) as second:
            assert await asyncio.wait_for(second.process.wait(), 20) == 1


async def test_a_setting_that_makes_no_sense() -> None:
    async with offline_process(OFFLINE_SESSIONS="none") as server:
        assert await asyncio.wait_for(server.process.wait(), 20) == 2


async def test_missing_models_are_told_and_the_port_stays_open() -> None:
    async with offline_process(OFFLINE_SESSIONS="3") as server:
        url = (await server.wait_for_line("listening"))["listening"]
        ready = await server.wait_for_line("ready")
        assert ready["ready"] is False and "python -m offline.models fetch" in ready["detail"]
        status, _, body = await http_get(url, "/health")
        health = json.loads(body)
        assert (status, health["status"], health["capacity"]) == (503, "failed", 3)
        assert health["detail"] == ready["detail"]
