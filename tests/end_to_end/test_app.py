"""The app as a process: both start commands, /health, and bad settings."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.app.app_process import AppProcess, running_app
from tests.support.paths import ROOT

KEY = "sk-secret-of-the-operator"


@pytest.mark.parametrize("command", [["app.py"], ["-m", "uvicorn", "app:app"]], ids=["python app.py", "uvicorn"])
def test_app_serves_page_and_health_without_showing_its_key(command: list[str], tmp_path: Path) -> None:
    # The server accepts TCP connections and never answers.
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        address = f"ws://127.0.0.1:{elsewhere.getsockname()[1]}/v1/realtime"
        settings = {"REALTIME_URL": address, "REALTIME_API_KEY": KEY, "REALTIME_MODEL": "some-model"}
        with running_app(tmp_path / "log.txt", command, **settings) as app:
            health = app.wait_for_health(lambda answer: answer["http"] == 200)
            assert isinstance(health.pop("uptime_s"), float)
            assert re.fullmatch("[0-9a-f]{16}", str(health.pop("replica")))
            assert health == {
                "http": 200,
                "status": "ok",
                "server": "custom",
                "model": "some-model",
                "calls": 0,
                "chats": 0,
                "version": "0.1.0",
                "detail": "",
                "shared_state": "memory",
                "replicas": 1,
                "slots": {
                    "call": {"here": 0, "everywhere": 0, "limit": 8},
                    "chat": {"here": 0, "everywhere": 0, "limit": 32},
                    "program": {"here": 0, "everywhere": 0, "limit": 64},
                },
                "waiting": {"here": 0, "everywhere": 0, "limit": 8},
            }
            page, config = app.fetch_text("/"), app.fetch_text("/config")
            assert "Realtime Voice Chat" in page
            if command == ["app.py"]:  # a second signal ends it at once, with a call open
                with connect(f"{app.url.replace('http', 'ws')}/v1/realtime"):
                    app.wait_for_health(lambda answer: answer["calls"] == 1)
                    app.process.send_signal(signal.SIGINT)
                    app.wait_for_health(lambda answer: answer["status"] == "draining")
                    while app.process.poll() is None:  # the kernel merges signals that follow too soon
                        app.process.terminate()
                        with suppress(subprocess.TimeoutExpired):
                            app.process.wait(0.1)
                assert app.process.returncode == 128 + signal.SIGTERM
            for text in (page, config, (tmp_path / "log.txt").read_text()):
                assert KEY not in text


@pytest.mark.models
def test_health_is_503_until_the_models_are_loaded(app: AppProcess) -> None:
    first = app.first_health
    assert (first["http"], first["status"], first["server"]) == (503, "loading", "offline")
    assert str(first["detail"]).endswith(".")
    ready = app.health()
    assert (ready["http"], ready["status"]) == (200, "ok")
    assert "qwen" in str(ready["model"]).lower()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("PORT", "many", "PORT must be a whole number from 0 to 65535."),
        ("TOOLS", "def look(:", "TOOLS: {file} cannot be loaded: SyntaxError in line 1."),
        ("MCP_CONFIG", "{", "MCP_CONFIG: the file is not JSON: see line 1."),
    ],
)
def test_bad_setting_ends_the_start_with_one_sentence(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    file = tmp_path / "given.py"
    file.write_text(text)
    value = text if name == "PORT" else str(file)
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, name: value}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == sentence.replace("{file}", file.name)
