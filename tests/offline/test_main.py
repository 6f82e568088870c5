"""`python -m offline` as a process: status lines and exit codes, without models."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from pathlib import Path
from unittest.mock import AsyncMock, MagicMock

import pytest

from offline import __main__ as entry_point
from offline.engines import COMMON_ENGINES, LANGUAGE_ENGINES
from offline.server import RealtimeServer
from tests.support.missing_packages import environment_without
from tests.support.offline.offline_process import http_get, offline_process


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an empty models folder for child processes."""
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_process_on_a_signal_exits_with_0(name: str) -> None:
    async with offline_process() as server:
        said = await server.wait_for_line("listening")
        assert said["listening"] == f"ws://127.0.0.1:{said['port']}/v1/realtime"
        server.process.send_signal(getattr(signal, name))
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


async def test_process_at_the_end_of_stdin_exits_with_0() -> None:
    async with offline_process() as server:
        await server.wait_for_line("listening")
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert await asyncio.wait_for(server.process.wait(), 20) == 0


async def test_process_with_a_used_port_exits_with_1() -> None:
    async with offline_process() as first:
        port = (await first.wait_for_line("listening"))["port"]
        async with offline_process("--port", str(port)) as second:
            assert await asyncio.wait_for(second.process.wait(), 20) == 1


@pytest.mark.parametrize(
    "setting",
    [{"OFFLINE_SESSIONS": "none"}, {"OFFLINE_LLM": "huge"}, {"OFFLINE_STT": "large"}, {"OFFLINE_UPGRADE": "?"}],
)
async def test_process_with_an_invalid_setting_exits_with_2(setting: dict[str, str]) -> None:
    async with offline_process(**setting) as server:
        assert await asyncio.wait_for(server.process.wait(), 20) == 2


async def test_process_without_models_reports_it_and_serves_health() -> None:
    async with offline_process(OFFLINE_SESSIONS="3") as server:
        url = (await server.wait_for_line("listening"))["listening"]
        ready = await server.wait_for_line("ready")
        assert ready["ready"] is False and "python -m offline.models fetch" in ready["detail"]
        status, _, body = await http_get(url, "/health")
        health = json.loads(body)
        assert (status, health["status"], health["capacity"]) == (503, "failed", 3)
        assert health["detail"] == ready["detail"]


async def test_loaded_models_are_one_line_of_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = MagicMock(model="small", languages=("en",), speakers={}, detail="")
    monkeypatch.setattr(entry_point, "import_engines", lambda: None)
    monkeypatch.setattr("offline.pipeline.loader.load_pipeline", AsyncMock(return_value=pipeline))
    monkeypatch.setattr(entry_point, "write_status_line", lambda **_: None)
    for name in ("upgrade_in_background", "keep_pace_in_background"):
        monkeypatch.setattr(entry_point, name, AsyncMock())
    with caplog.at_level(logging.INFO, "offline"):
        await entry_point.load_models(RealtimeServer())
    assert [text for text in caplog.messages if "the embedded server is ready model=small" in text]


NEEDED = [[name] for name in COMMON_ENGINES] + [["hibari", name] for name in LANGUAGE_ENGINES["zh"]]
"""Engines without which no language is left."""
SPARED = [[name] for names in LANGUAGE_ENGINES.values() for name in names] + [list(LANGUAGE_ENGINES["zh"])]
"""Engines without which a language is left."""


@pytest.mark.parametrize("engines", NEEDED, ids="+".join)
async def test_process_without_an_engine_names_it_and_exits(engines: list[str], tmp_path: Path) -> None:
    async with offline_process(**environment_without(tmp_path, engines)) as server:
        ready = await server.wait_for_line("ready")
        assert (ready["ready"], ready["reason"]) == (False, "engines")
        assert all(name in ready["detail"] for name in engines) and ready["detail"].endswith(".")
        assert await asyncio.wait_for(server.process.wait(), 20) == 3


@pytest.mark.parametrize("engines", NEEDED, ids="+".join)
async def test_process_with_an_engine_that_cannot_be_loaded_names_it_and_exits(
    engines: list[str], tmp_path: Path
) -> None:
    async with offline_process(**environment_without(tmp_path, broken=engines)) as server:
        ready = await server.wait_for_line("ready")
        assert (ready["ready"], ready["reason"]) == (False, "engines")
        assert all(f"lib{name}.so" in ready["detail"] for name in engines)
        assert await asyncio.wait_for(server.process.wait(), 20) == 3


@pytest.mark.parametrize("kind", ["missing", "broken"])
@pytest.mark.parametrize("engines", SPARED, ids="+".join)
async def test_process_without_the_engines_of_one_language_goes_on_to_the_models(
    engines: list[str], kind: str, tmp_path: Path
) -> None:
    async with offline_process(**environment_without(tmp_path, **{kind: engines})) as server:
        ready = await server.wait_for_line("ready")
        assert (ready["ready"], ready["reason"]) == (False, "models")
        assert "python -m offline.models fetch" in ready["detail"]
