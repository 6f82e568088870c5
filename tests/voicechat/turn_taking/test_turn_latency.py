"""Waiting, measured from the last word to the ear, and split where it can be acted on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.realtime.event_observation import observe
from voicechat.turn_taking.turn_latency import MAX_FINISHED_TURNS, TurnLatency, TurnLatencyTracker

RATE = 24_000
BASE_TIME_S = 100.0
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


def speak(turns: TurnLatencyTracker, seconds: float, since: float = 0.0, began: float = BASE_TIME_S) -> None:
    """A microphone that sends 20 ms frames as they are spoken."""
    for frame in range(round(since * 50) + 1, round(seconds * 50) + 1):
        turns.add_sent_audio(480, began + frame * 0.02)


def one_turn(turns: TurnLatencyTracker, at: float = 0.0) -> None:
    """Speech from 1.0 to 2.0 s, noticed at 2.45; sound at 2.75, heard at 2.83. `silence_ms`: 350."""
    base = BASE_TIME_S + at
    observe(turns, started(), base + 1.2)
    observe(turns, stopped(2350), base + 2.45)
    observe(turns, created(), base + 2.46)
    observe(turns, delta(), base + 2.75)
    turns.on_frame_played(["a1"], base + 2.83)


def last_latency(turns: TurnLatencyTracker) -> TurnLatency | None:
    """Return the latency of the newest reply that was heard."""
    found = turns.recent(1)
    return found[-1] if found else None


def spans(time: TurnLatency | None) -> dict[str, tuple[float, float]]:
    assert time is not None
    return {name: (round(start, 3), round(end, 3)) for name, start, end in time.spans}


def test_silence_that_the_server_chose_for_the_turn_is_taken_off() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 4.0)
    observe(turns, started(), BASE_TIME_S + 1.2)
    observe(turns, {**stopped(3000), "silence_ms": 1000}, BASE_TIME_S + 3.1)
    observe(turns, created(), BASE_TIME_S + 3.2)
    observe(turns, delta(), BASE_TIME_S + 3.3)
    latency = turns.on_frame_played(["a1"], BASE_TIME_S + 3.5)
    assert latency is not None and latency.endpointing_s == pytest.approx(1.1, abs=0.021)


def test_the_sentence_a_person_reads() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 2.4)
    one_turn(turns)
    last = last_latency(turns)
    assert last is not None and not last.is_typed
    assert (last.endpointing_s, last.model_s, last.playout_s) == pytest.approx((0.45, 0.30, 0.08))
    assert last.total_s == pytest.approx(0.83)


def test_the_waterfall() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 2.4)
    one_turn(turns)
    observe(turns, transcript(), BASE_TIME_S + 2.9)
    observe(turns, delta(), BASE_TIME_S + 3.0)
    turns.on_frame_played(["a1"], BASE_TIME_S + 3.98)
    turns.on_frame_played([], BASE_TIME_S + 4.0)
    assert spans(last_latency(turns)) == {
        "spoke": (0, 1),
        "waited": (1, 1.45),
        "transcribing": (1.45, 1.9),
        "thinking": (1.45, 1.75),
        "speaking": (1.75, 2.0),
        "heard": (1.83, 3.0),
    }


def test_padding_before_speech_and_latency_behind_the_loudspeaker() -> None:
    turns = TurnLatencyTracker(350, padding_ms=100, output_latency_ms=100)
    speak(turns, 2.4)
    one_turn(turns)
    last = last_latency(turns)
    assert last is not None and last.playout_s == pytest.approx(0.18)
    assert spans(last_latency(turns))["spoke"] == (0, 0.9)


def test_sound_held_up_on_its_way_does_not_move_the_end_of_speech() -> None:
    """One second of speech leaves in a burst, late; the frames after it are prompt again."""
    turns = TurnLatencyTracker(350)
    speak(turns, 1.5)
    for _ in range(76, 116):
        turns.add_sent_audio(480, BASE_TIME_S + 2.3)
    speak(turns, 2.4, since=2.3)
    one_turn(turns)
    last = last_latency(turns)
    assert last is not None and last.endpointing_s == pytest.approx(0.45)


def test_a_new_connection_counts_sound_from_nothing() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 9.0)
    turns.on_connected(None, BASE_TIME_S + 20)
    speak(turns, 2.4, began=BASE_TIME_S + 20)
    one_turn(turns, at=20)
    last = last_latency(turns)
    assert last is not None and last.endpointing_s == pytest.approx(0.45)


@pytest.mark.parametrize("ms", [None, 10**9])
def test_without_a_usable_position_the_silence_setting_tells(ms: int | None) -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 2.4)
    observe(turns, started(), BASE_TIME_S + 1.2)
    observe(turns, stopped(ms), BASE_TIME_S + 2.4)
    observe(turns, delta(), BASE_TIME_S + 2.5)
    turns.on_frame_played(["a1"], BASE_TIME_S + 2.5)
    last = last_latency(turns)
    assert last is not None and last.endpointing_s == pytest.approx(0.35)


def test_a_typed_turn_has_no_wait_and_is_no_voice_to_voice() -> None:
    turns = TurnLatencyTracker(350)
    turns.start_typed_turn(5.0)
    observe(turns, created(), 5.1)
    observe(turns, delta(), 5.4)
    turns.on_frame_played(["a1"], 5.5)
    last = last_latency(turns)
    assert last is not None and last.is_typed
    assert (last.endpointing_s, last.model_s, last.playout_s) == pytest.approx((0.0, 0.4, 0.1))
    assert list(spans(last)) == ["thinking", "speaking", "heard"]
    assert turns.percentiles() is None


def test_late_sound_of_an_interrupted_reply_is_not_the_next_answer() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 2.4)
    one_turn(turns)
    observe(turns, started(4000, "u2"), BASE_TIME_S + 4.1)
    observe(turns, stopped(5350, "u2"), BASE_TIME_S + 5.4)
    observe(turns, delta("r1"), BASE_TIME_S + 5.45)
    observe(turns, created("r2"), BASE_TIME_S + 5.5)
    observe(turns, delta("r2", "a2"), BASE_TIME_S + 5.9)
    turns.on_frame_played([], BASE_TIME_S + 5.95)
    assert len(turns.recent()) == 1
    turns.on_frame_played(["a2"], BASE_TIME_S + 6.0)
    first, second = turns.recent()
    assert second.model_s == pytest.approx(0.5)
    assert spans(first)["heard"][1] == pytest.approx(1.85), "nothing was played after the first frame"


def test_what_was_silenced_before_it_was_heard_is_no_answer() -> None:
    turns = TurnLatencyTracker(350)
    turns.start_typed_turn(1.0)
    observe(turns, delta(), 1.2)
    turns.on_frame_played([], 1.3)
    assert last_latency(turns) is None


def test_a_finished_turn_is_news_once_and_again_when_its_answer_has_ended() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 2.4)
    one_turn(turns)
    begun = turns.version
    for frame in range(1, 20):
        assert turns.on_frame_played(["a1"], BASE_TIME_S + 2.83 + frame * 0.02) is None
    assert turns.version == begun
    turns.on_frame_played([], BASE_TIME_S + 3.5)
    turns.on_frame_played([], BASE_TIME_S + 3.52)
    assert turns.version == begun + 1


def test_the_silence_that_the_server_says_it_waits_for_goes_before_the_setting() -> None:
    turns = TurnLatencyTracker(350)
    detection = {"type": "server_vad", "silence_duration_ms": 500}
    observe(turns, event("session.updated", session={"audio": {"input": {"turn_detection": detection}}}), BASE_TIME_S)
    speak(turns, 2.4)
    one_turn(turns)
    last = last_latency(turns)
    assert last is not None and last.endpointing_s == pytest.approx(0.60)
    observe(turns, event("session.updated", session={"audio": {"input": {"turn_detection": None}}}), BASE_TIME_S + 3)
    observe(
        turns,
        event("session.updated", session={"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}),
        BASE_TIME_S + 3,
    )
    observe(turns, started(4000, "u2"), BASE_TIME_S + 4.0)
    observe(turns, stopped(None, "u2"), BASE_TIME_S + 5.0)
    observe(turns, delta("r2", "a2"), BASE_TIME_S + 5.3)
    turns.on_frame_played(["a2"], BASE_TIME_S + 5.4)
    assert turns.recent()[-1].endpointing_s == pytest.approx(0.0)


def test_a_cough_over_a_reply_that_goes_on_is_no_turn_whose_wait_is_shown() -> None:
    turns = TurnLatencyTracker(350)
    speak(turns, 2.4)
    one_turn(turns)
    observe(turns, started(4000, "u2"), BASE_TIME_S + 4.1)
    observe(turns, stopped(4650, "u2"), BASE_TIME_S + 4.7)
    for frame in range(50):
        observe(turns, delta("r1"), BASE_TIME_S + 4.7 + frame * 0.02)
        assert turns.on_frame_played(["a1"], BASE_TIME_S + 4.7 + frame * 0.02) is None
    assert len(turns.recent()) == 1
    assert spans(last_latency(turns))["heard"][1] == pytest.approx(4.7)


def test_a_tool_call_belongs_to_thinking_and_an_empty_reply_ends_the_turn() -> None:
    turns = TurnLatencyTracker(350)
    turns.start_typed_turn(1.0)
    observe(turns, created("r1"), 1.1)
    observe(turns, done("r1", {"type": "function_call", "id": "f"}), 1.3)
    observe(turns, delta("r2", "a2"), 2.0)
    turns.on_frame_played(["a2"], 2.0)
    last = last_latency(turns)
    assert last is not None and last.model_s == pytest.approx(1.0)
    turns.start_typed_turn(3.0)
    observe(turns, done("r3"), 3.1)
    observe(turns, delta("r4", "a4"), 30.0)  # of its own accord, after a long silence
    turns.on_frame_played(["a4"], 30.0)
    assert len(turns.recent()) == 1


def test_percentiles_are_of_turns_that_happened_and_memory_is_bounded() -> None:
    turns = TurnLatencyTracker(0)
    assert turns.percentiles() is None and last_latency(turns) is None and turns.recent() == ()
    for number in range(1, 21):
        now = 1000.0 * number
        observe(turns, stopped(None, f"u{number}"), now)
        observe(turns, delta(f"r{number}", f"a{number}"), now)
        turns.on_frame_played([f"a{number}"], now + number / 10)
    assert turns.percentiles() == pytest.approx((1.0, 1.9))
    assert [round(turn.total_s, 1) for turn in turns.recent(2)] == [1.9, 2.0]
    for number in range(MAX_FINISHED_TURNS + 50):
        turns.start_typed_turn(number)
        observe(turns, delta(f"x{number}", "a"), number)
        turns.on_frame_played(["a"], number)
    assert len(turns.recent(10 * MAX_FINISHED_TURNS)) == MAX_FINISHED_TURNS


# ---------------------------------------------------------------- whatever comes

IDS = st.sampled_from(["", "a", "b", "c"])
VALUE = st.none() | st.integers(-5, 10_000) | st.floats() | st.text(max_size=2) | st.just({})
KINDS = st.sampled_from(
    [made["type"] for made in (started(), stopped(0), created(), delta(), done(), transcript())]
    + ["input_audio_buffer.committed", "session.created", ""]
)
ORDERLY_EVENTS = (
    st.builds(started, st.integers(0, 9000), IDS)
    | st.builds(stopped, st.none() | st.integers(0, 9000), IDS)
    | st.builds(created, IDS)
    | st.builds(delta, IDS, IDS)
    | st.builds(done, IDS)
    | st.builds(transcript, IDS)
)
ODD_EVENTS = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    KINDS,
    st.dictionaries(
        st.sampled_from(["item_id", "response", "response_id", "audio_start_ms", "audio_end_ms"]), VALUE, max_size=4
    ),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["receive", "receive", "receive", "frame", "silence", "connected", "typed", "appended"]),
        ORDERLY_EVENTS | ODD_EVENTS,
        IDS,
        st.floats(-0.5, 2.0),
        st.integers(0, 300_000),
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 2000))
def test_in_any_order_nothing_raises_and_no_part_is_negative(steps: list[Any], silence_ms: int) -> None:
    turns, now = TurnLatencyTracker(silence_ms), 50.0
    for what, event, item, later, samples in steps:
        now += later
        match what:
            case "receive":
                observe(turns, event, now)
            case "frame":
                turns.on_frame_played([item], now)
            case "silence":
                turns.on_frame_played([], now)
            case "connected":
                turns.on_connected(None, now)
            case "typed":
                turns.start_typed_turn(now)
            case _:
                turns.add_sent_audio(samples, now)
    for turn in turns.recent(100):
        assert min(turn.endpointing_s, turn.model_s, turn.playout_s) >= 0
        assert turn.total_s == pytest.approx(turn.endpointing_s + turn.model_s + turn.playout_s)
        assert all(0 <= span.start_s <= span.end_s for span in turn.spans)
        assert not (turn.is_typed and turn.endpointing_s)
