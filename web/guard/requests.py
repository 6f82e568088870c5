"""What the page asks of Gradio, checked before Gradio sees it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MOST_BODY = 1_000_000
"""Bytes: a message of 100,000 characters, in JSON, and room."""
MOST_OFFER = 32_000
"""Bytes of an offer; one with a dozen candidates has 3,000."""
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
COMPONENT_FUNCTIONS = frozenset({"turn", "offer", "quit_output_stream"})
"""What fastrtc's component in the page calls."""


class Malformed(ValueError):
    """The page never sends this. The message says what is wrong, and quotes nothing."""


def is_word(text: object) -> bool:
    """Whether it can be a session's or a connection's id."""
    return isinstance(text, str) and _WORD.fullmatch(text) is not None


def _table(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Malformed("The body is not a JSON object.")
    if not is_word(value.get("session_hash")):
        raise Malformed("There is no session_hash.")
    return value


@dataclass(frozen=True, slots=True)
class Join:
    """A button was pressed, or a stream is to begin."""

    session: str
    connections: tuple[str, ...]
    """Ids of the WebRTC connections that it is about."""


def join_of(body: bytes, places: Mapping[int, tuple[int, ...]]) -> Join:
    """Reads the body of /queue/join. `places`: for every function of the page, where among its inputs the value of
    fastrtc's component is. Raises Malformed."""
    value = _table(body)
    function, data = value.get("fn_index"), value.get("data")
    if type(function) is not int or function not in places:
        raise Malformed("There is no such fn_index.")
    if not isinstance(data, list):
        raise Malformed("The data are not a list.")
    for name in ("trigger_id", "event_data"):  # the only others the page sends
        if name == "trigger_id" and not isinstance(value.get(name), int | None):
            raise Malformed("The trigger_id is not a number.")
    found = []
    for place in places[function]:
        given = data[place] if place < len(data) else None
        given = given.get("webrtc_id") if isinstance(given, dict) else given
        if given is None or given == "" or given == "__webrtc_value__":
            continue
        if not is_word(given):
            raise Malformed("The connection's id is none.")
        found.append(given)
    return Join(value["session_hash"], tuple(found))


@dataclass(frozen=True, slots=True)
class Asked:
    """fastrtc's component asks its server."""

    session: str
    function: str
    connection: str
    """Id of the WebRTC connection; "" for `turn`."""
    offers: bool
    """A new connection is offered; else something is asked about one."""


def asked_of(body: bytes, component: int) -> Asked:
    """Reads the body of /component_server; `component`: the id of fastrtc's. Raises Malformed."""
    if len(body) > MOST_OFFER:
        raise Malformed("The offer is too long.")
    value = _table(body)
    function = value.get("fn_name")
    if not isinstance(function, str) or function not in COMPONENT_FUNCTIONS or value.get("component_id") != component:
        raise Malformed("There is no such function.")
    if function == "turn":
        return Asked(value["session_hash"], function, "", False)
    data = value.get("data")
    if not isinstance(data, dict) or not is_word(data.get("webrtc_id")):
        raise Malformed("There is no webrtc_id.")
    offers = False
    if function == "offer":
        offers = data.get("type") == "offer"
        if offers:
            if not isinstance(data.get("sdp"), str):
                raise Malformed("There is no sdp.")
        elif data.get("type") == "ice-candidate":
            _check_candidate(data.get("candidate"))
        else:
            raise Malformed("It is neither an offer nor a candidate.")
    return Asked(value["session_hash"], function, data["webrtc_id"], offers)


def _check_candidate(given: object) -> None:
    if not isinstance(given, dict) or not isinstance(given.get("candidate"), str):
        raise Malformed("There is no candidate.")
    if not isinstance(given.get("sdpMid"), str | None) or not isinstance(given.get("sdpMLineIndex"), int | None):
        raise Malformed("The candidate belongs nowhere.")
