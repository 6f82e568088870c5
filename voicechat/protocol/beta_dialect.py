"""Beta <-> GA of the Realtime protocol: one event in, the same event in the other dialect out. Pure and stateless.

All our own code speaks GA; these functions stand at the doors: toward servers that still speak beta, and toward clients
that still do. The input is never modified (parts that stay the same are shared with the output). What is unknown or
misshapen passes through unchanged, and nothing here raises.

Items. Beta tells of an item once (`conversation.item.created`), GA twice: `.added` (it exists), `.done` (it is final).
Who carries what, so that nothing is told twice or gets lost:

    beta                                                  GA
    item.created, final (user, system, call output,    =  item.added, then item.done
      and assistant items that a client created)
    item.created, begun (a reply's message or call)    =  item.added
    response.output_item.done                          =  item.done, then response.output_item.done
    nothing of its own: it follows from the above      =  item.done
    items younger than beta (MCP)                      =  keep their GA events, but for created = added

A beta server may send `item.done` or `item.added` as well (Azure Voice Live does the first): the table makes the one
redundant and treats the other as `created`. An event made in addition gets the `event_id` of its cause + "_done".

What does not survive a round trip: `temperature`, which GA does not have; `modalities` of a transcription session, the
same; `previous_item_id` of an `item.done` (order by `.added`); any second spelling of a value (`["audio"]` for
`["text","audio"]`, a format without its rate, Voice Live's way to name an OpenAI voice, "none" for a null
`turn_detection`); and the reply of an out-of-band response gets an `item.done`: no single beta event tells it apart.
An assistant item that a client created as `incomplete` gets none, for speaches says that of what it has only begun.
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
    """Which of the two a peer speaks."""

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
        session.pop("output_modalities", None)  # its output is always text
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
    """An item with the parts of its content renamed. Only what an assistant said differs."""
    if not isinstance(item, dict) or item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    return {**item, "content": [_translate_part(part, part_types) for part in item["content"]]}


def _translate_part(part: Any, part_types: dict[str, str]) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    return {**part, "type": part_types[kind]} if isinstance(kind, str) and kind in part_types else part


def _item_translator(part_types: dict[str, str], new_type: str | None = None) -> Translate:
    """An event about one item; `name`: its own new name."""

    def translate(event: RawEvent) -> list[RawEvent]:
        new = {**event, "type": new_type or event["type"]}
        if "item" in event:
            new["item"] = _translate_item(event["item"], part_types)
        return [new]

    return translate


def _response_translator(shape: Callable[[RawEvent], RawEvent], part_types: dict[str, str]) -> Translate:
    """An event with a `response`: its fields, and the items in it."""

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
    """An `error` whose `param` (and the message that quotes it) names a field as the other side knows it."""

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
    """Whether beta has a way of its own to tell that this item is final."""
    kinds = ("message", "function_call", "function_call_output")
    return isinstance(item, dict) and item.get("type", "message") in kinds


def _is_final(item: RawEvent) -> bool:
    """Whether an item is complete when beta tells of it. Of a reply's it is only begun.

    OpenAI says `in_progress` of what is begun; speaches says `incomplete`, perhaps with the first words in it.
    """
    kind, status = item.get("type", "message"), item.get("status")
    if kind == "function_call_output" or (kind == "message" and item.get("role") != "assistant"):
        return True
    return status == "completed" or (status is None and bool(item.get("content") or item.get("arguments")))


def _make_item_done(event: RawEvent, item: RawEvent) -> RawEvent:
    """What an additional `conversation.item.done` has of the event that it is made from."""
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
    """`conversation.item.done`, which beta does not have: told by other events, or passed on where none tells it."""
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
    """A beta client's event as GA client events. `event_id` stays, so that errors find their cause."""
    return _translate(event, _CLIENT_TO_GA)


def client_to_beta(event: RawEvent) -> list[RawEvent]:
    """A GA client's event as what a beta server takes."""
    return _translate(event, _CLIENT_TO_BETA)


def server_to_ga(event: RawEvent) -> list[RawEvent]:
    """A beta server's event as GA server events; none for an `item.done` that other events carry already."""
    return _translate(event, _SERVER_TO_GA)


def server_to_beta(event: RawEvent) -> list[RawEvent]:
    """A GA server's event as what a beta client understands; none for `item.done`, which beta does not have."""
    return _translate(event, _SERVER_TO_BETA)


_BETA_ONLY_EVENTS = frozenset({*_EVENT_NAMES_TO_GA, "transcription_session.created", "transcription_session.updated"})


def speaks_beta(event: RawEvent) -> bool:
    """Whether this event of a server shows that the server speaks beta. False also where an event does not tell.

    Telling are: a session or response of beta's flat fields, and names that only beta has. Not telling is
    `conversation.item.created`, which GA look-alikes send too, nor `voice` or `turn_detection` alone (xAI).
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
