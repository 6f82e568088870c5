"""Chip of a tool call: one line in the conversation, with its arguments and its result on a tap. Pure.

A chip is a `<details>` inside a message of the model. The chatbot's sanitiser keeps its classes only, so a class holds
the call's key. While a call runs its chip never changes, and tool_chips.js counts the seconds: a chip is sent when its
outcome changes, and closes only then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voicechat.conversation.shown.bubble import Bubble
from voicechat.conversation.shown.tool_use import ToolUse
from voicechat.ui.i18n import TOOL_CHIP_TEXTS, TOOL_OUTCOMES, Locale, get_message

from .argument_lines import argument_lines, reveal_hidden

MAX_SHOWN_CHARS = 2000
"""Characters of the arguments, and of the result, in a chip."""
MAX_GIST_CHARS = 60
"""Characters of the result in the closed chip."""
_ENTITIES = {character: f"&#{ord(character)};" for character in "<>\"'\\`*_[]~|$"} | {"\n": "<br>"}
"""HTML of the characters that have a meaning in HTML or in Markdown, except `&`."""


def call_key(call_id: str) -> str:
    """Return a call's id as characters that a class name and an attribute may hold."""
    return call_id.encode("utf-8", "surrogatepass").hex()


def call_id_of(key: str) -> str | None:
    """Return the id of a key that a browser has sent; None for any other text."""
    try:
        return bytes.fromhex(key).decode("utf-8", "surrogatepass")
    except ValueError:
        return None


def literal_html(text: str) -> str:
    """Return HTML that shows `text` literally, also inside Markdown: on one line, without any of its syntax."""
    shown = text.replace("&", "&#38;")
    for character, entity in _ENTITIES.items():  # a call is rendered with every caption: faster than a pattern
        if character in shown:
            shown = shown.replace(character, entity)
    return shown


def with_heard_shares(bubbles: Sequence[Bubble]) -> Iterator[tuple[Bubble, int | None]]:
    """Yield each bubble with the percentage of its answer that was heard; None unless the visitor cut the answer.

    The answer to a tool call is the reply that follows it, before the visitor's next turn.
    """
    shares: list[int | None] = []
    heard = unheard = 0
    for bubble in reversed(bubbles):
        if bubble.role == "user":
            heard = unheard = 0
        elif bubble.role == "assistant":
            heard += len(bubble.text)
            unheard += len(bubble.unheard.strip())
        is_cut = bubble.tool_use is not None and unheard > 0
        shares.append(round(100 * heard / (heard + unheard)) if is_cut else None)
    return zip(bubbles, reversed(shares), strict=True)


def render_chip(use: ToolUse, locale: Locale, heard_percent: int | None = None) -> str:
    """Return the content of the chatbot message that shows a call. `heard_percent`: see `with_heard_shares`."""
    shown = f"<dt>{_text('asked', locale)}</dt><dd>{_render_arguments(use, locale)}</dd>"
    if not use.is_open:
        result = _cut(reveal_hidden(use.result.strip()), locale) or _text("no_result", locale)
        shown += f"<dt>{_text('result', locale)}</dt><dd>{result}</dd>"
    key = f"call-{call_key(use.call_id)}"
    summary = _render_summary(use, locale, heard_percent)
    details = f'<details class="tool-call {use.state} {key}">{summary}<dl>{shown}</dl></details>'
    if use.is_open:
        details += f'<button class="tool-cancel {key}">{_text("cancel", locale)}</button>'
    return f'<div class="tool-line">{details}</div>'


def _render_summary(use: ToolUse, locale: Locale, heard_percent: int | None) -> str:
    words = [
        f'<span class="tool-title">{literal_html(reveal_hidden(use.title(locale)))}</span>',
        f'<span class="tool-outcome">{get_message(TOOL_OUTCOMES, use.state, locale)}</span>',
    ]
    if use.seconds is not None and not use.is_open:
        words.append(f'<span class="tool-seconds">{format_seconds(use.seconds, locale)}</span>')
    if heard_percent is not None:
        heard = _text("heard", locale).format(percent=heard_percent)
        words.append(f'<span class="tool-heard">{heard}</span>')
    elif gist := _gist(use):
        words.append(f'<span class="tool-gist">{literal_html(gist)}</span>')
    return f'<summary><span class="tool-mark"></span>{" ".join(words)}<span class="tool-chevron"></span></summary>'


def _gist(use: ToolUse) -> str:
    """Return the first line of the result, cut to the room of a closed chip."""
    if use.state != "done":
        return ""
    line = reveal_hidden(" ".join(use.result[: 4 * MAX_GIST_CHARS].strip().split("\n")[0].split()))
    return line if len(line) <= MAX_GIST_CHARS else f"{line[: MAX_GIST_CHARS - 1].rstrip()}…"


def _render_arguments(use: ToolUse, locale: Locale) -> str:
    lines = [f"{name}: {value}" if name else value for name, value in argument_lines(use.arguments)]
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
