"""`python -m offline --fetch`: downloads in the server's process, better models after the start, and their reports."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from filelock import FileLock

from offline import __main__ as offline_main
from offline.models.downloader import JsonProgress
from offline.models.store import FileSource, ModelFile, ModelSpec
from tests.support.app.embedded_server import wait_for, wait_for_phase
from tests.support.offline.fake_model_host import running_model_host
from tests.support.offline.offline_process import child_command
from voicechat.server.embedded_server import EmbeddedServer, EmbeddedServerPhase

DATA = b"model" * 4000
FETCHES = """
import sys, json
print(json.dumps({"listening": "ws://127.0.0.1:9/v1/realtime", "port": 9}), flush=True)
print(json.dumps({"fetching": "Fetching a model: 10 %"}), flush=True)
sys.stdin.readline()  # the key
if sys.stdin.read(1):
    print(json.dumps({"ready": True, "model": "small", "languages": ["en"]}), flush=True)
    sys.stdin.read()
"""


def make_models(url: str) -> tuple[ModelSpec, ...]:
    file = ModelFile("file", len(DATA), hashlib.sha256(DATA).hexdigest(), (FileSource(url=url),))
    return (ModelSpec("a-model", "speaks", ("en",), "MIT", (file,)),)


def test_download_missing_models_downloads_once_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    sentences: list[str] = []
    with running_model_host({"/file": DATA}) as server:
        monkeypatch.setattr(offline_main, "required_models", lambda environ: make_models(f"{server.url}/file"))
        offline_main.download_missing_models(sentences.append)
        assert (tmp_path / "a-model" / "file").read_bytes() == DATA
        assert any("100 %" in sentence for sentence in sentences)
        sentences.clear()
        offline_main.download_missing_models(sentences.append)
        assert sentences == [] and len(server.requests) == 1


def test_download_missing_models_without_a_source_logs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    with running_model_host({}) as server:
        monkeypatch.setattr(offline_main, "required_models", lambda environ: make_models(f"{server.url}/file"))
        offline_main.download_missing_models(lambda sentence: None)
    assert "Missing: a-model/file" in caplog.text


def test_download_missing_voices_downloads_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    with running_model_host({"/file": DATA}) as server:
        monkeypatch.setattr(offline_main, "optional_models", lambda environ: make_models(f"{server.url}/file"))
        offline_main.download_missing_voices()
        assert (tmp_path / "a-model" / "file").read_bytes() == DATA
        offline_main.download_missing_voices()
        assert len(server.requests) == 1


def test_download_missing_voices_without_a_source_or_beside_another_process_is_one_log_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    with running_model_host({}) as server:
        monkeypatch.setattr(offline_main, "optional_models", lambda environ: make_models(f"{server.url}/file"))
        offline_main.download_missing_voices()
        with FileLock(tmp_path / ".a-model.lock"):
            offline_main.download_missing_voices()
    first, second = (record.message for record in caplog.records if record.levelname == "WARNING")
    assert first.startswith("voices: download failed missing=1 first_reason=Missing: a-model/file")
    assert second == "voices: download failed error=Timeout"


def test_json_progress_reports_each_tenth() -> None:
    sentences: list[str] = []
    progress = JsonProgress(sentences.append)
    for done in range(0, 1001):
        progress.update("m/f", done, 1000)
    progress.finish("m/f", "checked")
    assert len(sentences) == 12
    assert (sentences[0], sentences[-1]) == ("Fetching m/f: 0 % of 0 MB", "m/f: checked")


def test_embedded_server_during_download_reports_the_phase() -> None:
    server = EmbeddedServer(child_command(FETCHES))
    server.start()
    try:
        wait_for_phase(server, EmbeddedServerPhase.DOWNLOADING)
        assert (server.url, server.detail) == (None, "Fetching a model: 10 %")
        assert server._child is not None and server._child.stdin is not None
        server._child.stdin.write("x")
        server._child.stdin.flush()
        wait_for_phase(server, EmbeddedServerPhase.READY)
    finally:
        server.stop()


UPGRADES = """
import sys, json
print(json.dumps({"listening": "ws://127.0.0.1:9/v1/realtime", "port": 9}), flush=True)
print(json.dumps({"ready": True, "model": "small", "languages": ["en"]}), flush=True)
print(json.dumps({"upgrade": "Fetching a better language model: 40 % of 1117 MB.", "model": "small"}), flush=True)
sys.stdin.readline()  # the key
if sys.stdin.read(1):
    print(json.dumps({"upgrade": "", "model": "medium"}), flush=True)
    sys.stdin.read()
"""


def test_embedded_server_reports_a_better_model() -> None:
    server = EmbeddedServer(child_command(UPGRADES))
    server.start()
    try:
        wait_for_phase(server, EmbeddedServerPhase.READY)
        wait_for(lambda: server.upgrade == "Fetching a better language model: 40 % of 1117 MB.")
        assert (server.phase, server.model) == (EmbeddedServerPhase.READY, "small")
        assert server._child is not None and server._child.stdin is not None
        server._child.stdin.write("x")
        server._child.stdin.flush()
        wait_for(lambda: (server.upgrade, server.model) == ("", "medium"))
    finally:
        server.stop()
