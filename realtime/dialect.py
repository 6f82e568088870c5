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

from .dialect_fields import (
    FLAT,
    OVERRIDES,
    PATHS_TO_BETA,
    PATHS_TO_GA,
    RESPONSE,
    SESSION,
    shape_to_beta,
    shape_to_ga,
)

Event = dict[str, Any]
Translate = Callable[[Event], list[Event]]


class Dialect(StrEnum):
    """Which of the two a peer speaks."""

    GA = "ga"
    BETA = "beta"


# ---------------------------------------------------------------- objects: sessions, items, responses, errors

_SESSION_EVENTS = {
    "transcription_session.update": "session.update",
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
}
_SESSION_EVENTS_BACK = {ga: beta for beta, ga in _SESSION_EVENTS.items()}


def _session_to_ga(event: Event) -> list[Event]:
    old = event.get("session")
    if not isinstance(old, dict):
        return [event]
    name = event["type"]
    session = {"type": "transcription" if name in _SESSION_EVENTS else "realtime", **shape_to_ga(SESSION, old)}
    if session["type"] == "transcription":
        session.pop("output_modalities", None)  # its output is always text
    return [{**event, "type": _SESSION_EVENTS.get(name, name), "session": session}]


def _session_to_beta(event: Event) -> list[Event]:
    old = event.get("session")
    if not isinstance(old, dict):
        return [event]
    session, kind, name = shape_to_beta(SESSION, old), old.get("type"), event["type"]
    if kind in ("realtime", "transcription"):
        del session["type"]
    return [{**event, "type": _SESSION_EVENTS_BACK[name] if kind == "transcription" else name, "session": session}]


_PARTS = {"text": "output_text", "audio": "output_audio"}
_PARTS_BACK = {ga: beta for beta, ga in _PARTS.items()}


def _item(item: Any, names: dict[str, str]) -> Any:
    """An item with the parts of its content renamed. Only what an assistant said differs."""
    if not isinstance(item, dict) or item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    return {**item, "content": [_part(part, names) for part in item["content"]]}


def _part(part: Any, names: dict[str, str]) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    return {**part, "type": names[kind]} if isinstance(kind, str) and kind in names else part


def _with_item(names: dict[str, str], name: str | None = None) -> Translate:
    """An event about one item; `name`: its own new name."""

    def translate(event: Event) -> list[Event]:
        new = {**event, "type": name or event["type"]}
        if "item" in event:
            new["item"] = _item(event["item"], names)
        return [new]

    return translate


def _with_response(shape: Callable[[Event], Event], names: dict[str, str]) -> Translate:
    """An event with a `response`: its fields, and the items in it."""

    def translate(event: Event) -> list[Event]:
        old = event.get("response")
        if not isinstance(old, dict):
            return [event]
        new = shape(old)
        for key in ("input", "output"):
            if isinstance(old.get(key), list):
                new[key] = [_item(item, names) for item in old[key]]
        return [{**event, "response": new}]

    return translate


def _with_param(paths: list[tuple[str, str]]) -> Translate:
    """An `error` whose `param` (and the message that quotes it) names a field as the other side knows it."""

    def translate(event: Event) -> list[Event]:
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


def _known_to_beta(item: Any) -> TypeGuard[Event]:
    """Whether beta has a way of its own to tell that this item is final."""
    kinds = ("message", "function_call", "function_call_output")
    return isinstance(item, dict) and item.get("type", "message") in kinds


def _is_final(item: Event) -> bool:
    """Whether an item is complete when beta tells of it. Of a reply's it is only begun.

    OpenAI says `in_progress` of what is begun; speaches says `incomplete`, perhaps with the first words in it.
    """
    kind, status = item.get("type", "message"), item.get("status")
    if kind == "function_call_output" or (kind == "message" and item.get("role") != "assistant"):
        return True
    return status == "completed" or (status is None and bool(item.get("content") or item.get("arguments")))


def _done_after(event: Event, item: Event) -> Event:
    """What an additional `conversation.item.done` has of the event that it is made from."""
    done: Event = {"type": "conversation.item.done"}
    if isinstance(event.get("event_id"), str):
        done["event_id"] = f"{event['event_id']}_done"
    done["previous_item_id"] = event.get("previous_item_id")
    done["item"] = {**item, "status": "completed"} if item.get("status") == "in_progress" else item
    return done


def _created_to_ga(event: Event) -> list[Event]:
    [added] = _with_item(_PARTS, "conversation.item.added")(event)
    item = added.get("item")
    if not _known_to_beta(item) or not _is_final(item):
        return [added]
    return [added, _done_after(event, item)]


