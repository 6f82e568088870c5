"""Idle timeout of a session, and the silence that ends a turn by its transcript."""

from __future__ import annotations

import pytest

from offline.protocol.worker_messages import ProvisionalTranscript, SpeechPaused
from tests.support.offline.scripted_models import silence, tone
from tests.support.offline.session_driver import SessionDriver, event_types, single_event
from tests.support.offline.session_scenarios import send_truncate, session_with_reply


def test_idle_timeout_creates_a_response() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    driver.speak_turn("Hello.")
    driver.deliver_speech("Hi! How are you?", ms=2000)
    driver.finish_reply()
    assert driver.session.next_deadline() == pytest.approx(driver.now + 2 + 6)
    driver.append_audio(silence(1000))
    assert driver.advance(7.9) == []
    events = driver.advance(0.2)
    assert event_types(events) == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert events[0]["audio_end_ms"] - events[0]["audio_start_ms"] == 1000
    assert driver.model_context()[-1] == ("user", "…")
    driver.finish_reply()
    driver.append_audio(tone(300))
    assert driver.advance(60) == []


def test_idle_timeout_after_truncate_starts_at_once() -> None:
    driver, item_id = session_with_reply(
        "A long answer.",
        ms=10_000,
        audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}},
    )
    driver.finish_reply()
    assert driver.session.next_deadline() == pytest.approx(driver.now + 16)
    send_truncate(driver, item_id, 1000)
    assert driver.session.next_deadline() == pytest.approx(driver.now + 6)


@pytest.mark.parametrize("end", ["interrupted", "cancelled", "deleted"])
def test_idle_timeout_after_stopped_playback_starts_at_once(end: str) -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    driver.speak_turn("Tell me a story.")
    item_id = driver.deliver_speech("Once upon a time.", ms=25_000)[0]["item"]["id"]
    if end == "cancelled":
        driver.send_event("response.cancel")
    elif end == "deleted":
        driver.finish_reply()
        driver.send_event("conversation.item.delete", item_id=item_id)
    else:
        driver.finish_reply()  # all is sent, and most of it not yet played, when the user speaks
        driver.speak_turn("Stop.")
        driver.finish_reply()
    assert driver.advance(5.9) == []
    assert "input_audio_buffer.timeout_triggered" in event_types(driver.advance(0.2))


def test_idle_timeout_after_deleting_an_older_item_waits_for_playback() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    typed = driver.create_message("Hello.")
    driver.speak_turn("Tell me a story.")
    driver.deliver_speech("Once upon a time.", ms=25_000)
    driver.finish_reply()
    driver.send_event("conversation.item.delete", item_id=typed["id"])
    assert driver.advance(30.9) == []
    assert "input_audio_buffer.timeout_triggered" in event_types(driver.advance(0.2))


def test_idle_timeout_set_to_null_never_fires() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}})
    driver.speak_turn("Hello.")
    driver.finish_reply()
    driver.update(audio={"input": {"turn_detection": {"idle_timeout_ms": None}}})
    assert driver.advance(60) == []


def test_semantic_vad_silence_depends_on_the_transcript() -> None:
    def waited(words: str, eagerness: str = "medium") -> int:
        """Return the milliseconds of silence until the turn ends."""
        driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}})
        item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
        for ms in range(20, 9000, 20):
            events = driver.append_audio(silence(20))
            if ms == 200 and words:
                events += driver.deliver(ProvisionalTranscript(item_id, words))
            if "input_audio_buffer.speech_stopped" in event_types(events):
                return ms
        return 9000

    finished, unclear, unfinished = waited("I want tea."), waited("I want"), waited("I want tea and.")
    assert waited("") == unclear and waited("I think so.") == unclear and waited("I think so") == unfinished
    assert finished < unclear < unfinished
    assert finished == pytest.approx(400, abs=60) and unfinished == pytest.approx(4000, abs=60)
    assert waited("我想喝茶，因為") == unfinished and waited("我想喝茶。") == finished
    assert waited("I want tea and", "high") < unfinished < waited("I want tea and", "low")


@pytest.mark.parametrize(
    ("words", "probability", "wait_ms"),
    [("I want tea.", 0.9, 250), ("I want", 0.9, 450), ("I want tea.", 0.2, 1000), ("I want tea and", 0.9, 1500)],
)
def test_semantic_vad_silence_depends_on_words_and_voice(words: str, probability: float, wait_ms: int) -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    driver.append_audio(silence(180))
    assert driver.last_work(SpeechPaused).judges_voice
    assert driver.deliver(ProvisionalTranscript(item_id, words, probability)) == []
    assert driver.append_audio(silence(wait_ms - 180 - 60)) == []
    assert "input_audio_buffer.committed" in event_types(driver.append_audio(silence(60 + 40)))


def test_server_vad_silence_is_as_set_whatever_the_voice() -> None:
    detection = {"type": "server_vad", "silence_duration_ms": 600}
    driver = SessionDriver(audio={"input": {"turn_detection": detection}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    driver.append_audio(silence(180))
    assert not driver.last_work(SpeechPaused).judges_voice
    assert driver.deliver(ProvisionalTranscript(item_id, "I want tea.", 0.99)) == []
    assert driver.append_audio(silence(360)) == []
    assert "input_audio_buffer.committed" in event_types(driver.append_audio(silence(100)))


def test_voice_of_one_pause_does_not_count_for_the_next() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    driver.append_audio(silence(160))
    driver.deliver(ProvisionalTranscript(item_id, "I want tea.", 0.9))
    assert driver.append_audio(tone(600) + silence(700)) == [], "neither words nor voice are known"
    assert "input_audio_buffer.committed" in event_types(driver.append_audio(silence(200)))


def test_semantic_vad_silence_of_one_turn_does_not_apply_to_the_next() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    driver.append_audio(silence(200))
    driver.deliver(ProvisionalTranscript(item_id, "I want tea and"))
    assert driver.append_audio(silence(1000)) == []
    assert "input_audio_buffer.committed" in event_types(driver.append_audio(silence(2900)))
    assert "input_audio_buffer.committed" in event_types(driver.append_audio(tone(600) + silence(900)))


def test_transcript_during_a_pause_may_end_the_turn() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    assert driver.append_audio(silence(600)) == []
    assert "input_audio_buffer.committed" in event_types(driver.deliver(ProvisionalTranscript(item_id, "I want cake.")))


def test_transcript_of_an_earlier_pause_does_not_end_the_turn() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    driver.append_audio(silence(200))
    assert driver.deliver(ProvisionalTranscript(item_id, "I want tea.")) == []
    assert driver.append_audio(tone(600) + silence(600)) == []
    assert driver.deliver(ProvisionalTranscript("item_of_another_turn", "I want tea.")) == []
    assert driver.deliver(ProvisionalTranscript(item_id, "I want tea. And.")) == []
    driver.append_audio(tone(300))
    assert driver.deliver(ProvisionalTranscript(item_id, "I want tea. And cake.")) == []  # speech continued since
    assert driver.append_audio(silence(600)) == []
    events = driver.deliver(ProvisionalTranscript(item_id, "I want tea. And cake, please."))
    assert "input_audio_buffer.committed" in event_types(events)


def test_eagerness_update_during_a_pause_applies_to_its_transcript() -> None:
    driver = SessionDriver(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}})
    item_id = single_event(driver.append_audio(tone(600)), "input_audio_buffer.speech_started")["item_id"]
    driver.append_audio(silence(600))
    assert driver.deliver(ProvisionalTranscript(item_id, "I want cake.")) == []
    driver.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
    assert "input_audio_buffer.committed" in event_types(driver.append_audio(silence(40)))
