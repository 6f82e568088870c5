"""Replies by code: whether a request is a turn that the facts may answer. Pure; the time is passed in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from offline.chinese_text import contains_han
from offline.facts.registry import fact_answer
from offline.protocol.worker_messages import ReplyRequest

_OTHER_TASK = re.compile(
    r"\b(?:translat\w+|interpreter|repeat after|repeat (?:what|everything)|quiz|spell"
    r"|(?:french|spanish|german|italian|japanese|korean|portuguese|vietnamese|thai|russian|arabic|cantonese))\b"
    r"|翻譯|翻译|口譯|口译|複誦|复诵|跟著唸|法文|法語|西班牙|德文|德語|日文|日語|韓文|韓語|越南|泰文|粵語|台語",
    re.IGNORECASE,
)
"""Instructions under which a question is not simply answered, or not in English or Mandarin."""


def answer_from_facts(request: ReplyRequest, languages: Sequence[str], now: datetime) -> str:
    """Return the answer to the last message when code knows it; "" when the language model has to answer.

    Functions of the session come first: one of them may be meant for such questions.
    """
    last = request.messages[-1] if request.messages else None
    has_functions = bool(request.tools) and request.tool_choice != "none"
    if last is None or last.role != "user" or not request.is_turn or has_functions:
        return ""
    if any(_OTHER_TASK.search(message.text) for message in request.messages if message.role == "system"):
        return ""
    answer = fact_answer(last.text, now) or ""
    return answer if ("zh" if contains_han(answer) else "en") in languages else ""
