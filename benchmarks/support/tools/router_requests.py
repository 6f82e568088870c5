"""Fresh requests for functions, and the router's choice for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from offline.tools.router import choose_tool

DATA = Path(__file__).resolve().parents[3] / "tests" / "data"
NOW = datetime(2026, 11, 26, 14, 20, tzinfo=UTC)
"""Time of the requests."""


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """One message of a person."""

    language: str
    tool: str
    """Function that it asks for; "" for small talk."""
    text: str


def read_requests(name: str) -> list[ToolRequest]:
    """Return the requests of both languages of a set: "first", "second", "third" or "fourth"."""
    lines = (DATA / f"tool_requests_{name}.tsv").read_text("utf-8").splitlines()
    return [ToolRequest(*line.split("\t")) for line in lines if line]


def read_declarations(*, with_keywords: bool = True) -> list[dict[str, Any]]:
    """Return the declared functions, on request without the keywords of their descriptions."""
    tools: list[dict[str, Any]] = json.loads((DATA / "tool_declarations.json").read_text("utf-8"))
    if with_keywords:
        return tools
    return [{**tool, "description": tool["description"].split(" Keywords:")[0]} for tool in tools]


def chosen_names(requests: Sequence[ToolRequest], tools: Sequence[dict[str, Any]]) -> list[str]:
    """Return the chosen function of each request; "" for none."""
    routes = [choose_tool(request.text, tools, NOW) for request in requests]
    return [route.tool.name if route is not None else "" for route in routes]


def router_figures(requests: Sequence[ToolRequest], chosen: Sequence[str]) -> dict[str, int]:
    """Return the counts of requests for a function and of small talk, and what was chosen for them."""
    pairs = list(zip(requests, chosen, strict=True))
    return {
        "requests": sum(bool(request.tool) for request in requests),
        "right": sum(bool(request.tool) and name == request.tool for request, name in pairs),
        "other": sum(bool(request.tool) and bool(name) and name != request.tool for request, name in pairs),
        "missed": sum(bool(request.tool) and not name for request, name in pairs),
        "small_talk": sum(not request.tool for request in requests),
        "taken_for_a_call": sum(not request.tool and bool(name) for request, name in pairs),
    }
