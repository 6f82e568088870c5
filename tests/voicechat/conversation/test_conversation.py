"""The conversation fold: the orders servers send, and any order they might."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation_fold import apply_all, fold
from tests.support.realtime import server_events
from voicechat.conversation.conversation import BubbleState, Conversation, IncompleteReason
from voicechat.protocol.server_events import parse_event


def messages(conversation: Conversation) -> list[tuple[str, str]]:
    return [(bubble.role, bubble.text) for bubble in conversation.bubbles()]


def test_spoken_turn_with_reply_fills_two_bubbles() -> None:
    conversation = fold(server_events.speech_started("u1"))
    (bubble,) = conversation.bubbles()
    assert (bubble.role, bubble.text, bubble.state) == ("user", "", BubbleState.PENDING)
    apply_all(
        conversation, server_events.transcription_delta("u1", " What"), server_events.transcription_delta("u1", " time")
    )
    (bubble,) = conversation.bubbles()
    assert (bubble.text, bubble.state) == ("What time", BubbleState.GROWING)
    apply_all(conversation, server_events.turn_committed("u1"), server_events.response_started("r1", "a1", "u1"))
    assert len(conversation.bubbles()) == 1, "no bubble for a reply without a word"
    apply_all(conversation, server_events.clause_deltas("r1", "a1", "It is noon. ", 900))
    assert conversation.bubbles()[1].state is BubbleState.GROWING
    apply_all(
        conversation,
        server_events.transcription_completed("u1", "What time is it?"),
        server_events.response_finished("r1", "a1", "It is noon."),
    )
    assert messages(conversation) == [("user", "What time is it?"), ("assistant", "It is noon.")]
    assert {bubble.state for bubble in conversation.bubbles()} == {BubbleState.DONE}


def test_late_transcript_fills_the_bubble_before_the_reply() -> None:
    conversation = fold(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.complete_response("r1", "a1", "Noon.", 500, "u1"),
    )
    assert [bubble.state for bubble in conversation.bubbles()] == [BubbleState.PENDING, BubbleState.DONE]
    apply_all(conversation, server_events.transcription_completed("u1", "What time is it?"))
    assert messages(conversation) == [("user", "What time is it?"), ("assistant", "Noon.")]


def test_items_announced_late_are_ordered_by_previous_item_id() -> None:
    # The answer to the first turn is only announced when the second turn has begun.
    conversation = fold(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.speech_started("u2"),
        server_events.response_started("r1", "a1", "u1"),
        server_events.clause_deltas("r1", "a1", "One.", 300),
        server_events.turn_committed("u2", "a1"),
        server_events.transcription_completed("u2", "Second"),
        server_events.transcription_completed("u1", "First"),
    )
    assert messages(conversation) == [("user", "First"), ("assistant", "One."), ("user", "Second")]


def test_item_linked_to_a_later_one_is_ordered_after_it() -> None:
    conversation = fold(
        server_events.response_started("r1", "a1", "u1"),
        server_events.clause_deltas("r1", "a1", "Answer.", 300),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Question?"),
    )
    assert messages(conversation) == [("user", "Question?"), ("assistant", "Answer.")]


def test_turn_without_words_leaves_no_bubble() -> None:
    conversation = fold(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", " "),
    )
    assert conversation.bubbles() == ()
    conversation = fold(
        server_events.speech_started("u1"),
        server_events.speech_started("u2"),
        server_events.transcription_delta("u2", "Hi"),
    )
    assert messages(conversation) == [("user", "Hi")]
    conversation = fold(server_events.speech_started("u1"), {"type": "input_audio_buffer.cleared"})
    assert conversation.bubbles() == ()


def test_failed_transcription_keeps_the_partial_transcript() -> None:
    failed = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1", "error": {}}
    conversation = fold(server_events.speech_started("u1"), server_events.transcription_delta("u1", "Good"), failed)
    assert conversation.bubbles()[0].state is BubbleState.INCOMPLETE
    assert conversation.bubbles()[0].incomplete_reason is IncompleteReason.TRANSCRIPTION_FAILED
    assert messages(conversation) == [("user", "Good")]


def test_turn_without_any_transcript_is_shown_until_a_late_one_comes() -> None:
    failed = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u1", "error": {}}
    conversation = fold(server_events.speech_started("u1"), server_events.turn_committed("u1"), failed)
    assert [(b.role, b.text, b.incomplete_reason) for b in conversation.bubbles()] == [
        ("user", "", IncompleteReason.TRANSCRIPTION_FAILED)
    ]
    conversation.reset_connection()
    assert len(conversation.bubbles()) == 1
    assert conversation.replay() == []
    conversation = fold(
        server_events.turn_committed("u1"), failed, server_events.transcription_completed("u1", "Good morning")
    )
    assert [(b.text, b.state) for b in conversation.bubbles()] == [("Good morning", BubbleState.DONE)]


def test_interrupted_reply_is_split_into_heard_and_unheard_text() -> None:
    conversation = fold(
        server_events.response_started("r1", "a1"),
        server_events.clause_deltas("r1", "a1", "The first clause. ", 1000, 5),
        server_events.clause_deltas("r1", "a1", "And the second one.", 1000, 5),
    )
    conversation.truncate("a1", 0, 1000)
    conversation.cancel_response("r1")
    (bubble,) = conversation.bubbles()
    assert (bubble.text, bubble.unheard.strip()) == ("The first clause.", "And the second one.")
    assert bubble.state is BubbleState.INTERRUPTED
    before = conversation.bubbles()
    apply_all(
        conversation,
        server_events.clause_deltas("r1", "a1", " Late words.", 500),
        {"type": "conversation.item.truncated", "item_id": "a1", "content_index": 0, "audio_end_ms": 1000},
        server_events.response_finished("r1", "a1", "The first clause. And the second one. Late words.", "cancelled"),
    )
    assert conversation.bubbles() == before


def test_reply_cancelled_before_its_first_audio_is_unheard() -> None:
    conversation = fold(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "Words without sound", 0)
    )
    assert conversation.cancel_response("r1") == ["a1"]
    (bubble,) = conversation.bubbles()
    assert (bubble.text, bubble.unheard) == ("", "Words without sound")


def test_truncation_by_the_server_shortens_the_reply() -> None:
    conversation = fold(
        server_events.complete_response("r1", "a1", "One two three four", 2000),
        {"type": "conversation.item.truncated", "item_id": "a1", "content_index": 0, "audio_end_ms": 1000},
    )
    assert messages(conversation) == [("assistant", "One two")]


def test_reply_with_messages_and_a_function_call_has_a_bubble_per_message() -> None:
    call = {"id": "f1", "type": "function_call", "name": "now", "call_id": "call_1", "arguments": ""}
    conversation = fold(
        server_events.response_started("r1", "a1"),
        server_events.clause_deltas("r1", "a1", "Let me look.", 500),
        {"type": "response.output_item.added", "response_id": "r1", "item": call},
        {
            "type": "response.function_call_arguments.done",
            "response_id": "r1",
            "item_id": "f1",
            "call_id": "call_1",
            "name": "now",
            "arguments": "{}",
        },
        {"type": "conversation.item.added", "item": {"id": "a2", "type": "message", "role": "assistant"}},
        server_events.clause_deltas("r1", "a2", "It is noon.", 500),
        {"type": "response.done", "response": {"id": "r1", "status": "completed"}},
    )
    assert messages(conversation) == [("assistant", "Let me look."), ("assistant", "It is noon.")]
    assert {bubble.state for bubble in conversation.bubbles()} == {BubbleState.DONE}


def test_response_done_without_deltas_fills_the_bubble() -> None:
    message = {"id": "a1", "type": "message", "role": "assistant", "content": [{"type": "audio", "transcript": "Hi."}]}
    conversation = fold({"type": "response.done", "response": {"id": "r1", "output": [message]}})
    assert messages(conversation) == [("assistant", "Hi.")]
    assert conversation.bubbles()[0].state is BubbleState.DONE


def test_deltas_without_items_fill_one_bubble() -> None:
    conversation = fold(
        {"type": "response.output_audio_transcript.delta", "response_id": "r1", "delta": "Hel"},
        {"type": "response.output_audio_transcript.delta", "response_id": "r1", "delta": "lo."},
        {"type": "response.done", "response": {"id": "r1"}},
    )
    assert messages(conversation) == [("assistant", "Hello.")]


def test_deleted_item_leaves_no_bubble() -> None:
    conversation = fold(server_events.complete_response("r1", "a1", "Hi.", 300))
    apply_all(conversation, {"type": "conversation.item.deleted", "item_id": "a1"})
    assert conversation.bubbles() == ()


def test_typed_message_with_an_id_of_the_server_is_shown_once() -> None:
    conversation = Conversation()
    item = conversation.add_user_message("Hello there")
    assert messages(conversation) == [("user", "Hello there")]
    added = {"type": "conversation.item.added", "item": {**item, "id": "item_of_the_server", "status": "completed"}}
    apply_all(conversation, added, {**added, "type": "conversation.item.done"})
    assert messages(conversation) == [("user", "Hello there")]
    assert conversation.clear() == ["item_of_the_server"]
    assert conversation.bubbles() == ()


def test_replay_after_an_interruption_has_the_heard_text() -> None:
    conversation = fold(
        server_events.speech_started("u1"),
        server_events.turn_committed("u1"),
        server_events.transcription_completed("u1", "Tell me a story"),
        server_events.response_started("r1", "a1", "u1"),
        server_events.clause_deltas("r1", "a1", "Once upon a time. ", 1000, 5),
        server_events.clause_deltas("r1", "a1", "There was a king.", 1000, 5),
        server_events.speech_started("u2"),
    )
    conversation.truncate("a1", 0, 1000)
    names = conversation.reset_connection()
    events = conversation.replay()
    assert [(e["item"]["role"], e["item"]["content"]) for e in events] == [
        ("user", [{"type": "input_text", "text": "Tell me a story"}]),
        ("assistant", [{"type": "output_text", "text": "Once upon a time."}]),
    ]
    assert [e["item"]["id"] for e in events] == list(names.values())
    assert all(len(name) <= 32 for name in names.values())
    # A server that numbers its items begins again at the same numbers: another item, not the old one.
    apply_all(conversation, [{**e, "type": "conversation.item.added"} for e in events])
    apply_all(conversation, server_events.complete_response("r1", "a1", "Yes.", 300))
    assert [text for _, text in messages(conversation)] == ["Tell me a story", "Once upon a time.", "Yes."]


def test_truncated_reply_after_replay_is_deleted_and_sent_again() -> None:
    conversation = fold(server_events.complete_response("r1", "a1", "One two three four", 2000))
    name = conversation.reset_connection()["a1"]
    conversation.replay()
    assert conversation.is_replayed(name)
    conversation.truncate(name, 0, 1000)
    delete, create = conversation.resend_truncated(name)
    assert delete == {"type": "conversation.item.delete", "item_id": name}
    assert create["previous_item_id"] == "root"
    assert create["item"]["content"] == [{"type": "output_text", "text": "One two"}]
    apply_all(conversation, {"type": "conversation.item.deleted", "item_id": name})
    assert messages(conversation) == [("assistant", "One two")]


def test_conversation_with_many_items_bounds_replay_and_memory() -> None:
    conversation = Conversation(max_items=10)
    for number in range(50):
        conversation.add_user_message(f"message {number}")
    assert len(conversation.bubbles()) == 10
    conversation.reset_connection()
    assert [e["item"]["content"][0]["text"] for e in conversation.replay(3)] == [f"message {n}" for n in (47, 48, 49)]
    conversation.add_user_message("x" * 7990)
    conversation.reset_connection()
    assert len(conversation.replay(10)) == 2


def test_late_text_after_clear_adds_no_bubble() -> None:
    conversation = fold(
        server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "Going on", 300)
    )
    assert conversation.clear() == ["a1"]
    apply_all(
        conversation,
        server_events.clause_deltas("r1", "a1", " and on", 0),
        server_events.response_finished("r1", "a1", "Going on and on"),
    )
    assert conversation.bubbles() == ()


@pytest.mark.parametrize(
    "event", [{}, {"type": None}, {"type": 7}, {"type": "localai.thing"}, {"type": "session.created"}]
)
def test_unknown_event_changes_nothing(event: dict[str, Any]) -> None:
    conversation = fold(server_events.complete_response("r1", "a1", "Hi.", 300))
    version = conversation.version
    conversation.apply(parse_event(event))
    assert conversation.version == version


TURN = [
    server_events.speech_started("u1"),
    *server_events.turn_committed("u1"),
    server_events.transcription_delta("u1", "Hel"),
    server_events.transcription_completed("u1", "Hello"),
    *server_events.response_started("r1", "a1", "u1"),
    *server_events.clause_deltas("r1", "a1", "Good ", 400),
    *server_events.clause_deltas("r1", "a1", "morning.", 400),
    *server_events.response_finished("r1", "a1", "Good morning."),
]


@given(st.randoms(use_true_random=False), st.floats(0, 0.5))
def test_events_in_any_order_with_losses_end_with_the_same_words(order: random.Random, loss: float) -> None:
    """The last event of each side has all words: whatever came before it, in whatever order, they are shown."""
    events = [event for event in TURN if order.random() > loss]
    order.shuffle(events)
    conversation = fold(
        events,
        server_events.transcription_completed("u1", "Hello"),
        server_events.response_finished("r1", "a1", "Good morning."),
    )
    assert dict(messages(conversation)) == {"user": "Hello", "assistant": "Good morning."}
    assert {bubble.state for bubble in conversation.bubbles()} == {BubbleState.DONE}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["u1", "a1", "r1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "role", "type"]), inner),
    max_leaves=6,
)
KEYS = ["item_id", "response_id", "content_index", "delta", "transcript", "item", "response", "previous_item_id"]
TYPES = sorted({event["type"] for event in TURN} | {"conversation.item.truncated", "conversation.item.deleted"})


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), JSON)), max_size=15))
def test_apply_with_malformed_events_never_raises(events: list[tuple[str, dict[str, Any]]]) -> None:
    conversation = Conversation(max_items=5)
    for kind, fields in events:
        conversation.apply(parse_event({**fields, "type": kind}))
        bubbles = conversation.bubbles()
        assert len(bubbles) <= 5
        assert len({bubble.item_id for bubble in bubbles}) == len(bubbles)
    conversation.reset_connection()
    conversation.replay()
