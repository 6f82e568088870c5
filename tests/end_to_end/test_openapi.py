"""The HTTP routes as their own description (`/openapi.json`) has them, tried by schemathesis: a program of its own, in
an environment of its own (`requirements-apart.txt`)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.app.app_process import AppProcess
from tests.support.offline.agents_subprocess import AGENTS_PYTHON
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer

LONG = bool(os.environ.get("LONG"))
EXAMPLES = 3000 if LONG else 50
"""For each route, besides those of the specification's edges."""
NOT_ASKED = "unsupported_method"
"""Of a method that no route has, TRACE, the guard says 404 as of every address that it does not know, and not 405."""


@pytest.mark.timeout(1800 if LONG else 120)
def test_no_request_is_answered_otherwise_than_described(
    canary_app: AppProcess, upstream: ThreadedRealtimeServer, tmp_path: Path
) -> None:
    before = len(canary_app.log_path.read_bytes())
    schemathesis = AGENTS_PYTHON.with_name(f"st{AGENTS_PYTHON.suffix}")
    assert schemathesis.exists(), f"{schemathesis} is missing: ./test.sh makes it from requirements-apart.txt"
    ran = subprocess.run(
        [
            str(schemathesis),
            "run",
            f"{canary_app.url}/openapi.json",
            f"--max-examples={EXAMPLES}",
            f"--exclude-checks={NOT_ASKED}",
            "--no-color",
        ],
        cwd=tmp_path,  # where it keeps what it found
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "Selected: 3/3" in ran.stdout and "Tested: 3" in ran.stdout
    said = canary_app.log_path.read_bytes()[before:].decode()
    assert "Traceback" not in said, said[-4000:]
