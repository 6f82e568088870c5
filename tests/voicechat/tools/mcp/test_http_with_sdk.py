"""MCP over streamable HTTP: calls, bounded answers, a server that goes away and comes back."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.mcp.http_server import serve
from tests.support.mcp.loop_lag import LoopLag
from tests.support.mcp.opened_tools import opened_tools

MAX_LAG_S = 0.010


@pytest.mark.parametrize("json_response", [True, False])
async def test_http_server_answers_and_its_results_are_bounded(
    json_response: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(json_response=json_response) as port:
        entry = {"url": f"http://127.0.0.1:{port}/mcp", "headers": {"Authorization": "Bearer ${KEY}"}}
        async with opened_tools(tmp_path, {"h": entry}, {"KEY": "canary-key"}) as tools:
            await tools.wait_for("h__double")
            assert tools.names == ["h__double", "h__much", "h__fail"]
            assert not tools.runtime.registry.definitions["h__double"].open_world
            assert "42" in (await tools.call("h__double", number=21)).text
            assert (await tools.call("h__much", size=20_000_000)).is_error
            assert "42" in (await tools.call_until_answered("h__double", number=21)).text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("json_response", [True, False])
async def test_http_server_whose_tool_fails_stays_connected(
    json_response: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        serve(json_response=json_response) as port,
        opened_tools(tmp_path, {"h": {"url": f"http://127.0.0.1:{port}/mcp"}}) as tools,
    ):
        await tools.wait_for("h__double")
        for _ in range(3):
            assert (await tools.call("h__fail")).text == "The tool's server refused the call."
        assert "42" in (await tools.call("h__double", number=21)).text
    assert caplog.text.count("server open") == 1 and "SECRET" not in caplog.text


async def test_http_server_after_a_restart_is_found_again(tmp_path: Path) -> None:
    async with serve() as port:
        entry = {"url": f"http://127.0.0.1:{port}/mcp"}
        tools_of_entry = opened_tools(tmp_path, {"h": entry})
        tools = await tools_of_entry.__aenter__()
        await tools.wait_for("h__double")
        assert "2" in (await tools.call("h__double", number=1)).text
    assert (await tools.call("h__double", number=1)).is_error
    async with serve(port):
        assert "2" in (await tools.call_until_answered("h__double", number=1)).text
        await tools_of_entry.__aexit__(None, None, None)


async def test_http_server_that_is_away_costs_the_main_loop_nothing(tmp_path: Path) -> None:
    async with opened_tools(tmp_path, {"h": {"url": "http://127.0.0.1:9/mcp"}}) as tools:
        async with LoopLag() as lag:
            assert (await tools.call("h__double", number=1)).is_error
        assert lag.worst_s < MAX_LAG_S
