"""Settings of the process from the environment. The model store has those of the model files."""

from __future__ import annotations

import os
from collections.abc import Mapping

DEFAULT_SESSIONS = 2
"""Sessions at a time without `OFFLINE_SESSIONS`."""


def max_sessions(environ: Mapping[str, str] = os.environ) -> int:
    """Return `OFFLINE_SESSIONS`, the number of sessions at a time. Raises `ValueError` unless it is 1 or more."""
    sessions = int(environ.get("OFFLINE_SESSIONS") or DEFAULT_SESSIONS)
    if sessions < 1:
        raise ValueError("OFFLINE_SESSIONS must be 1 or more")
    return sessions
