"""Settings of the process from the environment. The model store has those of the model files."""

from __future__ import annotations

import os
from collections.abc import Mapping

DEFAULT_SESSIONS = 2
"""Sessions at a time without `OFFLINE_SESSIONS`."""
TRUE_VALUES = ("1", "true", "yes", "on", "y", "t")
FALSE_VALUES = ("0", "false", "no", "off", "n", "f")
"""The app's settings allow the same words."""


def max_sessions(environ: Mapping[str, str] = os.environ) -> int | None:
    """Return `OFFLINE_SESSIONS`, the number of sessions at a time; None for `auto`.

    Raises `ValueError` unless it is 1 or more.
    """
    value = environ.get("OFFLINE_SESSIONS", "").strip()
    if value.lower() == "auto":
        return None
    sessions = int(value or DEFAULT_SESSIONS)
    if sessions < 1:
        raise ValueError("OFFLINE_SESSIONS must be 1 or more")
    return sessions


def upgrades_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether better models may be fetched and tried in the background (`OFFLINE_UPGRADE`).

    Raises `ValueError` unless it is a truth value.
    """
    value = environ.get("OFFLINE_UPGRADE", "").strip().lower()
    if value not in {"", *TRUE_VALUES, *FALSE_VALUES}:
        raise ValueError("OFFLINE_UPGRADE must be true or false.")
    return value not in FALSE_VALUES
