"""Approval bar, and the decisions that the page sends."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.ui.tools.approval_bar import ApprovalRequest, render_approval
from voicechat.ui.tools.chip import call_key
from voicechat.ui.tools.decisions import ToolDecision, ToolVerdict, apply_decision, parse_decision

SEND = ApprovalRequest("call_1", "Send a message", {"to": "Anna", "text": "At nine <b>sharp</b>"}, by_voice=True)


class RecordedDecisions:
    """Session that remembers what it was asked to do."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, bool | None]] = []

    def approve(self, call_id: str, allowed: bool) -> None:
        self.seen.append(("approve", call_id, allowed))

    def cancel_tool(self, call_id: str) -> None:
        self.seen.append(("cancel", call_id, None))


def test_approval_bar_is_empty_without_a_request() -> None:
    assert render_approval("voice", [], "en") == ""


def test_approval_bar_is_an_alert_dialog_with_name_description_and_full_arguments() -> None:
    bar = render_approval("voice", [SEND], "en")
    assert 'role="alertdialog"' in bar and 'aria-labelledby="voice-approval-title"' in bar
    described = re.search(r'aria-describedby="([^"]+)"', bar)
    assert described and all(f'id="{name}"' in bar for name in described[1].split())
    text = html.unescape(re.sub(r"<[^>]+>", " ", bar))
    assert "Allow “Send a message”?" in text and "At nine <b>sharp</b>" in text
    assert re.findall(r'data-decision="(\w+)"', bar) == ["refuse", "allow"], "refusing comes first"


def test_approval_bar_says_whether_a_spoken_yes_counts() -> None:
    by_button = ApprovalRequest("call_1", "Pay", {}, by_voice=False)
    assert "say “yes”" in render_approval("voice", [SEND], "en")
    assert "write “yes”" in render_approval("text", [SEND], "en")
    assert "does not count" in render_approval("voice", [by_button], "en")
    assert "不算數" in render_approval("voice", [by_button], "zh-TW")


def test_approval_bar_shows_the_oldest_request_and_counts_the_rest() -> None:
    later = ApprovalRequest("call_2", "Delete")
    bar = render_approval("text", [SEND, later, later], "en")
    assert "2 more wait" in bar and "Delete" not in bar and call_key("call_1") in bar


@given(st.text(max_size=200))
def test_approval_bar_shows_every_character_of_an_argument(value: str) -> None:
    bar = render_approval("voice", [ApprovalRequest("c", "t", {"a": value})], "en")
    found = re.search(r"<dd>(.*?)</dd>", bar, re.DOTALL)
    assert found is not None
    shown = html.unescape(found[1])
    assert [c for c in value if c.isalnum()] == [c for c in shown if c.isalnum()][: sum(map(str.isalnum, value))] or (
        "\\" in shown
    )
    assert "<" not in found[1] and ">" not in found[1]


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (f"voice allow {call_key('c 1')}", ("approve", "c 1", True)),
        (f"text refuse {call_key('c')}", ("approve", "c", False)),
        (f"voice cancel {call_key('c')}", ("cancel", "c", None)),
    ],
)
def test_decision_of_the_page_reaches_the_session(words: str, call: tuple[str, str, bool | None]) -> None:
    decision, session = parse_decision(words), RecordedDecisions()
    assert decision is not None and decision.tab == words.split()[0]
    apply_decision(decision, session)
    assert session.seen == [call]


@pytest.mark.parametrize(
    "words", [None, "", "voice allow", "voice allow zz", "x allow 63", "voice pay 63", "voice allow "]
)
def test_decision_of_a_hostile_page_is_ignored(words: object) -> None:
    assert parse_decision(words) is None


@given(st.text(max_size=60) | st.integers() | st.lists(st.text()))
def test_decision_of_any_value_never_raises(words: object) -> None:
    assert parse_decision(words) is None or isinstance(parse_decision(words), ToolDecision)


def test_verdicts_are_the_words_of_the_buttons() -> None:
    assert {"allow", "refuse"} == set(re.findall(r'data-decision="(\w+)"', render_approval("voice", [SEND], "en")))
    assert {"allow", "refuse"} < {verdict.value for verdict in ToolVerdict}
