"""Beta dialect: translates events of the Realtime protocol between beta and GA, one event at a time. Pure, stateless.

The app itself uses GA. These functions translate for servers and for clients that still use beta. The input is never
modified; unchanged parts are shared with the output. Unknown or invalid events pass unchanged. Nothing raises.

Items. Beta announces an item once (`conversation.item.created`), GA twice: `.added` (it exists), `.done` (it is final).
This table keeps every item event from being lost or repeated:

    beta                                                  GA
    item.created, final (user, system, call output,    =  item.added, then item.done
      and assistant items that a client created)
    item.created, begun (a reply's message or call)    =  item.added
    response.output_item.done                          =  item.done, then response.output_item.done
    no event: it follows from the events above         =  item.done
    items younger than beta (MCP)                      =  keep their GA events, but for created = added

A beta server may also send `item.done` (Azure Voice Live does) or `item.added`. By the table the first is redundant,
and the second is treated as `created`. An additional event gets the `event_id` of its cause + "_done".

Lost in a round trip:
- `temperature`, and `modalities` of a transcription session: GA has neither
- `previous_item_id` of an `item.done`; the order is that of `.added`
- second spellings of a value: `["audio"]` for `["text","audio"]`, a format without its rate, Voice Live's name of an
  OpenAI voice, "none" for a null `turn_detection`
- the item of an out-of-band response gets an `item.done`, because no single beta event tells it apart
- an assistant item that a client created as `incomplete` gets none: speaches uses that status for items just begun
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, TypeGuard

from .beta_dialect_fields import (
    BETA_ONLY_SESSION_FIELDS,
    PATHS_TO_BETA,
    PATHS_TO_GA,
    RESPONSE_CREATE_FIELDS,
    RESPONSE_FIELDS,
    SESSION_FIELDS,
    shape_to_beta,
    shape_to_ga,
)
from .event_fields import RawEvent

Translate = Callable[[RawEvent], list[RawEvent]]


class Dialect(StrEnum):
    """Dialect of a peer."""

    GA = "ga"
    BETA = "beta"


# ---------------------------------------------------------------- objects: sessions, items, responses, errors

_SESSION_EVENTS_TO_GA = {
    "transcription_session.update": "session.update",
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
}
_SESSION_EVENTS_TO_BETA = {ga: beta for beta, ga in _SESSION_EVENTS_TO_GA.items()}


def _session_to_ga(event: RawEvent) -> list[RawEvent]:
    old = event.get("session")
    if not isinstance(old, dict):
        return [event]
    name = event["type"]
    session = {
        "type": "transcription" if name in _SESSION_EVENTS_TO_GA else "realtime",
        **shape_to_ga(SESSION_FIELDS, old),
    }
    if session["type"] == "transcription":
        session.pop("output_modalities", None)  # the output is always text
    return [{**event, "type": _SESSION_EVENTS_TO_GA.get(name, name), "session": session}]


def _session_to_beta(event: RawEvent) -> list[RawEvent]:
    old = event.get("session")
    if not isinstance(old, dict):
        return [event]
    session, kind, name = shape_to_beta(SESSION_FIELDS, old), old.get("type"), event["type"]
    if kind in ("realtime", "transcription"):
        del session["type"]
    return [{**event, "type": _SESSION_EVENTS_TO_BETA[name] if kind == "transcription" else name, "session": session}]


_PART_TYPES_TO_GA = {"text": "output_text", "audio": "output_audio"}
_PART_TYPES_TO_BETA = {ga: beta for beta, ga in _PART_TYPES_TO_GA.items()}


def _translate_item(item: Any, part_types: dict[str, str]) -> Any:
    """Return an item with its content parts renamed. Only assistant items differ."""
    if not isinstance(item, dict) or item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    return {**item, "content": [_translate_part(part, part_types) for part in item["content"]]}


def _translate_part(part: Any, part_types: dict[str, str]) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    return {**part, "type": part_types[kind]} if isinstance(kind, str) and kind in part_types else part


def _item_translator(part_types: dict[str, str], new_type: str | None = None) -> Translate:
    """Return the translation of an event about one item; `new_type`: the event's type in the other dialect."""

    def translate(event: RawEvent) -> list[RawEvent]:
        new = {**event, "type": new_type or event["type"]}
        if "item" in event:
            new["item"] = _translate_item(event["item"], part_types)
        return [new]

    return translate


