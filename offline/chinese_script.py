"""Script of a reply in Chinese: Traditional, or Simplified for a person who writes it or asks for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from writing.chinese_script import ChineseScript, ConversationScript, message_evidence, requested_script


@dataclass(frozen=True, slots=True)
class UserText:
    """Text of one message of the person, typed or recognised."""

    text: str
    is_typed: bool


def reply_script(user_texts: Iterable[UserText], instructions: str = "") -> ChineseScript:
    """Return the script of a reply to `user_texts`, oldest first. Instructions count only without evidence in them."""
    conversation = ConversationScript()
    for message in user_texts:
        conversation.note(message_evidence(message.text, is_typed=message.is_typed))
    return conversation.decided or requested_script(instructions) or "traditional"
