"""Time in a session: the idle timeout, and how long a silence ends a turn by what was said."""

from __future__ import annotations

import pytest

from offline.protocol.worker_messages import ProvisionalTranscript
from tests.support.offline.scripted_models import silence, tone
from tests.support.offline.session_driver import SessionDriver, event_types, single_event

from .test_conversation import send_truncate, session_with_reply


def test_an_idle_caller_is_spoken_to() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    bench.speak_turn("Hello.")
    bench.deliver_speech("Hi! How are you?", ms=2000)
    bench.finish_reply()
    assert bench.session.next_deadline() == pytest.approx(bench.now + 2 + 6)
    bench.append_audio(silence(1000))
    assert bench.advance(7.9) == []
    events = bench.advance(0.2)
    assert event_types(events) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert events[0]["audio_end_ms"] - events[0]["audio_start_ms"] == 1000
    assert bench.model_context()[-1] == ("user", "…")
    bench.finish_reply()
    bench.append_audio(tone(300))
    assert bench.advance(60) == []


def test_the_idle_timeout_runs_from_where_a_reply_was_cut() -> None:
    bench, item_id = session_with_reply(
        "A long answer.",
        ms=10_000,
        audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}},
    )
    bench.finish_reply()
    assert bench.session.next_deadline() == pytest.approx(bench.now + 16)
    send_truncate(bench, item_id, 1000)
    assert bench.session.next_deadline() == pytest.approx(bench.now + 6)


@pytest.mark.parametrize("end", ["interrupted", "cancelled", "deleted"])
def test_the_idle_timeout_does_not_wait_for_sound_nobody_plays(end: str) -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    bench.speak_turn("Tell me a story.")
    item_id = bench.deliver_speech("Once upon a time.", ms=25_000)[0]["item"]["id"]
    if end == "cancelled":
        bench.send_event("response.cancel")
    elif end == "deleted":
        bench.finish_reply()
        bench.send_event("conversation.item.delete", item_id=item_id)
    else:
        bench.finish_reply()  # all of it is sent, and most of it not played, when the person speaks
        bench.speak_turn("Stop.")
        bench.finish_reply()
    assert bench.advance(5.9) == []
    assert "input_audio_buffer.timeout_triggered" in event_types(bench.advance(0.2))


def test_deleting_what_was_played_before_leaves_the_reply_its_time() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    typed = bench.create_message("Hello.")
    bench.speak_turn("Tell me a story.")
    bench.deliver_speech("Once upon a time.", ms=25_000)
    bench.finish_reply()
    bench.send_event("conversation.item.delete", item_id=typed["id"])
    assert bench.advance(30.9) == []
    assert "input_audio_buffer.timeout_triggered" in event_types(bench.advance(0.2))


def test_the_idle_timeout_can_be_taken_back() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    bench.speak_turn("Hello.")
    bench.finish_reply()
    bench.update(audio={"input": {"turn_detection": {"idle_timeout_ms": None}}})
    assert bench.advance(60) == []


def test_end_of_turn_silence_follows_the_words() -> None:
    def waited(words: str, eagerness: str = "medium") -> int:
        """Milliseconds of silence until the turn ends."""
        bench = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}})
        item_id = single_event(bench.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
        for ms in range(20, 9000, 20):
            events = bench.append_audio(silence(20))
            if ms == 200 and words:
                events += bench.deliver(ProvisionalTranscript(item_id, words))
            if "input_audio_buffer.speech_stopped" in event_types(events):
                return ms
        return 9000

    finished, unclear, unfinished = waited("I want tea."), waited("I want"), waited("I want tea and.")
    assert waited("") == unclear and waited("I think so.") == unclear and waited("I think so") == unfinished
    assert finished < unclear < unfinished
    assert finished == pytest.approx(400, abs=60) and unfinished == pytest.approx(4000, abs=60)
    assert waited("我想喝茶，因為") == unfinished and waited("我想喝茶。") == finished
    assert waited("I want tea and", "high") < unfinished < waited("I want tea and", "low")


def test_longer_silence_does_not_outlast_its_turn() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}})
    item_id = single_event(bench.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    bench.append_audio(silence(200))
    bench.deliver(ProvisionalTranscript(item_id, "I want tea and"))
    assert bench.append_audio(silence(1000)) == []
    assert "input_audio_buffer.committed" in event_types(bench.append_audio(silence(2900)))
    assert "input_audio_buffer.committed" in event_types(bench.append_audio(tone(600) + silence(900)))


def test_words_that_arrive_in_a_silence_may_end_the_turn() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    item_id = single_event(bench.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    assert bench.append_audio(silence(600)) == []
    assert "input_audio_buffer.committed" in event_types(bench.deliver(ProvisionalTranscript(item_id, "I want cake.")))


def test_what_was_said_before_a_pause_does_not_end_what_comes_after_it() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    item_id = single_event(bench.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    bench.append_audio(silence(200))
    assert bench.deliver(ProvisionalTranscript(item_id, "I want tea.")) == []
    assert bench.append_audio(tone(600) + silence(600)) == []
    assert bench.deliver(ProvisionalTranscript("item_of_another_turn", "I want tea.")) == []
    assert bench.deliver(ProvisionalTranscript(item_id, "I want tea. And.")) == []
    bench.append_audio(tone(300))
    assert bench.deliver(ProvisionalTranscript(item_id, "I want tea. And cake.")) == []  # spoken on since
    assert bench.append_audio(silence(600)) == []
    events = bench.deliver(ProvisionalTranscript(item_id, "I want tea. And cake, please."))
    assert "input_audio_buffer.committed" in event_types(events)


def test_changed_settings_judge_the_words_of_the_pause_again() -> None:
    bench = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}})
    item_id = single_event(bench.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    bench.append_audio(silence(600))
    assert bench.deliver(ProvisionalTranscript(item_id, "I want cake.")) == []
    bench.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
    assert "input_audio_buffer.committed" in event_types(bench.append_audio(silence(40)))
