"""Queue requests: parse and validate the page's requests before Gradio receives them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from voicechat.security.sdp_limits import (
    MAX_DIGITS,
    MAX_LINE_CHARS,
    MAX_OFFER_BYTES,
    MDNS_SUFFIX,
    OfferTooLarge,
    check_sdp_limits,
)

MAX_BODY_BYTES = 1_000_000
"""Bytes of a queue request: a message of 100,000 characters in JSON, and a margin."""
_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER_PATTERN = re.compile(rf"[0-9]{{1,{MAX_DIGITS}}}")
COMPONENT_FUNCTIONS = frozenset({"turn", "offer", "quit_output_stream"})
"""Server functions that fastrtc's component calls."""
_DIRECTIONS = frozenset({"a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"})
CANDIDATE_WORDS, CANDIDATE_NUMBERS = 8, (1, 3, 5)
"""Words of the shortest candidate, and indexes of those that are numbers: component, priority and port."""
_CANDIDATE_HOST = 4
"""Index of the candidate's address or host name."""


class MalformedRequest(ValueError):
    """Request that the page never sends. The message names the mistake and quotes nothing."""


def is_valid_id(text: object) -> bool:
    """Return whether the value can be the id of a session or a connection."""
    return isinstance(text, str) and _ID_PATTERN.fullmatch(text) is not None


def _parse_body(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MalformedRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise MalformedRequest("The body is not a JSON object.")
    if not is_valid_id(value.get("session_hash")):
        raise MalformedRequest("The session_hash is missing or invalid.")
    return value


@dataclass(frozen=True, slots=True)
class QueueJoin:
    """Request to run one of the page's functions."""

    session_hash: str
    connection_ids: tuple[str, ...]
    """Ids of the WebRTC connections among the inputs."""


def parse_queue_join(body: bytes, webrtc_input_indexes: Mapping[int, tuple[int, ...]]) -> QueueJoin:
    """Parse the body of /queue/join. Raise `MalformedRequest`.

    `webrtc_input_indexes`: for each function of the page, the indexes of the inputs that hold a connection id.
    """
    value = _parse_body(body)
    function, data = value.get("fn_index"), value.get("data")
    if type(function) is not int or function not in webrtc_input_indexes:
        raise MalformedRequest("The fn_index is unknown.")
    if not isinstance(data, list):
        raise MalformedRequest("The data is not a list.")
    if not isinstance(value.get("trigger_id"), int | None):
        raise MalformedRequest("The trigger_id is not a number.")
    connection_ids = []
    for index in webrtc_input_indexes[function]:
        connection_id = data[index] if index < len(data) else None
        connection_id = connection_id.get("webrtc_id") if isinstance(connection_id, dict) else connection_id
        if connection_id is None or connection_id == "" or connection_id == "__webrtc_value__":
            continue
        if not is_valid_id(connection_id):
            raise MalformedRequest("The connection id is invalid.")
        connection_ids.append(connection_id)
    return QueueJoin(value["session_hash"], tuple(connection_ids))


@dataclass(frozen=True, slots=True)
class ComponentCall:
    """Call of fastrtc's component to its server."""

    session_hash: str
    function: str
    connection_id: str
    """Id of the WebRTC connection; "" for the function `turn`."""
    is_offer: bool
    """The call offers a new connection; other calls concern an existing one."""
    is_candidate: bool = False
    """The call adds a candidate to a connection."""
    is_mdns_candidate: bool = False
    """That candidate has an mDNS name, which is looked up by multicast."""


def parse_component_call(body: bytes, component_id: int) -> ComponentCall:
    """Parse the body of /component_server. Raise `MalformedRequest` or `OfferTooLarge`.

    `component_id`: id of fastrtc's component.
    """
    if len(body) > MAX_OFFER_BYTES:
        raise OfferTooLarge("The request is too long.")
    value = _parse_body(body)
    function = value.get("fn_name")
    if (
        not isinstance(function, str)
        or function not in COMPONENT_FUNCTIONS
        or value.get("component_id") != component_id
    ):
        raise MalformedRequest("The function is unknown.")
    if function == "turn":
        return ComponentCall(value["session_hash"], function, "", False)
    data = value.get("data")
    if not isinstance(data, dict) or not is_valid_id(data.get("webrtc_id")):
        raise MalformedRequest("The webrtc_id is missing or invalid.")
    is_offer = is_candidate = is_mdns = False
    if function == "offer":
        is_offer, is_candidate = (data.get("type") == each for each in ("offer", "ice-candidate"))
        if is_offer:
            _check_sdp(data.get("sdp"))
        elif is_candidate:
            is_mdns = _check_candidate(data.get("candidate"))
        else:
            raise MalformedRequest("The type is neither offer nor ice-candidate.")
    return ComponentCall(value["session_hash"], function, data["webrtc_id"], is_offer, is_candidate, is_mdns)


def _check_sdp(given: object) -> None:
    """Check that the SDP has one audio section in both directions, and at most one data channel.

    For each further audio section fastrtc would start another call. Without one it waits in a task that never ends.
    """
    if not isinstance(given, str):
        raise MalformedRequest("The sdp is missing.")
    media, directions = [], []
    for line in given.splitlines():  # as aiortc reads it
        if line.startswith("m="):
            media.append(line[2:].partition(" ")[0])
        elif media[-1:] == ["audio"] and line.partition(":")[0] in _DIRECTIONS:
            directions.append(line)
    if sorted(media) not in (["audio"], ["application", "audio"]) or directions != ["a=sendrecv"]:
        raise MalformedRequest("The sdp does not describe a call.")
    check_sdp_limits(given)


def _check_candidate(given: object) -> bool:
    """Check that the candidate has the form of RFC 8839, section 5.1, or is empty, which ends the candidates.

    Returns whether it has an mDNS name. fastrtc logs any other text, with a traceback.
    """
    if not isinstance(given, dict) or not isinstance(given.get("candidate"), str):
        raise MalformedRequest("The candidate is missing.")
    if not isinstance(given.get("sdpMid"), str | None) or not isinstance(given.get("sdpMLineIndex"), int | None):
        raise MalformedRequest("The candidate has an invalid sdpMid or sdpMLineIndex.")
    if len(given["candidate"]) > MAX_LINE_CHARS or len(given.get("sdpMid") or "") > MAX_LINE_CHARS:
        raise OfferTooLarge("The candidate is too long.")
    words = given["candidate"].split()
    if words and (
        len(words) < CANDIDATE_WORDS
        or not words[0].startswith("candidate:")
        or not all(_NUMBER_PATTERN.fullmatch(words[index]) for index in CANDIDATE_NUMBERS)
        or words[6] != "typ"
    ):
        raise MalformedRequest("The candidate is invalid.")
    return bool(words) and words[_CANDIDATE_HOST].lower().rstrip(".").endswith(MDNS_SUFFIX)
