"""Captions: Traditional Chinese as people in Taiwan write it, and nothing else touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.traditional_chinese_pairs import PAIRS
from tests.support.counted_conversions import counted_conversions
from tests.support.realtime import server_events
from voicechat.conversation.chinese import traditional_chinese
from voicechat.conversation.chinese.traditional_chinese import to_traditional, to_traditional_parts
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.server_events import parse_event


@pytest.mark.parametrize(("raw", "shown"), PAIRS)
def test_what_is_heard_is_written_as_in_taiwan(raw: str, shown: str) -> None:
    assert to_traditional(raw) == shown
    assert to_traditional(shown) == shown, "and what is written so stays"


def test_the_table_covers_talk() -> None:
    assert len({raw for raw, _ in PAIRS}) == len(PAIRS) >= 60


def test_a_cut_does_not_take_away_context() -> None:
    assert to_traditional_parts("我们后", "天见") == ("我們後", "天見")
    assert to_traditional_parts("Hello", " there") == ("Hello", " there")


@given(st.text(alphabet="台湾灣后天皇发头里面软件国会一二三，。 abc", max_size=40))
def test_a_cut_anywhere_shows_the_same_letters(text: str) -> None:
    once = to_traditional(text)
    assert len(once) == len(text)
    for place in range(len(text) + 1):
        head, tail = to_traditional_parts(text[:place], text[place:])
        assert head + tail == once


def conversation_saying(texts: list[str]) -> Conversation:
    conversation = Conversation(max_items=2000)
    for number, text in enumerate(texts):
        conversation.apply(parse_event(server_events.transcription_completed(f"u{number}", text)))
    return conversation


def test_only_what_changed_is_converted_again() -> None:
    conversation = conversation_saying([f"头发{number}" for number in range(600)])
    with counted_conversions() as done:
        first = conversation.captions()
        assert len(done) == 600
        assert first[599].text == "頭髮599"
        done.clear()
        assert conversation.captions() == first
        assert done == [], "nothing changed"
        conversation.apply(parse_event(server_events.transcription_delta("u600", "台湾的")))
        conversation.apply(parse_event(server_events.transcription_delta("u600", "头发")))
        assert conversation.captions()[600].text == "台灣的頭", "the last letter waits for the next"
        assert done == ["台湾的头发"]
        done.clear()
        conversation.apply(parse_event(server_events.transcription_completed("u600", "台湾的头发")))
        assert conversation.captions()[600].text == "台灣的頭髮"
        assert done == ["台湾的头发"], "settled once"
        done.clear()
        conversation.apply(parse_event(server_events.transcription_delta("u600", "late")))
        assert conversation.captions()[600].text == "台灣的頭髮"
        assert done == [], "nothing new"


def test_a_cut_is_a_change() -> None:
    conversation = conversation_saying([])
    for event in [
        *server_events.response_started("r1", "a1"),
        *server_events.clause_deltas("r1", "a1", "头发后天", 1000),
    ]:
        conversation.apply(parse_event(event))
    conversation.add_audio("a1", 0, "r1", 24_000)
    assert conversation.captions()[0].text == "頭髮", "a growing text keeps back what is not decided"
    conversation.truncate("a1", 0, 500)
    bubble = conversation.captions()[0]
    assert (bubble.text, bubble.unheard) == ("頭髮", "後天")


def test_no_text_of_a_visitor_is_kept_in_a_global() -> None:
    assert traditional_chinese.to_traditional("头发") is not traditional_chinese.to_traditional("头发"), (
        "each call converts again: no cache keeps the text"
    )
