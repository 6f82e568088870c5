"""Thought filter: no thought is delivered, and every cutting of an answer gives the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.llm.thoughts import MAX_UNSURE_CHARS, ThoughtFilter


def deliver(pieces: Sequence[str], *, opened_in_prompt: bool | None = False, is_whole: bool = True) -> str:
    thoughts = ThoughtFilter(opened_in_prompt=opened_in_prompt)
    return "".join(map(thoughts.feed, pieces)) + thoughts.flush(is_whole=is_whole)


HARMONY = (
    "<|channel|>analysis<|message|>The user greets.<|end|><|start|>assistant"
    "<|channel|>final<|message|>Hello there!<|return|>"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there!", "Hello there!"),
        ("<think>I greet.</think>\n\nHello there!", "Hello there!"),
        ("\n<think>\n\n</think>\n\nHello there!", "Hello there!"),
        ("<thinking>I greet.</thinking>Hello there!", "Hello there!"),
        ("<thought>I greet.</thought>Hello there!", "Hello there!"),
        ("[THINK]I greet.[/THINK]Hello there!", "Hello there!"),
        ("<|channel>thought\nI greet.<channel|>Hello there!", "Hello there!"),
        ("<|channel>thought\n<channel|>Hello there!", "Hello there!"),
        ("<Think>I greet.</THINK>Hello there!", "Hello there!"),
        ("Hello <think>more?</think> there!", "Hello there!"),
        ("Hello<think>more?</think> there!", "Hello there!"),
        ("<think>a</think><think>b</think>Hello there!", "Hello there!"),
        ("<think>a</think>Hello</think> there!", "Hello there!"),
        ("<think>never closed", ""),
        ("Hello <think>never closed", "Hello "),
        ("1 < 2 and a <thin", "1 < 2 and a <thin"),
        ("<thinker>a</thinker>", "<thinker>a</thinker>"),
        (HARMONY, "Hello there!"),
        ("<|channel|>final<|message|>Hello there!", "Hello there!"),
        ("<|channel|>analysis<|message|>I greet.<|channel|>final<|message|>Hello there!", "Hello there!"),
        ('<|channel|>commentary to=functions.a <|constrain|>json<|message|>{"b": 1}<|call|>', ""),
        ("<|channel|>analysis<|message|>never closed", ""),
        ("a <|end|> b", "a <|end|> b"),
        ("", ""),
    ],
)
def test_text_without_thoughts(text: str, expected: str) -> None:
    assert deliver([text]) == expected
    assert deliver(list(text)) == expected


PARTS = st.lists(
    st.sampled_from(
        [
            *("Hello ", "你好", " ", "\n", "<", "th", "ink", ">", "/", "|", "İK"),
            *("<think>", "</think>", "<thought>", "[/THINK]", "</"),
            *("<channel|>", "<|channel>", "<|channel|>", "analysis", "final", "<|message|>", "<|start|>", "<|end|>"),
        ]
    ),
    max_size=12,
)


@given(parts=PARTS, opened=st.booleans(), is_whole=st.booleans(), data=st.data())
def test_every_cutting_gives_the_same(parts: list[str], opened: bool, is_whole: bool, data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = deliver([text], opened_in_prompt=opened, is_whole=is_whole)
    assert deliver(pieces, opened_in_prompt=opened, is_whole=is_whole) == whole
    assert deliver(list(text), opened_in_prompt=opened, is_whole=is_whole) == whole


WORDS = st.text(st.sampled_from("ab <>/|你\n"), max_size=20)
SECRET = st.text(st.sampled_from("XYZ <>/|\n"), min_size=1, max_size=20)
TAGS = st.sampled_from([("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<|channel>thought", "<channel|>")])


@given(turns=st.lists(st.tuples(WORDS, TAGS, SECRET), min_size=1, max_size=4), last=WORDS, is_closed=st.booleans())
def test_no_thought_is_delivered(turns: list[tuple[str, tuple[str, str], str]], last: str, is_closed: bool) -> None:
    text = "".join(f"{words}{opening}{secret}{closing}" for words, (opening, closing), secret in turns)
    if not is_closed:
        text = text[: -len(turns[-1][1][1])]
    delivered = deliver(list(text + (last if is_closed else "")))
    assert not set("XYZ") & set(delivered)
    said = "".join(words for words, _, _ in turns) + (last if is_closed else "")
    assert "".join(delivered.split()) == "".join(said.split())


@given(secret=SECRET, words=WORDS, closing=st.sampled_from(["</think>", "</thinking>", "[/THINK]"]))
def test_thoughts_opened_in_the_prompt_are_held_back(secret: str, words: str, closing: str) -> None:
    assert deliver(list(secret + closing + words), opened_in_prompt=True) == words.lstrip()
    assert deliver(list(secret), opened_in_prompt=True, is_whole=False) == ""


def test_text_is_delivered_as_early_as_possible() -> None:
    thoughts = ThoughtFilter()
    assert thoughts.feed("Hello <") == "Hello "
    assert thoughts.feed("b> <thi") == "<b> "
    assert thoughts.feed("nk>x") == ""
    assert thoughts.is_thinking
    assert thoughts.feed("</think>Yes") == "Yes"
    assert not thoughts.is_thinking


def test_closing_tag_alone_shows_that_the_prompt_opened_it() -> None:
    thoughts = ThoughtFilter()
    assert thoughts.feed("I greet.</think>Hello") == "I greet.Hello"
    assert (thoughts.opened_in_prompt, thoughts.has_thoughts) == (True, True)


@pytest.mark.parametrize(
    ("text", "opened", "is_whole", "opened_in_prompt", "has_thoughts"),
    [
        ("Hello", False, True, None, False),
        ("<think>\n</think>Hello", False, True, False, False),
        ("<think>x</think>Hello", False, True, False, True),
        ("<think>x</think>Hello</think>", False, True, False, True),
        (HARMONY, False, True, False, True),
        ("x</think>Hello", True, True, True, True),
        ("<think>x</think>Hello", True, True, False, True),
        ("Hello", True, True, False, False),
        ("thought that was cut", True, False, None, True),
        (" ", True, True, None, False),
        ("Hello", None, True, False, False),
        ("text that was cut", None, False, None, False),
        ("x</think>Hello", None, True, True, True),
        ("Hello<think>x</think>", None, True, False, True),
        ("x" * MAX_UNSURE_CHARS, None, False, False, False),
        ("x" * MAX_UNSURE_CHARS + "</think>Hello", None, False, True, True),
    ],
)
def test_what_an_answer_shows(
    text: str, opened: bool | None, is_whole: bool, opened_in_prompt: bool | None, has_thoughts: bool
) -> None:
    thoughts = ThoughtFilter(opened_in_prompt=opened)
    for char in text:
        thoughts.feed(char)
    thoughts.flush(is_whole=is_whole)
    assert (thoughts.opened_in_prompt, thoughts.has_thoughts) == (opened_in_prompt, has_thoughts)


def test_held_text_is_released_when_the_server_separates_thoughts() -> None:
    thoughts = ThoughtFilter(opened_in_prompt=True)
    assert thoughts.feed("\nHel") == ""
    assert thoughts.release_hold() == "Hel"
    assert thoughts.feed("lo") == "lo"
    assert thoughts.release_hold() == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I greet.</think>Hello", "Hello"),
        ("Hello", "Hello"),
        ("Hello <think>x</think>there", "Hello there"),
        (f"<|channel|>analysis<|message|>{'x' * 500}<|end|><|start|>a<|channel|>final<|message|>Hello", "Hello"),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_unsure_answer_is_held_back_until_a_tag_or_its_end(text: str, expected: str, is_whole: bool) -> None:
    assert deliver([text], opened_in_prompt=None, is_whole=is_whole) == expected
    assert deliver(list(text), opened_in_prompt=None, is_whole=is_whole) == expected


def test_unsure_answer_is_held_back_for_some_characters_only() -> None:
    thoughts = ThoughtFilter(opened_in_prompt=None)
    assert thoughts.feed("x" * (MAX_UNSURE_CHARS - 1)) == ""
    assert thoughts.holds_text and not thoughts.is_thinking
    assert thoughts.feed("x") == "x" * MAX_UNSURE_CHARS
    assert thoughts.feed("y") == "y"
