"""HTTP routes against their description in `/openapi.json`, tested by schemathesis.

schemathesis runs in an environment of its own (`requirements-apart.txt`).
"""

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
"""Examples for each route, besides the boundary values of the specification."""
EXCLUDED_CHECK = "unsupported_method"
"""Check that is left out: the guard answers TRACE with 404 instead of 405, as every unknown request."""


@pytest.mark.timeout(1800 if LONG else 120)
def test_routes_answer_as_described(canary_app: AppProcess, upstream: ThreadedRealtimeServer, tmp_path: Path) -> None:
    before = len(canary_app.log_path.read_bytes())
    schemathesis = AGENTS_PYTHON.with_name(f"st{AGENTS_PYTHON.suffix}")
    assert schemathesis.exists(), f"{schemathesis} is missing: ./test.sh installs it from requirements-apart.txt"
    ran = subprocess.run(
        [
            str(schemathesis),
            "run",
            f"{canary_app.url}/openapi.json",
            f"--max-examples={EXAMPLES}",
            f"--exclude-checks={EXCLUDED_CHECK}",
            "--no-color",
        ],
        cwd=tmp_path,  # schemathesis stores its examples here
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "Selected: 3/3" in ran.stdout and "Tested: 3" in ran.stdout
    log = canary_app.log_path.read_bytes()[before:].decode()
    assert "Traceback" not in log, log[-4000:]
