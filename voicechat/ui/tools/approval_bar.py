"""Approval bar above the dock: what a tool would do, and the buttons that allow or refuse it. Pure.

approval.js moves the focus into it, and presses the buttons' event. Arguments are shown in full, as plain text.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicechat.turn_taking.snapshot import Snapshot
from voicechat.ui.i18n import APPROVAL_TEXTS, Locale, get_message

from .argument_lines import argument_lines, reveal_hidden
from .chip import call_key


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A held call that waits for the visitor. Its arguments are left out of `repr`, so that they reach no log."""

    call_id: str
    title: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict, repr=False)
    by_voice: bool = False
    """A yes in words counts."""


def approval_requests(snapshot: Snapshot, locale: Locale) -> list[ApprovalRequest]:
    """Return what a call or chat asks of the visitor, oldest first."""
    titles = {use.call_id: use.title(locale) for bubble in snapshot.bubbles if (use := bubble.tool_use) is not None}
    return [
        ApprovalRequest(each.call_id, titles.get(each.call_id, each.name), each.arguments, each.by_voice)
        for each in snapshot.pending_approvals
    ]


def render_approval(tab: str, requests: Sequence[ApprovalRequest], locale: Locale) -> str:
    """Return the HTML of the bar with the oldest request; "" without one. `tab`: "voice" or "text"."""
    if not requests:
        return ""
    request = requests[0]
    rows = [
        f"<dt>{_plain(name)}</dt><dd>{_plain(value)}</dd>" if name else f"<dd>{_plain(value)}</dd>"
        for name, value in argument_lines(request.arguments)
    ]
    content = f"<dl>{''.join(rows)}</dl>" if rows else f"<p>{_text('nothing', locale)}</p>"
    in_words = "by_voice" if tab == "voice" else "by_text"
    note = _text(in_words if request.by_voice else "by_button", locale)
    if len(requests) > 1:
        note += " " + _text("more", locale).format(count=len(requests) - 1)
    title = _text("title", locale).format(tool=_plain(request.title))
    return (
        f'<div class="approval" role="alertdialog" tabindex="-1" data-call="{call_key(request.call_id)}"'
        f' aria-labelledby="{tab}-approval-title" aria-describedby="{tab}-approval-arguments {tab}-approval-note">'
        f'<i class="icon" data-icon="shield"></i><h2 id="{tab}-approval-title">{title}</h2>'
        f'<div id="{tab}-approval-arguments" class="approval-arguments" role="group" tabindex="0"'
        f' aria-label="{_text("arguments", locale)}">{content}</div>'
        f'<p id="{tab}-approval-note" class="approval-note">{note}</p><div class="approval-buttons">'
        f'<button class="button soft" type="button" data-decision="refuse">{_text("refuse", locale)}</button>'
        f'<button class="button" type="button" data-decision="allow">{_text("allow", locale)}</button></div></div>'
    )


def _plain(text: str) -> str:
    return html.escape(reveal_hidden(text))


def _text(code: str, locale: Locale) -> str:
    return get_message(APPROVAL_TEXTS, code, locale)
