"""Barge-in as heard in the browser: a short "ah" and a sentence over a reply, with the real models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.data.speech import load_clip
from tests.support.browser.browser_page import BrowserPage
from tests.support.browser.page_steps import assert_silent_after_cut

RATE = 24_000
FRAME_S = 0.02
MAX_LOWERED_SHARE = 0.35
"""Share of the reply's peak level that the ducked reply stays below. Ducked to 20 %; Opus and pauses add deviation."""
LOWERING_DELAY_S = 0.45
"""Seconds from the visitor's speech to the ducked reply: speech detection, gain ramp and the browser's buffer."""


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