def _response_translator(shape: Callable[[RawEvent], RawEvent], part_types: dict[str, str]) -> Translate:
    """Return the translation of an event with a `response`: its fields, and the items in it."""

    def translate(event: RawEvent) -> list[RawEvent]:
        old = event.get("response")
        if not isinstance(old, dict):
            return [event]
        new = shape(old)
        for key in ("input", "output"):
            if isinstance(old.get(key), list):
                new[key] = [_translate_item(item, part_types) for item in old[key]]
        return [{**event, "response": new}]

    return translate


def _error_param_translator(paths: list[tuple[str, str]]) -> Translate:
    """Return the translation of the field that an `error` names in `param` and in its message."""

    def translate(event: RawEvent) -> list[RawEvent]:
        error = event.get("error")
        param = error.get("param") if isinstance(error, dict) else None
        if not isinstance(error, dict) or not isinstance(param, str):
            return [event]
        for old, new in paths:
            if param == old or param.startswith((old + ".", old + "[")):
                error = {**error, "param": new + param[len(old) :]}
                if isinstance(error.get("message"), str):
                    error["message"] = error["message"].replace(f"'{param}'", f"'{error['param']}'")
                return [{**event, "error": error}]
        return [event]

    return translate


# ---------------------------------------------------------------- items: once in beta, twice in GA


def _is_beta_item(item: Any) -> TypeGuard[RawEvent]:
    """Return whether beta has an event of its own that makes this item final."""
    kinds = ("message", "function_call", "function_call_output")
    return isinstance(item, dict) and item.get("type", "message") in kinds


def _is_final(item: RawEvent) -> bool:
    """Return whether an item is complete when beta announces it. A response's own item has just begun then.

    Items just begun are `in_progress` at OpenAI, and `incomplete` at speaches, possibly with the first words.
    """
    kind, status = item.get("type", "message"), item.get("status")
    if kind == "function_call_output" or (kind == "message" and item.get("role") != "assistant"):
        return True
    return status == "completed" or (status is None and bool(item.get("content") or item.get("arguments")))


def _make_item_done(event: RawEvent, item: RawEvent) -> RawEvent:
    """Return an additional `conversation.item.done` made from another event."""
    done: RawEvent = {"type": "conversation.item.done"}
    if isinstance(event.get("event_id"), str):
        done["event_id"] = f"{event['event_id']}_done"
    done["previous_item_id"] = event.get("previous_item_id")
    done["item"] = {**item, "status": "completed"} if item.get("status") == "in_progress" else item
    return done


def _created_to_ga(event: RawEvent) -> list[RawEvent]:
    [added] = _item_translator(_PART_TYPES_TO_GA, "conversation.item.added")(event)
    item = added.get("item")
    if not _is_beta_item(item) or not _is_final(item):
        return [added]
    return [added, _make_item_done(event, item)]


def _output_done_to_ga(event: RawEvent) -> list[RawEvent]:
    [done] = _item_translator(_PART_TYPES_TO_GA)(event)
    item = done.get("item")
    return [_make_item_done(event, item), done] if _is_beta_item(item) else [done]


def _item_done_translator(part_types: dict[str, str]) -> Translate:
    """Return the translation of `conversation.item.done`: dropped where another beta event stands for it."""
    return lambda event: [] if _is_beta_item(event.get("item")) else _item_translator(part_types)(event)


# ---------------------------------------------------------------- events

_EVENT_NAMES_TO_GA = {
    f"response.{beta}.{end}": f"response.output_{beta}.{end}"
    for beta in ("text", "audio", "audio_transcript")
    for end in ("delta", "done")
}


def _event_name_translator(new_type: str) -> Translate:
    return lambda event: [{**event, "type": new_type}]


