"""Runs `agents_client.py` in the virtual environment with `openai-agents`."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

AGENTS_PYTHON = ROOT / ".venv-apart" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


async def run_agents_client(url: str, name: str, speech: Path | None = None) -> dict[str, Any]:
    """Run the conversation `name` with the server at `url`; return the client's result."""
    assert AGENTS_PYTHON.exists(), f"{AGENTS_PYTHON} is missing: ./test.sh makes it from requirements-apart.txt"
    script = Path(__file__).with_name("agents_client.py")
    process = await asyncio.create_subprocess_exec(
        str(AGENTS_PYTHON),
        str(script),
        url,
        name,
        *([str(speech)] if speech else []),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "OPENAI_AGENTS_DISABLE_TRACING": "1"},
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]
    result: dict[str, Any] = json.loads(output)
    return result
