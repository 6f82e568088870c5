"""Markdown for the chatbot. Pure.

The visitor's text is shown literally. The model's text is Markdown without HTML and images: an image would reveal the
reader to another host.
"""

from __future__ import annotations

import re

_INLINE_SYNTAX = re.compile(r"[\\`*_\[\]#~|$<>&]")
_LINE_START = re.compile(r"^([ \t]*)([-+=]|\d+(?=[.)]))", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_CODE_SPAN = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
WORD_JOINER = "\u2060"
"""Invisible character that prevents a tag or image after `<` or `!`. call_control.js removes it from copied text."""


def escape_with_entities(text: str) -> str:
    """Return Markdown that shows `text` literally: every special character becomes an HTML entity."""

    def entity(match: re.Match[str]) -> str:
        return f"&#{ord(match[0])};"

    def escape_line_start(match: re.Match[str]) -> str:
        character = match[2]
        return match[1] + (
            f"&#{ord(character)};" if not character.isdigit() else f"{character}&#8288;"
        )  # a word joiner prevents a list

    shown = _LINE_START.sub(escape_line_start, _INLINE_SYNTAX.sub(entity, text))
    return _INDENT.sub(lambda match: "&nbsp;" * len(match[0].expandtabs(4)), shown)


def safe_model_markdown(text: str) -> str:
    """Return a model's Markdown with HTML shown as text, images as links, and code unchanged.

    The page's parser may find code in other places than this function. So safety does not depend on it: neither inside
    nor outside code does the result contain a `<` before a possible tag name.
    """
    parts = _CODE_SPAN.split(text)  # every second one is code
    parts[::2] = [part.replace("<", "&lt;").replace("![", "&#33;[") for part in parts[::2]]
    parts[1::2] = [_TAG_START.sub(f"<{WORD_JOINER}", part).replace("![", f"!{WORD_JOINER}[") for part in parts[1::2]]
    shown = "".join(parts)
    # A part may end with the first character and the next part begin with the second.
    return _TAG_START.sub(f"<{WORD_JOINER}", shown).replace("![", f"!{WORD_JOINER}[")


def preserve_indentation(markup: str) -> str:
    """Return Markdown whose indentation survives the chatbot.

    The chatbot removes the common indentation of all lines but the first, as in a docstring, which flattens nested
    lists. With an empty first line, which it also removes, the real first line counts too.
    """
    return f"\n{markup}" if "\n" in markup else markup


def with_strikethrough(text: str, unheard_text: str) -> str:
    """Return a model's text as Markdown, followed by `unheard_text` struck through."""
    unheard = " ".join(unheard_text.split())  # on one line: a new paragraph or list would end the span
    shown = close_code_block(safe_model_markdown(text))
    return f'{shown} <span class="unheard">{escape_with_entities(unheard)}</span>' if unheard else shown


def close_code_block(markup: str) -> str:
    """Return Markdown with its last code block closed: a cut text may end inside it."""
    return f"{markup}\n```\n" if markup.count("```") % 2 else markup


def with_note(markup: str, note: str) -> str:
    """Return Markdown of a message, followed by a note of the app's own words on a line of its own."""
    return f'{close_code_block(markup)} <span class="note">{escape_with_entities(note)}</span>'


def with_mark(markup: str, mark: str) -> str:
    """Return Markdown of a message, followed by a mark of the app's own words."""
    shown = close_code_block(markup)
    return f'{shown}{" " if shown else ""}<span class="incomplete">[{escape_with_entities(mark)}]</span>'
