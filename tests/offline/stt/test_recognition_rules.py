"""The pure rules of hearing: captions, what can have been said, languages."""

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
def test_captions_only_grow(hypotheses: list[str]) -> None:
    stable, shown = StablePrefix(), ""
    for hypothesis in hypotheses:
        shown += stable.add_hypothesis(hypothesis)
        assert stable.text == shown


def test_captions_show_what_two_hypotheses_agree_on_but_the_last_word() -> None:
    stable = StablePrefix()
    assert stable.add_hypothesis("He was knot") == ""
    assert stable.add_hypothesis("He was not an") == "He was"
    assert stable.add_hypothesis("He was not an ill") == " not an"
    assert stable.add_hypothesis("She was not an ill man today") == "", "what was shown is not taken back"


class BeepRecognizer:
    """Hears one word for each beep: its loudness in thousandths."""

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
def test_a_long_turn_costs_no_more_than_a_short_one(step_s: float) -> None:
    said = np.zeros(43 * STT_SAMPLE_RATE, np.float32)
    for n in range(43):
        said[n * STT_SAMPLE_RATE + 4000 : n * STT_SAMPLE_RATE + 12000] = (n + 1) / 1000
    ear = BeepRecognizer()
    turn, captions = IncrementalTranscript(ear), ""
    for seconds in np.arange(step_s, 43, step_s):
        captions += turn.extend_caption(said[: int(seconds * STT_SAMPLE_RATE)], "en")
        assert turn.caption_text == captions
    assert turn.transcribe_turn(said, "en").text.split() == [f"w{n + 1}" for n in range(43)]
    assert max(ear.audio_lengths_s) <= CAPTION_WINDOW_MAX_S + step_s
    assert captions.split() == [f"w{n + 1}" for n in range(len(captions.split()))]
    assert len(captions.split()) > 25
    assert turn.transcribe_turn(said, "zh").text == "".join(f"w{n + 1}" for n in range(43)), (
        "another language is heard afresh"
    )


def test_sound_is_cut_where_it_is_quietest() -> None:
    audio = np.full(STT_SAMPLE_RATE, 0.1, np.float32)
    audio[6000:9000] = 0.0
    assert 6000 < find_quietest_sample(audio, 1000, STT_SAMPLE_RATE) < 9000
    assert find_quietest_sample(audio, 0, 100) == 100


def test_a_mark_at_the_end_of_a_guess_is_not_shown() -> None:
    stable = StablePrefix()
    stable.add_hypothesis("Go on.")
    assert stable.add_hypothesis("Go on. Yes") == "Go on"


def test_chinese_characters_are_words() -> None:
    assert split_words("今天 go home") == ["今", "天", " go", " home"]


# ------------------------------------------------------------------ hearing


def test_what_nobody_can_have_said_is_dropped() -> None:
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
def test_subtitles_are_doubted_only_where_there_was_no_time_for_them(text: str, seconds: float, made_up: bool) -> None:
    assert is_subtitle_hallucination(text, seconds) == made_up


@pytest.mark.parametrize(
    ("probabilities", "there"), [([0.2] * 31, False), ([0.9] + [0.0] * 30, False), ([0.0] * 29 + [0.5] * 2, True)]
)
def test_a_voice_is_more_than_one_window_of_it(probabilities: list[float], there: bool) -> None:
    windows = iter(probabilities)
    assert contains_voice(np.zeros(STT_SAMPLE_RATE, np.float32), lambda _: next(windows)) == there
    assert not contains_voice(np.zeros(100, np.float32), lambda _: 1.0)


def test_language_is_asked_again_only_while_it_is_worth_it() -> None:
    assert not needs_language_vote([], 0.3)
    assert needs_language_vote([], 0.7)
    assert needs_language_vote([LanguageVote(0.7, 0.6)], 1.1)
    assert not needs_language_vote([LanguageVote(0.7, 0.99)], 1.1)
    assert needs_language_vote([LanguageVote(0.7, 0.99)], 2.0)
    assert not needs_language_vote([LanguageVote(0.7, 0.99), LanguageVote(2.0, 0.98)], 60.0)


def test_language_in_doubt_stays_as_before() -> None:
    assert choose_language([], "zh") == "zh"
    assert choose_language([LanguageVote(1, 0.5)], "zh") == "zh"
    assert choose_language([LanguageVote(1, 0.5)], "en") == "en"
    assert choose_language([LanguageVote(1, 0.5), LanguageVote(2, 0.97)], "en") == "zh"
