"""Classification of a sound over a reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.turn_taking.interruption_classifier import (
    MAX_CLASSIFICATION_S,
    MAX_UTTERANCES,
    MIN_INTERRUPTION_S,
    TRANSCRIPT_TIMEOUT_S,
    ClassifierState,
    InterruptionClassifier,
    InterruptionVerdict,
    TranscriptKind,
    classify_transcript,
    may_be_backchannel,
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
    assert classify_transcript(text) is TranscriptKind.BACKCHANNEL
    assert all(may_be_backchannel(text[:end]) for end in range(len(text) + 1)), "at no moment on the way"


@pytest.mark.parametrize("text", WORDS)
def test_words_are_words(text: str) -> None:
    assert classify_transcript(text) is TranscriptKind.SPEECH


@pytest.mark.parametrize("text", ["", " ", "...", "。", "…", "?!", "__"])
def test_marks_are_nothing(text: str) -> None:
    assert classify_transcript(text) is TranscriptKind.EMPTY
    assert may_be_backchannel(text)


@pytest.mark.parametrize("text", ["stop", "no", "yeah b", "不", "對不", "I w", "okay stop", "yeahb", "x" * 500])
def test_words_are_known_from_their_beginning(text: str) -> None:
    assert not may_be_backchannel(text)


ENGLISH_TEXTS = st.lists(st.sampled_from(["mm", "uh huh", "I see", "got it", "OK", "yeah"]), min_size=1, max_size=6)
CHINESE_TEXTS = st.lists(st.sampled_from(["嗯", "對", "好的", "是"]), min_size=1, max_size=6)
MARKS = st.sampled_from([" ", ", ", "... ", "! "])


@given(ENGLISH_TEXTS | CHINESE_TEXTS, MARKS, st.data())
def test_no_prefix_of_a_backchannel_is_taken_for_speech(words: list[str], mark: str, data: st.DataObject) -> None:
    text = mark.join(words)
    assert classify_transcript(text) is TranscriptKind.BACKCHANNEL
    prefix = text[: data.draw(st.integers(0, len(text)))]
    assert may_be_backchannel(prefix), prefix


@given(st.text(max_size=80))
def test_no_prefix_of_any_backchannel_or_empty_text_is_taken_for_speech(text: str) -> None:
    for end in range(len(text) + 1):
        if classify_transcript(text[:end]) is not TranscriptKind.SPEECH:
            assert all(may_be_backchannel(text[:prefix]) for prefix in range(end + 1))


def make_classifier() -> InterruptionClassifier:
    judge = InterruptionClassifier(0.35)
    assert judge.start_speech("u1", 10.0) is None
    return judge


def test_a_voice_that_goes_on_interrupts() -> None:
    judging = make_classifier()
    assert judging.tick_20ms(10.2, MIN_INTERRUPTION_S - 0.02, True, True) is None
    assert judging.tick_20ms(10.22, MIN_INTERRUPTION_S, True, True) is InterruptionVerdict.INTERRUPT


def test_a_sound_that_the_server_does_not_end_interrupts_however_quiet_the_microphone() -> None:
    judging = make_classifier()
    assert judging.tick_20ms(10.64, 0.0, True, True) is None
    assert judging.tick_20ms(10.66, 0.0, True, True) is InterruptionVerdict.INTERRUPT
    slow = InterruptionClassifier(5.0)
    slow.start_speech("u1", 0.0)
    assert slow.tick_20ms(MAX_CLASSIFICATION_S, 0.0, True, True) is InterruptionVerdict.INTERRUPT, (
        "however long a silence the server waits for"
    )


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", InterruptionVerdict.FALSE_INTERRUPTION),
        ("嗯", InterruptionVerdict.FALSE_INTERRUPTION),
        ("停", InterruptionVerdict.INTERRUPT),
    ],
)
def test_a_short_sound_is_what_was_said_in_it(text: str, verdict: InterruptionVerdict) -> None:
    judging = make_classifier()
    assert judging.end_speech("u1", 10.4) is None
    assert judging.classifying
    assert judging.apply_transcript("u1", text, is_final=True) is verdict


def test_words_interrupt_before_the_sound_is_over() -> None:
    judging = make_classifier()
    assert judging.apply_transcript("u1", "o", is_final=False) is None
    assert judging.apply_transcript("u1", "ok", is_final=False) is None
    assert judging.apply_transcript("u1", "ok wait", is_final=False) is InterruptionVerdict.INTERRUPT


def test_words_of_another_turn_tell_nothing() -> None:
    judging = make_classifier()
    assert judging.apply_transcript("u0", "The question before", is_final=True) is None
    judging.end_speech("u0", 10.1)
    assert judging.state is ClassifierState.SPEECH_ACTIVE


def test_two_coughs_are_judged_together() -> None:
    judging = make_classifier()
    judging.end_speech("u1", 10.4)
    judging.start_speech("u2", 10.6)
    assert judging.apply_transcript("u1", "", is_final=True) is None, "the second is not over"
    assert judging.end_speech("u2", 11.0) is None
    assert judging.apply_transcript("u2", "", is_final=True) is InterruptionVerdict.FALSE_INTERRUPTION
    assert judging.reset() == ["u1", "u2"]


def test_a_sound_that_the_server_threw_away_is_not_waited_for() -> None:
    judging = make_classifier()
    judging.start_speech("u2", 10.6)
    judging.end_speech("u2", 11.0)
    assert judging.apply_transcript("u2", "嗯", is_final=True) is InterruptionVerdict.FALSE_INTERRUPTION
    assert judging.reset() == [], "a backchannel is not an empty transcript"


def test_what_is_never_heard_of_interrupts() -> None:
    judging = make_classifier()
    judging.end_speech("u1", 10.4)
    assert judging.tick_20ms(10.4 + TRANSCRIPT_TIMEOUT_S - 0.02, 0.0, True, True) is None
    assert judging.tick_20ms(10.4 + TRANSCRIPT_TIMEOUT_S, 0.0, True, True) is InterruptionVerdict.INTERRUPT


def test_many_sounds_are_an_interruption() -> None:
    judging = InterruptionClassifier(0.35)
    verdicts = []
    for number in range(MAX_UTTERANCES + 1):
        verdicts.append(judging.start_speech(f"u{number}", number / 10))
        judging.end_speech(f"u{number}", number / 10 + 0.05)
    assert verdicts == [None] * MAX_UTTERANCES + [InterruptionVerdict.INTERRUPT]


def test_when_the_reply_has_run_out_the_turn_takes_over() -> None:
    assert make_classifier().tick_20ms(10.1, 0.0, False, True) is InterruptionVerdict.INTERRUPT
    judging = make_classifier()
    judging.end_speech("u1", 10.4)
    assert judging.tick_20ms(10.42, 0.0, False, True) is InterruptionVerdict.INTERRUPT, "the server answers it"
    judging = make_classifier()
    judging.end_speech("u1", 10.4)
    assert judging.tick_20ms(10.42, 0.0, False, False) is InterruptionVerdict.PENDING
    assert not judging.classifying
    assert judging.apply_transcript("u1", "yes", is_final=True) is InterruptionVerdict.INTERRUPT, (
        "no reply is being played: the word is an answer"
    )
    judging = make_classifier()
    judging.end_speech("u1", 10.4)
    judging.tick_20ms(10.42, 0.0, False, False)
    assert judging.apply_transcript("u1", "", is_final=True) is InterruptionVerdict.FALSE_INTERRUPTION


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
    judging, now = InterruptionClassifier(silence), 0.0
    for kind, item, text, later, audible in events:
        verdict: InterruptionVerdict | None = None
        match kind:
            case "begin":
                verdict = judging.start_speech(item, now)
            case "stopped":
                verdict = judging.end_speech(item, now)
            case "delta":
                verdict = judging.apply_transcript(item, text, is_final=False)
            case "whole":
                verdict = judging.apply_transcript(item, text, is_final=True)
        if verdict is None:
            now += later
            verdict = judging.tick_20ms(now, 0.0, audible, answered)
        if verdict in (InterruptionVerdict.INTERRUPT, InterruptionVerdict.FALSE_INTERRUPTION):
            judging.reset()
            assert judging.state is ClassifierState.IDLE
    if judging.state is not ClassifierState.IDLE:
        assert judging.tick_20ms(now + 3, 0.0, True, answered) is InterruptionVerdict.INTERRUPT