_CLIENT_TO_GA: dict[str, Translate] = {
    "session.update": _session_to_ga,
    "transcription_session.update": _session_to_ga,
    "conversation.item.create": _item_translator(_PART_TYPES_TO_GA),
    "response.create": _response_translator(partial(shape_to_ga, RESPONSE_CREATE_FIELDS), _PART_TYPES_TO_GA),
}
_CLIENT_TO_BETA: dict[str, Translate] = {
    "session.update": _session_to_beta,
    "conversation.item.create": _item_translator(_PART_TYPES_TO_BETA),
    "response.create": _response_translator(partial(shape_to_beta, RESPONSE_CREATE_FIELDS), _PART_TYPES_TO_BETA),
}
_SERVER_TO_GA: dict[str, Translate] = {
    **{beta: _event_name_translator(ga) for beta, ga in _EVENT_NAMES_TO_GA.items()},
    **dict.fromkeys(("session.created", "session.updated", *_SESSION_EVENTS_TO_GA), _session_to_ga),
    **dict.fromkeys(("conversation.item.created", "conversation.item.added"), _created_to_ga),
    **dict.fromkeys(("conversation.item.retrieved", "response.output_item.added"), _item_translator(_PART_TYPES_TO_GA)),
    **dict.fromkeys(
        ("response.created", "response.done"),
        _response_translator(partial(shape_to_ga, RESPONSE_FIELDS), _PART_TYPES_TO_GA),
    ),
    "conversation.item.done": _item_done_translator(_PART_TYPES_TO_GA),
    "response.output_item.done": _output_done_to_ga,
    "error": _error_param_translator(PATHS_TO_GA),
}
_SERVER_TO_BETA: dict[str, Translate] = {
    **{ga: _event_name_translator(beta) for beta, ga in _EVENT_NAMES_TO_GA.items()},
    **dict.fromkeys(("session.created", "session.updated"), _session_to_beta),
    **dict.fromkeys(
        ("response.created", "response.done"),
        _response_translator(partial(shape_to_beta, RESPONSE_FIELDS), _PART_TYPES_TO_BETA),
    ),
    **dict.fromkeys(
        ("conversation.item.created", "conversation.item.retrieved", "response.output_item.added"),
        _item_translator(_PART_TYPES_TO_BETA),
    ),
    "response.output_item.done": _item_translator(_PART_TYPES_TO_BETA),
    "conversation.item.added": _item_translator(_PART_TYPES_TO_BETA, "conversation.item.created"),
    "conversation.item.done": _item_done_translator(_PART_TYPES_TO_BETA),
    "error": _error_param_translator(PATHS_TO_BETA),
}


def _translate(event: RawEvent, translators: dict[str, Translate]) -> list[RawEvent]:
    name = event.get("type")
    translate = translators.get(name) if isinstance(name, str) else None
    return [event] if translate is None else translate(event)


def client_to_ga(event: RawEvent) -> list[RawEvent]:
    """Return a beta client event as GA client events. `event_id` is kept, so that errors refer to it."""
    return _translate(event, _CLIENT_TO_GA)


def client_to_beta(event: RawEvent) -> list[RawEvent]:
    """Return a GA client event as beta client events."""
    return _translate(event, _CLIENT_TO_BETA)


def server_to_ga(event: RawEvent) -> list[RawEvent]:
    """Return a beta server event as GA server events; none for an `item.done` that other events imply."""
    return _translate(event, _SERVER_TO_GA)


def server_to_beta(event: RawEvent) -> list[RawEvent]:
    """Return a GA server event as beta server events; none for `item.done`, which beta does not have."""
    return _translate(event, _SERVER_TO_BETA)


_BETA_ONLY_EVENTS = frozenset({*_EVENT_NAMES_TO_GA, "transcription_session.created", "transcription_session.updated"})


def speaks_beta(event: RawEvent) -> bool:
    """Return whether a server event shows that the server speaks beta. False for events of both dialects.

    Beta shows in flat fields of a session or response, and in event types that only beta has. It does not show in
    `conversation.item.created`, which servers close to GA send too, nor in `voice` or `turn_detection` alone (xAI).
    """
    name = event.get("type")
    if isinstance(name, str) and name in _BETA_ONLY_EVENTS:
        return True
    if name in ("session.created", "session.updated"):
        session = event.get("session")
        if not isinstance(session, dict) or any(key in session for key in ("type", "audio", "output_modalities")):
            return False
        return any(key in session for key in BETA_ONLY_SESSION_FIELDS)
    response = event.get("response")
    if name not in ("response.created", "response.done") or not isinstance(response, dict):
        return False
    return "modalities" in response and "output_modalities" not in response
