"""What is over here while the server still speaks of it: replies given up, items deleted, what Clear took. Pure."""

from __future__ import annotations

from collections import deque

from .fields import Event, item_ids, response_id, string, table, tables

MOST = 256
"""Replies and items remembered, of each. Events of older ones no longer arrive."""
THERE = frozenset(
    {
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "response.done",
    }
)
"""Events after which the items they name are in the server's conversation."""


class Gone:
    """Ids and hashes, no text. Belongs to one connection: the next one begins with `clear()`."""

    def __init__(self) -> None:
        self._replies: deque[str] = deque(maxlen=MOST)
        self._forgotten: deque[str] = deque(maxlen=MOST)
        """Replies of which nothing may stay at the server either."""
        self._items: deque[str] = deque(maxlen=MOST)
        self._not_yet: deque[str] = deque(maxlen=MOST)
        """Items forgotten before the server had them: deleted as soon as it does."""
        self._unnamed: deque[int] = deque(maxlen=MOST)
        """Hashes of deleted messages that the server has not confirmed: it may do so under a name of its own."""

    def has_reply(self, reply: str) -> bool:
        return reply in self._replies

    def has_item(self, item_id: str) -> bool:
        return item_id in self._items

    def give_up(self, reply: str) -> None:
        """Ignore what still comes of a reply."""
        if reply and reply not in self._replies:
            self._replies.append(reply)

    def forget_reply(self, reply: str) -> None:
        """The same, and its items are to be deleted as they come."""
        self.give_up(reply)
        if reply and reply not in self._forgotten:
            self._forgotten.append(reply)

    def delete(self, item_id: str) -> None:
        """Ignore what still comes of an item that the server was told to delete."""
        if item_id and item_id not in self._items:
            self._items.append(item_id)

    def forget_item(self, item_id: str) -> None:
        """The same for one that the server does not have yet."""
        if item_id and item_id not in self._items:
            self._items.append(item_id)
            self._not_yet.append(item_id)

    def forget_unnamed(self, text: str) -> None:
        """A message of ours is deleted before the server confirmed it."""
        self._unnamed.append(hash(text))

    def _confirmed(self, event: Event) -> None:
        item = table(event, "item")
        for part in tables(item, "content")[:1]:
            text = hash(string(part, "text"))
            if text in self._unnamed:
                self._unnamed.remove(text)
                self.forget_item(string(item, "id"))

    def leftovers(self, event: Event) -> list[str]:
        """Forgotten items that the server has now, by this event: to be deleted there. Each is given once."""
        self._confirmed(event)
        named = item_ids(event)
        if response_id(event) in self._forgotten:
            for item_id in named:
                self.forget_item(item_id)
        if string(event, "type") not in THERE:
            return []
        found = [item_id for item_id in dict.fromkeys(named) if item_id in self._not_yet]
        for item_id in found:
            self._not_yet.remove(item_id)
        return found

    def clear(self) -> None:
        """Another connection."""
        for known in (self._replies, self._forgotten, self._items, self._not_yet):
            known.clear()
        self._unnamed.clear()
