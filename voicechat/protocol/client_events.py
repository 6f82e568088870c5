"""Client events of a call, each with an `event_id` that names its purpose. Pure."""

from __future__ import annotations

from typing import Any

from voicechat.audio.playback_buffer import Truncation

Event = dict[str, Any]

IGNORABLE_ERROR_PREFIXES = ("truncate_", "delete_", "cancel_", "guard_", "update_", "tool_", "look_")
"""Prefixes of the ids of events whose failure the visitor does not notice."""
RESPONSE_EVENT_PREFIX = "answer_"
"""Prefix of the ids of `response.create` events."""
_LOOK = "look"
"""Id prefix of messages with a picture: the call sends one again without it when the server refuses it."""


class ClientEventBuilder:
    """Builds and numbers the client events of a call."""

    def __init__(self) -> None:
        self._event_count = 0

    def _with_event_id(self, id_prefix: str, event: Event) -> Event:
        self._event_count += 1
        return {**event, "event_id": f"{id_prefix}_{self._event_count}"}

    def with_event_ids(self, id_prefix: str, events: list[Event]) -> list[Event]:
        """Return events that were built elsewhere, with ids."""
        return [self._with_event_id(_LOOK if _has_picture(event) else id_prefix, event) for event in events]

    def create_item(self, item: Event) -> Event:
        """Return the event that adds a typed message."""
        event = {"type": "conversation.item.create", "item": item}
        return self._with_event_id(_LOOK if _has_picture(event) else "say", event)

    def create_tool_item(self, item: Event) -> Event:
        """Return the event that adds the output of a function call, or a message that only the model reads."""
        return self._with_event_id("tool", {"type": "conversation.item.create", "item": item})

    def seed_items(self, events: list[Event]) -> list[Event]:
        """Return the events that replay a conversation. A server may refuse the function calls among them."""
        prefixes = ("seed" if event["item"]["type"] == "message" else "tool_seed" for event in events)
        return [
            each
            for prefix, event in zip(prefixes, events, strict=True)
            for each in self.with_event_ids(prefix, [event])
        ]

    def create_response(self, *, tools_allowed: bool = True) -> Event:
        """Return the event that requests a reply. `tools_allowed`: the reply may call functions."""
        more = {} if tools_allowed else {"response": {"tool_choice": "none"}}
        return self._with_event_id("answer", {"type": "response.create", **more})

    def cancel_response(self, response_id: str) -> Event:
        """Return the event that cancels a reply; "" means the one being made."""
        event = {"type": "response.cancel"}
        return self._with_event_id("cancel", {**event, "response_id": response_id} if response_id else event)

    def delete_items(self, item_ids: list[str]) -> list[Event]:
        """Return the events that delete items, by the server's ids."""
        return [
            self._with_event_id("delete", {"type": "conversation.item.delete", "item_id": name}) for name in item_ids
        ]

    def update_turn_detection(self, turn_detection: Event) -> Event:
        """Return the event that changes the server's voice detector."""
        session = {"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}}
        return self._with_event_id("guard", {"type": "session.update", "session": session})

    def truncate_item(self, truncation: Truncation, item_id: str) -> Event:
        """Return the event that tells how much was heard of an item, which the server knows by `item_id`."""
        about = {"item_id": item_id, "content_index": truncation.content_index, "audio_end_ms": truncation.heard_ms}
        return self._with_event_id("truncate", {"type": "conversation.item.truncate", **about})


def _has_picture(event: Event) -> bool:
    content = event.get("item", {}).get("content", ())
    return any(part.get("type") == "input_image" for part in content)
