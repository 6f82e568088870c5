"""The conversation as a pure fold: server events and local facts in, bubbles out. No clock, no I/O.

`told` folds in what the server says, and is built for servers that leave things out; what is done here (typed, played,
cut, cleared, told again) is below.
"""

from __future__ import annotations

from typing import Any

from .fields import Event
from .gone import Gone
from .items import Bubble, BubbleState, Item, Items, Kind, Utterance
from .timeline import CallClock, Span
from .told import Told

__all__ = ["Bubble", "BubbleState", "Conversation", "Utterance"]

MAX_REPLAY_CHARS = 8000
"""Text of a spoken conversation told again to a new connection."""
MAX_REPLAY_CHARS_WRITTEN = 32_000
"""The same of a written one: its answers are longer, and nobody waits for a voice."""


class Conversation:
    """The owner of what was said. One per visitor; it outlives connections and calls."""

    def __init__(self, remember: int = 200, *, written: bool = False) -> None:
        """`written`: replies are read, not heard. What was shown of a reply counts, and stays as the model wrote it."""
        self.written = written
        self.clock = CallClock()
        """What the times of messages are told by. The calls keep it."""
        self._items = Items(remember)
        self._gone = Gone()
        self._told = Told(self._items, self._gone)
        self.version = 0
        """Grows whenever a bubble may have changed."""

    # ---------------------------------------------------------------- what is known

    def bubbles(self) -> tuple[Bubble, ...]:
        """All messages in order. Turns in which nothing was said are left out."""
        return tuple(bubble for item in self._items if (bubble := item.bubble()) is not None)

    def captions(self) -> tuple[Bubble, ...]:
        """The same as people read them: spoken Chinese in Traditional characters."""
        if self.written:
            return self.bubbles()
        return tuple(caption for item in self._items if (caption := item.caption()) is not None)

    def utterances(self) -> tuple[Utterance, ...]:
        """`captions()`, each with its time."""
        shown = ((item.bubble() if self.written else item.caption(), item.span) for item in self._items)
        return tuple(Utterance(bubble, span) for bubble, span in shown if bubble is not None)

    def server_id(self, item_id: str) -> str:
        """The id by which the server knows an item."""
        return self._items.server_id(item_id)

    def is_replayed(self, item_id: str) -> bool:
        """True when the server knows this item only as text."""
        item = self._items.find(item_id)
        return item is not None and item.replayed

    # ---------------------------------------------------------------- server events

    def receive(self, event: Event, at: float | None = None) -> None:
        """Fold in one server event, which came `at` seconds of the call clock. Never raises for what a server sends."""
        if self._told.receive(event, at):
            self.version += 1

    # ---------------------------------------------------------------- local facts

    def say(self, text: str, at: float | None = None) -> dict[str, Any]:
        """A message typed `at` seconds of the call clock: shown at once. Returns the `item` to create at the server."""
        item = self._items.create(Kind.USER, BubbleState.DONE)
        item.part(0).set_text(text)
        item.placed = True
        item.span = Span(at, at) if at is not None else None
        self._items.expect(item)
        self.version += 1
        return item.message()

    def sounded(self, item_id: str, start: float, end: float) -> None:
        """The loudspeaker was given sound of this item, from `start` to `end` seconds of the call clock."""
        item = self._items.find(item_id)
        if item is not None:
            item.lasted(Span(start, end))

    def audio(self, item_id: str, content_index: int, response_id: str, samples: int) -> None:
        """Audio of a reply came in: where its words are is learned from how text and sound take turns."""
        if self._gone.has_item(item_id):
            return
        item = self._items.get(item_id, Kind.ASSISTANT)
        item.response_id = item.response_id or response_id
        item.part(content_index).add_audio(samples)

    def cut(self, item_id: str, content_index: int, heard_ms: int) -> None:
        """A reply was interrupted after `heard_ms` of this part: what was not heard is not part of it any more."""
        item = self._items.find(item_id)
        if item is None:
            return
        item.cut_at(content_index, heard_ms)
        self.version += 1

    def cancel(self, response_id: str) -> list[str]:
        """A reply is given up: late events of it are ignored, and what has no sound yet was not heard.

        Returns the server's ids of its spoken items that never had a sound: nothing of them was heard.
        """
        self._gone.give_up(response_id)
        silent = []
        for item in self._items.open_replies(response_id):
            if not item.has_sound and not self.written:
                if item.placed:
                    silent.append(self._items.server_id(item.id))
                else:  # the reply may be complete there before it is stopped
                    self._gone.forget_item(self._items.server_id(item.id))
                for part in item.parts.values():
                    part.cut_at(0)
            item.state = BubbleState.INTERRUPTED
        self.version += 1
        return silent

    def retell(self, item_id: str) -> list[dict[str, Any]]:
        """Client events that correct a replayed item after it was cut: gone, and again with what was heard."""
        item = self._items.find(item_id)
        if item is None:
            return []
        before = self._items.before(item)
        previous = self._items.server_id(before.id) if before is not None else "root"
        events = [{"type": "conversation.item.delete", "item_id": self._items.server_id(item.id)}]
        self._items.rename(item)
        self.version += 1
        if not item.text.strip():
            return events
        self._items.expect(item)
        return [*events, {"type": "conversation.item.create", "previous_item_id": previous, "item": item.message()}]

    def clear(self) -> list[str]:
        """Forget everything. Returns the server's ids of the items to delete there; see also `leftovers`."""
        there = []
        for item in self._items:
            name = self._items.server_id(item.id)
            if item.placed:
                there.append(name)
                self._gone.delete(name)
            else:
                self._gone.forget_item(name)
            self._gone.forget_reply(item.response_id)
        for item in self._items.unconfirmed():
            self._gone.forget_unnamed(item.text.strip())
        self._items.clear()
        self.version += 1
        return there

    def said(self, item_id: str) -> str:
        """What is understood so far of a turn."""
        item = self._items.find(item_id)
        return item.raw_text if item is not None else ""

    def dismiss(self, item_id: str) -> list[str]:
        """A turn in which nothing was said is none. Returns the server's id of it, to delete it there."""
        item = self._items.find(item_id)
        if item is None or not item.placed:
            self._gone.forget_item(item_id)
        else:
            self._gone.delete(item_id)
        if item is not None:
            self._items.remove(item)
        self.version += 1
        return [item_id] if item is not None and item.placed else []

    def forget_reply(self, response_id: str) -> None:
        """A reply to what was cleared: nothing of it is shown or kept, here or at the server."""
        self._gone.forget_reply(response_id)

    def forget_item(self, item_id: str) -> None:
        """An item that was begun before `clear()` and had no name yet."""
        self._gone.forget_item(item_id)

    def is_given_up(self, response_id: str) -> bool:
        """Whether what comes of this reply is ignored."""
        return self._gone.has_reply(response_id)

    def leftovers(self, event: Event) -> list[str]:
        """The server's ids of cleared items that it has only now, by this event: to be deleted there."""
        return self._gone.leftovers(event)

    # ---------------------------------------------------------------- a new connection

    def restart(self) -> dict[str, str]:
        """The connection is gone: settle what was open and give every item a new id. Returns old ids -> new ids.

        New ids, because servers that number their items begin at the same numbers again.
        """
        self._gone.clear()
        self._items.forget_server()
        names: dict[str, str] = {}
        for item in self._items:
            if item.kind is not Kind.OTHER and not item.raw_text.strip():
                self._items.remove(item)
                continue
            if item.open:
                item.state = BubbleState.INTERRUPTED if item.kind is Kind.ASSISTANT else BubbleState.DONE
            old = item.id
            self._items.rename(item)
            names[old] = item.id
            item.response_id = ""
            item.placed = item.replayed = False
        self.version += 1
        return names

    def replay(self, most: int = 40) -> list[dict[str, Any]]:
        """`conversation.item.create` events that tell a new server the last messages, as text, as they were heard.

        Call `restart()` first.
        """
        chosen: list[Item] = []
        room = MAX_REPLAY_CHARS_WRITTEN if self.written else MAX_REPLAY_CHARS
        for item in reversed(list(self._items)):
            text = item.text.strip()
            if item.kind is Kind.OTHER or not text:
                continue
            room -= len(text)
            if len(chosen) >= most or room < 0:
                break
            chosen.append(item)
        events = []
        for item in reversed(chosen):
            item.placed = item.replayed = True
            self._items.expect(item)
            events.append({"type": "conversation.item.create", "item": item.message()})
        return events
