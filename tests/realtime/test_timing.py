"""Waiting, measured from the last word to the ear, and split where it can be acted on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.timing import KEPT, Turns, TurnTime

RATE = 24_000
BEGAN = 100.0
"""Our clock when the connection's first sample was spoken."""


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def started(ms: int = 1000, item: str = "u1") -> dict[str, Any]:
    return event("input_audio_buffer.speech_started", item_id=item, audio_start_ms=ms)


def stopped(ms: int | None, item: str = "u1") -> dict[str, Any]:
    return event("input_audio_buffer.speech_stopped", item_id=item, **({} if ms is None else {"audio_end_ms": ms}))


def created(reply: str = "r1") -> dict[str, Any]:
    return event("response.created", response={"id": reply})


def delta(reply: str = "r1", item: str = "a1") -> dict[str, Any]:
    return event("response.output_audio.delta", response_id=reply, item_id=item, delta="")


def done(reply: str = "r1", *output: dict[str, Any]) -> dict[str, Any]:
    return event("response.done", response={"id": reply, "status": "completed", "output": list(output)})


def transcript(item: str = "u1") -> dict[str, Any]:
    return event("conversation.item.input_audio_transcription.completed", item_id=item, transcript="hi")


def speak(turns: Turns, seconds: float, since: float = 0.0, began: float = BEGAN) -> None:
    """A microphone that sends 20 ms frames as they are spoken."""
    for frame in range(round(since * 50) + 1, round(seconds * 50) + 1):
        turns.appended(480, began + frame * 0.02)


def one_turn(turns: Turns, at: float = 0.0) -> None:
    """Speech from 1.0 to 2.0 s, noticed at 2.45; sound at 2.75, heard at 2.83. `silence_ms`: 350."""
    base = BEGAN + at
    turns.receive(started(), base + 1.2)
    turns.receive(stopped(2350), base + 2.45)
    turns.receive(created(), base + 2.46)
    turns.receive(delta(), base + 2.75)
    turns.frame(["a1"], base + 2.83)


def spans(time: TurnTime | None) -> dict[str, tuple[float, float]]:
    assert time is not None
    return {name: (round(start, 3), round(end, 3)) for name, start, end in time.spans}


def test_the_sentence_a_person_reads() -> None:
    turns = Turns(350)
    speak(turns, 2.4)
    one_turn(turns)
    last = turns.last
    assert last is not None and not last.typed
    assert (last.waited_s, last.model_s, last.rest_s) == pytest.approx((0.45, 0.30, 0.08))
    assert last.total_s == pytest.approx(0.83)


def test_the_waterfall() -> None:
    turns = Turns(350)
    speak(turns, 2.4)
    one_turn(turns)
    turns.receive(transcript(), BEGAN + 2.9)
    turns.receive(delta(), BEGAN + 3.0)
    turns.frame(["a1"], BEGAN + 3.98)
    turns.frame([], BEGAN + 4.0)
    assert spans(turns.last) == {
        "spoke": (0, 1),
        "waited": (1, 1.45),
        "transcribing": (1.45, 1.9),
        "thinking": (1.45, 1.75),
        "speaking": (1.75, 2.0),
        "heard": (1.83, 3.0),
    }


def test_padding_before_speech_and_latency_behind_the_loudspeaker() -> None:
    turns = Turns(350, padding_ms=100, output_latency_ms=100)
    speak(turns, 2.4)
    one_turn(turns)
    assert turns.last is not None and turns.last.rest_s == pytest.approx(0.18)
    assert spans(turns.last)["spoke"] == (0, 0.9)


def test_sound_held_up_on_its_way_does_not_move_the_end_of_speech() -> None:
    """One second of speech leaves in a burst, late; the frames after it are prompt again."""
    turns = Turns(350)
    speak(turns, 1.5)
    for _ in range(76, 116):
        turns.appended(480, BEGAN + 2.3)
    speak(turns, 2.4, since=2.3)
    one_turn(turns)
    assert turns.last is not None and turns.last.waited_s == pytest.approx(0.45)


