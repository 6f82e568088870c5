"""Time at which the tests of the facts ask: a Wednesday afternoon in Taipei."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

NOW = datetime(2026, 11, 25, 14, 20, tzinfo=ZoneInfo("Asia/Taipei"))
