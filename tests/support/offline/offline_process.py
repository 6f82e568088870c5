"""Offline server as a child process, HTTP requests to it, and small children in its place."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.support.paths import ROOT


class OfflineProcess:
    """Server process that ends with this one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def wait_for_line(self, fact: str) -> dict[str, Any]:
        """Return the next JSON status line that contains the key `fact`."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if fact in (facts := json.loads(line)):
                return dict(facts)
        raise AssertionError(f"The server ended without a status line with {fact!r}.")


@asynccontextmanager
async def offline_process(
    *arguments: str, launcher: Sequence[str] = ("offline",), **environment: str
) -> AsyncIterator[OfflineProcess]:
    """Start `python -m offline` on a free port with the given arguments and environment.

    `launcher` is a module that runs it otherwise, with that module's own arguments.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *launcher,
        "--port",
        "0",
        "--exit-with-parent",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        yield OfflineProcess(process)
    finally:
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
        await process.wait()


async def http_get(url: str, path: str) -> tuple[int, str, str]:
    """Return status, content type and body of a GET request."""

    def ask() -> tuple[int, str, str]:
        address = url.replace("ws", "http", 1).replace("/v1/realtime", path)
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    return await asyncio.to_thread(ask)


def child_command(source: str) -> list[str]:
    """Return the command of a child that runs Python source."""
    return [sys.executable, "-c", textwrap.dedent(source)]
