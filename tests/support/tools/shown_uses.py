"""Tool calls that a conversation shows."""

from __future__ import annotations

from voicechat.conversation.conversation import Conversation
from voicechat.conversation.shown.tool_use import ToolUse


def shown_uses(conversation: Conversation) -> list[ToolUse]:
    """Return the tool calls among the bubbles, in order."""
    return [bubble.tool_use for bubble in conversation.bubbles() if bubble.tool_use is not None]
