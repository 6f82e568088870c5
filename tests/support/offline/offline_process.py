"""`python -m offline` as a child process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
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
async def offline_process(*arguments: str, **environment: str) -> AsyncIterator[OfflineProcess]:
    """Start `python -m offline` on a free port with the given arguments and environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "offline",
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
