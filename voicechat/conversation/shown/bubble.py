"""Bubbles: messages and tool calls as the page shows them. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from voicechat.conversation.call_clock import TimeSpan
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.pictures.picture import PictureView

from .tool_use import ToolUse

Role = Literal["user", "assistant", "tool"]


class BubbleState(StrEnum):
    """State of a message."""

    PENDING = "pending"
    """Begun, without text to show."""
    GROWING = "growing"
    DONE = "done"
    INTERRUPTED = "interrupted"
    """The visitor interrupted it."""
    INCOMPLETE = "incomplete"
    """Its rest is missing, for a reason that the visitor did not cause."""


OPEN_STATES = (BubbleState.PENDING, BubbleState.GROWING)
"""States in which more text may come."""


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message as the page shows it."""

    item_id: str
    role: Role
    text: str
    """Text of the message; of an interrupted reply its heard part."""
    unheard: str
    """Unheard part of an interrupted reply; "" otherwise."""
    state: BubbleState
    incomplete_reason: IncompleteReason | None = None
    """Why the rest is missing; None unless the state is INCOMPLETE."""
    tool_use: ToolUse | None = None
    """The call of a tool; None unless the role is "tool". Such a bubble has no text."""
    pictures: tuple[PictureView, ...] = ()


class Utterance(NamedTuple):
    """A message and its time; None without audio, or when the server does not report it."""

    bubble: Bubble
    span: TimeSpan | None
