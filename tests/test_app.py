"""The front door without a browser: both ways to start it, /health, and bad settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import running_app

ROOT = Path(__file__).resolve().parent.parent
# A server that is not there: these tests are about the door, not about what is behind it.
ELSEWHERE = {"REALTIME_URL": "ws://127.0.0.1:9/v1/realtime", "REALTIME_API_KEY": "sk-secret-of-the-operator"}


@pytest.mark.parametrize("command", [["app.py"], ["-m", "uvicorn", "app:app"]], ids=["python app.py", "uvicorn"])
def test_page_and_health(command: list[str], tmp_path: Path) -> None:
    with running_app(tmp_path / "log.txt", command, REALTIME_MODEL="some-model", **ELSEWHERE) as app:
        health = app.wait(lambda answer: answer["http"] == 200)
        assert health == {
            "http": 200,
            "status": "ok",
            "server": "custom",
            "model": "some-model",
            "calls": 0,
            "version": "0.1.0",
            "detail": "",
        }
        page = app.get("/")
        assert "Realtime Voice Chat" in page
        for place in (page, app.get("/config"), (tmp_path / "log.txt").read_text()):
            assert "sk-secret-of-the-operator" not in place


@pytest.mark.models
def test_health_is_503_until_the_models_are_loaded(tmp_path: Path) -> None:
    with running_app(tmp_path / "log.txt") as app:
        first = app.wait(lambda answer: True)
        assert (first["http"], first["status"], first["server"]) == (503, "loading", "offline")
        assert str(first["detail"]).endswith(".")
        ready = app.wait(lambda answer: answer["http"] == 200, timeout=90)
        assert ready["status"] == "ok"
        assert "qwen" in str(ready["model"]).lower()


def test_a_bad_setting_is_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, "PORT": "many"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "PORT must be a whole number from 0 to 65535."
