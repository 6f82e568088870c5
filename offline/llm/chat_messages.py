"""Messages of a chat request in the form that every chat template takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from offline.chinese_text import contains_han
from offline.protocol.worker_messages import LanguageCode, LlmMessage

OMITTED_TURN = "…"
"""Words of a user's turn that is not there: before a greeting, before a history whose beginning was left out, and in a
prompt that is processed ahead of the first turn."""


def merge_messages(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages that every chat template takes: Mistral's and Gemma's want the roles to alternate.

    Neighbours of one role are one message, and content is "" instead of null. System messages after the first ones
    become the user's: templates refuse them elsewhere, and the beginning of the prompt has to stay the same. After them
    comes the user.
    """
    merged: list[dict[str, Any]] = []
    for message in messages:
        rendered = dict(message)
        if rendered.get("content") is None:
            rendered["content"] = ""
        if rendered.get("role") in ("system", "developer"):
            is_leading = all(each["role"] == "system" for each in merged)
            rendered["role"] = "system" if is_leading else "user"
        last = merged[-1] if merged else None
        if last is None or last.get("role") != rendered.get("role") or not _join(last, rendered):
            merged.append(rendered)
    after_system = sum(each["role"] == "system" for each in merged)
    if after_system == len(merged) or merged[after_system]["role"] != "user":
        merged.insert(after_system, {"role": "user", "content": OMITTED_TURN})
    return merged


def _join(last: dict[str, Any], message: Mapping[str, Any]) -> bool:
    """Append `message` to `last`; return False where messages stay apart: tool outputs, and content in parts."""
    texts = (last["content"], message["content"])
    if message.get("role") == "tool" or not all(isinstance(text, str) for text in texts):
        return False
    last["content"] = "\n".join(filter(None, texts))
    if message.get("tool_calls"):
        last["tool_calls"] = [*last.get("tool_calls", ()), *message["tool_calls"]]
    return True


def language_of(messages: tuple[LlmMessage, ...]) -> LanguageCode:
    """Return the language of the user's last message."""
    said = next((each.text for each in reversed(messages) if each.role == "user"), "")
    return "zh" if contains_han(said) else "en"
