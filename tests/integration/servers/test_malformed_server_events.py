"""Malformed and flooding server events: nothing raises, and nothing grows without a bound."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.realtime.event_observation import observe
from voicechat.audio.playback_buffer import MAX_UNFINISHED_PARTS
from voicechat.config.session_update import SessionMode, build_session_update
from voicechat.config.settings import Settings
from voicechat.conversation import audio_text_alignment
from voicechat.conversation.conversation import Conversation
from voicechat.gateway.in_flight_responses import MAX_TRACKED_RESPONSES, InFlightResponses
from voicechat.gateway.session_bootstrap import SessionBootstrap
from voicechat.limits.billing import BillingService, SessionBilling
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.event_dispatcher import EventDispatcher
from voicechat.protocol.failures import ConnectionFailed
from voicechat.protocol.server_events import parse_event
from voicechat.protocol.unsupported_fields import UnsupportedFields
from voicechat.server.prometheus import Metrics
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.turn_latency import TurnLatencyTracker
from voicechat.upstream.handshake import Handshake
from voicechat.upstream.session_sync import SessionConfigSync

Event = dict[str, Any]

TRANSCRIPTION_EVENT = "conversation.item.input_audio_transcription"
TYPES = [
    *("session.created", "session.updated", "error", "rate_limits.updated"),
    *(f"input_audio_buffer.{name}" for name in ("speech_started", "speech_stopped", "committed", "cleared")),
    *(f"{TRANSCRIPTION_EVENT}.{name}" for name in ("delta", "completed", "updated", "failed")),
    *(f"conversation.item.{name}" for name in ("added", "created", "done", "retrieved", "deleted", "truncated")),
    *(f"response.{name}" for name in ("created", "done", "output_item.added", "output_item.done")),
    *(f"response.output_text.{name}" for name in ("delta", "done")),
    *(f"response.output_audio_transcript.{name}" for name in ("delta", "done")),
    *(f"response.output_audio.{name}" for name in ("delta", "done")),
    "response.function_call_arguments.done",
]
"""All that anything here looks at."""


class EventConsumers:
    """Everything that a server's events are folded into."""

    def __init__(self, text_only: bool) -> None:
        self.settings = Settings(remember_items=20, realtime_url="ws://nowhere")
        self.conversation = Conversation(self.settings.remember_items, text_only=text_only)
        self.call = CallStateMachine(self.conversation, self.settings, 0.0)
        mode = SessionMode.TEXT if text_only else SessionMode.VOICE
        self.billing = SessionBilling(BillingService(metrics=Metrics()), self.settings, mode)
        self.latency = TurnLatencyTracker(200)
        self.session_sync = SessionConfigSync()
        self.in_flight = InFlightResponses()
        self.dispatcher = EventDispatcher(
            *(one.event_handlers() for one in (self.billing, self.latency, self.session_sync, self.in_flight))
        )
        update = {**build_session_update(self.settings, mode, kind=ServerKind.CUSTOM), "event_id": "s"}
        self.session_sync.start_connection(update)
        self.handshake = Handshake(update, UnsupportedFields())
        self.handshake.send_settings()
        self.handshake.proceed_unconfirmed()
        self.bootstrap = SessionBootstrap(update, UnsupportedFields(), "a server")
        self.bootstrap.handle_event({"type": "session.created", "session": {}})
        endpoint = Endpoint(ServerKind.CUSTOM, "ws://nowhere")
        for one in (self.billing, self.latency, self.session_sync):
            one.on_connected(endpoint, 0.0)
        self.call.handle_connected(0.0)
        self.now = 0.0

    def on_event(self, event: Event) -> None:
        self.now += 0.001
        parsed = parse_event(event)
        self.dispatcher.dispatch(parsed, self.now)
        self.call.handle_event(parsed, self.now)
        self.call.snapshot()

    def on_first_event(self, event: Event) -> None:
        """Handle an event as one of the first of a connection, which may refuse it."""
        for one in (self.handshake.handle_event, self.bootstrap.handle_event):
            try:
                one(event)
            except ConnectionFailed:
                return

    def play_frame(self) -> None:
        """20 ms of the loudspeaker, and whatever time makes of it."""
        self.now += 0.02
        self.call.tick_20ms(self.now)
        self.call.next_frame(self.now)
        self.latency.on_frame_played(self.call.playback.item_ids_at(self.now), self.now)
        self.call.check_timeouts(self.now)


# -------------------------------------------------------------------- what makes no sense

