"""Faults of MCP servers over stdio: each call ends, the server comes back, and nothing of it is logged."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest

from tests.support.mcp.loop_lag import LoopLag
from tests.support.mcp.opened_tools import WAIT_S, fault_entry, opened_tools

MAX_LAG_S = 0.010
FLOOD = 20_000_000
ACTING = {
    name: {} for name in ("echo", "act_and_die", "die_once", "hang", "cancelled", "environment", "leak", "bad_schema")
}


async def test_connection_with_junk_and_wrong_results_logs_no_content(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path)}) as tools:
        await tools.wait_for("f__echo")
        assert "f__act" not in tools.names and "f__bad_schema" not in tools.names
        assert "f__Odd_name_n_code" in tools.names
        assert (await tools.call("f__echo", text="SECRET-ARGUMENT")).text == "SECRET-ARGUMENT"
        assert (await tools.call("f__junk")).text == "done"
        assert (await tools.call("f__wrong")).is_error
    assert "SECRET" not in caplog.text
    assert "unusable_schema=1" in caplog.text


async def test_connection_with_a_dead_server_opens_it_again(tmp_path: Path) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path, tools=ACTING)}) as tools:
        await tools.wait_for("f__echo")
        assert (await tools.call("f__die_once")).text == "alive", "a reading call is made again"
        assert (await tools.call("f__act_and_die")).is_error, "an acting call is not"
        assert (tmp_path / "act_and_die").read_text() == "x"
        assert (await tools.call_until_answered("f__echo", text="back")).text == "back"
        assert len((tmp_path / "starts").read_text().splitlines()) == 3


async def test_connection_with_a_hanging_server_times_out_cancels_and_opens_it_again(tmp_path: Path) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path, tools=ACTING)}, TOOL_SECONDS=1) as tools:
        await tools.wait_for("f__echo")
        assert "timed out" in (await tools.call("f__hang")).text
        assert (await tools.call("f__cancelled")).text == "1"
        for _ in range(2):
            assert "timed out" in (await tools.call("f__hang")).text
        assert (await tools.call_until_answered("f__echo", text="back")).text == "back"
        assert len((tmp_path / "starts").read_text().splitlines()) == 2


async def test_connection_with_cancelled_calls_stays_open(tmp_path: Path) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path, tools=ACTING)}) as tools:
        await tools.wait_for("f__echo")
        calls = [tools.start("f__hang") for _ in range(3)]
        assert (await tools.call("f__echo", text="sent")).text == "sent", "the server has the three calls"
        for key in calls:
            tools.runtime.executor.cancel(key)
        async with asyncio.timeout(WAIT_S):
            while (await tools.call("f__cancelled")).text != "3":
                pass
        assert (await tools.call("f__echo", text="still")).text == "still"
        assert len((tmp_path / "starts").read_text().splitlines()) == 1


async def test_connection_with_a_changed_tool_switches_it_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path)}) as tools:
        await tools.wait_for("f__echo")
        await tools.call("f__change")
        await tools.wait_for("f__echo", is_there=False)
        assert "f__late" not in tools.names and "f__junk" in tools.names
        assert "There is no tool" in (await tools.call("f__echo", text="x")).text
    assert "changed=1" in caplog.text and "passwords" not in caplog.text


async def test_connection_with_secrets_keeps_them_from_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", "canary-openai")
    entry = fault_entry(tmp_path, env={"FAULT_TOKEN": "${NOTES_TOKEN}"}, tools=ACTING)
    async with opened_tools(tmp_path, {"f": entry}, {"NOTES_TOKEN": "canary-notes"}) as tools:
        await tools.wait_for("f__leak")
        shown = await tools.call("f__environment")
        assert json.loads(shown.text)["FAULT_TOKEN"] == "[hidden]"
        definitions = repr(tools.runtime.registry.definitions)
        assert tools.runtime.registry.definitions["f__leak"].description == "Uses [hidden]."
        assert "canary" not in shown.text + definitions + caplog.text
        assert "Give every secret" not in definitions


@pytest.mark.parametrize("name", ["flood", "flood_junk", "flood_lines"])
async def test_connection_with_a_flood_never_holds_up_the_main_loop(name: str, tmp_path: Path) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path)}) as tools:
        await tools.wait_for("f__echo")
        async with LoopLag() as lag:
            result = await tools.call(f"f__{name}", size=FLOOD)
            assert result.is_error or name == "flood_lines"
            assert (await tools.call_until_answered("f__echo", text="back")).text == "back"
        assert lag.steps > 50
        assert lag.worst_s < MAX_LAG_S


@pytest.mark.parametrize(("size", "is_read"), [(500_000, True), (3_000_000, False)])
async def test_connection_with_a_long_result_reads_or_refuses_it_and_lives(
    size: int, is_read: bool, tmp_path: Path
) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path)}) as tools:
        await tools.wait_for("f__echo")
        async with LoopLag() as lag:
            result = await tools.call("f__flood", size=size)
        assert result.is_error is not is_read
        assert lag.worst_s < MAX_LAG_S
        assert (await tools.call("f__echo", text="still")).text == "still"
        assert len((tmp_path / "starts").read_text().splitlines()) == 1


async def test_runtime_close_ends_the_processes(tmp_path: Path) -> None:
    async with opened_tools(tmp_path, {"f": fault_entry(tmp_path)}) as tools:
        await tools.wait_for("f__echo")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "starts").read_text()), 0)


async def test_connection_to_a_missing_program_keeps_trying(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    servers = {"none": {"command": "no-such-program", "args": ["canary"]}, "f": fault_entry(tmp_path)}
    async with opened_tools(tmp_path, servers) as tools:
        await tools.wait_for("f__echo")
    assert "server lost server=none cause=FileNotFoundError" in caplog.text and "canary" not in caplog.text
