"""Barge-in as heard in the browser, and two calls at once: real hearing and voice, answers with fixed words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser

from tests.data.speech import load_clip
from tests.support.app.app_process import AppProcess, running_app
from tests.support.browser.browser_page import EVENT_TIMEOUT_S, BrowserPage
from tests.support.browser.page_steps import (
    AUDIO_IN_FLIGHT_S,
    assert_silent_after_cut,
    wait_for_messages,
    wait_for_whole_reply,
)
from tests.support.endpoints.narrator import SHORT_ANSWER, running_narrator
from tests.support.speech_recognition import error_rate, transcribe

RATE = 24_000
FRAME_S = 0.02
MAX_LOWERED_SHARE = 0.35
"""Share of the reply's peak level that the ducked reply stays below. Ducked to 20 %; Opus and pauses add deviation."""
LOWERING_DELAY_S = 0.45
"""Seconds from the visitor's speech to the ducked reply: speech detection, gain ramp and the browser's buffer."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """Yield an app whose answers are known and long enough: the reply is not over before the interruption."""
    log = tmp_path_factory.mktemp("narrator") / "log.txt"
    with running_narrator() as narrator, running_app(log, LLM_URL=narrator.url, MAX_CALLS_PER_VISITOR="0") as app:
        app.wait_for_health(lambda health: health["http"] == 200, timeout=120)
        yield app
        assert "Traceback" not in log.read_text(), log.read_text()[-4000:]


def short_sound() -> NDArray[np.float32]:
    """Return an "ah" of 0.2 s: part of a recorded vowel, forwards and backwards, faded in and out."""
    vowel = load_clip("en", "human", 3).samples[int(5.40 * RATE) : int(5.46 * RATE)]
    voice = np.concatenate([vowel, vowel[::-1]] * 2)[: RATE // 5].copy()
    edge = np.linspace(0, 1, RATE // 50, dtype=np.float32)
    voice[: len(edge)] *= edge
    voice[-len(edge) :] *= edge[::-1]
    return (voice / np.abs(voice).max() * 0.6).astype(np.float32)


def rms_levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the RMS level of every 20 ms."""
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)))


def test_backchannel_ducks_the_reply_and_a_sentence_stops_it(caller: BrowserPage) -> None:
    caller.start_call()
    asked = caller.audio_clock_s()
    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.wait_until_loud(asked)
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 3.5)  # after the AEC warm-up

    speech = caller.play_speech(short_sound())
    caller.wait_for_stage("hearing")
    caller.wait_for_stage("speaking")
    resumed = caller.audio_clock_s()
    caller.wait_until("(t) => caller.now() > t", resumed + 2.5)
    loudest = rms_levels(caller.recorded_output(speech.begin_s - 2.3, speech.begin_s)).max()
    heard = rms_levels(caller.recorded_output(speech.begin_s + LOWERING_DELAY_S, resumed + 1.0))
    soft = heard[: int(np.argmax(heard > MAX_LOWERED_SHARE * loudest))]
    after = rms_levels(caller.recorded_output(resumed + 0.25, resumed + 2.5))
    assert len(soft) * FRAME_S > 0.1, "the reply is ducked in time"
    assert soft.max() > 0.002 * loudest, "the reply is not silenced"
    assert after.max() > max(MAX_LOWERED_SHARE * loudest, 2 * np.median(soft)), "the reply returns to full level"
    assert caller.page.locator("#voice-chat .unheard").count() == 0
    assert [message.role for message in caller.voice_messages()][:2] == ["user", "assistant"]

    caller.wait_for_stage("speaking")
    caller.play_speech(load_clip("en", "human", 0).samples)
    assert_silent_after_cut(caller)
    caller.hang_up()


def test_barge_in_silences_the_reply(caller: BrowserPage) -> None:
    caller.start_call()
    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    asked = caller.audio_clock_s()
    caller.wait_until_loud(asked)
    wait_for_messages(caller, "assistant", 1)
    interruption = load_clip("en", "human", 0)
    speech = caller.play_speech(interruption.samples)
    assert_silent_after_cut(caller)
    wait_for_whole_reply(caller, speech.end_s)
    messages = caller.voice_messages()
    assert [message.role for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[0].text.startswith("Please tell me a long story")
    assert error_rate(interruption.text, messages[2].text) <= 0.4
    caller.hang_up()


def test_interrupted_reply_shows_the_heard_text(caller: BrowserPage) -> None:
    caller.start_call()
    asked = caller.audio_clock_s()
    caller.send_typed_message("Count slowly from one to thirty, please, every number as a word.")
    caller.wait_until_loud(asked)
    caller.wait_until("(t) => caller.now() > t", caller.audio_clock_s() + 2.0)
    caller.play_speech(load_clip("en", "human", 0).samples)
    caller.page.wait_for_selector("#voice-chat .unheard", state="attached", timeout=EVENT_TIMEOUT_S * 1000)
    cut = caller.audio_clock_s() + AUDIO_IN_FLIGHT_S
    caller.wait_until("(t) => caller.now() > t", cut)
    shown = caller.page.evaluate(
        """() => { const copy = document.querySelector('#voice-chat [data-testid=bot]').cloneNode(true);
                   copy.querySelectorAll(".unheard, .note").forEach((e) => e.remove());
                   return copy.innerText.trim(); }"""
    )
    heard = transcribe(caller.recorded_output(asked, cut))
    # After half a word the speech recognition may invent words ("I hope you enjoyed this video"). Words that are not in
    # the reply are dropped. A difference of a word comes from the recognition, a clause would be an error of the page.
    reply = words(caller.voice_messages()[1].text)
    spoken = [word for word in words(heard) if word in reply or word.isdigit()]
    assert abs(len(words(shown)) - len(spoken)) <= 3, (shown, heard)
    caller.hang_up()


def test_stop_button_silences_the_reply_and_the_call_continues(caller: BrowserPage) -> None:
    caller.start_call()
    caller.send_typed_message("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.wait_until_loud(caller.audio_clock_s())
    wait_for_messages(caller, "assistant", 1)
    caller.page.locator("#voice-stop").click()
    assert_silent_after_cut(caller)
    caller.wait_for_stage("listening")
    asked = caller.audio_clock_s()
    caller.send_typed_message("What is two plus two?")
    wait_for_whole_reply(caller, asked)
    assert [message.role for message in caller.voice_messages()] == ["user", "assistant"] * 2
    caller.hang_up()


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def test_two_concurrent_calls_and_a_third_in_the_queue(app: AppProcess, browser: Browser) -> None:
    people = [BrowserPage(browser, app.url) for _ in range(3)]
    try:
        for person in people[:2]:
            person.start_call()
        people[2].wait_for_stage("idle")
        people[2].press_call_button()
        people[2].wait_for_stage("waiting")

        asked = [load_clip("en", "human", 1), load_clip("en", "human", 0)]
        moments = [person.play_speech(question.samples) for person, question in zip(people, asked, strict=False)]
        for person, question, speech in zip(people, asked, moments, strict=False):
            wait_for_whole_reply(person, speech.end_s)
            messages = person.voice_messages()
            assert [message.role for message in messages] == ["user", "assistant"]
            assert error_rate(question.text, messages[0].text) <= 0.4
            assert messages[1].text == SHORT_ANSWER
        assert people[2].voice_messages() == []
        people[0].close()
        people[2].wait_for_stage("listening")
    finally:
        for person in people:
            person.close()
    app.wait_for_health(lambda health: health["calls"] == 0, timeout=30)
