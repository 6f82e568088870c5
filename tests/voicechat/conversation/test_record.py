"""Record of a conversation: nothing that was heard is lost in it, and nothing unheard is added."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.conversation_fold import fold
from tests.support.realtime import server_events
from tests.support.realtime.event_strategies import beta_server_events, ga_server_event_groups
from voicechat.conversation.call_clock import TimeSpan
from voicechat.conversation.conversation import BubbleState, Conversation
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.conversation.items import ItemKind
from voicechat.conversation.record import MAX_ELAPSED_S, MAX_RECORD_ITEMS, ConversationRecord, ItemRecord
from voicechat.conversation.shown.bubble import OPEN_STATES
from voicechat.protocol.beta_dialect import server_to_ga
from voicechat.protocol.server_events import AudioDelta, parse_event

Event = dict[str, Any]
NOW = 400.0


def few(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for the same events with few ids, so that they are about the same items."""

    def renamed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: renamed(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [renamed(one, key) for one in value]
        if isinstance(value, str) and (key == "id" or key.endswith("_id")):
            return f"{key[:4]}{len(value) % 3}"
        return value % 3 if key == "content_index" and isinstance(value, int) else value

    return strategy.map(renamed)


server_event_lists = st.lists(
    few(beta_server_events()).map(lambda event: list(server_to_ga(event))) | few(ga_server_event_groups()), max_size=25
)
local_actions = st.tuples(st.sampled_from(["type", "play", "cut", "cancel"]), st.integers(0, 2), st.integers(0, 3000))


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    conversation = Conversation(draw(st.sampled_from([3, 200])), text_only=draw(st.booleans()))
    conversation.clock.start(draw(st.floats(0, 100)))
    for at, events in enumerate(draw(server_event_lists)):
        for event in map(parse_event, events):
            if isinstance(event, AudioDelta):
                conversation.add_audio(event.item_id, event.content_index, event.response_id, 3)
            conversation.apply(event, float(at))
        action, number, count = draw(local_actions)
        name = f"item{number}"
        match action:
            case "type":
                conversation.add_user_message(f"typed {count}", float(at))
            case "play":
                conversation.mark_played(name, float(at), at + 0.02)
            case "cut":
                conversation.truncate(name, number, count)
            case "cancel":
                conversation.cancel_response(f"resp{number}")
    return conversation


def shown(conversation: Conversation) -> list[tuple[Any, ...]]:
    """Return all that the page and the exports show, but the ids."""
    return [
        (each.role, each.text, each.unheard, each.state, each.incomplete_reason, span)
        for each, span in conversation.utterances()
    ]


def replayed(conversation: Conversation) -> list[tuple[str, str]]:
    conversation.reset_connection()
    items = [event["item"] for event in conversation.replay()]
    return [(item["role"], item["content"][0]["text"]) for item in items]


def through_json(record: ConversationRecord) -> ConversationRecord:
    return ConversationRecord.from_json(json.loads(json.dumps(record.to_json())))


def restored(record: ConversationRecord, *, text_only: bool = False) -> Conversation:
    conversation = Conversation(text_only=text_only)
    conversation.restore(record)
    return conversation


@given(conversations())
@settings(deadline=None)
def test_record_of_any_conversation_restores_what_a_new_connection_gets(conversation: Conversation) -> None:
    before = conversation.bubbles(), conversation.version
    record = conversation.to_record(NOW)
    assert (conversation.bubbles(), conversation.version) == before
    assert through_json(record) == record
    copy = restored(through_json(record), text_only=conversation.is_text_only)
    assert copy.clock.elapsed_s(0) == record.elapsed_s == conversation.clock.elapsed_s(NOW)
    assert copy.to_record(0) == record
    expected = replayed(conversation)
    assert shown(copy) == shown(conversation)
    assert replayed(copy) == expected


@given(conversations())
@settings(deadline=None, max_examples=30)
def test_restored_conversation_goes_on_as_any_other(conversation: Conversation) -> None:
    copy = Conversation()
    copy.apply(parse_event(server_events.speech_started("item0")))
    copy.restore(conversation.to_record(NOW))
    length = len(copy.bubbles())
    for event in server_events.complete_response("resp0", "item1", "Noon.", 9):
        copy.apply(parse_event(event))
    assert len(copy.bubbles()) == length + 1
    assert copy.bubbles()[-1].text == "Noon."


WORDS = "one two three four five six seven eight"


@pytest.mark.parametrize("is_finished", [True, False], ids=["all text has come", "more is to come"])
@pytest.mark.parametrize("heard_ms", [0, 300, 950])
def test_reply_under_way_is_cut_where_playback_stood(heard_ms: int, is_finished: bool) -> None:
    reply = server_events.complete_response("r1", "a1", WORDS, 1000)
    conversation = fold(reply if is_finished else reply[:-3])
    (item,) = conversation.to_record(NOW, [("a1", 0, heard_ms)]).items
    ((text, heard),) = item.parts
    assert text == WORDS
    assert heard is not None and heard <= len(WORDS) * heard_ms / 1000
    assert item.state is BubbleState.INTERRUPTED
    assert [bubble.unheard for bubble in conversation.bubbles()] == [""], "the conversation itself goes on"


def test_reply_without_any_audio_counts_as_not_heard() -> None:
    """Its text runs ahead of its audio: of OpenAI, by seconds."""
    conversation = fold(
        server_events.response_started("r1", "a1"),
        {
            "type": "response.output_audio_transcript.delta",
            "response_id": "r1",
            "item_id": "a1",
            "output_index": 0,
            "content_index": 0,
            "delta": WORDS,
        },
    )
    assert [item.parts for item in conversation.to_record(NOW).items] == [((WORDS, 0),)]
    conversation.reset_connection()
    assert [(b.text, b.unheard) for b in conversation.bubbles()] == [("", WORDS)]
    assert replayed(conversation) == []


def test_cut_of_an_unknown_item_is_ignored() -> None:
    assert Conversation().to_record(NOW, [("unknown", 0, 5)]) == ConversationRecord()


# ---------------------------------------------------------------- values that a browser may send

ITEM: Event = {
    "kind": "assistant",
    "state": "interrupted",
    "parts": [["It is noon.", 5]],
    "span": [1.0, 2.5],
    "incomplete_reason": None,
}
RECORD: Event = {"elapsed_s": 3.0, "items": [ITEM]}


def with_item(**changes: Any) -> Event:
    return {**RECORD, "items": [{**ITEM, **changes}]}


def test_record_in_json_is_read() -> None:
    item = ItemRecord(ItemKind.ASSISTANT, BubbleState.INTERRUPTED, (("It is noon.", 5),), TimeSpan(1.0, 2.5))
    assert ConversationRecord.from_json(RECORD) == ConversationRecord((item,), 3.0)


def test_incomplete_messages_are_read_with_their_reason() -> None:
    record = ConversationRecord.from_json(with_item(state="incomplete", incomplete_reason="content_filter"))
    (bubble,) = restored(record).bubbles()
    assert (bubble.state, bubble.incomplete_reason) == (BubbleState.INCOMPLETE, IncompleteReason.CONTENT_FILTER)
    untranscribed = {"kind": "user", "state": "incomplete", "parts": [], "incomplete_reason": "transcription_failed"}
    (bubble,) = restored(ConversationRecord.from_json(with_item(**untranscribed))).bubbles()
    assert (bubble.role, bubble.incomplete_reason) == ("user", IncompleteReason.TRANSCRIPTION_FAILED)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 5, "text", [], {}, {"items": []}, {"elapsed_s": 0}),
        *(
            {**RECORD, "elapsed_s": bad}
            for bad in (None, "3", True, -1, math.nan, math.inf, 10**400, MAX_ELAPSED_S + 1)
        ),
        *({**RECORD, "items": bad} for bad in (None, {}, "text", [None], [[]], [{}], [ITEM] * (MAX_RECORD_ITEMS + 1))),
        *(with_item(kind=bad) for bad in ("other", "system", "", None, [], 5)),
        *(with_item(state=bad) for bad in ("growing", "pending", "incomplete", "", None, {}, 5)),
        *(with_item(incomplete_reason=bad) for bad in ("content_filter", "", 5, [])),
        *(with_item(state="incomplete", incomplete_reason=bad) for bad in (None, "", "why", 5, {})),
        with_item(parts=[], state="incomplete", incomplete_reason="content_filter"),
        *(
            with_item(parts=bad)
            for bad in (None, [], "ab", {}, [["a", None]] * 17, [None], ["ab"], [["a"]], [["a", 0, 0]])
        ),
        *(with_item(parts=[[bad, None]]) for bad in (None, 5, ["a"], "a" * 100_001)),
        *(with_item(parts=[["abc", bad]]) for bad in (-1, 4, 1.5, True, "1", 10**5000)),
        *(
            with_item(span=bad)
            for bad in ("ab", [1], [1, 2, 3], [2, 1], [-1, 1], [1, math.nan], [1, 10**400], [True, 2])
        ),
    ],
)
def test_record_with_an_invalid_value_is_refused(value: Any) -> None:
    with pytest.raises(ValueError) as refused:
        ConversationRecord.from_json(value)
    assert "noon" not in str(refused.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["user", "assistant", "done", "incomplete", "failed"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["items", "elapsed_s", "kind", "state", "parts", "span", "incomplete_reason"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@st.composite
def damaged_records(draw: st.DrawFn) -> Any:
    """Return a record of which some values are replaced."""

    def damage(value: Any) -> Any:
        if draw(st.integers(0, 9)) == 0:
            return draw(json_values)
        if isinstance(value, dict):
            return {name: damage(one) for name, one in value.items()}
        return [damage(one) for one in value] if isinstance(value, list) else value

    return damage(RECORD)


@given(json_values | damaged_records())
def test_record_of_any_json_is_refused_or_can_be_used(value: Any) -> None:
    try:
        record = ConversationRecord.from_json(value)
    except ValueError:
        return
    copy = restored(record)
    assert all(bubble.state not in OPEN_STATES for bubble in copy.bubbles())
    assert [bubble.text.strip() for bubble in copy.bubbles() if bubble.text] == [text for _, text in replayed(copy)]
    assert 0 <= copy.clock.elapsed_s(0) <= MAX_ELAPSED_S
    json.dumps(record.to_json(), allow_nan=False, ensure_ascii=False).encode()


def test_half_characters_are_replaced() -> None:
    record = ConversationRecord.from_json(with_item(parts=[["a\ud83d", 2]]))
    assert record.items[0].parts == (("a\ufffd", 2),)
    conversation = Conversation()
    conversation.add_user_message("b\ude00")
    assert conversation.to_record(NOW).to_json()["items"][0]["parts"] == [["b\ufffd", None]]


def test_long_conversation_keeps_its_newest_messages_in_json() -> None:
    conversation = Conversation(max_items=1000)
    for number in range(MAX_RECORD_ITEMS + 5):
        conversation.add_user_message(str(number))
    record = through_json(conversation.to_record(NOW))
    assert [item.parts[0][0] for item in record.items] == [str(n) for n in range(5, MAX_RECORD_ITEMS + 5)]


def test_text_of_a_record_is_not_in_its_repr() -> None:
    conversation = Conversation()
    conversation.add_user_message("a secret")
    assert "secret" not in repr(conversation.to_record(NOW))
