"""The conversation as a pure fold: server events and local facts in, bubbles out. No clock, no I/O.

`told` folds in what the server says, and is built for servers that leave things out; what is done here (typed, played,
cut, cleared, told again) is below.
"""

from __future__ import annotations

from typing import Any

from voicechat.protocol.event_fields import Event

from .call_clock import CallClock, TimeSpan
from .event_reducer import ServerEventReducer
from .items import Bubble, BubbleState, Item, ItemKind, Items, Utterance
from .tombstones import Tombstones

__all__ = ["Bubble", "BubbleState", "Conversation", "Utterance"]

MAX_REPLAY_CHARS = 8000
"""Text of a spoken conversation told again to a new connection."""
MAX_REPLAY_CHARS_TEXT_ONLY = 32_000
"""The same of a written one: its answers are longer, and nobody waits for a voice."""


class Conversation:
    """The owner of what was said. One per visitor; it outlives connections and calls."""

    def __init__(self, max_items: int = 200, *, text_only: bool = False) -> None:
        """`written`: replies are read, not heard. What was shown of a reply counts, and stays as the model wrote it."""
        self.is_text_only = text_only
        self.clock = CallClock()
        """What the times of messages are told by. The calls keep it."""
        self._items = Items(max_items)
        self._tombstones = Tombstones()
        self._reducer = ServerEventReducer(self._items, self._tombstones)
        self.version = 0
        """Grows whenever a bubble may have changed."""

    # ---------------------------------------------------------------- what is known

    def bubbles(self) -> tuple[Bubble, ...]:
        """All messages in order. Turns in which nothing was said are left out."""
        return tuple(bubble for item in self._items if (bubble := item.to_bubble()) is not None)

    def captions(self) -> tuple[Bubble, ...]:
        """The same as people read them: spoken Chinese in Traditional characters."""
        if self.is_text_only:
            return self.bubbles()
        return tuple(caption for item in self._items if (caption := item.to_caption()) is not None)

    def utterances(self) -> tuple[Utterance, ...]:
        """`captions()`, each with its time."""
        shown = ((item.to_bubble() if self.is_text_only else item.to_caption(), item.span) for item in self._items)
        return tuple(Utterance(bubble, span) for bubble, span in shown if bubble is not None)

    def server_id(self, item_id: str) -> str:
        """The id by which the server knows an item."""
        return self._items.server_id(item_id)

    def is_replayed(self, item_id: str) -> bool:
        """True when the server knows this item only as text."""
        item = self._items.find(item_id)
        return item is not None and item.is_replayed

    # ---------------------------------------------------------------- server events

    def apply(self, event: Event, at: float | None = None) -> None:
        """Fold in one server event, which came `at` seconds of the call clock. Never raises for what a server sends."""
        if self._reducer.apply(event, at):
            self.version += 1

    # ---------------------------------------------------------------- local facts

    def add_user_message(self, text: str, at: float | None = None) -> dict[str, Any]:
        """A message typed `at` seconds of the call clock: shown at once. Returns the `item` to create at the server."""
        item = self._items.create(ItemKind.USER, BubbleState.DONE)
        item.part(0).set_text(text)
        item.is_on_server = True
        item.span = TimeSpan(at, at) if at is not None else None
        self._items.mark_unconfirmed(item)
        self.version += 1
        return item.to_message_item()

    def mark_played(self, item_id: str, start: float, end: float) -> None:
        """The loudspeaker was given sound of this item, from `start` to `end` seconds of the call clock."""
        item = self._items.find(item_id)
        if item is not None:
            item.extend_span(TimeSpan(start, end))

    def add_audio(self, item_id: str, content_index: int, response_id: str, samples: int) -> None:
        """Audio of a reply came in: where its words are is learned from how text and sound take turns."""
        if self._tombstones.is_deleted(item_id):
            return
        item = self._items.get_or_create(item_id, ItemKind.ASSISTANT)
        item.response_id = item.response_id or response_id
        item.part(content_index).add_audio(samples)

    def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None:
        """A reply was interrupted after `heard_ms` of this part: what was not heard is not part of it any more."""
        item = self._items.find(item_id)
        if item is None:
            return
        item.truncate(content_index, heard_ms)
        self.version += 1

    def cancel_response(self, response_id: str) -> list[str]:
        """A reply is given up: late events of it are ignored, and what has no sound yet was not heard.

        Returns the server's ids of its spoken items that never had a sound: nothing of them was heard.
        """
        self._tombstones.mark_cancelled(response_id)
        silent = []
        for item in self._items.open_response_items(response_id):
            if not item.has_audio and not self.is_text_only:
                if item.is_on_server:
                    silent.append(self._items.server_id(item.id))
                else:  # the reply may be complete there before it is stopped
                    self._tombstones.delete_item_when_seen(self._items.server_id(item.id))
                for part in item.parts.values():
                    part.truncate(0)
            item.state = BubbleState.INTERRUPTED
        self.version += 1
        return silent

    def resend_truncated(self, item_id: str) -> list[dict[str, Any]]:
        """Client events that correct a replayed item after it was cut: gone, and again with what was heard."""
        item = self._items.find(item_id)
        if item is None:
            return []
        before = self._items.get_previous(item)
        previous = self._items.server_id(before.id) if before is not None else "root"
        events = [{"type": "conversation.item.delete", "item_id": self._items.server_id(item.id)}]
        self._items.assign_new_id(item)
        self.version += 1
        if not item.text.strip():
            return events
        self._items.mark_unconfirmed(item)
        return [
            *events,
            {"type": "conversation.item.create", "previous_item_id": previous, "item": item.to_message_item()},
        ]

    def clear(self) -> list[str]:
        """Forget everything. Returns the server's ids of the items to delete there; see also `take_late_items`."""
        there = []
        for item in self._items:
            name = self._items.server_id(item.id)
            if item.is_on_server:
                there.append(name)
                self._tombstones.mark_deleted(name)
            else:
                self._tombstones.delete_item_when_seen(name)
            self._tombstones.delete_response_when_seen(item.response_id)
        for item in self._items.unconfirmed():
            self._tombstones.delete_message_when_seen(item.text.strip())
        self._items.clear()
        self.version += 1
        return there

    def get_transcript(self, item_id: str) -> str:
        """What is understood so far of a turn."""
        item = self._items.find(item_id)
        return item.full_text if item is not None else ""

    def discard_empty_turn(self, item_id: str) -> list[str]:
        """A turn in which nothing was said is none. Returns the server's id of it, to delete it there."""
        item = self._items.find(item_id)
        if item is None or not item.is_on_server:
            self._tombstones.delete_item_when_seen(item_id)
        else:
            self._tombstones.mark_deleted(item_id)
        if item is not None:
            self._items.remove(item)
        self.version += 1
        return [item_id] if item is not None and item.is_on_server else []

    def delete_response_when_seen(self, response_id: str) -> None:
        """A reply to what was cleared: nothing of it is shown or kept, here or at the server."""
        self._tombstones.delete_response_when_seen(response_id)

    def delete_item_when_seen(self, item_id: str) -> None:
        """An item that was begun before `clear()` and had no name yet."""
        self._tombstones.delete_item_when_seen(item_id)

    def is_cancelled(self, response_id: str) -> bool:
        """Whether what comes of this reply is ignored."""
        return self._tombstones.is_cancelled(response_id)

    def take_late_items(self, event: Event) -> list[str]:
        """The server's ids of cleared items that it has only now, by this event: to be deleted there."""
        return self._tombstones.take_late_items(event)

    # ---------------------------------------------------------------- a new connection

    def reset_connection(self) -> dict[str, str]:
        """The connection is gone: settle what was open and give every item a new id. Returns old ids -> new ids.

        New ids, because servers that number their items begin at the same numbers again.
        """
        self._tombstones.clear()
        self._items.reset_connection()
        names: dict[str, str] = {}
        for item in self._items:
            if item.kind is not ItemKind.OTHER and not item.full_text.strip():
                self._items.remove(item)
                continue
            if item.is_open:
                item.state = BubbleState.INTERRUPTED if item.kind is ItemKind.ASSISTANT else BubbleState.DONE
            old = item.id
            self._items.assign_new_id(item)
            names[old] = item.id
            item.response_id = ""
            item.is_on_server = item.is_replayed = False
        self.version += 1
        return names

    def replay(self, max_items: int = 40) -> list[dict[str, Any]]:
        """`conversation.item.create` events that tell a new server the last messages, as text, as they were heard.

        Call `restart()` first.
        """
        chosen: list[Item] = []
        room = MAX_REPLAY_CHARS_TEXT_ONLY if self.is_text_only else MAX_REPLAY_CHARS
        for item in reversed(list(self._items)):
            text = item.text.strip()
            if item.kind is ItemKind.OTHER or not text:
                continue
            room -= len(text)
            if len(chosen) >= max_items or room < 0:
                break
            chosen.append(item)
        events = []
        for item in reversed(chosen):
            item.is_on_server = item.is_replayed = True
            self._items.mark_unconfirmed(item)
            events.append({"type": "conversation.item.create", "item": item.to_message_item()})
        return events
