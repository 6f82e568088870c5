"""An "ah" over a reply, and a sentence: what a person hears. Embedded server with its real models, human speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.speech import clip

from .caller import Caller
from .test_call import BREATH_S, wait_for_lines

RATE = 24_000
LOWERED = 0.2
SETTLED_S = 0.25
"""So long after the page shows that the visitor was noticed, the reply is heard softly."""


def ah() -> NDArray[np.float32]:
    """A listener's "ah" of 0.2 s: a piece of a vowel out of a recording, forth and back, faded in and out."""
    vowel = clip("en", "human", 3).samples[int(5.40 * RATE) : int(5.46 * RATE)]
    voice = np.concatenate([vowel, vowel[::-1]] * 2)[: RATE // 5].copy()
    edge = np.linspace(0, 1, RATE // 50, dtype=np.float32)
    voice[: len(edge)] *= edge
    voice[-len(edge) :] *= edge[::-1]
    return (voice / np.abs(voice).max() * 0.6).astype(np.float32)


def voice_level(samples: NDArray[np.float32]) -> float:
    """Loudness of the voice in a stretch of sound, its pauses left out: of the louder half of its 20 ms frames."""
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    levels = np.sort(np.sqrt((frames**2).mean(axis=1)))
    return float(levels[len(levels) // 2 :].mean())


def test_a_short_sound_lowers_the_reply_and_a_sentence_silences_it(caller: Caller) -> None:
    caller.call()
    asked = caller.now()
    caller.type("Count slowly from one to thirty, please, every number as a word.")
    caller.until_loud(asked)
    wait_for_lines(caller, "assistant", 1)
    # The echo guard and the first seconds are over.
    caller.until("(t) => caller.now() > t", caller.now() + 2.6)

    caller.say(ah())
    caller.stage("hearing")
    noticed = caller.now()
    caller.stage("speaking")
    resumed = caller.now()
    caller.until("(t) => caller.now() > t", resumed + 2.0)
    before = voice_level(caller.ear(noticed - 2.3, noticed - 0.3))
    soft = voice_level(caller.ear(noticed + SETTLED_S, resumed))
    after = voice_level(caller.ear(resumed + SETTLED_S, resumed + 2.0))
    print(f"before {before:.4f}, soft {soft:.4f}, after {after:.4f}, for {resumed - noticed:.2f} s")
    assert soft < 2 * LOWERED * before, "lowered"
    assert after > 0.6 * before, "and back"
    assert caller.page.locator("#voice-chat .unheard").count() == 0
    assert [line.role for line in caller.lines()][:2] == ["user", "assistant"]

    caller.stage("speaking")
    said = caller.say(clip("en", "human", 0).samples)
    caller.page.wait_for_selector("#voice-chat .unheard", state="attached", timeout=20_000)
    caller.until("(t) => caller.now() > t", said.begin + BREATH_S + 0.8)
    rest = caller.ear(said.begin + BREATH_S + 0.3, said.begin + BREATH_S + 0.8)
    assert float((rest**2).mean()) ** 0.5 < 0.003, "a sentence stops it"
    caller.hang_up()
