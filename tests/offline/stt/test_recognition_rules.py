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
    needs_final_vote,
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

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> RecognitionResult:
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
    looped = ("I'm only out of this. " * 3, "我在這裡。" * 3, "Give it to me, give it to me, give it to me.")
    for text in ("", " . ", "[Music]", "♪ la la", "(wind)", "ha " * 40, *looped):
        assert not is_plausible(text, 1.0), text
    for text in ("Ten of clubs.", "今天天氣怎麼樣？", "Thank you.", "You.", "No.", "No, no, no, no."):
        assert is_plausible(text, 0.9), text
    for text in ("Bye bye, bye bye, bye bye.", "好好好，對對對，我知道了。", "I know, I know, but what now?"):
        assert is_plausible(text, 2.0), text


@pytest.mark.parametrize(
    ("probabilities", "there"), [([0.3] * 31, False), ([0.9] * 4 + [0.0] * 27, False), ([0.0] * 26 + [0.5] * 5, True)]
)
def test_contains_voice_needs_five_voiced_windows(probabilities: list[float], there: bool) -> None:
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


def test_needs_final_vote_unless_the_language_is_certain_for_the_whole_turn() -> None:
    assert needs_final_vote([], 0.5)
    assert needs_final_vote([LanguageVote(1.2, 0.75)], 1.3)
    assert not needs_final_vote([LanguageVote(1.2, 0.95)], 2.4)
    assert needs_final_vote([LanguageVote(1.2, 0.95)], 2.7)
    assert not needs_final_vote([LanguageVote(0.7, 0.99), LanguageVote(2.0, 0.98)], 60.0)
    assert needs_final_vote([LanguageVote(0.7, 0.01), LanguageVote(2.0, 0.98)], 2.5)


def test_choose_language_without_a_clear_vote_keeps_the_previous_one() -> None:
    assert choose_language([], "zh") == "zh"
    assert choose_language([LanguageVote(1, 0.5)], "zh") == "zh"
    assert choose_language([LanguageVote(1, 0.5)], "en") == "en"
    assert choose_language([LanguageVote(1, 0.5), LanguageVote(2, 0.97)], "en") == "zh"
