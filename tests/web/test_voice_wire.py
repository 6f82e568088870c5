"""What may come over a call's web socket, and how much may be on the way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.voice_wire import FRAME_BYTES, MAX_CONTROL, SURPLUS, TOO_MUCH, UNSUPPORTED, WINDOW, Refused, Wire

FRAME = bytes(FRAME_BYTES)


def taken(frames: object) -> str:
    return json.dumps({"type": "taken", "frames": frames})


@given(st.lists(st.one_of(st.just("send"), st.integers(0, 60)), max_size=300))
def test_never_more_on_the_way_than_the_window(steps: list[object]) -> None:
    wire, sent, told = Wire(0.0), 0, 0
    for step in steps:
        if step == "send" and wire.room:
            wire.sent()
            sent += 1
        elif isinstance(step, int) and told <= step <= sent:
            wire.control(taken(step))
            told = step
        assert wire.room == (sent - told < WINDOW)
        assert sent - told <= WINDOW


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES + 1, 10 * FRAME_BYTES])
def test_a_frame_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(Refused) as refused:
        Wire(0.0).sound(bytes(size), 1.0)
    assert refused.value.code == UNSUPPORTED


def test_a_microphone_is_as_fast_as_the_clock() -> None:
    wire = Wire(10.0)
    for number in range(50 * 1800):  # half an hour of a sound card that is one per cent fast
        wire.sound(FRAME, 10.0 + number * 0.02 / 1.01)
    wire = Wire(10.0)
    for _ in range(500):  # ten seconds that a stalled connection held back
        wire.sound(FRAME, 20.0)
    wire = Wire(10.0)
    with pytest.raises(Refused) as refused:
        for _ in range(SURPLUS + 2):
            wire.sound(FRAME, 10.0)
    assert refused.value.code == TOO_MUCH


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", UNSUPPORTED),
        ("hello", UNSUPPORTED),
        ("[" * 1000, UNSUPPORTED),
        ("null", UNSUPPORTED),
        ("[1]", UNSUPPORTED),
        (taken("3"), UNSUPPORTED),
        (taken(True), UNSUPPORTED),
        (taken(None), UNSUPPORTED),
        (taken(4), UNSUPPORTED),  # more than were sent
        (taken(1), UNSUPPORTED),  # less than before
        (" " * (MAX_CONTROL + 1), TOO_MUCH),
    ],
)
def test_words_that_are_refused(text: str, code: int) -> None:
    wire = Wire(0.0)
    for _ in range(3):
        wire.sent()
    wire.control(taken(2))
    with pytest.raises(Refused) as refused:
        wire.control(text)
    assert refused.value.code == code


def test_words_nobody_knows_are_ignored() -> None:
    wire = Wire(0.0)
    wire.control('{"type": "news", "frames": 7}')
    wire.control("{}")
    wire.control('{"type": ["taken"]}')
