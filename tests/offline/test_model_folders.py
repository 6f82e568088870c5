"""`python -m offline` with real models: folders with any letters, and damaged files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from offline.models.store import KOKORO_NAME, MOONSHINE_NAME, WHISPER_NAME
from tests.support.app.embedded_server import wait_for_phase
from tests.support.offline.model_folders import NAMES, damage_model, link_models
from tests.support.offline.offline_process import child_command, http_get, offline_process
from voicechat.server.embedded_server import EmbeddedServer, EmbeddedServerPhase

ENGLISH_ONLY = """
import json, sys
print(json.dumps({"listening": "ws://127.0.0.1:9/v1/realtime", "port": 9}), flush=True)
detail = "Mandarin cannot be used: whisper: it is damaged."
print(json.dumps({"ready": True, "model": "m", "languages": ["en"], "detail": detail}), flush=True)
sys.stdin.read()
"""


async def start_with(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the status line and the /health of a process with the models in `root`."""
    async with offline_process(OFFLINE_MODELS=str(root), OFFLINE_SESSIONS="1") as server:
        url = (await server.wait_for_line("listening"))["listening"]
        ready = await server.wait_for_line("ready")
        _, _, body = await http_get(url, "/health")
        return ready, json.loads(body)


async def test_models_in_a_folder_with_any_letters_load_completely(tmp_path: Path) -> None:
    root = tmp_path / " ".join(NAMES)
    link_models(root)
    ready, health = await start_with(root)
    assert (ready["ready"], ready["languages"], ready["detail"]) == (True, ["en", "zh"], "")
    assert (health["status"], health["detail"]) == ("ok", "")


@pytest.mark.parametrize(
    ("damaged", "engine", "languages"),
    [
        (WHISPER_NAME, "whisper", ["en"]),
        (KOKORO_NAME, "kokoro", ["en"]),
        (MOONSHINE_NAME, "", ["en", "zh"]),
    ],
)
async def test_damaged_model_leaves_the_other_language(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], damaged: str, engine: str, languages: list[str]
) -> None:
    link_models(tmp_path / "models")
    damage_model(tmp_path / "models", damaged)
    ready, health = await start_with(tmp_path / "models")
    assert (ready["ready"], ready["languages"]) == (True, languages)
    assert (health["status"], health["languages"], health["detail"]) == ("ok", languages, ready["detail"])
    assert ready["detail"].startswith(f"Mandarin cannot be used: {engine}: " if engine else "")
    log = capfd.readouterr().err
    assert log.count("engine failed") == 1 and "Traceback" not in log


def test_app_shows_what_failed_to_load() -> None:
    server = EmbeddedServer(child_command(ENGLISH_ONLY))
    server.start()
    try:
        wait_for_phase(server, EmbeddedServerPhase.READY)
        assert server.languages == ("en",)
        assert server.detail == "Mandarin cannot be used: whisper: it is damaged."
    finally:
        server.stop()
