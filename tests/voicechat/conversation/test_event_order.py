"""Any order in which a server may send its events folds into the same conversation.

An order is legal when each stream keeps its own: what the server says of one item (or of one reply with its items), and
apart from that what the transcription says of one item, which may come before, between and after everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.recorded_sessions import AZURE_SPOKEN, OPENAI_SPOKEN, OPENAI_TOOL, recorded_server_events
from tests.support.realtime import server_events
from voicechat.conversation.conversation import Bubble, Conversation
from voicechat.protocol.beta_dialect import server_to_ga
from voicechat.protocol.server_events import parse_event

Event = dict[str, Any]
TRANSCRIPTION_PREFIX = "conversation.item.input_audio_transcription."


def stream_key(event: Event, replies: dict[str, str]) -> str:
    """The stream whose order an event keeps."""
    kind = str(event["type"])
    item_id = str(event.get("item_id") or (event.get("item") or {}).get("id") or "")
    if kind.startswith(TRANSCRIPTION_PREFIX):
        return f"words of {item_id}"
    reply = str(event.get("response_id") or (event.get("response") or {}).get("id") or replies.get(item_id, ""))
    return f"reply {reply}" if reply else "turns"


def group_by_stream(events: Iterable[Event]) -> list[list[Event]]:
    """The events by stream, each in order."""
    events = list(events)
    replies = {
        str((event.get("item") or {}).get("id") or event.get("item_id")): str(event["response_id"])
        for event in events
        if event.get("response_id")
    }
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(stream_key(event, replies), []).append(event)
    return list(found.values())


def fold_events(events: Iterable[Event]) -> Conversation:
    conversation = Conversation()
    for event in events:
        conversation.apply(parse_event(event))
    return conversation


def visible_state(conversation: Conversation) -> list[tuple[str, str, str, str, str]]:
    return [(b.item_id, b.role, b.text, b.unheard, b.state.value) for b in conversation.bubbles()]


def interleave(draw: st.DrawFn, parts: list[list[Event]]) -> list[Event]:
    """One of the orders in which the streams may come."""
    left = [list(part) for part in parts if part]
    order = []
    while left:
        chosen = left[draw(st.integers(0, len(left) - 1))]
        order.append(chosen.pop(0))
        left = [part for part in left if part]
    return order


@st.composite
def interleavings(draw: st.DrawFn, events: list[Event]) -> list[Event]:
    return interleave(draw, group_by_stream(events))


def recorded_as_ga(name: str) -> list[Event]:
    return [ga for event in recorded_server_events(name) for ga in server_to_ga(event)]


RECORDED = {name: recorded_as_ga(name) for name in (OPENAI_SPOKEN, AZURE_SPOKEN, OPENAI_TOOL)}


@pytest.mark.parametrize("name", RECORDED)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_recorded_session_in_any_order_is_the_same_conversation(name: str, data: st.DataObject) -> None:
    as_it_came = visible_state(fold_events(RECORDED[name]))
    assert as_it_came, "something was said"
    assert visible_state(fold_events(data.draw(interleavings(RECORDED[name])))) == as_it_came


def failed(item: str) -> Event:
    return {"type": f"{TRANSCRIPTION_PREFIX}failed", "item_id": item, "error": {"code": "x"}}


def two_messages(response: str, first: str, second: str, after: str) -> list[Event]:
    """A reply of two messages."""
    begin, end = (
        server_events.response_started(response, first, after),
        server_events.response_finished(response, first, "One moment."),
    )
    done = end.pop()
    more, last = (
        server_events.response_started(response, second, first)[1:],
        server_events.response_finished(response, second, "It is noon."),
    )
    both = {**done["response"], "output": done["response"]["output"] + last.pop()["response"]["output"]}
    return [
        *begin,
        *server_events.clause_deltas(response, first, "One moment.", 300),
        *end,
        *more,
        *server_events.clause_deltas(response, second, "It is noon.", 300),
        *last,
        {**done, "response": both},
    ]


AS_WRITTEN = [
    server_events.speech_started("u1"),
    *server_events.turn_committed("u1"),
    server_events.transcription_delta("u1", "Hel"),
    server_events.transcription_delta("u1", "lo"),
    server_events.transcription_completed("u1", "Hello."),
    *server_events.complete_response("r1", "a1", "Good morning.", 400, "u1"),
    server_events.speech_started("u2"),
    *server_events.turn_committed("u2", "a1"),
    server_events.transcription_completed("u2", ""),
    server_events.speech_started("u3"),
    *server_events.turn_committed("u3", "u2"),
    server_events.transcription_delta("u3", "What time"),
    failed("u3"),
    *two_messages("r2", "a2", "a3", "u3"),
    server_events.speech_started("u4"),
    *server_events.turn_committed("u4", "a3"),
    server_events.transcription_completed("u4", "後天見"),
    *server_events.complete_response("r3", "a4", "再見。", 300, "u4"),
]
SESSION = [event for event in AS_WRITTEN if event["type"] != "response.output_audio.delta"]
"""Spoken turns: one understood, one of noise, one that failed midway; a reply of two messages."""
SAID = [
    ("u1", "user", "Hello.", "", "done"),
    ("a1", "assistant", "Good morning.", "", "done"),
    ("u3", "user", "What time", "", "incomplete"),
    ("a2", "assistant", "One moment.", "", "done"),
    ("a3", "assistant", "It is noon.", "", "done"),
    ("u4", "user", "後天見", "", "done"),
    ("a4", "assistant", "再見。", "", "done"),
]


def test_the_session_as_it_comes() -> None:
    assert visible_state(fold_events(SESSION)) == SAID


@settings(deadline=None, max_examples=150)
@given(interleavings(SESSION))
def test_turns_replies_and_words_in_any_order(events: list[Event]) -> None:
    assert visible_state(fold_events(events)) == SAID


WORDS = [part for part in group_by_stream(SESSION) if part[0]["type"].startswith(TRANSCRIPTION_PREFIX)]
THE_REST = [event for event in SESSION if not event["type"].startswith(TRANSCRIPTION_PREFIX)]
UNLINKED = [{**event, "previous_item_id": None} if "previous_item_id" in event else event for event in THE_REST]


@st.composite
def late_words(draw: st.DrawFn, rest: list[Event]) -> list[Event]:
    """`rest` as it is, and what the visitor said at any time after each turn began."""
    order = list(rest)
    for words in WORDS:
        begun = next(i for i, event in enumerate(order) if event.get("item_id") == words[0]["item_id"])
        place = begun
        for event in words:
            place = draw(st.integers(place + 1, len(order)))
            order.insert(place, event)
    return order


@settings(deadline=None, max_examples=100)
@given(late_words(UNLINKED))
def test_without_links_the_items_are_in_the_order_of_their_coming(events: list[Event]) -> None:
    assert visible_state(fold_events(events)) == SAID


def deleted(item: str) -> Event:
    return {"type": "conversation.item.deleted", "item_id": item}


def truncated(item: str, ms: int) -> Event:
    return {"type": "conversation.item.truncated", "item_id": item, "content_index": 0, "audio_end_ms": ms}


@settings(deadline=None, max_examples=100)
@given(late_words(THE_REST), st.sampled_from(["u1", "a1", "a2", "u4"]), st.data())
def test_what_is_deleted_stays_away_whatever_still_comes(events: list[Event], item: str, data: st.DataObject) -> None:
    there = next(
        i
        for i, event in enumerate(events)
        if event["type"] == "conversation.item.added" and event["item"]["id"] == item
    )
    place = data.draw(st.integers(there + 1, len(events)))
    conversation = fold_events([*events[:place], deleted(item), *events[place:]])
    assert [bubble[0] for bubble in visible_state(conversation)] == [bubble[0] for bubble in SAID if bubble[0] != item]


@settings(deadline=None, max_examples=100)
@given(late_words(THE_REST), st.data())
def test_a_cut_reply_keeps_what_was_heard(events: list[Event], data: st.DataObject) -> None:
    """The server says so once it has all of the reply; the transcripts of the turns still come at any time."""
    done = next(i for i, e in enumerate(events) if e["type"] == "response.done" and e["response"]["id"] == "r1")
    place = data.draw(st.integers(done + 1, len(events)))
    conversation = fold_events(events[:place])
    conversation.add_audio("a1", 0, "r1", 400 * 24)
    for event in [truncated("a1", 200), *events[place:]]:
        conversation.apply(parse_event(event))
    cut = next(bubble for bubble in conversation.bubbles() if bubble.item_id == "a1")
    assert cut == Bubble("a1", "assistant", cut.text, cut.unheard, cut.state.INTERRUPTED)
    assert cut.text == "Good" and cut.unheard.strip() == "morning."
    assert [bubble for bubble in visible_state(conversation) if bubble[0] != "a1"] == [b for b in SAID if b[0] != "a1"]


def test_an_item_that_moves_takes_its_followers_along() -> None:
    conversation = fold_events(
        [
            *server_events.complete_response("r2", "a2", "Noon.", 300, "u2"),
            server_events.transcription_completed("u2", "What time is it?"),
            server_events.transcription_completed("u1", "Hello."),
            *server_events.turn_committed("u2", "a1"),
            *server_events.complete_response("r1", "a1", "Hi.", 300, "u1"),
        ]
    )
    assert [bubble.item_id for bubble in conversation.bubbles()] == ["u1", "a1", "u2", "a2"]


def test_links_in_a_circle_lose_nothing() -> None:
    conversation = fold_events(
        [server_events.transcription_completed("u1", "One."), server_events.transcription_completed("u2", "Two.")]
    )
    for item, after in (("u1", "u2"), ("u2", "u1"), ("u1", "u2")):
        conversation.apply(parse_event(server_events.turn_committed(item, after)[1]))
    assert sorted(bubble.item_id for bubble in conversation.bubbles()) == ["u1", "u2"]


def test_noise_that_was_understood_before_it_began_stays_noise() -> None:
    conversation = fold_events(
        [
            server_events.transcription_completed("u1", ""),
            server_events.speech_started("u1"),
            *server_events.turn_committed("u1"),
        ]
    )
    assert conversation.bubbles() == ()
