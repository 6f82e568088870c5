"""Result texts: what a model and a page are shown of a result. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from voicechat.conversation.shown.tool_use import DATA_NOTE
from voicechat.tools.definition import ToolResult

CUT_MARK = "… [cut]"
"""End of a text that was too long."""
MAX_SPEECH_CHARS = 600
"""Characters of a sentence that is spoken as it is."""
_KEPT_CONTROLS = frozenset("\n\t")
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
"""Unicode categories without visible characters: controls, bidi and zero-width formats, tags, private use."""
_KEPT_FORMATS = frozenset("\u200d\ufe0f")
"""Joiner and variation selector inside emoji."""
_SCAN_FACTOR = 4
"""Characters that are read for each one that may be kept: a long text costs no more than that."""


def clean_text(text: str, limit: int) -> str:
    """Return `text` without control and bidi characters, at most `limit` characters."""
    head = text[: limit * _SCAN_FACTOR].replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(map(_keep, head))
    # An emoji's joiner outside an emoji hides text; a run of them is dropped with it.
    kept = kept.replace("\u200d\u200d", "").strip()
    if len(kept) <= limit and len(text) <= limit * _SCAN_FACTOR:
        return kept
    return kept[: max(0, limit - len(CUT_MARK))] + CUT_MARK[:limit]


def _keep(char: str) -> str:
    if char in _KEPT_CONTROLS or char in _KEPT_FORMATS:
        return char
    if char in "\u2028\u2029":
        return "\n"
    return "" if unicodedata.category(char) in _DROPPED_CATEGORIES else char


def format_output(values: Mapping[str, Any]) -> str:
    """Return the text of an output: a JSON object, without empty values."""
    filled = {key: value for key, value in values.items() if value not in ("", None)}
    return json.dumps(filled, ensure_ascii=False, separators=(",", ":"))


def wrap_result(result: ToolResult, source: str, limit: int) -> str:
    """Return a result as JSON for the model: its text is data that names its source.

    Keys: `status` ("ok", "error"), `source`, `note`, `result`, and `speech` where the result has one.
    """
    return format_output(
        {
            "status": "error" if result.is_error else "ok",
            "source": clean_text(source, 64),
            "note": DATA_NOTE,
            "result": clean_text(result.text, limit),
            "speech": clean_text(result.speech, min(limit, MAX_SPEECH_CHARS)),
        }
    )


# -------------------------------------------------------------------- what else the model is sent

_RUNNING_NOTE = "Still running. Say so in a few words. The result comes later as a system message; do not call again."
REASONS = {
    "unknown": "There is no such tool.",
    "json": "The arguments are not a JSON object.",
    "parallel": "Too many tools are running. Wait for their results.",
    "rounds": "Too many calls in a row. Answer with what you have.",
    "calls": "No more calls are possible in this conversation.",
    "minute": "Too many calls in one minute. Wait, then try again.",
    "interrupted": "The reply was interrupted. Nothing was done.",
    "nothing_done": "Cancelled by the user. Nothing was done.",
    "cancelled": "Cancelled by the user.",
    "perhaps_done": "Cancelled by the user while it ran: it may have been done, or in part.",
    "timeout": "It took too long and was given up.",
    "perhaps_late": "It took too long and was given up: it may have been done, or in part.",
    "refused": "The user did not allow it. Nothing was done. Do not try again unless the user asks.",
    "expired": "The user did not decide in time. Nothing was done. Do not try again unless the user asks.",
    "no_approval": "Nothing awaits this approval: it was decided, or it has expired. Nothing was done now.",
    "button_only": "The user decides this by a button on the page, not by voice. Nothing was done.",
    "not_clear": "No clear yes from the user after the question was heard. Nothing was done. Ask the question again.",
    "lost": "No result yet.",
}
"""Sentences for the model by code."""
_SPOKEN = {
    "running": {"en": "That takes a moment.", "zh": "這需要一點時間。"},
    "ask": {"en": "{question} Yes or no?", "zh": "{question}請說可以或不要。"},
    "button": {"en": "{question} Please decide with the button on the page.", "zh": "{question}請用畫面上的按鈕決定。"},
}
"""Sentences that a small model speaks as they are, by language."""
_QUESTION_CHARS = 240
_VALUE_CHARS = 60


def spoken(code: str, language: str, question: str = "") -> str:
    """Return a sentence that is spoken as it is."""
    return _SPOKEN[code]["zh" if language.startswith("zh") else "en"].format(question=question)


def build_question(title: str, arguments: Mapping[str, Any], language: str) -> str:
    """Return the question whether a call may run, with its arguments in short."""
    pairs = (f"{key}: {value if isinstance(value, str) else format_value(value)}" for key, value in arguments.items())
    listed = clean_text(", ".join(clean_text(pair, _VALUE_CHARS) for pair in pairs), _QUESTION_CHARS)
    if language.startswith("zh"):
        return f"要執行「{title}」（{listed}）嗎？" if listed else f"要執行「{title}」嗎？"
    return f"Run “{title}” ({listed})?" if listed else f"Run “{title}”?"


def format_value(value: object) -> str:
    """Return a JSON value as text."""
    return json.dumps(value, ensure_ascii=False)


_ASK_NOTES = {
    "approve": 'Not done yet. Ask the user this question aloud, in their language. Call "approve" after the answer.',
    "ask": "Not done yet. Ask the user this question aloud, in their language. The application takes the answer.",
    "button": "Not done yet. Tell the user to decide with the button on the page.",
}


def needs_approval_output(question: str, way: str, *, approval_id: str = "", speech: str = "") -> str:
    """Return the output that makes the model ask. `way` of deciding: "approve" (the tool), "ask" or "button"."""
    values = {"status": "needs_approval", "approval": approval_id, "question": question}
    return format_output({**values, "note": _ASK_NOTES[way], "speech": speech})


def running_output(speech: str = "") -> str:
    """Return the output of a call that takes long."""
    return format_output({"status": "running", "note": _RUNNING_NOTE, "speech": speech})


def reason_output(status: str, reason: str) -> str:
    """Return the output of a call that has no result."""
    return format_output({"status": status, "reason": reason})


def late_message(name: str, output: str) -> str:
    """Return a system message that brings the outcome of a call that already has an output: JSON with its name."""
    return format_output({"tool": name, **json.loads(output)})


def unheard_message(names: Sequence[str]) -> str:
    """Return a system message after an answer of which less than half was heard."""
    listed = ", ".join(dict.fromkeys(names))
    return f"The user interrupted and has not heard the result of: {listed}. Do not assume that they know it."
