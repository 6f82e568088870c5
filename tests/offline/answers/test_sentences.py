"""Ends of sentences, and requests for more than a short answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.answers.sentences import sentence_end, wants_long_reply
from offline.protocol.worker_messages import LlmMessage, ReplyRequest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("It is noon. Go.", "It is noon."),
        ("It is noon.", None),
        ("It is noon.\n", "It is noon."),
        ("About 3.5 meters. Yes.", "About 3.5 meters."),
        ("Dr. Who is here. Yes.", "Dr. Who is here."),
        ("Mt. Everest is high! Yes.", "Mt. Everest is high!"),
        ('He said "go." Then', 'He said "go."'),
        ("今天很好。明天", "今天很好。"),
        ("「好。」他說", "「好。」"),
        ("1. Milk\n2. Bread", "1. Milk\n"),
        ("Here:\n1. Milk", "Here:\n"),
        ("\n\nYes. No.", "\n\nYes."),
        ("What?! Really", "What?!"),
        ("", None),
    ],
)
def test_sentence_ends_where_a_reader_ends_it(text: str, sentence: str | None) -> None:
    end = sentence_end(text)
    assert (None if end is None else text[:end].rstrip("\n")) == (None if sentence is None else sentence.rstrip("\n"))


@given(st.text(alphabet='ab1. !?。，\n"」', max_size=60))
def test_sentence_is_not_empty_and_stays_when_the_text_grows(text: str) -> None:
    end = sentence_end(text)
    if end is not None:
        assert text[:end].strip()
        assert sentence_end(text + " more。") == end


def request(text: str, instructions: str = "You are a friendly voice assistant.") -> ReplyRequest:
    return ReplyRequest((LlmMessage("system", instructions), LlmMessage("user", text)), speak=True)


@pytest.mark.parametrize(
    "text",
    [
        "Tell me a story about a dragon.",
        "Explain in detail how rain forms.",
        "List the planets.",
        "go on",
        "Write a poem",
        "give me five ideas",
        "tell me more about Taipei",
        "說一個龍的故事",
        "詳細說明一下",
        "多說一點",
        "繼續",
        "列出三個方法",
        "请给我三个建议",
        "count to ten",
    ],
)
def test_request_for_more_is_recognised(text: str) -> None:
    assert wants_long_reply(request(text))


@pytest.mark.parametrize(
    "text", ["How are you?", "What is the capital of Japan?", "I have two cats.", "你好嗎？", "台灣最高的山是哪一座？"]
)
def test_other_requests_get_a_short_reply(text: str) -> None:
    assert not wants_long_reply(request(text))


def test_instructions_of_a_storyteller_ask_for_more() -> None:
    assert wants_long_reply(request("And the dragon?", "You are a storyteller. Tell the story in pieces."))


def test_counting_slowly_is_a_long_reply() -> None:
    request = ReplyRequest((LlmMessage("user", "Count slowly from one to thirty, please."),), speak=True)
    assert wants_long_reply(request)
