"""Tool events: a response that calls functions, as each kind of server sends it."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from tests.support.realtime import server_events

Event = dict[str, Any]


class CallingDialect(Enum):
    """Events by which a server names a call."""

    OFFICIAL = "official"
    """All three."""
    WITHOUT_ITEM_DONE = "without_item_done"
    """LocalAI."""
    ARGUMENTS_ONLY = "arguments_only"
    """Speech-to-Speech servers: the item in its beginning, then the arguments."""
    IN_RESPONSE_DONE = "in_response_done"


def function_call(call_id: str, name: str, arguments: Event, status: str = "completed") -> Event:
    """Return the item of a call."""
    text = json.dumps(arguments) if status == "completed" else ""
    about = {"id": f"item_{call_id}", "type": "function_call", "status": status}
    return {**about, "call_id": call_id, "name": name, "arguments": text}


def call_events(
    response: str, call_id: str, name: str, arguments: Event, dialect: CallingDialect = CallingDialect.OFFICIAL
) -> list[Event]:
    """Return the events of one call, without those of its response."""
    item, about = function_call(call_id, name, arguments), {"response_id": response, "output_index": 0}
    begun = function_call(call_id, name, arguments, "in_progress")
    added = {"type": "response.output_item.added", **about, "item": begun}
    arguments_done = {
        "type": "response.function_call_arguments.done",
        **about,
        "item_id": item["id"],
        "call_id": call_id,
        "name": name,
        "arguments": item["arguments"],
    }
    done = {"type": "response.output_item.done", **about, "item": item}
    match dialect:
        case CallingDialect.OFFICIAL:
            item_done = {"type": "conversation.item.done", "previous_item_id": None, "item": item}
            return [added, arguments_done, item_done, done]
        case CallingDialect.WITHOUT_ITEM_DONE:
            return [added, arguments_done, done]
        case CallingDialect.ARGUMENTS_ONLY:
            return [added, arguments_done]
        case CallingDialect.IN_RESPONSE_DONE:
            return []


def calling_response(
    response: str,
    calls: list[tuple[str, str, Event]],
    dialect: CallingDialect = CallingDialect.OFFICIAL,
    status: str = "completed",
) -> list[Event]:
    """Return all events of a response that calls functions: each by id, name and arguments."""
    created = {"type": "response.created", "response": {"id": response, "status": "in_progress", "output": []}}
    events = [event for call in calls for event in call_events(response, *call, dialect)]
    return [created, *events, server_events.response_ended(response, status, None, [function_call(*c) for c in calls])]


def confirmation(created: Event) -> Event:
    """Return the server's confirmation of an item that the client created."""
    item = {**created["item"], "status": "completed"}
    return {"type": "conversation.item.added", "previous_item_id": None, "item": item}
