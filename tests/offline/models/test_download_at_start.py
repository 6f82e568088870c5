"""`python -m offline --fetch`: missing models are fetched by the server's own process, and what fails is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from offline import __main__ as front
from offline.models.downloader import JsonProgress
from offline.models.store import FileSource, ModelFile, ModelSpec
from tests.voicechat.server.test_offline_process import child_command
from voicechat.server.offline_process import EmbeddedServer, EmbeddedServerPhase

from .test_downloader import running_model_host

DATA = b"model" * 4000
FETCHES = """
import sys, json
print(json.dumps({"listening": "ws://127.0.0.1:9/v1/realtime", "port": 9}), flush=True)
print(json.dumps({"fetching": "Fetching a model: 10 %"}), flush=True)
if sys.stdin.read(1):
    print(json.dumps({"ready": True, "model": "small", "languages": ["en"]}), flush=True)
    sys.stdin.read()
"""


def make_models(url: str) -> tuple[ModelSpec, ...]:
    file = ModelFile("file", len(DATA), hashlib.sha256(DATA).hexdigest(), (FileSource(url=url),))
    return (ModelSpec("a-model", "speaks", ("en",), "MIT", (file,)),)


def test_what_is_missing_is_fetched_once_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    said: list[str] = []
    with running_model_host({"/file": DATA}) as server:
        monkeypatch.setattr(front, "required_models", lambda environ: make_models(f"{server.url}/file"))
        front.download_missing_models(said.append)
        assert (tmp_path / "a-model" / "file").read_bytes() == DATA
        assert any("100 %" in sentence for sentence in said)
        said.clear()
        front.download_missing_models(said.append)
        assert said == [] and len(server.requests) == 1


def test_what_cannot_be_had_is_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OFFLINE_MODELS", str(tmp_path))
    with running_model_host({}) as server:
        monkeypatch.setattr(front, "required_models", lambda environ: make_models(f"{server.url}/file"))
        front.download_missing_models(lambda sentence: None)
    assert "Missing: a-model/file" in caplog.text


def test_progress_is_one_sentence_for_each_tenth() -> None:
    said: list[str] = []
    telling = JsonProgress(said.append)
    for done in range(0, 1001):
        telling.update("m/f", done, 1000)
    telling.finish("m/f", "checked")
    assert len(said) == 12
    assert (said[0], said[-1]) == ("Fetching m/f: 0 % of 0 MB", "m/f: checked")


def test_the_app_knows_that_its_server_fetches() -> None:
    server = EmbeddedServer(child_command(FETCHES))
    server.start()
    try:
        assert server.wait(EmbeddedServerPhase.DOWNLOADING, 20)
        assert (server.url, server.detail) == (None, "Fetching a model: 10 %")
        assert server._child is not None and server._child.stdin is not None
        server._child.stdin.write("x")
        server._child.stdin.flush()
        assert server.wait(EmbeddedServerPhase.READY, 20)
    finally:
        server.stop()
