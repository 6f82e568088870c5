"""Openers: neutral words before a late answer, and prompts without them. Pure."""

from __future__ import annotations

from dataclasses import replace

from offline.protocol.worker_messages import LanguageCode, LlmMessage, ReplyRequest

OPENERS: dict[LanguageCode, str] = {"en": "Let me think. ", "zh": "我想一下。"}
"""It promises nothing and states nothing. The white space separates it from the answer."""


def has_opener(request: ReplyRequest) -> bool:
    """Return whether an opener was said since the last message of the user, before a function call."""
    for message in reversed(request.messages):
        if message.role == "user":
            break
        if any(opener.strip() in message.text for opener in OPENERS.values()):
            return True
    return False


def without_openers(request: ReplyRequest) -> ReplyRequest:
    """Return the request as the model reads it, without the openers: a small model would begin its answers so."""
    messages = [_without_opener(message) if message.role == "assistant" else message for message in request.messages]
    return replace(request, messages=tuple(message for message in messages if message is not None))


def _without_opener(message: LlmMessage) -> LlmMessage | None:
    """Return a reply without its opener; None if it was nothing else."""
    opener = next((each.strip() for each in OPENERS.values() if message.text.startswith(each.strip())), None)
    if opener is None:
        return message
    text = message.text.removeprefix(opener).lstrip()
    return replace(message, text=text) if text or message.tool_calls else None
