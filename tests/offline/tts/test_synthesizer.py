"""Synthesizer: voices are given words, for any text."""

from __future__ import annotations

import numpy as np
import pytest
from hibari import Hibari
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.audio import FloatAudio
from offline.tts.spoken_form import spoken_form
from offline.tts.synthesizer import Synthesizer, words_for_hibari

SPEECH: FloatAudio = (0.3 * np.sin(np.arange(24_000) / 8)).astype(np.float32)
TEXT = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text(st.sampled_from(list("0123456789012345678900000.,:/-$%°CkgMB()+=^ '#aAPMv你年個")), max_size=60),
)


class RecordingVoice:
    """English or Mandarin voice that keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str, speed: float, voice_style: object = None) -> FloatAudio:
        self.texts.append(text)
        return SPEECH

    def phonemize(self, text: str) -> list[str]:
        self.texts.append(text)
        return [text]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("It costs $1,500.", "It costs one thousand five hundred dollars."),
        ("Meet at 9:05 am.", "Meet at nine oh five A.M."),
        ("It is 7:30 PM now", "It is seven thirty P.M. now,"),
        ("See https://example.com/a/b", "See example dot com,"),
    ],
)
def test_english_voice_is_given_words(written: str, said: str) -> None:
    voice = RecordingVoice()
    assert Synthesizer(voice, None).synthesize(written)
    assert voice.texts == [said]


def test_mandarin_voice_is_given_phonemes_of_words() -> None:
    voice = RecordingVoice()
    assert Synthesizer(None, voice).synthesize("有 2 個")
    assert voice.texts == ["jou↓ lja↓ŋ kɤ↘"]


@settings(max_examples=100)
@given(TEXT)
def test_synthesizer_of_any_text_gives_no_voice_a_digit(text: str) -> None:
    english, mandarin = RecordingVoice(), RecordingVoice()
    Synthesizer(english, mandarin).synthesize(text)
    assert not [char for said in english.texts + mandarin.texts for char in said if char.isdigit()]


@pytest.fixture(scope="module")
def hibari() -> Hibari:
    return Hibari(threads=1)


@settings(max_examples=100, deadline=None)
@given(text=TEXT)
def test_hibari_reads_the_words_of_any_text(hibari: Hibari, text: str) -> None:
    assert all(isinstance(each, str) for each in hibari.phonemize(words_for_hibari(spoken_form(text, "en"))))


@pytest.mark.parametrize(
    "text", ["0" * 40, "The id is 1000000000000000000000000000000000000001.", "0 " * 200, "0." * 50]
)
def test_hibari_reads_long_numbers(hibari: Hibari, text: str) -> None:
    assert hibari.phonemize(words_for_hibari(spoken_form(text, "en")))
