"""Collection: what needs the MCP package is collected only in a process that has it."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("mcp") else ["test_*_with_sdk.py"]
