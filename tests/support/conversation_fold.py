"""Conversation from server events, as a call folds them."""

from __future__ import annotations

from typing import Any

from voicechat.conversation.conversation import Conversation
from voicechat.protocol.server_events import parse_event


def fold(*events: dict[str, Any] | list[dict[str, Any]]) -> Conversation:
    """Return a conversation to which these events, and lists of events, were applied in order."""
    conversation = Conversation()
    apply_all(conversation, *events)
    return conversation


def apply_all(conversation: Conversation, *events: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Apply events, and the audio of their deltas, as a call does."""
    for some in events:
        for event in some if isinstance(some, list) else [some]:
            if event["type"] == "response.output_audio.delta":
                samples = len(event["delta"]) * 3 // 8
                conversation.add_audio(event["item_id"], event["content_index"], event["response_id"], samples)
            else:
                conversation.apply(parse_event(event))