def test_a_new_connection_counts_sound_from_nothing() -> None:
    turns = Turns(350)
    speak(turns, 9.0)
    turns.connected(None, BEGAN + 20)
    speak(turns, 2.4, began=BEGAN + 20)
    one_turn(turns, at=20)
    assert turns.last is not None and turns.last.waited_s == pytest.approx(0.45)


@pytest.mark.parametrize("ms", [None, 10**9])
def test_without_a_usable_position_the_silence_setting_tells(ms: int | None) -> None:
    turns = Turns(350)
    speak(turns, 2.4)
    turns.receive(started(), BEGAN + 1.2)
    turns.receive(stopped(ms), BEGAN + 2.4)
    turns.receive(delta(), BEGAN + 2.5)
    turns.frame(["a1"], BEGAN + 2.5)
    assert turns.last is not None and turns.last.waited_s == pytest.approx(0.35)


def test_a_typed_turn_has_no_wait_and_is_no_voice_to_voice() -> None:
    turns = Turns(350)
    turns.typed(5.0)
    turns.receive(created(), 5.1)
    turns.receive(delta(), 5.4)
    turns.frame(["a1"], 5.5)
    last = turns.last
    assert last is not None and last.typed
    assert (last.waited_s, last.model_s, last.rest_s) == pytest.approx((0.0, 0.4, 0.1))
    assert list(spans(last)) == ["thinking", "speaking", "heard"]
    assert turns.percentiles() is None


def test_late_sound_of_an_interrupted_reply_is_not_the_next_answer() -> None:
    turns = Turns(350)
    speak(turns, 2.4)
    one_turn(turns)
    turns.receive(started(4000, "u2"), BEGAN + 4.1)
    turns.receive(stopped(5350, "u2"), BEGAN + 5.4)
    turns.receive(delta("r1"), BEGAN + 5.45)
    turns.receive(created("r2"), BEGAN + 5.5)
    turns.receive(delta("r2", "a2"), BEGAN + 5.9)
    turns.frame([], BEGAN + 5.95)
    assert len(turns.recent()) == 1
    turns.frame(["a2"], BEGAN + 6.0)
    first, second = turns.recent()
    assert second.model_s == pytest.approx(0.5)
    assert spans(first)["heard"][1] == pytest.approx(1.85), "nothing was played after the first frame"


def test_what_was_silenced_before_it_was_heard_is_no_answer() -> None:
    turns = Turns(350)
    turns.typed(1.0)
    turns.receive(delta(), 1.2)
    turns.frame([], 1.3)
    assert turns.last is None


def test_a_finished_turn_is_news_once_and_again_when_its_answer_has_ended() -> None:
    turns = Turns(350)
    speak(turns, 2.4)
    one_turn(turns)
    begun = turns.version
    for frame in range(1, 20):
        assert turns.frame(["a1"], BEGAN + 2.83 + frame * 0.02) is None
    assert turns.version == begun
    turns.frame([], BEGAN + 3.5)
    turns.frame([], BEGAN + 3.52)
    assert turns.version == begun + 1


