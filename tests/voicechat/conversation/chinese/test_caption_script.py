"""Script of captions: what the visitor writes or asks for, code, and quoted words of the visitor."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.traditional_chinese_pairs import PAIRS
from tests.support.realtime import server_events
from voicechat.conversation.chinese.traditional_chinese import (
    MAX_HELD_CHARS,
    IncrementalCaption,
    to_traditional,
    to_traditional_caption,
)
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.record import ConversationRecord
from voicechat.protocol.server_events import parse_event
from writing.chinese_script import (
    MessageEvidence,
    message_evidence,
    requested_script,
    written_script,
)
from writing.verbatim_text import MAX_UNDECIDED_CHARS

TYPED = ("請問「头发干了」是什麼意思？", "我们后天见面")
PIECES = [raw for raw, _ in PAIRS if raw] + [
    "```",
    "`",
    "```python\n",
    "\n",
    "~~~\n",
    "「头发干了」",
    "「头发",
    "“后天”",
]
PIECES += ["> 我们后天", "后", "发", "里", "頭髮", " ", "，", "」", '"', "a", "1. ", "の"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)


class Talk:
    """Conversation that is driven message by message."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self._count = 0

    def speak(self, text: str) -> str:
        """Add a spoken turn and return its caption."""
        self._count += 1
        self._apply(server_events.transcription_completed(f"u{self._count}", text))
        return self.conversation.captions()[-1].text

    def type(self, text: str) -> str:
        """Add a typed message and return its caption."""
        self.conversation.add_user_message(text)
        return self.conversation.captions()[-1].text

    def reply(self, text: str) -> str:
        """Add a spoken reply and return its caption."""
        self._count += 1
        response, item = f"r{self._count}", f"a{self._count}"
        for event in server_events.response_started(response, item):
            self._apply(event)
        for character in text:
            self._apply(server_events.clause_deltas(response, item, character, 0)[0])
            assert len(self.conversation.captions()[-1].text) <= len(text)
        for event in server_events.response_finished(response, item, text):
            self._apply(event)
        return self.conversation.captions()[-1].text

    def _apply(self, event: dict[str, object]) -> None:
        self.conversation.apply(parse_event(event))


def test_simplified_transcript_is_no_evidence() -> None:
    talk = Talk()
    assert talk.speak("我们后天见") == "我們後天見"
    assert talk.reply("头发干了") == "頭髮乾了"


def test_typed_text_stays_and_decides_the_captions_after_it() -> None:
    talk = Talk()
    assert talk.reply("头发") == "頭髮"
    assert talk.type("我们后天见") == "我们后天见"
    assert talk.reply("头发干了") == "头发干了"
    assert talk.speak("我们后天见") == "我们后天见"
    assert talk.type("我們後天見") == "我們後天見"
    assert talk.reply("头发干了") == "頭髮乾了"
    assert talk.conversation.captions()[0].text == "頭髮", "earlier captions stay"


def test_spoken_request_counts_and_the_latest_wins() -> None:
    talk = Talk()
    talk.speak("請用簡體字。")
    assert talk.reply("头发") == "头发"
    talk.speak("请用繁体字。")
    assert talk.reply("头发") == "頭髮"


def test_translation_into_simplified_stays_and_the_next_reply_does_not() -> None:
    talk = Talk()
    talk.type("請把這句翻成簡體字：後天見")
    assert talk.reply("后天见") == "后天见"
    talk.type("謝謝，還有呢？")
    assert talk.reply("后天见") == "後天見"


def test_code_and_quoted_words_of_the_visitor_stay() -> None:
    talk = Talk()
    talk.type("請問「头发」是什麼？")
    assert (
        talk.reply("「头发」是头发，键 `颜色`：\n```\n颜色\n```\n颜色")
        == "「头发」是頭髮，鍵 `颜色`：\n```\n颜色\n```\n顏色"
    )


def test_script_of_one_conversation_does_not_reach_another() -> None:
    Talk().type("请用简体字")
    assert Talk().reply("头发") == "頭髮"


def test_typed_messages_of_a_record_still_decide() -> None:
    talk = Talk()
    talk.type("我们后天见")
    record = ConversationRecord.from_json(json.loads(json.dumps(talk.conversation.to_record(0.0).to_json())))
    talk.conversation.restore(record)
    assert talk.conversation.captions()[0].text == "我们后天见"
    assert talk.reply("头发") == "头发"


def test_record_without_the_field_is_of_an_older_version() -> None:
    talk = Talk()
    talk.type("我们后天见")
    value = talk.conversation.to_record(0.0).to_json()
    del value["items"][0]["is_typed"]
    talk.conversation.restore(ConversationRecord.from_json(value))
    assert talk.conversation.captions()[0].text == "我們後天見"


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1, max_size=12), st.sampled_from([(), TYPED]))
def test_growing_caption_lags_by_a_few_letters_and_never_changes(
    text: str, sizes: list[int], typed: tuple[str, ...]
) -> None:
    caption, shown, end, count = IncrementalCaption(typed), "", 0, 0
    while end < len(text):
        end = min(len(text), end + sizes[count % len(sizes)])
        count += 1
        now = caption.update(text[:end])
        assert now.startswith(shown)
        assert len(now) >= end - (MAX_UNDECIDED_CHARS if typed else MAX_HELD_CHARS)
        shown = now


@given(TEXTS, st.sampled_from([(), TYPED]))
def test_caption_of_a_text_is_its_own_caption(text: str, typed: tuple[str, ...]) -> None:
    once = to_traditional_caption(text, typed)
    assert len(once) == len(text)
    if not typed and "`" not in text and "~" not in text:
        assert once == to_traditional(text)


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("我们后天见", MessageEvidence(None, "simplified", is_quotable=True)),
        ("我們後天見", MessageEvidence(None, "traditional")),
        ("用簡體字", MessageEvidence("simplified", "traditional")),
        ("把這句翻成簡體字", MessageEvidence(None, "traditional", asks_for_simplified_once=True)),
        ("hello", MessageEvidence()),
    ],
)
def test_evidence_of_a_typed_message(text: str, evidence: MessageEvidence) -> None:
    assert message_evidence(text, is_typed=True) == evidence
    assert message_evidence(text, is_typed=False).written is None


@pytest.mark.parametrize(
    "text",
    [
        "為什麼你用簡體字？",
        "中國用簡體字",
        "簡體字和繁體字有什麼不同？",
        "他說「請用簡體字」",
        "What is simplified Chinese?",
    ],
)
def test_mention_of_a_script_is_no_request(text: str) -> None:
    assert requested_script(text) is None


@pytest.mark.parametrize("part", ["「", "中文的", "`", "我想要" * 26 + "，", "please "])
def test_long_message_is_read_in_linear_time(part: str) -> None:
    started = time.process_time()
    message_evidence(part * (60_000 // len(part)) + "簡體字", is_typed=True)
    assert time.process_time() - started < 2.0, "quadratic patterns take ten times as long"


@pytest.mark.parametrize("text", ["「我们」是什麼意思？", "這個 `变量` 是什麼？", "> 这是引文\n請解釋"])
def test_words_of_others_in_a_message_are_no_evidence(text: str) -> None:
    assert written_script(text) == "traditional"
