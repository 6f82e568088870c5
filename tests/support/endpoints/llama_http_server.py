"""llama.cpp's own HTTP server in a process of its own, with the language model that the project fetches.

with running_llama_server() as server:
    ...                         # server.url, server.key, server.kill()
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from offline.models.store import find_models
from tests.support.paths import ROOT

KEY = "sk-llama-canary"


@dataclass(frozen=True)
class LlamaSettings:
    """What a test may change. `template` (Jinja) replaces the model's own; `grammar` (GBNF) dictates the replies."""

    context_tokens: int = 2048
    slots: int = 1
    threads: int = 2
    template: str = ""
    grammar: str = ""


@dataclass(frozen=True)
class LlamaHttpServer:
    """The running server."""

    url: str
    """Base URL, with /v1."""
    process: subprocess.Popen[str]
    key: str = KEY

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    def kill(self) -> None:
        """Kill the process, as a crash or the lack of memory does."""
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> Any:
        """Return the JSON at `path` of llama.cpp's own routes, such as "/slots"."""
        url = httpx.URL(self.url).copy_with(path=path)
        with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {self.key}"}) as client:
            return client.get(url).raise_for_status().json()


@contextmanager
def running_llama_server(settings: LlamaSettings | None = None, model: Path | None = None) -> Iterator[LlamaHttpServer]:
    """Serve `model`, else the fetched one, on a free port, until the block ends."""
    path = model or find_models().llm
    assert path is not None, "The models are missing: run ./test.sh, or python -m offline.models fetch."
    config = {"model": str(path), "key": KEY, **asdict(settings or LlamaSettings())}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(config) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "llama.cpp's server ended"
        yield LlamaHttpServer(f"{json.loads(line)['address']}/v1", process)
    finally:
        process.kill()
        process.communicate()


def _serve() -> None:
    """Read the configuration, serve, write the address, and end with the standard input."""
    import xllamacpp

    config = json.loads(sys.stdin.readline())
    params = xllamacpp.CommonParams()
    params.model.path = config["model"]
    params.model_alias = {"carried-model"}
    params.n_ctx = config["context_tokens"] * config["slots"]
    params.n_parallel = config["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.n_batch = params.n_ubatch = 64
    params.verbosity, params.warmup, params.ui = 0, False, False
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [config["key"]]
    params.endpoint_slots = True
    params.use_jinja = True
    if config["template"]:
        params.chat_template = config["template"]
    if config["grammar"]:
        kind = xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
        params.sampling.grammar = xllamacpp.CommonGrammar(kind, config["grammar"])
    server = xllamacpp.Server(params)
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # without waiting for requests


if __name__ == "__main__":
    _serve()
