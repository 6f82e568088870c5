"""Recognition rules: stable captions, plausibility filters, language votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.protocol.worker_messages import LanguageCode
from offline.stt.recognition_rules import (
    CAPTION_WINDOW_MAX_S,
    LanguageVote,
    RecognitionResult,
    choose_language,
    contains_voice,
    find_quietest_sample,
    is_plausible,
    is_subtitle_hallucination,
    needs_language_vote,
)
from offline.stt.stable_partials import IncrementalTranscript, StablePrefix, split_words

TEXT = st.text(alphabet=st.sampled_from(list("ab cd,.!?\n *1Dr台灣今天很好，。！ ")), max_size=120)

# ------------------------------------------------------------------ captions


@given(st.lists(TEXT, max_size=8))
def test_stable_prefix_only_grows(hypotheses: list[str]) -> None:
    stable, shown = StablePrefix(), ""
    for hypothesis in hypotheses:
        shown += stable.add_hypothesis(hypothesis)
        assert stable.text == shown


def test_stable_prefix_shows_words_of_two_equal_hypotheses_without_the_last() -> None:
    stable = StablePrefix()
    assert stable.add_hypothesis("He was knot") == ""
    assert stable.add_hypothesis("He was not an") == "He was"
    assert stable.add_hypothesis("He was not an ill") == " not an"
    assert stable.add_hypothesis("She was not an ill man today") == "", "what was shown is not taken back"


class BeepRecognizer:
    """Recognises one word per beep: its loudness in thousandths."""

    def __init__(self) -> None:
        self.audio_lengths_s: list[float] = []

    def mandarin_probability(self, audio: FloatAudio) -> float:
        return 0.0

    def transcribe(self, audio: FloatAudio, language: LanguageCode) -> RecognitionResult:
        self.audio_lengths_s.append(len(audio) / STT_SAMPLE_RATE)
        levels = np.round(audio * 1000).astype(int)
        beeps = levels[np.flatnonzero(np.diff(levels, prepend=0) > 0)]
        return RecognitionResult(("" if language == "zh" else " ").join(f"w{level}" for level in beeps), language)


@pytest.mark.parametrize("step_s", [0.5, 1.3, 4.0])
def test_incremental_transcript_of_a_long_turn_has_bounded_cost(step_s: float) -> None:
    said = np.zeros(43 * STT_SAMPLE_RATE, np.float32)
    for n in range(43):
        said[n * STT_SAMPLE_RATE + 4000 : n * STT_SAMPLE_RATE + 12000] = (n + 1) / 1000
    recognizer = BeepRecognizer()
    turn, captions = IncrementalTranscript(recognizer), ""
    for seconds in np.arange(step_s, 43, step_s):
        captions += turn.extend_caption(said[: int(seconds * STT_SAMPLE_RATE)], "en")
        assert turn.caption_text == captions
    assert turn.transcribe_turn(said, "en").text.split() == [f"w{n + 1}" for n in range(43)]
    assert max(recognizer.audio_lengths_s) <= CAPTION_WINDOW_MAX_S + step_s
    assert captions.split() == [f"w{n + 1}" for n in range(len(captions.split()))]
    assert len(captions.split()) > 25
    assert turn.transcribe_turn(said, "zh").text == "".join(f"w{n + 1}" for n in range(43)), (
        "another language is heard afresh"
    )


def test_find_quietest_sample_is_in_the_silence() -> None:
    audio = np.full(STT_SAMPLE_RATE, 0.1, np.float32)
    audio[6000:9000] = 0.0
    assert 6000 < find_quietest_sample(audio, 1000, STT_SAMPLE_RATE) < 9000
    assert find_quietest_sample(audio, 0, 100) == 100


def test_stable_prefix_hides_final_punctuation() -> None:
    stable = StablePrefix()
    stable.add_hypothesis("Go on.")
    assert stable.add_hypothesis("Go on. Yes") == "Go on"


def test_split_words_treats_chinese_characters_as_words() -> None:
    assert split_words("今天 go home") == ["今", "天", " go", " home"]


# ------------------------------------------------------------------ hearing


def test_is_plausible_rejects_non_speech_and_repetition() -> None:
    for text in ("", " . ", "[Music]", "♪ la la", "(wind)", "ha " * 40):
        assert not is_plausible(text, 1.0), text
    for text in ("Ten of clubs.", "今天天氣怎麼樣？", "Thank you.", "You.", "No."):
        assert is_plausible(text, 0.9), text


@pytest.mark.parametrize(
    ("text", "seconds", "made_up"),
    [
        ("Thanks for watching!", 1.0, True),
        ("請不吝點贊訂閱轉發", 1.0, True),
        ("Thank you.", 0.3, True),
        ("Thank you.", 0.97, False),
        ("Thank you so much.", 1.39, False),
        ("You.", 0.4, False),
        ("Ten of clubs.", 0.1, False),
    ],
)
def test_is_subtitle_hallucination_depends_on_the_audio_length(text: str, seconds: float, made_up: bool) -> None:
    assert is_subtitle_hallucination(text, seconds) == made_up


@pytest.mark.parametrize(
    ("probabilities", "there"), [([0.2] * 31, False), ([0.9] + [0.0] * 30, False), ([0.0] * 29 + [0.5] * 2, True)]
)
def test_contains_voice_needs_two_voiced_windows(probabilities: list[float], there: bool) -> None:
    windows = iter(probabilities)
    assert contains_voice(np.zeros(STT_SAMPLE_RATE, np.float32), lambda _: next(windows)) == there
    assert not contains_voice(np.zeros(100, np.float32), lambda _: 1.0)


def test_needs_language_vote_depends_on_confidence_and_growth() -> None:
    assert not needs_language_vote([], 0.3)
    assert needs_language_vote([], 0.7)
    assert needs_language_vote([LanguageVote(0.7, 0.6)], 1.1)
    assert not needs_language_vote([LanguageVote(0.7, 0.99)], 1.1)
    assert needs_language_vote([LanguageVote(0.7, 0.99)], 2.0)
    assert not needs_language_vote([LanguageVote(0.7, 0.99), LanguageVote(2.0, 0.98)], 60.0)


def test_choose_language_without_a_clear_vote_keeps_the_previous_one() -> None:
    assert choose_language([], "zh") == "zh"
    assert choose_language([LanguageVote(1, 0.5)], "zh") == "zh"
    assert choose_language([LanguageVote(1, 0.5)], "en") == "en"
    assert choose_language([LanguageVote(1, 0.5), LanguageVote(2, 0.97)], "en") == "zh"