NAMES = st.sampled_from(["u1", "a1", "r1", "", "x" * 600])
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([-1, 2**63, 10**400, 1.5, float("inf"), float("nan"), -0.0])
    | st.text(max_size=6)
    | st.sampled_from(["message", "user", "assistant", "function_call", "completed", "failed", "cancelled", "AAAA"])
    | NAMES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "role", "type", "content", "status", "output", "error"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *("item_id", "response_id", "content_index", "output_index", "delta", "transcript", "text", "item", "response"),
        *("previous_item_id", "session", "error", "audio_end_ms", "audio_start_ms", "usage", "call_id", "arguments"),
    ]
)
EVENTS = st.builds(lambda kind, fields: {**fields, "type": kind}, st.sampled_from(TYPES), st.dictionaries(FIELDS, ODD))


@settings(max_examples=60)
@given(st.lists(EVENTS, max_size=25), st.booleans())
def test_call_with_any_server_events_never_raises(events: list[Event], text_only: bool) -> None:
    ears = EventConsumers(text_only)
    for event in events:
        ears.on_event(event)
        ears.on_first_event(event)
        ears.play_frame()
    assert len(ears.conversation.bubbles()) <= 20
    ears.call.interrupt(ears.now)
    ears.call.clear(ears.now)


# -------------------------------------------------------------------- more than anybody can say


def numbered_words(number: int) -> str:
    return f"{number} " + "word " * 200


MESSAGES: dict[str, Callable[[int], Event]] = {
    "item": lambda i: {"id": f"item{i}", "type": "message", "role": "user", "content": [{"text": numbered_words(i)}]},
    "tool": lambda i: {"id": "tool", "type": "function_call", f"field{i}": numbered_words(i)},
    "reply": lambda i: {"id": f"r{i}", "status": "in_progress", "output": [{"id": f"a{i}", "type": "message"}]},
}
FLOODS: dict[str, Callable[[int], Event]] = {
    "many items": lambda i: {
        "item_id": f"u{i}",
        "response_id": f"r{i}",
        "delta": numbered_words(i),
        "transcript": numbered_words(i),
    },
    "many parts": lambda i: {
        "item_id": "u",
        "response_id": "r",
        "content_index": i,
        "delta": numbered_words(i),
        "text": numbered_words(i),
    },
    "one text": lambda i: {"item_id": "u", "response_id": "r", "delta": numbered_words(i)},
    "messages": lambda i: {"item": MESSAGES["item"](i), "previous_item_id": f"unseen{i}"},
    "a tool": lambda i: {"item": MESSAGES["tool"](i), "item_id": "tool", "arguments": numbered_words(i)},
    "replies": lambda i: {"response": MESSAGES["reply"](i), "response_id": f"r{i}", "item_id": f"a{i}"},
    "sessions": lambda i: {"session": {f"field{i}": numbered_words(i)}},
    "errors": lambda i: {
        "error": {"code": f"code_{i}", "message": numbered_words(i), "event_id": f"e{i}", "param": f"session.p{i}"}
    },
    "usage": lambda i: {"response": {"id": f"r{i}", "usage": {"input_tokens": 1}}, "item_id": f"u{i}"},
    "sounds": lambda i: {"item_id": f"a{i}", "response_id": f"r{i}", "delta": "AAA="},
}
FLOOD = 400
MAX_KEPT_BYTES = 250_000
"""Bytes that may be kept of 400 events with 1,000 letters each, of every kind alone."""


def deep_size(thing: object) -> int:
    """Bytes held by it and all it holds."""
    seen: set[int] = set()
    todo, total = deque([thing]), 0
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, (type, Enum, Settings)) or callable(one):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, Mapping):
            todo.extend([*one.keys(), *one.values()])
        elif isinstance(one, (list, tuple, set, frozenset, deque)):
            todo.extend(one)
        else:
            slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            todo.extend(getattr(one, name) for name in slots if hasattr(one, name))
            todo.extend(getattr(one, "__dict__", {}).values())
    return total


@pytest.mark.parametrize("flood", FLOODS)
def test_call_flooded_by_server_stays_bounded(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_text_alignment, "MAX_TEXT_CHARS", 20_000)
    kept = {}
    for kind in TYPES:
        ears = EventConsumers(text_only="text" in kind)
        before = deep_size(ears)
        for number in range(FLOOD):
            ears.on_event({**FLOODS[flood](number), "type": kind})
        kept[kind] = deep_size(ears) - before
    assert {about: size for about, size in kept.items() if size > MAX_KEPT_BYTES} == {}


def test_playback_of_unfinished_parts_forgets_played_ones() -> None:
    ears = EventConsumers(text_only=False)
    for number in range(3000):
        ears.on_event({"type": "response.output_audio.delta", "item_id": f"a{number}", "delta": "AAAA" * 200})
        ears.play_frame()
    assert len(ears.call.playback._parts) <= MAX_UNFINISHED_PARTS + 1


def test_latency_of_unfinished_responses_stays_bounded() -> None:
    replies = InFlightResponses()
    for number in range(2000):
        observe(replies, {"type": "response.created", "response": {"id": f"r{number}"}}, 0.0)
    assert replies.count_in_flight(0.0) == MAX_TRACKED_RESPONSES
