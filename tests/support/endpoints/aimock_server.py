"""aimock, a mock of OpenAI's HTTP API that others use too, with the Node.js of the test tools' environment.

with running_aimock(tmp_path, {"match": {"userMessage": "hello"}, "response": {"content": "Hi!"}}) as server:
    ...                         # server.url, server.requests()
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.javascript.javascript_client import PACKAGES, node_path

CLI = PACKAGES / "node_modules/@copilotkit/aimock/dist/cli.js"
_LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class AimockServer:
    """The running server."""

    origin: str

    @property
    def url(self) -> str:
        """Base URL, with /v1."""
        return f"{self.origin}/v1"

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests that the server received, with `path`, `headers` and `body`."""
        with httpx.Client(trust_env=False) as client:
            received: list[dict[str, Any]] = client.get(f"{self.url}/_requests").raise_for_status().json()
        return received


@contextmanager
def running_aimock(folder: Path, *fixtures: dict[str, Any]) -> Iterator[AimockServer]:
    """Serve `fixtures` on a free port until the block ends; `folder` takes their file."""
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}))
    command = [str(node_path()), str(CLI), "--port", "0", "--fixtures", str(file), "--validate-on-load"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    output: list[str] = []
    try:
        for line in process.stdout:
            output.append(line)
            if found := _LISTENING.search(line):
                yield AimockServer(found[1])
                return
        raise AssertionError(f"aimock ended: {''.join(output)}")
    finally:
        process.kill()
        process.communicate()
