"""docs/server_events.md: a row for every server event and notice, and an existing test in every row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import ROOT
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import EVENT_PARSERS

PAGE = ROOT / "docs" / "server_events.md"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
OTHER_EVENT_TYPES = frozenset(
    {
        "conversation.created",
        f"{TRANSCRIPTION}.segment",
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.dtmf_event_received",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.delta",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
    }
)
"""Types of the protocol that have no class in `server_events`."""


def table_rows() -> list[list[str]]:
    """Return the cells of all rows, without headings and the lines below them."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    rules = [index for index, row in enumerate(rows) if set("".join(row)) <= set("- ")]
    headings = {index - 1 for index in rules}
    return [[cell.strip() for cell in row] for i, row in enumerate(rows) if i not in headings and i not in rules]


def first_codes() -> set[str]:
    """Return the code in the first cell of each row that has one alone."""
    cells = (re.fullmatch(r"`([^`]+)`", row[0]) for row in table_rows())
    return {cell[1].replace("…", TRANSCRIPTION) for cell in cells if cell}


def test_every_event_type_and_notice_has_a_row() -> None:
    assert not (set(EVENT_PARSERS) | OTHER_EVENT_TYPES | set(Notice)) - first_codes()


def test_every_row_names_an_existing_test() -> None:
    tests = {
        name
        for path in Path(ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    for row in table_rows():
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named, f"a row without a test: {row[0]}"
        assert set(named) <= tests, row