def test_the_silence_that_the_server_says_it_waits_for_goes_before_the_setting() -> None:
    turns = Turns(350)
    detection = {"type": "server_vad", "silence_duration_ms": 500}
    turns.receive(event("session.updated", session={"audio": {"input": {"turn_detection": detection}}}), BEGAN)
    speak(turns, 2.4)
    one_turn(turns)
    assert turns.last is not None and turns.last.waited_s == pytest.approx(0.60)
    turns.receive(event("session.updated", session={"audio": {"input": {"turn_detection": None}}}), BEGAN + 3)
    turns.receive(
        event("session.updated", session={"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}), BEGAN + 3
    )
    turns.receive(started(4000, "u2"), BEGAN + 4.0)
    turns.receive(stopped(None, "u2"), BEGAN + 5.0)
    turns.receive(delta("r2", "a2"), BEGAN + 5.3)
    turns.frame(["a2"], BEGAN + 5.4)
    assert turns.recent()[-1].waited_s == pytest.approx(0.0)


def test_a_cough_over_a_reply_that_goes_on_is_no_turn_whose_wait_is_shown() -> None:
    turns = Turns(350)
    speak(turns, 2.4)
    one_turn(turns)
    turns.receive(started(4000, "u2"), BEGAN + 4.1)
    turns.receive(stopped(4650, "u2"), BEGAN + 4.7)
    for frame in range(50):
        turns.receive(delta("r1"), BEGAN + 4.7 + frame * 0.02)
        assert turns.frame(["a1"], BEGAN + 4.7 + frame * 0.02) is None
    assert len(turns.recent()) == 1
    assert spans(turns.last)["heard"][1] == pytest.approx(4.7)


def test_a_tool_call_belongs_to_thinking_and_an_empty_reply_ends_the_turn() -> None:
    turns = Turns(350)
    turns.typed(1.0)
    turns.receive(created("r1"), 1.1)
    turns.receive(done("r1", {"type": "function_call", "id": "f"}), 1.3)
    turns.receive(delta("r2", "a2"), 2.0)
    turns.frame(["a2"], 2.0)
    assert turns.last is not None and turns.last.model_s == pytest.approx(1.0)
    turns.typed(3.0)
    turns.receive(done("r3"), 3.1)
    turns.receive(delta("r4", "a4"), 30.0)  # of its own accord, after a long silence
    turns.frame(["a4"], 30.0)
    assert len(turns.recent()) == 1


def test_percentiles_are_of_turns_that_happened_and_memory_is_bounded() -> None:
    turns = Turns(0)
    assert turns.percentiles() is None and turns.last is None and turns.recent() == ()
    for number in range(1, 21):
        now = 1000.0 * number
        turns.receive(stopped(None, f"u{number}"), now)
        turns.receive(delta(f"r{number}", f"a{number}"), now)
        turns.frame([f"a{number}"], now + number / 10)
    assert turns.percentiles() == pytest.approx((1.0, 1.9))
    assert [round(turn.total_s, 1) for turn in turns.recent(2)] == [1.9, 2.0]
    for number in range(KEPT + 50):
        turns.typed(number)
        turns.receive(delta(f"x{number}", "a"), number)
        turns.frame(["a"], number)
    assert len(turns.recent(10 * KEPT)) == KEPT


# ---------------------------------------------------------------- whatever comes

IDS = st.sampled_from(["", "a", "b", "c"])
VALUE = st.none() | st.integers(-5, 10_000) | st.floats() | st.text(max_size=2) | st.just({})
KINDS = st.sampled_from(
    [made["type"] for made in (started(), stopped(0), created(), delta(), done(), transcript())]
    + ["input_audio_buffer.committed", "session.created", ""]
)
WELL = (
    st.builds(started, st.integers(0, 9000), IDS)
    | st.builds(stopped, st.none() | st.integers(0, 9000), IDS)
    | st.builds(created, IDS)
    | st.builds(delta, IDS, IDS)
    | st.builds(done, IDS)
    | st.builds(transcript, IDS)
)
ODD = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    KINDS,
    st.dictionaries(
        st.sampled_from(["item_id", "response", "response_id", "audio_start_ms", "audio_end_ms"]), VALUE, max_size=4
    ),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["receive", "receive", "receive", "frame", "silence", "connected", "typed", "appended"]),
        WELL | ODD,
        IDS,
        st.floats(-0.5, 2.0),
        st.integers(0, 300_000),
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 2000))
def test_in_any_order_nothing_raises_and_no_part_is_negative(steps: list[Any], silence_ms: int) -> None:
    turns, now = Turns(silence_ms), 50.0
    for what, event, item, later, samples in steps:
        now += later
        match what:
            case "receive":
                turns.receive(event, now)
            case "frame":
                turns.frame([item], now)
            case "silence":
                turns.frame([], now)
            case "connected":
                turns.connected(None, now)
            case "typed":
                turns.typed(now)
            case _:
                turns.appended(samples, now)
    for turn in turns.recent(100):
        assert min(turn.waited_s, turn.model_s, turn.rest_s) >= 0
        assert turn.total_s == pytest.approx(turn.waited_s + turn.model_s + turn.rest_s)
        assert all(0 <= span.start_s <= span.end_s for span in turn.spans)
        assert not (turn.typed and turn.waited_s)
