"""Parsing of server events: lenient, complete, and dispatched by class."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.protocol import server_events
from voicechat.protocol.event_dispatcher import EventDispatcher
from voicechat.protocol.event_fields import MAX_ID_CHARS, has_valid_ids
from voicechat.protocol.server_events import UnknownEvent, parse_event

EVENT_TYPES = frozenset(server_events.EVENT_PARSERS)
"""Types that have a class of their own."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
NESTED_KEYS = (
    *("id", "type", "role", "status", "content", "output", "usage", "status_details", "audio", "model"),
    *("expires_at", "code", "event_id", "param"),
)
NESTED = st.fixed_dictionaries({}, optional=dict.fromkeys(NESTED_KEYS, JSON))
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(EVENT_TYPES)) | JSON},
    optional={
        **dict.fromkeys(("item_id", "response_id", "content_index", "delta", "transcript", "text", "usage"), JSON),
        **dict.fromkeys(("previous_item_id", "audio_end_ms", "audio_start_ms"), JSON),
        **dict.fromkeys(("item", "response", "session", "error"), NESTED | JSON),
    },
)


@given(EVENTS)
def test_parsing_never_raises_and_gives_fields_of_their_types(raw: dict[str, Any]) -> None:
    event = parse_event(raw)
    assert isinstance(event.response_id, str) and isinstance(event.item_id, str)
    assert all(isinstance(name, str) and name for name in event.item_ids)
    known = isinstance(raw["type"], str) and raw["type"] in EVENT_TYPES
    assert isinstance(event, UnknownEvent) is not known
    for name in ("delta", "transcript", "text", "audio", "previous_item_id", "code", "event_id"):
        assert isinstance(getattr(event, name, ""), str)
    for name in ("content_index", "audio_end_ms", "audio_start_ms"):
        value = getattr(event, name, 0)
        assert value is None or (type(value) is int and 0 <= value <= 2**31)
    if isinstance(event, server_events.AudioDelta):
        pcm = event.decode()
        assert pcm is None or isinstance(pcm, bytes)
        assert event.item_id


@given(st.dictionaries(st.text(max_size=10), JSON, max_size=6))
def test_an_unknown_event_stays_as_it_came(fields: dict[str, Any]) -> None:
    raw = {**fields, "type": "response.content_part.added"}
    event = parse_event(raw)
    assert isinstance(event, UnknownEvent)
    assert event.raw is raw


def test_every_class_of_event_is_made_by_the_table() -> None:
    made = {type(parse_event({"type": kind})) for kind in EVENT_TYPES}
    bases = (server_events.ServerEvent, server_events.SessionEvent, UnknownEvent, server_events._ItemEvent)
    classes = [one for one in vars(server_events).values() if isinstance(one, type)]
    assert made == {one for one in classes if issubclass(one, server_events.ServerEvent) and one not in bases}


def test_events_cannot_be_changed() -> None:
    for kind in EVENT_TYPES:
        event = parse_event({"type": kind})
        with pytest.raises(AttributeError):
            event.response_id = "other"  # type: ignore[misc]


def test_an_audio_delta_of_a_server_that_names_no_item_belongs_to_the_message_of_its_response() -> None:
    pcm = b"\1\0" * 480
    raw = {"type": "response.output_audio.delta", "response_id": "r1", "delta": base64.b64encode(pcm).decode()}
    event = parse_event(raw)
    assert isinstance(event, server_events.AudioDelta)
    assert (event.response_id, event.item_id, event.content_index, event.decode()) == ("r1", "r1.message", 0, pcm)
    assert server_events.AudioDelta("", "", 0, "no base64 !").decode() is None


def test_ids_that_are_too_long_are_found_wherever_events_name_them() -> None:
    long = "x" * (MAX_ID_CHARS + 1)
    for raw in (
        {"item_id": long},
        {"response_id": long},
        {"previous_item_id": long},
        {"item": {"id": long}},
        {"response": {"id": long}},
        {"response": {"output": ["odd", {"id": long}]}},
    ):
        assert not has_valid_ids(raw)
    assert has_valid_ids({"item_id": "x" * MAX_ID_CHARS, "item": {"id": 5}, "response": "odd", "delta": long})


class Recorder:
    """An observer of two classes, and of everything else."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def event_handlers(self) -> dict[Any, Any]:
        return {
            server_events.SessionEvent: lambda event, now: self.calls.append(("session", type(event).__name__)),
            server_events.AudioDelta: lambda event, now: self.calls.append(("audio", event.item_id)),
            server_events.ServerEvent: lambda event, now: self.calls.append(("other", type(event).__name__)),
        }


def test_an_event_goes_to_the_most_special_handler_of_each_observer() -> None:
    first, second = Recorder(), Recorder()
    dispatcher = EventDispatcher(first.event_handlers(), {}, second.event_handlers())
    for kind in ("session.created", "response.output_audio.delta", "response.created", "odd"):
        dispatcher.dispatch(parse_event({"type": kind, "item_id": "a1"}), 0.0)
    expected = [("session", "SessionCreated"), ("audio", "a1"), ("other", "ResponseCreated"), ("other", "UnknownEvent")]
    assert first.calls == second.calls == expected