def _output_done_to_ga(event: Event) -> list[Event]:
    [done] = _with_item(_PARTS)(event)
    item = done.get("item")
    return [_done_after(event, item), done] if _known_to_beta(item) else [done]


def _item_done(names: dict[str, str]) -> Translate:
    """`conversation.item.done`, which beta does not have: told by other events, or passed on where none tells it."""
    return lambda event: [] if _known_to_beta(event.get("item")) else _with_item(names)(event)


# ---------------------------------------------------------------- events

_RENAMED = {
    f"response.{beta}.{end}": f"response.output_{beta}.{end}"
    for beta in ("text", "audio", "audio_transcript")
    for end in ("delta", "done")
}


def _rename(name: str) -> Translate:
    return lambda event: [{**event, "type": name}]


_CLIENT_TO_GA: dict[str, Translate] = {
    "session.update": _session_to_ga,
    "transcription_session.update": _session_to_ga,
    "conversation.item.create": _with_item(_PARTS),
    "response.create": _with_response(partial(shape_to_ga, OVERRIDES), _PARTS),
}
_CLIENT_TO_BETA: dict[str, Translate] = {
    "session.update": _session_to_beta,
    "conversation.item.create": _with_item(_PARTS_BACK),
    "response.create": _with_response(partial(shape_to_beta, OVERRIDES), _PARTS_BACK),
}
_SERVER_TO_GA: dict[str, Translate] = {
    **{beta: _rename(ga) for beta, ga in _RENAMED.items()},
    **dict.fromkeys(("session.created", "session.updated", *_SESSION_EVENTS), _session_to_ga),
    **dict.fromkeys(("conversation.item.created", "conversation.item.added"), _created_to_ga),
    **dict.fromkeys(("conversation.item.retrieved", "response.output_item.added"), _with_item(_PARTS)),
    **dict.fromkeys(("response.created", "response.done"), _with_response(partial(shape_to_ga, RESPONSE), _PARTS)),
    "conversation.item.done": _item_done(_PARTS),
    "response.output_item.done": _output_done_to_ga,
    "error": _with_param(PATHS_TO_GA),
}
_SERVER_TO_BETA: dict[str, Translate] = {
    **{ga: _rename(beta) for beta, ga in _RENAMED.items()},
    **dict.fromkeys(("session.created", "session.updated"), _session_to_beta),
    **dict.fromkeys(
        ("response.created", "response.done"), _with_response(partial(shape_to_beta, RESPONSE), _PARTS_BACK)
    ),
    **dict.fromkeys(
        ("conversation.item.created", "conversation.item.retrieved", "response.output_item.added"),
        _with_item(_PARTS_BACK),
    ),
    "response.output_item.done": _with_item(_PARTS_BACK),
    "conversation.item.added": _with_item(_PARTS_BACK, "conversation.item.created"),
    "conversation.item.done": _item_done(_PARTS_BACK),
    "error": _with_param(PATHS_TO_BETA),
}


def _translate(event: Event, how: dict[str, Translate]) -> list[Event]:
    name = event.get("type")
    translate = how.get(name) if isinstance(name, str) else None
    return [event] if translate is None else translate(event)


def client_to_ga(event: Event) -> list[Event]:
    """A beta client's event as GA client events. `event_id` stays, so that errors find their cause."""
    return _translate(event, _CLIENT_TO_GA)


def client_to_beta(event: Event) -> list[Event]:
    """A GA client's event as what a beta server takes."""
    return _translate(event, _CLIENT_TO_BETA)


def server_to_ga(event: Event) -> list[Event]:
    """A beta server's event as GA server events; none for an `item.done` that other events carry already."""
    return _translate(event, _SERVER_TO_GA)


def server_to_beta(event: Event) -> list[Event]:
    """A GA server's event as what a beta client understands; none for `item.done`, which beta does not have."""
    return _translate(event, _SERVER_TO_BETA)


_TELLING = frozenset({*_RENAMED, "transcription_session.created", "transcription_session.updated"})


def speaks_beta(event: Event) -> bool:
    """Whether this event of a server shows that the server speaks beta. False also where an event does not tell.

    Telling are: a session or response of beta's flat fields, and names that only beta has. Not telling is
    `conversation.item.created`, which GA look-alikes send too, nor `voice` or `turn_detection` alone (xAI).
    """
    name = event.get("type")
    if isinstance(name, str) and name in _TELLING:
        return True
    if name in ("session.created", "session.updated"):
        session = event.get("session")
        if not isinstance(session, dict) or any(key in session for key in ("type", "audio", "output_modalities")):
            return False
        return any(key in session for key in FLAT)
    response = event.get("response")
    if name not in ("response.created", "response.done") or not isinstance(response, dict):
        return False
    return "modalities" in response and "output_modalities" not in response
