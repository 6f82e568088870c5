"""Captions while deltas arrive: what was shown stays, and growing costs as much as the new piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.traditional_chinese_pairs import PAIRS
from tests.support.counted_conversions import counted_conversions
from tests.support.realtime import server_events
from voicechat.conversation.chinese import traditional_chinese
from voicechat.conversation.chinese.traditional_chinese import MAX_HELD_CHARS, IncrementalCaption, to_traditional
from voicechat.conversation.conversation import BubbleState, Conversation
from voicechat.protocol.server_events import parse_event

SENTENCES = [raw for raw, _ in PAIRS if raw]
MIXED_TEXTS = st.lists(
    st.sampled_from([*SENTENCES, " OK ", "，", "の", "한", "\n", "3.5", "后", "发"]), max_size=6
).map("".join)


def shown_captions(pieces: list[str]) -> list[str]:
    """Return the shown caption after each piece."""
    caption, raw, shown = IncrementalCaption(), "", []
    for piece in pieces:
        raw += piece
        shown.append(caption.update(raw))
    return shown


def assert_it_only_grows(pieces: list[str]) -> None:
    before, length = "", 0
    for piece, now in zip(pieces, shown_captions(pieces), strict=True):
        length += len(piece)
        assert now.startswith(before)
        assert length - MAX_HELD_CHARS <= len(now) <= length, "no more is held back than that"
        before = now


@pytest.mark.parametrize("raw", SENTENCES)
def test_no_letter_that_was_shown_changes(raw: str) -> None:
    assert_it_only_grows(list(raw))


@given(MIXED_TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_no_letter_that_was_shown_changes_in_mixed_text(text: str, sizes: list[int]) -> None:
    pieces: list[str] = []
    while text:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[:size])
        text = text[size:]
    assert_it_only_grows(pieces)


@pytest.mark.parametrize(("raw", "final"), PAIRS)
def test_growing_letter_by_letter_ends_at_the_settled_caption(raw: str, final: str) -> None:
    """Of these sentences none is corrected at the end: two letters of patience are enough."""
    if raw:
        assert final.startswith(shown_captions(list(raw))[-1])


def test_what_a_late_word_reveals_is_settled_at_the_end() -> None:
    conversation = Conversation()
    conversation.apply(parse_event(server_events.transcription_delta("u1", "国会议")))
    assert conversation.captions()[0].text == "國會議"
    conversation.apply(parse_event(server_events.transcription_delta("u1", "の話です")))
    growing = conversation.captions()[0]
    assert (growing.text[:3], growing.state) == ("國會議", BubbleState.GROWING), "shown is shown"
    conversation.apply(parse_event(server_events.transcription_completed("u1", "国会议の話です")))
    settled = conversation.captions()[0]
    assert (settled.text, settled.state) == ("国会议の話です", BubbleState.DONE)


def test_a_message_that_is_replaced_begins_anew() -> None:
    caption = IncrementalCaption()
    assert caption.update("头发很长") == "頭髮很長"
    assert caption.update("皇后来了。") == "皇后來了。"


def test_english_is_shown_as_it_comes() -> None:
    assert shown_captions(["Hello,", " wor", "ld."]) == ["Hello,", "Hello, wor", "Hello, world."]


def test_a_long_reply_is_not_converted_again_and_again() -> None:
    text = ("我们后天在台北的面馆见面，头发干了再出发。" * 200)[:4000]
    conversation = Conversation()
    for event in server_events.response_started("r1", "a1"):
        conversation.apply(parse_event(event))
    with counted_conversions() as done:
        for start in range(0, len(text), 4):
            delta, *_ = server_events.clause_deltas("r1", "a1", text[start : start + 4], 0)
            conversation.apply(parse_event(delta))
            shown = conversation.captions()[0].text
        assert len(shown) >= len(text) - MAX_HELD_CHARS
        assert max(map(len, done)) <= traditional_chinese.CONTEXT_CHARS + MAX_HELD_CHARS + 4
        done.clear()
        for event in server_events.response_finished("r1", "a1", text):
            conversation.apply(parse_event(event))
            conversation.captions()
        assert done == [text], "settled once"
    assert conversation.captions()[0].text == to_traditional(text)
