"""Beta -> GA -> beta and GA -> beta -> GA over generated events, and anything at all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.types import realtime as ga
from openai.types.beta import realtime as beta
from pydantic import TypeAdapter

from tests.support.realtime.event_strategies import (
    beta_server_events,
    client_events,
    final_items,
    ga_server_event_groups,
    named_tool_choice,
)
from voicechat.protocol.beta_dialect import client_to_beta, client_to_ga, server_to_beta, server_to_ga, speaks_beta

Event = dict[str, Any]
TRANSLATIONS = (client_to_ga, client_to_beta, server_to_ga, server_to_beta)

GA_SERVER: TypeAdapter[Any] = TypeAdapter(ga.RealtimeServerEvent)
GA_CLIENT: TypeAdapter[Any] = TypeAdapter(ga.RealtimeClientEvent)
BETA_SERVER: TypeAdapter[Any] = TypeAdapter(beta.RealtimeServerEvent)
BETA_CLIENT: TypeAdapter[Any] = TypeAdapter(beta.RealtimeClientEvent)


def translate_all(translate: Callable[[Event], list[Event]], events: Iterable[Event]) -> list[Event]:
    return [new for event in events for new in translate(event)]


def assert_parses(adapter: TypeAdapter[Any], event: Event) -> None:
    assert adapter.validate_python(event).type == event["type"]


def has_fields(event: object, names: frozenset[str]) -> bool:
    """Return whether any object in the event has one of these fields."""
    if isinstance(event, dict):
        return any(key in names or has_fields(value, names) for key, value in event.items())
    return isinstance(event, list) and any(has_fields(entry, names) for entry in event)


# ---------------------------------------------------------------- round trips

FLAT = frozenset({"modalities", "input_audio_format", "output_audio_format", "max_response_output_tokens"})
NESTED = frozenset({"output_modalities", "audio"})


@given(client_events(ga=False))
def test_client_beta_ga_beta(event: Event) -> None:
    translated = client_to_ga(event)
    assert translate_all(client_to_beta, translated) == [event]
    for new in translated:
        assert not has_fields(new, FLAT)
        assert_parses(GA_CLIENT, new)


@given(client_events(ga=True))
def test_client_ga_beta_ga(event: Event) -> None:
    translated = client_to_beta(event)
    assert translate_all(client_to_ga, translated) == [event]
    for new in translated:
        assert new["type"] == "input_audio_buffer.append" or not has_fields(new, NESTED)
        if not named_tool_choice(new):
            assert_parses(BETA_CLIENT, new)


@given(beta_server_events())
def test_server_beta_ga_beta(event: Event) -> None:
    translated = server_to_ga(event)
    assert translate_all(server_to_beta, translated) == [event]
    for new in translated:
        assert not has_fields(new, FLAT)
        assert not speaks_beta(new)
        assert_parses(GA_SERVER, new)


@given(ga_server_event_groups())
def test_server_ga_beta_ga(events: list[Event]) -> None:
    def known(event: Event) -> Event:
        """An `item.done` loses its id, and where it stands: `item.added` tells that."""
        kept = ("type", "item") if event["type"] == "conversation.item.done" else event
        return {key: event[key] for key in kept}

    translated = translate_all(server_to_beta, events)
    assert [known(event) for event in translate_all(server_to_ga, translated)] == [known(event) for event in events]
    for new in translated:
        assert not has_fields(new, NESTED)
        if not named_tool_choice(new):
            assert_parses(BETA_SERVER, new)


@given(final_items(ga=True), st.text("abc019_", min_size=1, max_size=8))
def test_item_is_announced_once_in_beta(item: Event, name: str) -> None:
    """Whatever way the GA server tells of it: never doubled, never lost."""
    added = {"type": "conversation.item.added", "event_id": name, "previous_item_id": None, "item": item}
    done = {**added, "type": "conversation.item.done"}
    for announced in ([added, done], [added]):  # LocalAI leaves `done` out
        assert [event["type"] for event in translate_all(server_to_beta, announced)] == ["conversation.item.created"]


# ---------------------------------------------------------------- anything at all

NAMES = st.sampled_from(
    [
        "session.update",
        "session.created",
        "session.updated",
        "transcription_session.update",
        "transcription_session.created",
        "conversation.item.create",
        "conversation.item.created",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "response.create",
        "response.created",
        "response.done",
        "error",
        "response.output_item.added",
        "response.output_item.done",
        "response.audio.delta",
        "response.output_text.done",
    ]
)
KEYS = st.sampled_from(
    [
        "session",
        "response",
        "item",
        "error",
        "type",
        "role",
        "status",
        "content",
        "id",
        "text",
        "output",
        "input",
        "arguments",
        "event_id",
        "param",
        "message",
        "modalities",
        "output_modalities",
        "audio",
        "voice",
        "speed",
        "format",
        "rate",
        "input_audio_format",
        "output_audio_format",
        "name",
        "function",
        "turn_detection",
        "input_audio_transcription",
        "tool_choice",
        "max_output_tokens",
        "max_response_output_tokens",
        "temperature",
    ]
)
VALUES = st.sampled_from(
    [
        *("realtime", "transcription", "message", "function_call", "function_call_output", "assistant", "user", "text"),
        *("audio", "pcm16", "pcm16-16000hz", "audio/pcm", "audio/pcmu", "completed", "in_progress", "none", "openai"),
        *("session.turn_detection", "session.audio.input.turn_detection.threshold", "response.voice[0]", "function"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(KEYS, ANYTHING, max_size=6)
ANY_EVENT = st.builds(
    lambda name, rest: {**rest, "type": name},
    NAMES | ANYTHING,
    st.dictionaries(KEYS, ANYTHING, max_size=4)
    | st.fixed_dictionaries({}, optional={"session": OBJECTS, "response": OBJECTS, "item": OBJECTS, "error": OBJECTS}),
)


@given(ANY_EVENT | st.dictionaries(st.text(max_size=4), ANYTHING, max_size=3))
def test_nothing_raises_and_nothing_is_modified(event: Event) -> None:
    before = copy.deepcopy(event)
    for translate in TRANSLATIONS:
        for new in translate(event):
            assert isinstance(new, dict)
            assert isinstance(new.get("type"), str) or new is event
    assert speaks_beta(event) in (True, False)
    assert event == before


@given(ANY_EVENT)
def test_a_second_translation_changes_nothing(event: Event) -> None:
    """Translating an event that is in the right dialect already changes nothing."""
    for translate in (client_to_ga, client_to_beta):
        once = translate(event)
        assert translate_all(translate, once) == once
