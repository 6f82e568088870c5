"""What a sound over a reply turns out to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.ducking import (
    LONGEST_S,
    MOST_SOUNDS,
    SPEECH_S,
    UNHEARD_S,
    Ducking,
    Said,
    State,
    Verdict,
    may_be_backchannel,
    said,
)

BACKCHANNELS = [
    *(
        "嗯",
        "嗯。",
        "嗯嗯",
        "哦",
        "喔！",
        "噢",
        "啊",
        "對",
        "对",
        "對對對",
        "对，对。",
        "是",
        "是的",
        "好",
        "好的。",
        "哈哈哈",
    ),
    *("mm", "Mm-hmm.", "mhm", "Hmm...", "Uh-huh.", "Huh", "Yeah.", "yeah, yeah", "OK", "Okay.", "Right.", "I see."),
    *("Oh!", "Haha", "嗯 ok", "Got it.", "Yes", "Sure."),
]
WORDS = [
    "Stop.",
    "Wait",
    "No",
    "不",
    "不對",
    "等一下",
    "停",
    "What?",
    "yeah but",
    "okay stop",
    "I",
    "mm what",
    "對不起",
    "好吃",
]


@pytest.mark.parametrize("text", BACKCHANNELS)
def test_a_backchannel_is_one_as_a_whole(text: str) -> None:
    assert said(text) is Said.BACKCHANNEL
    assert all(may_be_backchannel(text[:end]) for end in range(len(text) + 1)), "at no moment on the way"


@pytest.mark.parametrize("text", WORDS)
def test_words_are_words(text: str) -> None:
    assert said(text) is Said.WORDS


@pytest.mark.parametrize("text", ["", " ", "...", "。", "…", "?!", "__"])
def test_marks_are_nothing(text: str) -> None:
    assert said(text) is Said.NOTHING
    assert may_be_backchannel(text)


@pytest.mark.parametrize("text", ["stop", "no", "yeah b", "不", "對不", "I w", "okay stop", "yeahb", "x" * 500])
def test_words_are_known_from_their_beginning(text: str) -> None:
    assert not may_be_backchannel(text)


@given(st.text(max_size=80))
def test_any_text_is_something_and_its_beginning_never_contradicts_it(text: str) -> None:
    if said(text) is not Said.WORDS:
        assert may_be_backchannel(text)


def judge() -> Ducking:
    judge = Ducking(0.35)
    assert judge.begin("u1", 10.0) is None
    return judge


def test_a_voice_that_goes_on_interrupts() -> None:
    judging = judge()
    assert judging.beat(10.2, SPEECH_S - 0.02, True, True) is None
    assert judging.beat(10.22, SPEECH_S, True, True) is Verdict.INTERRUPT


def test_a_sound_that_the_server_does_not_end_interrupts_however_quiet_the_microphone() -> None:
    judging = judge()
    assert judging.beat(10.64, 0.0, True, True) is None
    assert judging.beat(10.66, 0.0, True, True) is Verdict.INTERRUPT
    slow = Ducking(5.0)
    slow.begin("u1", 0.0)
    assert slow.beat(LONGEST_S, 0.0, True, True) is Verdict.INTERRUPT, "however long a silence the server waits for"


@pytest.mark.parametrize(("text", "verdict"), [("", Verdict.RESUME), ("嗯", Verdict.RESUME), ("停", Verdict.INTERRUPT)])
def test_a_short_sound_is_what_was_said_in_it(text: str, verdict: Verdict) -> None:
    judging = judge()
    assert judging.stopped("u1", 10.4) is None
    assert judging.undecided
    assert judging.heard("u1", text, whole=True) is verdict


def test_words_interrupt_before_the_sound_is_over() -> None:
    judging = judge()
    assert judging.heard("u1", "o", whole=False) is None
    assert judging.heard("u1", "ok", whole=False) is None
    assert judging.heard("u1", "ok wait", whole=False) is Verdict.INTERRUPT


def test_words_of_another_turn_tell_nothing() -> None:
    judging = judge()
    assert judging.heard("u0", "The question before", whole=True) is None
    judging.stopped("u0", 10.1)
    assert judging.state is State.SPEAKING


def test_two_coughs_are_judged_together() -> None:
    judging = judge()
    judging.stopped("u1", 10.4)
    judging.begin("u2", 10.6)
    assert judging.heard("u1", "", whole=True) is None, "the second is not over"
    assert judging.stopped("u2", 11.0) is None
    assert judging.heard("u2", "", whole=True) is Verdict.RESUME
    assert judging.over() == ["u1", "u2"]


def test_a_sound_that_the_server_threw_away_is_not_waited_for() -> None:
    judging = judge()
    judging.begin("u2", 10.6)
    judging.stopped("u2", 11.0)
    assert judging.heard("u2", "嗯", whole=True) is Verdict.RESUME
    assert judging.over() == [], "an mm is no nothing"


def test_what_is_never_heard_of_interrupts() -> None:
    judging = judge()
    judging.stopped("u1", 10.4)
    assert judging.beat(10.4 + UNHEARD_S - 0.02, 0.0, True, True) is None
    assert judging.beat(10.4 + UNHEARD_S, 0.0, True, True) is Verdict.INTERRUPT


def test_whoever_makes_many_sounds_wants_to_be_heard() -> None:
    judging = Ducking(0.35)
    verdicts = []
    for number in range(MOST_SOUNDS + 1):
        verdicts.append(judging.begin(f"u{number}", number / 10))
        judging.stopped(f"u{number}", number / 10 + 0.05)
    assert verdicts == [None] * MOST_SOUNDS + [Verdict.INTERRUPT]


def test_when_the_reply_has_run_out_the_turn_takes_over() -> None:
    assert judge().beat(10.1, 0.0, False, True) is Verdict.INTERRUPT
    judging = judge()
    judging.stopped("u1", 10.4)
    assert judging.beat(10.42, 0.0, False, True) is Verdict.INTERRUPT, "the server answers it"
    judging = judge()
    judging.stopped("u1", 10.4)
    assert judging.beat(10.42, 0.0, False, False) is Verdict.WAIT
    assert not judging.undecided
    assert judging.heard("u1", "yes", whole=True) is Verdict.INTERRUPT, "nobody is listened to: it is an answer"
    judging = judge()
    judging.stopped("u1", 10.4)
    judging.beat(10.42, 0.0, False, False)
    assert judging.heard("u1", "", whole=True) is Verdict.RESUME


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "stopped", "delta", "whole"]),
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["", "嗯", "mm", "o", "stop", "不要"]),
        st.floats(0, 3),
        st.booleans(),
    ),
    max_size=30,
)


@given(EVENTS, st.floats(0, 10), st.booleans())
def test_nothing_is_judged_for_ever(
    events: list[tuple[str, str, str, float, bool]], silence: float, answered: bool
) -> None:
    judging, now = Ducking(silence), 0.0
    for kind, item, text, later, audible in events:
        verdict: Verdict | None = None
        match kind:
            case "begin":
                verdict = judging.begin(item, now)
            case "stopped":
                verdict = judging.stopped(item, now)
            case "delta":
                verdict = judging.heard(item, text, whole=False)
            case "whole":
                verdict = judging.heard(item, text, whole=True)
        if verdict is None:
            now += later
            verdict = judging.beat(now, 0.0, audible, answered)
        if verdict in (Verdict.INTERRUPT, Verdict.RESUME):
            judging.over()
            assert judging.state is State.IDLE
    if judging.state is not State.IDLE:
        assert judging.beat(now + 3, 0.0, True, answered) is Verdict.INTERRUPT
