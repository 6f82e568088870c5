"""llama.cpp's HTTP server: a Unix socket out of reach, or a port that refuses all requests without the key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any, ClassVar

import pytest
import xllamacpp

from offline.llm import llama_server
from offline.llm.llama_server import SOCKET_PATH_MAX_BYTES, start_llama_server
from tests.support.app.listening_sockets import send_http
from tests.support.paths import ROOT

GUARDED_PORT = """
import contextlib, json, sys
import xllamacpp
from offline.llm import llama_server
from offline.models.store import find_models
llama_server.private_socket_path = lambda: contextlib.nullcontext(None)
params = xllamacpp.CommonParams()
params.model.path = str(find_models().llm)
params.n_ctx, params.n_parallel, params.verbosity, params.warmup = 256, 1, 0, False
server = llama_server.start_llama_server(params)
print(json.dumps({"address": server.listening_address, "key": params.api_keys[0], "path": params.api_prefix}))
sys.stdout.flush()
sys.stdin.read()
import os
os._exit(0)
"""


class StartedServer:
    """Stands for xllamacpp's server: binds its first host name like it, and fails where the test wants it to."""

    started: ClassVar[list[StartedServer]] = []
    binds = True
    loads = True

    def __init__(self, params: xllamacpp.CommonParams) -> None:
        self.started.append(self)
        (self.host,) = params.hostnames
        self.port = params.port
        (self.key,) = params.api_keys
        self.prefix, self.ui = params.api_prefix, params.ui
        self.origins, self.credentials = params.cors_origins, params.cors_credentials
        self.folder = Path(self.host).parent
        if self.host.endswith(".sock"):
            self.mode = self.folder.stat().st_mode & 0o777
            if not self.binds:
                raise RuntimeError("Failed to init server, please check the input params.")
            Path(self.host).touch()
        if not self.loads:
            raise RuntimeError("Failed to init server, please check the input params.")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[StartedServer]:
    class Fake(StartedServer):
        started: ClassVar[list[StartedServer]] = []

    monkeypatch.setattr(xllamacpp, "Server", Fake)
    return Fake


def test_server_listens_on_a_private_socket_without_a_name(fake: type[StartedServer]) -> None:
    start_llama_server(xllamacpp.CommonParams())
    (server,) = fake.started
    assert server.host.endswith(".sock") and len(os.fsencode(server.host)) <= SOCKET_PATH_MAX_BYTES
    assert server.mode == 0o700
    assert not server.folder.exists()


def check_guard(server: StartedServer) -> None:
    assert (server.host, server.port) == ("127.0.0.1", 0)
    assert len(server.key) >= 32 and len(server.prefix) >= 32 and server.key not in server.prefix
    assert not server.ui and not server.credentials and server.origins not in ("", "*")


def test_server_whose_socket_cannot_be_bound_listens_on_a_guarded_port(fake: type[StartedServer]) -> None:
    fake.binds = False
    start_llama_server(xllamacpp.CommonParams())
    first, second = fake.started
    assert not first.folder.exists()
    check_guard(second)


def test_server_without_a_temporary_folder_listens_on_a_guarded_port(
    fake: type[StartedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    start_llama_server(xllamacpp.CommonParams())
    (server,) = fake.started
    check_guard(server)


@pytest.mark.skipif(os.name == "nt", reason="/tmp")
@pytest.mark.parametrize("name", ["x" * 120, "王小明" * 12])
def test_server_with_a_long_temporary_folder_uses_a_short_one(
    fake: type[StartedServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    long = tmp_path / name
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    start_llama_server(xllamacpp.CommonParams())
    (server,) = fake.started
    assert server.folder.parent == Path("/tmp") and not list(long.iterdir())


def test_server_with_a_broken_model_fails_once(fake: type[StartedServer]) -> None:
    fake.loads = False
    with pytest.raises(RuntimeError):
        start_llama_server(xllamacpp.CommonParams())
    (server,) = fake.started
    assert not server.folder.exists()


def test_every_server_has_another_key(fake: type[StartedServer]) -> None:
    for _ in range(3):
        start_llama_server(xllamacpp.CommonParams())
    assert len({server.key for server in fake.started} | {server.prefix for server in fake.started}) == 6


def test_guarded_port_of_the_real_server_refuses_requests_without_the_key() -> None:
    command = [sys.executable, "-c", textwrap.dedent(GUARDED_PORT)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        port = int(facts["address"].rsplit(":", 1)[1])
        for method in ("GET", "POST", "OPTIONS"):
            for path in ("/", "/health", "/v1/health", "/v1/models", "/props", "/slots", "/v1/chat/completions"):
                for prefix in ("", facts["path"]):
                    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
                        response = send_http(port, method, prefix + path, origin)
                        what = (method, prefix + path, origin, response)
                        assert response.status in (401, 404) or (method == "OPTIONS" and not response.body), what
                        allowed = response.headers.get("access-control-allow-origin")
                        assert allowed in (None, llama_server.UNUSED_ORIGIN), what
                        assert response.headers.get("access-control-allow-credentials") != "true", what
        with_key = send_http(port, "GET", f"{facts['path']}/health", {"Authorization": f"Bearer {facts['key']}"})
        assert with_key.status == 200
        assert process.stdin is not None
        process.stdin.close()
