"""Filter of a small model's reply: sure sentences of facts, and two sentences when spoken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.answers.answer_filter import MAX_HELD_TOKENS, AnswerFilter
from offline.answers.confidence import REFUSALS
from offline.protocol.worker_messages import LlmMessage, ReplyRequest

FACT, TALK = "What is the capital of Australia?", "How are you?"
SURE, UNSURE, WRONG = -0.05, -0.6, -3.0


def filter_of(text: str, *, speak: bool = True, is_small: bool = True, is_turn: bool = True) -> AnswerFilter:
    request = ReplyRequest((LlmMessage("user", text),), speak=speak, is_turn=is_turn)
    return AnswerFilter(request, is_small_model=is_small)


def pushed(answer_filter: AnswerFilter, pieces: Sequence[tuple[str, float]]) -> list[str]:
    """Return the text after each piece and at the end."""
    out, total = [], 0.0
    for text, value in pieces:
        total += value
        out.append(answer_filter.push(text, total if answer_filter.needs_probabilities else None))
    return [*out, answer_filter.flush()]


def rated(text: str, value: float) -> list[tuple[str, float]]:
    """Return the words of a text as pieces of one probability."""
    words = text.split(" ")
    return [(word if not n else f" {word}", value) for n, word in enumerate(words)]


def test_small_talk_passes_at_once_and_asks_for_no_probabilities() -> None:
    answer_filter = filter_of(TALK)
    assert not answer_filter.needs_probabilities
    pieces = rated("I am fine today", WRONG)
    assert pushed(answer_filter, pieces) == ["I", " am", " fine", " today", ""]


def test_fact_is_held_until_its_sentence_is_complete() -> None:
    answer_filter = filter_of(FACT)
    out = pushed(answer_filter, rated("The capital is Canberra. It is nice", SURE))
    assert out == ["", "", "", "", "The capital is Canberra.", "", "", " It is nice"]


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        (SURE, "The capital is Canberra."),
        (UNSURE, "I'm not sure, but the capital is Canberra."),
        (WRONG, REFUSALS["en"]),
    ],
)
def test_probabilities_decide_what_becomes_of_a_fact(value: float, reply: str) -> None:
    assert "".join(pushed(filter_of(FACT), rated("The capital is Canberra.", value))) == reply


LONG = " ".join(["The capital is a town", *(f"with part {number}" for number in range(MAX_HELD_TOKENS))])


@pytest.mark.parametrize("value", [SURE, UNSURE])
def test_long_sentence_is_hedged_by_its_beginning_and_then_passes(value: float) -> None:
    out = pushed(filter_of(FACT), rated(f"{LONG}. It is old. ", value))
    first = next(index for index, text in enumerate(out) if text)
    assert first == MAX_HELD_TOKENS - 1, "no word waits longer, however long the sentence is"
    assert all(out[first : LONG.count(" ") + 1]), "the rest of the sentence passes word by word"
    assert "".join(out) == f"I'm not sure, but {LONG[0].lower()}{LONG[1:]}."


def test_long_sentence_that_is_wrong_is_refused_by_its_beginning() -> None:
    answer_filter = filter_of(FACT)
    out = pushed(answer_filter, rated(LONG, WRONG)[:MAX_HELD_TOKENS])
    assert out[MAX_HELD_TOKENS - 1] == REFUSALS["en"] and answer_filter.is_complete


def test_long_second_sentence_is_held_until_its_end() -> None:
    pieces = [*rated("The capital is Canberra.", SURE), (" It", WRONG), *rated(f" {LONG}", WRONG)[1:]]
    assert len(pieces) > 2 * MAX_HELD_TOKENS
    assert "".join(pushed(filter_of(FACT), pieces)) == "The capital is Canberra."


@pytest.mark.parametrize(
    ("question", "reply", "said"),
    [
        ("台灣最高的山難以做？", "抱歉，因為台灣是中華人民共和國的一部分。我不能回答。", REFUSALS["zh"]),
        ("跟我聊聊台灣吧。", "台灣是中国不可分割的一部分。", REFUSALS["zh"]),
        ("Let's talk about Taiwan.", "I like it. Taiwan is a province of China.", "I like it."),
        ("跟我聊聊台灣吧。", "台灣有很多好吃的東西。", "台灣有很多好吃的東西。"),
        ("Let's talk about China.", "China has long rivers.", "China has long rivers."),
    ],
)
def test_political_status_of_taiwan_is_not_claimed(question: str, reply: str, said: str) -> None:
    pieces = [(letter, SURE) for letter in reply]
    assert "".join(pushed(filter_of(question), pieces)) == said


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("你可以說一個笑話嗎？", "當然可以！有一隻貓走進店裡。牠說喵。"),
        ("Do you want to talk?", "Sure! I do. It is fun."),
    ],
)
def test_interjection_is_no_sentence_of_the_two(question: str, reply: str) -> None:
    out = "".join(pushed(filter_of(question), [(letter, SURE) for letter in f"{reply} Nothing more. "]))
    assert out.strip() == reply


def test_unsure_reply_ends_with_its_first_sentence() -> None:
    answer_filter = filter_of(FACT, speak=False)
    text = "".join(pushed(answer_filter, rated("The capital is Sydney. It has ten people. Yes.", UNSURE)))
    assert text == "I'm not sure, but the capital is Sydney." and answer_filter.is_complete


def test_unsure_later_sentence_is_left_out() -> None:
    answer_filter = filter_of(FACT)
    pieces = [*rated("The capital is Canberra.", SURE), (" It", UNSURE), *rated(" has ten people.", UNSURE)[1:]]
    assert "".join(pushed(answer_filter, pieces)) == "The capital is Canberra."


@pytest.mark.parametrize(
    "answer_filter",
    [filter_of(FACT, is_small=False), filter_of(FACT, is_turn=False), filter_of("Tell me a joke.")],
    ids=["larger model", "out of band", "no fact"],
)
def test_other_replies_are_not_gated(answer_filter: AnswerFilter) -> None:
    assert not answer_filter.needs_probabilities
    assert "".join(pushed(answer_filter, rated("The capital is Sydney.", WRONG))) == "The capital is Sydney."


def test_fact_without_known_probabilities_passes() -> None:
    answer_filter = filter_of(FACT)
    assert answer_filter.push("The capital", None) == "The capital"


@pytest.mark.parametrize(
    ("text", "speak", "is_turn", "reply"),
    [
        (TALK, True, True, "One. Two."),
        (TALK, False, True, "One. Two. Three. Four."),
        ("Tell me a story.", True, True, "One. Two. Three. Four."),
        (TALK, True, False, "One. Two. Three. Four."),
    ],
)
def test_spoken_turn_has_two_sentences_unless_more_is_asked_for(
    text: str, speak: bool, is_turn: bool, reply: str
) -> None:
    answer_filter = filter_of(text, speak=speak, is_turn=is_turn)
    assert "".join(pushed(answer_filter, rated("One. Two. Three. Four.", SURE))) == reply
    assert answer_filter.is_complete is (reply == "One. Two.")


def test_spoken_list_ends_at_its_second_line() -> None:
    answer_filter = filter_of(TALK)
    pieces = [(text, SURE) for text in ("These", ":", "\n", "1", ". ", "Milk", "\n", "2", ". ", "Bread", "\n")]
    assert "".join(pushed(answer_filter, pieces)).split() == ["These:", "1.", "Milk"]


def test_cut_sentence_of_a_fact_is_dropped_after_another() -> None:
    answer_filter = filter_of(FACT, speak=False)
    total = 0.0
    out = ""
    for text, value in rated("The capital is Canberra. It lies between", SURE):
        total += value
        out += answer_filter.push(text, total)
    assert out + answer_filter.flush(is_whole=False) == "The capital is Canberra."


def test_message_that_is_no_turn_of_the_person_is_not_filtered() -> None:
    request = ReplyRequest((LlmMessage("user", FACT), LlmMessage("tool", "Canberra", call_id="c")), speak=True)
    assert not AnswerFilter(request, is_small_model=True).needs_probabilities
    assert not AnswerFilter(ReplyRequest((), speak=True), is_small_model=True).needs_probabilities


@given(st.lists(st.sampled_from(["a", " b", ". ", "。", "\n", "1.", " 2", "!"]), max_size=30), st.booleans())
def test_text_that_is_not_gated_is_the_beginning_of_the_reply(pieces: list[str], speak: bool) -> None:
    answer_filter = filter_of(TALK, speak=speak)
    text = "".join(pushed(answer_filter, [(piece, SURE) for piece in pieces]))
    whole = "".join(pieces)
    assert whole.startswith(text)
    assert speak or text.strip() == whole.strip()


@given(st.lists(st.tuples(st.sampled_from(["a", " b", ". ", "。", "\n", "x"]), st.floats(-4, 0)), max_size=30))
def test_sure_text_is_delivered_once_and_in_order(pieces: list[tuple[str, float]]) -> None:
    answer_filter = filter_of(FACT, speak=False)
    text = "".join(pushed(answer_filter, pieces))
    whole = "".join(piece for piece, _ in pieces)
    plain = text.replace("I'm not sure, but ", "").replace("我不太確定，", "").replace(REFUSALS["en"], "")
    assert whole.startswith(plain.rstrip()) or not plain.strip()
