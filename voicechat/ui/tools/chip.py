"""Chip of a tool call: one line in the conversation, with its arguments and its result on a tap. Pure.

A chip is a `<details>` inside a message of the model. The chatbot's sanitiser keeps its classes only, so a class holds
the call's key. While a call runs its chip never changes, and tool_chips.js counts the seconds: a chip is sent when its
outcome changes, and closes only then.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from voicechat.ui.i18n import TOOL_CHIP_TEXTS, TOOL_OUTCOMES, Locale, get_message

from .argument_lines import argument_lines, reveal_hidden

MAX_SHOWN_CHARS = 2000
"""Characters of the arguments, and of the result, in a chip."""
MAX_GIST_CHARS = 60
"""Characters of the result in the closed chip."""
_MARKDOWN = re.compile(r"[\\`*_\[\]#~|$:]")


class ToolOutcome(StrEnum):
    """What became of a call, as a chip shows it. The values are codes of `TOOL_OUTCOMES`."""

    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


OPEN_OUTCOMES = frozenset({ToolOutcome.RUNNING, ToolOutcome.AWAITING_APPROVAL})
"""Outcomes of a call that can still be cancelled."""


@dataclass(frozen=True, slots=True)
class ToolChip:
    """Values of a chip. Arguments and result are left out of `repr`, so that they reach no log."""

    call_id: str
    title: str
    outcome: ToolOutcome
    arguments: Mapping[str, Any] | str = field(default_factory=dict, repr=False)
    result: str = field(default="", repr=False)
    seconds: float | None = None
    """Seconds that the call took; None while it runs, and when it never ran."""
    heard_percent: int | None = None
    """Share of the answer that was heard; None unless the visitor cut it."""
    can_cancel: bool = False
    """The call belongs to the present session."""


def call_key(call_id: str) -> str:
    """Return a call's id as characters that a class name and an attribute may hold."""
    return call_id.encode("utf-8", "surrogatepass").hex()


def call_id_of(key: str) -> str | None:
    """Return the id of a key that a browser has sent; None when it is no key."""
    try:
        return bytes.fromhex(key).decode("utf-8", "surrogatepass")
    except ValueError:
        return None


def literal_html(text: str) -> str:
    """Return HTML that shows `text` literally, also inside Markdown: on one line, without any of its syntax."""
    escaped = _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", html.escape(text))
    return escaped.replace("\n", "<br>")


def render_chip(chip: ToolChip, locale: Locale) -> str:
    """Return the content of the chatbot message that shows a chip."""
    shown = (
        f"{_render_summary(chip, locale)}<dl>"
        f"<dt>{_text('asked', locale)}</dt><dd>{_render_arguments(chip, locale)}</dd>"
    )
    if chip.outcome not in OPEN_OUTCOMES:
        result = reveal_hidden(chip.result.strip())
        shown += f"<dt>{_text('result', locale)}</dt><dd>{_cut(result, locale) or _text('no_result', locale)}</dd>"
    key = f"call-{call_key(chip.call_id)}"
    details = f'<details class="tool-call {chip.outcome.value} {key}">{shown}</dl></details>'
    if chip.can_cancel and chip.outcome in OPEN_OUTCOMES:
        details += f'<button class="tool-cancel {key}">{_text("cancel", locale)}</button>'
    return f'<div class="tool-line">{details}</div>'


def _render_summary(chip: ToolChip, locale: Locale) -> str:
    words = [f'<span class="tool-title">{literal_html(reveal_hidden(chip.title))}</span>']
    words.append(f'<span class="tool-outcome">{get_message(TOOL_OUTCOMES, chip.outcome, locale)}</span>')
    if chip.heard_percent is not None:
        heard = _text("heard", locale).format(percent=chip.heard_percent)
        words.append(f'<span class="tool-heard">{heard}</span>')
    if chip.seconds is not None:
        words.append(f'<span class="tool-seconds">{format_seconds(chip.seconds, locale)}</span>')
    gist = _gist(chip)
    if gist:
        words.append(f'<span class="tool-gist">{literal_html(gist)}</span>')
    return f'<summary><span class="tool-mark"></span>{" ".join(words)}<span class="tool-chevron"></span></summary>'


def _gist(chip: ToolChip) -> str:
    """Return the first line of the result, cut to the room of a closed chip."""
    if chip.outcome is not ToolOutcome.DONE or chip.heard_percent is not None:
        return ""
    line = reveal_hidden(" ".join(chip.result[: 4 * MAX_GIST_CHARS].strip().split("\n")[0].split()))
    return line if len(line) <= MAX_GIST_CHARS else f"{line[: MAX_GIST_CHARS - 1].rstrip()}…"


def _render_arguments(chip: ToolChip, locale: Locale) -> str:
    lines = [f"{name}: {value}" if name else value for name, value in argument_lines(chip.arguments)]
    return _cut("\n".join(lines), locale) or _text("nothing_asked", locale)


def _cut(text: str, locale: Locale) -> str:
    """Return HTML of a text, at most `MAX_SHOWN_CHARS` of it, and how much is left out."""
    shown = literal_html(text[:MAX_SHOWN_CHARS])
    left_out = len(text) - MAX_SHOWN_CHARS
    return shown + _text("cut", locale).format(count=f"{left_out:,}") if left_out > 0 else shown


def format_seconds(seconds: float, locale: Locale) -> str:
    """Return a duration such as "0.8 s"; from ten seconds on without decimals."""
    number = f"{max(0.0, seconds):.1f}" if seconds < 9.95 else f"{seconds:.0f}"
    return _text("seconds", locale).format(seconds=number)


def _text(code: str, locale: Locale) -> str:
    return get_message(TOOL_CHIP_TEXTS, code, locale)
