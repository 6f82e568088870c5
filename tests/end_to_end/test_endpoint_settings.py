"""Settings of the endpoints in the real app: bad ones end its start, good ones choose the embedded server, and no key
shows anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.app.app_process import NO_SERVER_SETTINGS, OPERATOR_KEY, running_app
from tests.support.endpoints.scripted_chat_server import ScriptedChatServer, text_response
from tests.support.paths import ROOT

KEY = "sk-chat-Qx7Canary"
MUST_BE_ADDRESS = "must be an http or https address without a user, such as http://127.0.0.1:11434/v1; a key belongs in"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"LLM_URL": "ftp://127.0.0.1/v1"}, f"LLM_URL {MUST_BE_ADDRESS} LLM_API_KEY."),
        ({"LLM_URL": f"http://user:{KEY}@127.0.0.1/v1"}, f"LLM_URL {MUST_BE_ADDRESS} LLM_API_KEY."),
        ({"LLM_URL": f"http://127.0.0.1/v1?key={KEY}"}, f"LLM_URL {MUST_BE_ADDRESS} LLM_API_KEY."),
        ({"STT_URL": "http://"}, f"STT_URL {MUST_BE_ADDRESS} STT_API_KEY."),
        ({"TTS_URL": "http://127.0.0.1:99999/v1"}, f"TTS_URL {MUST_BE_ADDRESS} TTS_API_KEY."),
    ],
)
def test_bad_address_ends_the_start_with_one_sentence(settings: dict[str, str], sentence: str) -> None:
    done = start_app(settings)
    assert done.returncode == 1
    assert done.stderr.strip() == sentence
    assert KEY not in done.stdout + done.stderr


def test_bad_key_ends_the_start_with_one_sentence() -> None:
    done = start_app({"LLM_URL": "http://127.0.0.1:11434", "LLM_API_KEY": f"{KEY} and\nmore"})
    assert done.returncode == 1
    assert done.stderr.startswith("LLM_API_KEY ") and len(done.stderr.strip().splitlines()) == 1
    assert KEY not in done.stdout + done.stderr


def start_app(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Start the app with settings on which it ends."""
    environment = {**os.environ, **NO_SERVER_SETTINGS, **settings}
    return subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_address_of_a_language_model_chooses_the_embedded_server(tmp_path: Path) -> None:
    """An OpenAI key does not change that. Neither key shows in the log, /health, the page or the list of processes."""
    log = tmp_path / "log.txt"
    with ScriptedChatServer(text_response("Hello.")).running() as chat:
        settings = {"LLM_URL": chat.url, "LLM_API_KEY": KEY, "OPENAI_API_KEY": OPERATOR_KEY, "DEBUG": "true"}
        # Without model files the embedded server ends its start soon.
        with running_app(log, **settings, OFFLINE_MODELS=str(tmp_path / "none")) as app:
            health = app.wait_for_health(lambda answer: answer["status"] == "failed")
            assert health["server"] == "offline"
            shown = [str(health), app.fetch_text("/"), app.fetch_text("/config"), app.fetch_text("/metrics")]
            process = psutil.Process(app.process.pid)
            shown += [" ".join(each.cmdline()) for each in (process, *process.children(recursive=True))]
    shown.append(log.read_text())
    assert not [text for text in shown if KEY in text or OPERATOR_KEY in text]


def test_server_by_address_goes_before_the_language_model(tmp_path: Path) -> None:
    settings = {"LLM_URL": "http://127.0.0.1:9/v1", "REALTIME_URL": "ws://127.0.0.1:9/v1/realtime"}
    with running_app(tmp_path / "log.txt", **settings) as app:
        assert app.wait_for_health(lambda answer: True)["server"] == "custom"
