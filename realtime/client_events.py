"""The events that a call sends, each with an `event_id` that says what it was about. Pure."""

from __future__ import annotations

from typing import Any

from .playback import Cut

Event = dict[str, Any]

FORGIVABLE = ("truncate_", "delete_", "cancel_", "guard_", "update_")
"""Beginnings of the ids of events whose refusal changes nothing for the visitor."""
ANSWER = "answer_"
"""Beginning of the ids of what asks for a reply."""


class ClientEvents:
    """Builds the events of one call and counts them."""

    def __init__(self) -> None:
        self._sent = 0

    def _named(self, about: str, event: Event) -> Event:
        self._sent += 1
        return {**event, "event_id": f"{about}_{self._sent}"}

    def numbered(self, about: str, events: list[Event]) -> list[Event]:
        """Events made elsewhere, with their ids."""
        return [self._named(about, event) for event in events]

    def say(self, item: Event) -> Event:
        """Add a typed message."""
        return self._named("say", {"type": "conversation.item.create", "item": item})

    def answer(self) -> Event:
        """Ask for a reply."""
        return self._named("answer", {"type": "response.create"})

    def cancel(self, response_id: str) -> Event:
        """Stop a reply; "" stops the one being made."""
        event = {"type": "response.cancel"}
        return self._named("cancel", {**event, "response_id": response_id} if response_id else event)

    def delete(self, item_ids: list[str]) -> list[Event]:
        """Delete items, by the server's ids."""
        return [self._named("delete", {"type": "conversation.item.delete", "item_id": name}) for name in item_ids]

    def guard(self, turn_detection: Event) -> Event:
        """Change how the server's voice detector listens."""
        session = {"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}}
        return self._named("guard", {"type": "session.update", "session": session})

    def truncate(self, cut: Cut, item_id: str) -> Event:
        """Say how much was heard of an item, which the server knows by `item_id`."""
        about = {"item_id": item_id, "content_index": cut.content_index, "audio_end_ms": cut.heard_ms}
        return self._named("truncate", {"type": "conversation.item.truncate", **about})
