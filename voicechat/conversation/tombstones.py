"""What is over here while the server still speaks of it: replies given up, items deleted, what Clear took. Pure."""

from __future__ import annotations

from collections import deque

from voicechat.protocol.event_fields import Event, get_item_ids, get_object, get_objects, get_response_id, get_string

MAX_TOMBSTONES = 256
"""Replies and items remembered, of each. Events of older ones no longer arrive."""
ITEM_CONFIRMING_EVENTS = frozenset(
    {
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "response.done",
    }
)
"""Events after which the items they name are in the server's conversation."""


class Tombstones:
    """Ids and hashes, no text. Belongs to one connection: the next one begins with `clear()`."""

    def __init__(self) -> None:
        self._cancelled_responses: deque[str] = deque(maxlen=MAX_TOMBSTONES)
        self._cleared_responses: deque[str] = deque(maxlen=MAX_TOMBSTONES)
        """Replies of which nothing may stay at the server either."""
        self._deleted_items: deque[str] = deque(maxlen=MAX_TOMBSTONES)
        self._pending_deletes: deque[str] = deque(maxlen=MAX_TOMBSTONES)
        """Items forgotten before the server had them: deleted as soon as it does."""
        self._deleted_text_hashes: deque[int] = deque(maxlen=MAX_TOMBSTONES)
        """Hashes of deleted messages that the server has not confirmed: it may do so under a name of its own."""

    def is_cancelled(self, response_id: str) -> bool:
        return response_id in self._cancelled_responses

    def is_deleted(self, item_id: str) -> bool:
        return item_id in self._deleted_items

    def mark_cancelled(self, response_id: str) -> None:
        """Ignore what still comes of a reply."""
        if response_id and response_id not in self._cancelled_responses:
            self._cancelled_responses.append(response_id)

    def delete_response_when_seen(self, response_id: str) -> None:
        """The same, and its items are to be deleted as they come."""
        self.mark_cancelled(response_id)
        if response_id and response_id not in self._cleared_responses:
            self._cleared_responses.append(response_id)

    def mark_deleted(self, item_id: str) -> None:
        """Ignore what still comes of an item that the server was told to delete."""
        if item_id and item_id not in self._deleted_items:
            self._deleted_items.append(item_id)

    def delete_item_when_seen(self, item_id: str) -> None:
        """The same for one that the server does not have yet."""
        if item_id and item_id not in self._deleted_items:
            self._deleted_items.append(item_id)
            self._pending_deletes.append(item_id)

    def delete_message_when_seen(self, text: str) -> None:
        """A message of ours is deleted before the server confirmed it."""
        self._deleted_text_hashes.append(hash(text))

    def _match_deleted_message(self, event: Event) -> None:
        item = get_object(event, "item")
        for part in get_objects(item, "content")[:1]:
            text = hash(get_string(part, "text"))
            if text in self._deleted_text_hashes:
                self._deleted_text_hashes.remove(text)
                self.delete_item_when_seen(get_string(item, "id"))

    def take_late_items(self, event: Event) -> list[str]:
        """Forgotten items that the server has now, by this event: to be deleted there. Each is given once."""
        self._match_deleted_message(event)
        named = get_item_ids(event)
        if get_response_id(event) in self._cleared_responses:
            for item_id in named:
                self.delete_item_when_seen(item_id)
        if get_string(event, "type") not in ITEM_CONFIRMING_EVENTS:
            return []
        found = [item_id for item_id in dict.fromkeys(named) if item_id in self._pending_deletes]
        for item_id in found:
            self._pending_deletes.remove(item_id)
        return found

    def clear(self) -> None:
        """Another connection."""
        for known in (self._cancelled_responses, self._cleared_responses, self._deleted_items, self._pending_deletes):
            known.clear()
        self._deleted_text_hashes.clear()
