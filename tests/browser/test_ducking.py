"""An "ah" over a reply, and a sentence: what a person hears. Embedded server with its real models, human speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.speech import clip

from .caller import Caller
from .test_call import silent_after_the_cut

RATE = 24_000
FRAME_S = 0.02
SOFT = 0.35
"""Share of the reply's loudest sound that none of it reaches while it is lowered to 20 %: Opus and pauses blur it."""
SETTLED_S = 0.45
"""So long after the visitor began the reply is soft: the detector's time, the ramp's, and the browser's buffer."""


def ah() -> NDArray[np.float32]:
    """A listener's "ah" of 0.2 s: a piece of a vowel out of a recording, forth and back, faded in and out."""
    vowel = clip("en", "human", 3).samples[int(5.40 * RATE) : int(5.46 * RATE)]
    voice = np.concatenate([vowel, vowel[::-1]] * 2)[: RATE // 5].copy()
    edge = np.linspace(0, 1, RATE // 50, dtype=np.float32)
    voice[: len(edge)] *= edge
    voice[-len(edge) :] *= edge[::-1]
    return (voice / np.abs(voice).max() * 0.6).astype(np.float32)


def levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Loudness of every 20 ms."""
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)))


def test_a_short_sound_lowers_the_reply_and_a_sentence_silences_it(caller: Caller) -> None:
    caller.call()
    asked = caller.now()
    caller.type("Please tell me a long story about a lighthouse keeper and his cat, in many sentences.")
    caller.until_loud(asked)
    caller.until("(t) => caller.now() > t", caller.now() + 3.5)  # the guard against echoes is over

    said = caller.say(ah())
    caller.stage("hearing")
    caller.stage("speaking")
    resumed = caller.now()
    caller.until("(t) => caller.now() > t", resumed + 2.5)
    loudest = levels(caller.ear(said.begin - 2.3, said.begin)).max()
    heard = levels(caller.ear(said.begin + SETTLED_S, resumed + 1.0))
    soft = heard[: int(np.argmax(heard > SOFT * loudest))]
    after = levels(caller.ear(resumed + 0.25, resumed + 2.5))
    assert len(soft) * FRAME_S > 0.1, "lowered, by the time it was to be"
    assert soft.max() > 0.002 * loudest, "not silenced"
    assert after.max() > max(SOFT * loudest, 2 * np.median(soft)), "and back"
    assert caller.page.locator("#voice-chat .unheard").count() == 0
    assert [line.role for line in caller.lines()][:2] == ["user", "assistant"]

    caller.stage("speaking")
    caller.say(clip("en", "human", 0).samples)
    silent_after_the_cut(caller)
    caller.hang_up()
