"""The table of endings in docs/server_events.md: complete, and each row with an existing test."""

from __future__ import annotations

import re

from tests.support.paths import ROOT
from tests.support.source_rules import function_definitions, python_files
from voicechat.protocol.failures import QUOTES_SERVER, RETRYABLE, Failure

PAGE = (ROOT / "docs" / "server_events.md").read_text("utf-8")
SECTION = PAGE.partition("\n## Endings\n")[2].partition("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in SECTION.splitlines()
    if line.startswith("| ") and not line.startswith("| ending")
]


def codes_of(row: list[str]) -> list[str]:
    return re.findall(r"`(\w+)`", row[1])


def test_every_failure_has_a_row_and_every_row_a_failure() -> None:
    assert all(len(row) == 6 for row in ROWS)
    assert {code for row in ROWS for code in codes_of(row)} == {failure.value for failure in Failure}
    assert all(codes_of(row) for row in ROWS)


def test_every_row_names_existing_tests() -> None:
    test_names = {
        name
        for path in python_files()
        if path.is_relative_to(ROOT / "tests")
        for name in function_definitions(path)
        if name.startswith("test_")
    }
    for row in ROWS:
        named = re.findall(r"`(test_\w+)`", row[5])
        assert named, row
        assert not set(named) - test_names, row


def test_rows_say_of_each_failure_whether_it_is_retried() -> None:
    for row in ROWS:
        for code in codes_of(row):
            assert (row[4] == "no") is (Failure(code) not in RETRYABLE), row
            assert ("scrubbed reason" in row[2]) is (Failure(code) in QUOTES_SERVER), row
