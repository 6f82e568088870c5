"""What the page asks of Gradio, checked before Gradio sees it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_BODY_BYTES = 1_000_000
"""Bytes: a message of 100,000 characters, in JSON, and room."""
MAX_OFFER_BYTES = 32_000
"""Bytes of an offer; one with a dozen candidates has 3,000."""
_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
COMPONENT_FUNCTIONS = frozenset({"turn", "offer", "quit_output_stream"})
"""What fastrtc's component in the page calls."""


class MalformedRequest(ValueError):
    """The page never sends this. The message says what is wrong, and quotes nothing."""


def is_valid_id(text: object) -> bool:
    """Whether it can be a session's or a connection's id."""
    return isinstance(text, str) and _ID_PATTERN.fullmatch(text) is not None


def _parse_body(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise MalformedRequest("The body is not a JSON object.")
    if not is_valid_id(value.get("session_hash")):
        raise MalformedRequest("There is no session_hash.")
    return value


@dataclass(frozen=True, slots=True)
class QueueJoin:
    """A button was pressed, or a stream is to begin."""

    session_hash: str
    connection_ids: tuple[str, ...]
    """Ids of the WebRTC connections that it is about."""


def parse_queue_join(body: bytes, webrtc_input_indexes: Mapping[int, tuple[int, ...]]) -> QueueJoin:
    """Reads the body of /queue/join. `places`: for every function of the page, where among its inputs the value of
    fastrtc's component is. Raises Malformed."""
    value = _parse_body(body)
    function, data = value.get("fn_index"), value.get("data")
    if type(function) is not int or function not in webrtc_input_indexes:
        raise MalformedRequest("There is no such fn_index.")
    if not isinstance(data, list):
        raise MalformedRequest("The data are not a list.")
    for name in ("trigger_id", "event_data"):  # the only others the page sends
        if name == "trigger_id" and not isinstance(value.get(name), int | None):
            raise MalformedRequest("The trigger_id is not a number.")
    found = []
    for place in webrtc_input_indexes[function]:
        given = data[place] if place < len(data) else None
        given = given.get("webrtc_id") if isinstance(given, dict) else given
        if given is None or given == "" or given == "__webrtc_value__":
            continue
        if not is_valid_id(given):
            raise MalformedRequest("The connection's id is none.")
        found.append(given)
    return QueueJoin(value["session_hash"], tuple(found))


@dataclass(frozen=True, slots=True)
class ComponentCall:
    """fastrtc's component asks its server."""

    session_hash: str
    function: str
    connection_id: str
    """Id of the WebRTC connection; "" for `turn`."""
    is_offer: bool
    """A new connection is offered; else something is asked about one."""


def parse_component_call(body: bytes, component_id: int) -> ComponentCall:
    """Reads the body of /component_server; `component`: the id of fastrtc's. Raises Malformed."""
    if len(body) > MAX_OFFER_BYTES:
        raise MalformedRequest("The offer is too long.")
    value = _parse_body(body)
    function = value.get("fn_name")
    if (
        not isinstance(function, str)
        or function not in COMPONENT_FUNCTIONS
        or value.get("component_id") != component_id
    ):
        raise MalformedRequest("There is no such function.")
    if function == "turn":
        return ComponentCall(value["session_hash"], function, "", False)
    data = value.get("data")
    if not isinstance(data, dict) or not is_valid_id(data.get("webrtc_id")):
        raise MalformedRequest("There is no webrtc_id.")
    offers = False
    if function == "offer":
        offers = data.get("type") == "offer"
        if offers:
            _check_sdp(data.get("sdp"))
        elif data.get("type") == "ice-candidate":
            _check_candidate(data.get("candidate"))
        else:
            raise MalformedRequest("It is neither an offer nor a candidate.")
    return ComponentCall(value["session_hash"], function, data["webrtc_id"], offers)


def _check_sdp(given: object) -> None:
    """A call is one sound both ways and at most one data channel. Of several sounds fastrtc would make as many calls of
    one; without one it waits for it, in a task that never ends, and counts no call."""
    if not isinstance(given, str):
        raise MalformedRequest("There is no sdp.")
    kinds, sounds = [], []
    for line in given.splitlines():  # as aiortc reads it
        if line.startswith("m="):
            kinds.append(line[2:].partition(" ")[0])
        elif kinds[-1:] == ["audio"] and line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"):
            sounds.append(line.removeprefix("a="))
    if sorted(kinds) not in (["audio"], ["application", "audio"]) or sounds != ["sendrecv"]:
        raise MalformedRequest("The sdp is not of a call.")


def _check_candidate(given: object) -> None:
    if not isinstance(given, dict) or not isinstance(given.get("candidate"), str):
        raise MalformedRequest("There is no candidate.")
    if not isinstance(given.get("sdpMid"), str | None) or not isinstance(given.get("sdpMLineIndex"), int | None):
        raise MalformedRequest("The candidate belongs nowhere.")
