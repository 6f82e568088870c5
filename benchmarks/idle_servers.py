"""Idle MCP servers: CPU of a call beside five open servers : without any, in windows that take turns.

    python -m benchmarks.idle_servers

The load is that of `benchmarks.load --quick`. The range of the ratios is in brackets. With 1.0 in it, the servers cost
nothing that can be measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import QUICK_CALLS, LoadBench, LoadKind, choose_cores
from benchmarks.support.local_machine import ROOT
from benchmarks.support.probed_process import disable_gc, pin_to_core

IDLE_SERVERS = 5
"""MCP servers that are open and not called."""
ROUNDS = 4
"""Pairs of windows."""
PACKAGES = ROOT / ".venv-apart" / "mcp"
"""Folder of the packages in requirements-mcp.txt, which `./test.sh` installs."""
SERVER = ROOT / "tests" / "support" / "mcp" / "fault_server.py"


def make_environment(folder: Path) -> dict[str, str]:
    """Return the environment of an app with idle servers, whose file is written to the folder. Raise SystemExit."""
    if not (PACKAGES / "mcp").is_dir():
        raise SystemExit("The MCP package is missing: ./test.sh installs it.")
    file = folder / "mcp.json"
    entry = {"command": sys.executable, "args": [str(SERVER)], "tools": ["echo"]}
    file.write_text(json.dumps({"mcpServers": {f"idle{number}": entry for number in range(IDLE_SERVERS)}}))
    path = os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH", ""))))
    return {"MCP_CONFIG": str(file), "PYTHONPATH": path}


async def compare() -> list[float]:
    """Return the ratio of each pair of windows."""
    cores = choose_cores()
    pin_to_core(cores[1])
    disable_gc()
    ratios = []
    with ExitStack() as stack:
        environment = make_environment(Path(stack.enter_context(TemporaryDirectory())))
        without = LoadBench(LoadKind.WEBRTC, cores, stack)
        beside = LoadBench(LoadKind.WEBRTC, cores, stack, **environment)
        for number in range(ROUNDS):
            cpu = {}
            for one in (without, beside) if number % 2 else (beside, without):
                cpu[one] = (await one.measure_once(QUICK_CALLS[LoadKind.WEBRTC])).windows[0].cpu_cores
            ratios.append(cpu[beside] / cpu[without])
    return ratios


def main() -> None:
    """Run the command line."""
    ratios = asyncio.run(compare())
    spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
    print(f"CPU of a call, {IDLE_SERVERS} idle MCP servers : none   {statistics.median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
