"""Decisions of the visitor about tool calls: allow, refuse, cancel. The page's scripts press one hidden button."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

import gradio as gr

from voicechat.session.visitor import Visitor

from .chip import call_id_of

MAX_DECISION_CHARS = 2000
"""Characters of a decision. Longer ones are ignored."""
TabName = Literal["voice", "text"]


class ToolVerdict(StrEnum):
    """What the visitor wants with a call."""

    ALLOW = "allow"
    REFUSE = "refuse"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class ToolDecision:
    """One press of a button."""

    tab: TabName
    verdict: ToolVerdict
    call_id: str


class DecisionReceiver(Protocol):
    """Call or chat whose tools the visitor decides about."""

    def approve(self, call_id: str, allowed: bool) -> None:
        """Allow or refuse a held call."""

    def cancel_tool(self, call_id: str) -> None:
        """Cancel a call that runs or waits."""


def parse_decision(words: object) -> ToolDecision | None:
    """Return the decision "<tab> <verdict> <key>"; None for anything else that a browser sends."""
    if not isinstance(words, str) or len(words) > MAX_DECISION_CHARS:
        return None
    parts = words.split(" ")
    if len(parts) != 3 or parts[1] not in set(ToolVerdict):
        return None
    tab: TabName | None = "voice" if parts[0] == "voice" else "text" if parts[0] == "text" else None
    call_id = call_id_of(parts[2])
    return ToolDecision(tab, ToolVerdict(parts[1]), call_id) if tab is not None and call_id else None


def apply_decision(decision: ToolDecision, session: DecisionReceiver) -> None:
    """Tell the session of the tab. A call that is over ignores it."""
    if decision.verdict is ToolVerdict.CANCEL:
        session.cancel_tool(decision.call_id)
    else:
        session.approve(decision.call_id, decision.verdict is ToolVerdict.ALLOW)


def build(visitor: gr.State) -> None:
    """Lay out and wire the hidden button in the current Blocks. tool_chips.js presses it."""
    words = gr.Textbox(visible=False)
    decide = gr.Button(elem_id="tool-decide")

    async def on_decide(session_visitor: Visitor, sent: object) -> None:  # async: in the event loop of the calls
        decision = parse_decision(sent)
        if decision is None:
            return
        session: Any = session_visitor.call if decision.tab == "voice" else session_visitor.text_session
        if session is not None:
            apply_decision(decision, session)

    decide.click(
        on_decide,
        [visitor, words],
        None,
        js="(visitor) => [visitor, window.voiceTools.nextDecision()]",
        trigger_mode="multiple",
        show_progress="hidden",
        concurrency_limit=None,
        api_name=False,
    )
