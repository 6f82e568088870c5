"""Texts as the chatbot's Markdown. Pure.

Two kinds: what a person said or typed is shown to the letter; what a model wrote is Markdown without HTML and without
pictures, which would tell other hosts who is reading.
"""

from __future__ import annotations

import re

_INLINE_SYNTAX = re.compile(r"[\\`*_\[\]#~|$<>&]")
_LINE_START = re.compile(r"^([ \t]*)([-+=]|\d+(?=[.)]))", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_CODE_SPAN = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]*`)", re.DOTALL)
_TAG_START = re.compile(r"<(?=[A-Za-z/!?])")
WORD_JOINER = "\u2060"
"""A word joiner: nothing is seen of it, and a sign with one behind it begins neither a tag nor a picture. call_control.js takes
it out of what is copied."""


def escape_markdown(text: str) -> str:
    """Markdown that shows `text` exactly: no sign in it means anything."""

    def entity(found: re.Match[str]) -> str:
        return f"&#{ord(found[0])};"

    def escape_line_start(found: re.Match[str]) -> str:
        sign = found[2]
        return found[1] + (f"&#{ord(sign)};" if not sign.isdigit() else f"{sign}&#8288;")  # a word joiner: no list

    shown = _LINE_START.sub(escape_line_start, _INLINE_SYNTAX.sub(entity, text))
    return _INDENT.sub(lambda found: "&nbsp;" * len(found[0].expandtabs(4)), shown)


def safe_model_markdown(text: str) -> str:
    """A model's Markdown with HTML shown as text and pictures as links; code looks as it is.

    What is code is decided by the page's own parser, which sees it differently in many corners. So nothing depends on
    it: neither in what looks like code here, nor anywhere else, does a `<` stand before what could be a tag's name.
    """
    parts = _CODE_SPAN.split(text)  # every second one is code
    parts[::2] = [part.replace("<", "&lt;").replace("![", "&#33;[") for part in parts[::2]]
    parts[1::2] = [_TAG_START.sub(f"<{WORD_JOINER}", part).replace("![", f"!{WORD_JOINER}[") for part in parts[1::2]]
    shown = "".join(parts)
    # Where one part ends with the first sign and the next begins with the second.
    return _TAG_START.sub(f"<{WORD_JOINER}", shown).replace("![", f"!{WORD_JOINER}[")


def preserve_indentation(markup: str) -> str:
    """Markdown of several lines as the chatbot takes it: it takes away what all lines but the first are indented by, as
    in a docstring, and a nested list would be a flat one. An empty first line, which it takes away too, makes the real
    first line one of them."""
    return f"\n{markup}" if "\n" in markup else markup


def with_strikethrough(text: str, unheard_text: str) -> str:
    """A model's text of which `rest` was never heard, that part struck out."""
    unheard = " ".join(unheard_text.split())  # on one line: a new paragraph or list would end the span
    shown = safe_model_markdown(text)
    if text.count("```") % 2:
        shown += "\n```\n"  # cut inside a code block
    return f'{shown} <span class="unheard">{escape_markdown(unheard)}</span>' if unheard else shown
