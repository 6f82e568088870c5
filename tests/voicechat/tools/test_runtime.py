"""Runtime: what the settings lead to, and what a public Space refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from voicechat.config.env_values import SettingsError
from voicechat.config.settings import Settings
from voicechat.tools import runtime
from voicechat.tools.runtime import build_tool_runtime

SPACE = {"SPACE_ID": "someone/voice"}
TOOLS = '''
from voicechat.tools.python import tool

@tool(read_only=True)
def look() -> str:
    """Look."""
    return "seen"

@tool
def act() -> str:
    """Act."""
    return "acted"
'''


@pytest.fixture
def tools_file(tmp_path: Path) -> str:
    path = tmp_path / "some_tools.py"
    path.write_text(TOOLS, encoding="utf-8")
    return str(path)


@pytest.fixture
def mcp_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a file with a server of each kind, read as if the MCP package were installed."""
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: object())
    path = tmp_path / "mcp.json"
    servers = {"local": {"command": "x", "autoApprove": ["y"]}, "remote": {"url": "https://host/mcp"}}
    path.write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
    return str(path)


def test_runtime_without_settings_has_neither_tools_nor_threads() -> None:
    before = threading.active_count()
    empty = build_tool_runtime(Settings(), {})
    empty.start()
    assert not empty.registry.definitions and not empty.executor.is_running
    assert threading.active_count() == before
    empty.close()


def test_runtime_imports_no_mcp_package() -> None:
    code = "import sys, voicechat.tools.runtime; raise SystemExit(bool({'mcp', 'httpx2'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_runtime_loads_python_tools(tools_file: str) -> None:
    built = build_tool_runtime(Settings.from_env({"TOOLS": tools_file, "TOOL_SECONDS": "7"}), {})
    assert {name: one.timeout_s for name, one in built.registry.definitions.items()} == {"look": 7, "act": 7}


def test_runtime_on_an_open_space_refuses_acting_tools_and_processes(
    tools_file: str, mcp_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.from_env({"TOOLS": tools_file, "MCP_CONFIG": mcp_file})
    built = build_tool_runtime(settings, SPACE)
    assert list(built.registry.definitions) == ["look"]
    assert "acting ones refused on a public Space without APP_PASSWORD names=act" in caplog.text
    assert "refused on a public Space without APP_PASSWORD servers=local" in caplog.text
    assert "autoApprove is ignored" in caplog.text


def test_runtime_on_a_space_with_a_password_takes_all(
    tools_file: str, mcp_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.from_env({"TOOLS": tools_file, "MCP_CONFIG": mcp_file, "APP_PASSWORD": "long enough"})
    built = build_tool_runtime(settings, SPACE)
    assert list(built.registry.definitions) == ["look", "act"]
    assert "refused" not in caplog.text


def test_runtime_without_the_mcp_package_says_what_to_install(mcp_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"requirements-mcp\.txt"):
        build_tool_runtime(Settings.from_env({"MCP_CONFIG": mcp_file}), {})


def test_runtime_with_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        build_tool_runtime(Settings.from_env({"MCP_CONFIG": str(tmp_path / "none.json")}), {})
