"""Deleted items of which the server still sends events, and items to delete once the server has them. Pure."""

from __future__ import annotations

from collections import deque

from voicechat.protocol.server_events import InputCommitted, ItemAdded, ItemDone, OutputItem, ResponseDone, ServerEvent

from .responses import ResponseRegistry

MAX_TOMBSTONES = 256
"""Items remembered. Events of older ones no longer arrive."""
ITEM_CONFIRMING_EVENTS = (InputCommitted, ItemAdded, ItemDone, ResponseDone)
"""Events after which the items they name are in the server's conversation."""


class Tombstones:
    """Ids and hashes, no text. Emptied by `clear()` for another connection."""

    def __init__(self, responses: ResponseRegistry) -> None:
        self._responses = responses
        self._deleted_items: deque[str] = deque(maxlen=MAX_TOMBSTONES)
        self._pending_deletes: deque[str] = deque(maxlen=MAX_TOMBSTONES)
        """Items deleted here before the server had them."""
        self._deleted_text_hashes: deque[int] = deque(maxlen=MAX_TOMBSTONES)
        """Hashes of deleted messages that the server has not confirmed: it may confirm them with ids of its own."""

    def is_deleted(self, item_id: str) -> bool:
        return item_id in self._deleted_items

    def mark_deleted(self, item_id: str) -> None:
        """Ignore later events of an item that the server deletes."""
        if item_id and item_id not in self._deleted_items:
            self._deleted_items.append(item_id)

    def delete_item_when_seen(self, item_id: str) -> None:
        """Ignore later events of an item, and delete it once the server has it."""
        if item_id and item_id not in self._deleted_items:
            self._deleted_items.append(item_id)
            self._pending_deletes.append(item_id)

    def delete_message_when_seen(self, text: str) -> None:
        """Delete a message of ours once the server has confirmed it."""
        self._deleted_text_hashes.append(hash(text))

    def take_late_items(self, event: ServerEvent) -> list[str]:
        """Return the deleted items that the server has from this event on. Each is returned once."""
        if self._deleted_text_hashes and isinstance(event, ItemAdded | ItemDone | OutputItem):
            text = hash(event.item.typed_text)
            if text in self._deleted_text_hashes:
                self._deleted_text_hashes.remove(text)
                self.delete_item_when_seen(event.item.id)
        if self._responses.is_ignored(event.response_id):
            for item_id in event.item_ids:
                self.delete_item_when_seen(item_id)
        if not self._pending_deletes or not isinstance(event, ITEM_CONFIRMING_EVENTS):
            return []
        found = [item_id for item_id in dict.fromkeys(event.item_ids) if item_id in self._pending_deletes]
        for item_id in found:
            self._pending_deletes.remove(item_id)
        return found

    def clear(self) -> None:
        """Forget all: another connection."""
        self._deleted_items.clear()
        self._pending_deletes.clear()
        self._deleted_text_hashes.clear()
