"""Hypothesis strategies: turns of a call and what a server makes of each, whole, cut, failed, late or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from . import server_events

Event = dict[str, Any]

COMPLETED = ("completed", None)
ENDINGS: list[tuple[object, object]] = [
    COMPLETED,
    *[("incomplete", server_events.incomplete(reason)) for reason in ("max_output_tokens", "content_filter", "new")],
    ("incomplete", None),
    *[("failed", server_events.failed(code)) for code in ("server_error", "rate_limit_exceeded", "content_filter")],
    ("failed", server_events.failed(None)),
    ("failed", "words"),
    *[("cancelled", {"reason": reason}) for reason in ("turn_detected", "client_cancelled", "new")],
    ("cancelled", None),
    ("a_new_status", None),
    (7, 7),
]
"""`status` and `status_details` of `response.done`."""

TRUNCATION_ERRORS = [
    {"type": "invalid_request_error", "code": code, "message": "Audio content of 1000ms is already shorter", **more}
    for code in (None, "invalid_value", "item_not_found")
    for more in ({}, {"param": None, "event_id": None}, {"param": "audio_end_ms"}, {"param": "item_id"})
]
"""`error` objects about a truncation that came too late, as servers send them without the id of our event."""
OTHER_ERRORS = [
    {"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "x"},
    {"type": "invalid_request_error", "code": "conversation_already_has_active_response", "message": "x"},
    {"type": "invalid_request_error", "code": "unknown_parameter", "param": "session.voice", "message": "x"},
    {"type": "invalid_request_error", "code": "invalid_value", "message": "x"},
    {"type": "server_error", "code": None, "message": "x"},
    {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "x"},
    "words",
]


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """What the server makes of one turn."""

    has_end: bool
    events: list[Event]


@st.composite
def replies(draw: st.DrawFn, number: int) -> ScriptedReply:
    """Return a reply, its events in the server's order."""
    name, item, text = f"r{number}", f"a{number}", f"Reply {number} is this"
    status, details = draw(st.sampled_from(ENDINGS))
    started = server_events.response_started(name, item)
    events = draw(st.sampled_from([started, started[:1], []]))
    pieces = draw(st.integers(0, 2))
    for _ in range(pieces):
        events = [*events, *server_events.clause_deltas(name, item, text, draw(st.sampled_from([20, 300])))]
    *closing, done = server_events.response_finished(name, item, text * pieces, "completed")
    if status != "completed" and draw(st.booleans()):
        for event in closing:
            if "item" in event:
                event["item"] = {**event["item"], "status": "incomplete"}
    if pieces and draw(st.booleans()):
        events = [*events, *closing]
    output = done["response"]["output"] if pieces and status == "completed" else []
    has_end = draw(st.integers(0, 7)) > 0
    return ScriptedReply(
        has_end, [*events, *([server_events.response_ended(name, status, details, output)] if has_end else [])]
    )


@st.composite
def server_scripts(draw: st.DrawFn, turns: int = 3) -> list[tuple[str, Any]]:
    """Return steps of a call: ("say", item), ("type", text), ("events", list), ("play", ms), in order.

    Errors come anywhere. The transcript of a spoken turn comes at any time after it.
    """
    steps: list[tuple[str, Any]] = []
    late: list[Event] = []
    for number in range(1, turns + 1):
        if draw(st.booleans()):
            steps.append(("type", f"Typed {number}"))
        else:
            steps.append(("say", f"u{number}"))
            late.append(server_events.transcription_completed(f"u{number}", f"Spoken {number}"))
        reply = draw(st.none() | replies(number))
        for event in reply.events if reply is not None else []:
            steps.append(("events", [event]))
            if late and draw(st.integers(0, 3)) == 0:
                steps.append(("events", [late.pop()]))
            if draw(st.integers(0, 5)) == 0:
                steps.append(("events", [{"type": "error", "error": draw(errors)}]))
            if draw(st.integers(0, 4)) == 0:
                steps.append(("play", draw(st.sampled_from([40, 400]))))
        if draw(st.booleans()):
            steps.append(("play", 1000))
        if draw(st.booleans()):
            steps.append(("events", [{"type": "error", "error": draw(errors)}]))
    return [*steps, ("events", late)]


errors = st.sampled_from([*TRUNCATION_ERRORS, *OTHER_ERRORS])
