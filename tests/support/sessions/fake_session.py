"""Fake session: a call or chat that runs until it is ended, as a visitor sees it."""

from __future__ import annotations

from typing import Any

from voicechat.conversation.conversation import Conversation


class FakeSession:
    """Call or chat without a server."""

    def __init__(self, conversation: Conversation) -> None:
        self.is_active = True
        self.owes_reply = False
        self._conversation = conversation

    def end_by_user(self) -> None:
        self.is_active = False

    def clear(self) -> None:
        self._conversation.clear()

    def unfinished_playback(self) -> list[Any]:
        return []
