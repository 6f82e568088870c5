"""Hallucinations: credits, closing words and loops against speech; music and noise with the real models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from offline.audio import SAMPLE_RATE, resample_to_16k, to_pcm16
from offline.models.store import find_models
from offline.pipeline.loader import limit_openmp_spinning
from offline.protocol.worker_messages import LanguageCode
from offline.stt.hallucinations import SpeechEvidence, is_made_up, repeats_a_phrase
from offline.stt.recognizers import MANDARIN_CONTEXT, BilingualRecognizer, Moonshine, Whisper
from offline.stt.turn_detection import TurnSegmenter, TurnSignalKind, create_silero_vad
from tests.support.non_speech_sounds import NON_SPEECH_SOUNDS, non_speech_sound
from tests.support.paths import SPEECH

CLEAR = SpeechEvidence(0.01, -0.2)
"""Evidence of speech, as in the recordings."""
MUSIC = SpeechEvidence(0.47, -1.5)

CREDITS = (
    "字幕由Amara.org社區提供",
    "中文字幕志願者 楊棟樑",
    "字幕製作 李宗盛",
    "字幕by索蘭婭",
    "請不吝點贊 訂閱 轉發 打賞支持明鏡與點點欄目",
    "明鏡需要您的支持 歡迎訂閱明鏡",
    "優優獨播劇場——YoYo Television Series Exclusive",
    "作詞、作曲、編曲",
    "作词作曲 李宇宙",
    "詞曲 李宗盛",
    "Subtitles by the Amara.org community",
    "Transcription by CastingWords",
    "Please subscribe to my channel!",
)
CLOSINGS = ("謝謝觀看", "感謝大家收看", "請訂閱我的頻道", "Thanks for watching!", "Thank you.", "You", "謝謝大家")
SPEECH_LINES = (
    "字幕怎麼打開？",
    "中文字幕在哪裡？",
    "作曲家是誰？",
    "作詞的人叫什麼名字？",
    "明鏡是什麼意思？",
    "我想訂閱這本雜誌。",
    "謝謝你，我們下次再聊。",
    "Thank you, what time is it?",
    "How do I turn on subtitles by default?",
    "你好。",
)


@pytest.mark.parametrize("text", CREDITS)
def test_credit_line_is_made_up_whatever_the_evidence(text: str) -> None:
    assert is_made_up(text, 10.0, CLEAR) and is_made_up(f" {text}。", 10.0)


@pytest.mark.parametrize("text", CLOSINGS)
def test_closing_words_are_speech_where_they_were_heard(text: str) -> None:
    assert not is_made_up(text, 2.0, CLEAR) and not is_made_up(text, 2.0)
    assert is_made_up(text, 2.0, SpeechEvidence(0.3, -0.4)) and is_made_up(text, 2.0, SpeechEvidence(0.1, -0.9))
    assert is_made_up(text, 0.1, CLEAR), "too many letters for the time"


@pytest.mark.parametrize("text", SPEECH_LINES)
def test_other_words_are_made_up_only_where_no_speech_is_likely(text: str) -> None:
    assert not is_made_up(text, 2.0, CLEAR) and not is_made_up(text, 2.0, SpeechEvidence(0.3, -0.8))
    assert not is_made_up(text, 2.0, SpeechEvidence(0.5, -0.3)), "the decoder is sure"
    assert is_made_up(text, 2.0, MUSIC) and is_made_up(text, 2.0, SpeechEvidence(0.7, -0.1))


def test_echo_of_the_context_is_speech_only_where_it_was_heard() -> None:
    echo = "這個是什麼意思？"
    assert not is_made_up(echo, 2.0, CLEAR, MANDARIN_CONTEXT)
    assert is_made_up(echo, 2.0, SpeechEvidence(0.3, -0.4), MANDARIN_CONTEXT)
    assert not is_made_up(echo, 2.0, SpeechEvidence(0.3, -0.4)), "a question closes no video"
    for answer in ("是", "可以", "你好", "為什麼？"):
        assert not is_made_up(answer, 1.0, SpeechEvidence(0.1, -1.4), MANDARIN_CONTEXT)
    assert not is_made_up("這本書是什麼意思？", 2.0, SpeechEvidence(0.3, -0.4), MANDARIN_CONTEXT)


def test_echo_of_two_parts_of_the_context_needs_evidence_too() -> None:
    context = f"{MANDARIN_CONTEXT}台積電、Acme Cloud。當然可以！"
    echo = "請問這個是什麼意思？台積電、Acme Cloud。"
    assert is_made_up(echo, 6.0, SpeechEvidence(0.54, -0.59), context)
    assert not is_made_up(echo, 6.0, CLEAR, context)
    assert not is_made_up("請問台積電是什麼意思？Acme Cloud。", 6.0, SpeechEvidence(0.3, -0.4), context)


@given(st.text(max_size=60), st.floats(0.1, 30), st.floats(0, 1), st.floats(-10, 0), st.floats(0, 1), st.floats(0, 10))
def test_more_doubt_never_makes_a_text_believable(
    text: str, audio_s: float, doubt: float, confidence: float, more_doubt: float, less_sure: float
) -> None:
    if is_made_up(text, audio_s, SpeechEvidence(doubt, confidence)):
        assert is_made_up(text, audio_s, SpeechEvidence(max(doubt, more_doubt), confidence - less_sure))


@given(st.lists(st.sampled_from(["go", "to", "the", "park", "now"]), min_size=3, max_size=6), st.integers(3, 6))
def test_phrase_three_times_in_a_row_is_a_loop(words: list[str], times: int) -> None:
    assert repeats_a_phrase(", ".join([" ".join(words)] * times) + ".") or len(set(words)) < len(words)


# ------------------------------------------------------------------ real models


LIKELY_WORDS = "台積電、Acme Cloud。當然可以！你想聽什麼樣的故事呢？"


@pytest.fixture(scope="module")
def recognizer() -> BilingualRecognizer:
    limit_openmp_spinning()
    models = find_models()
    assert models.moonshine is not None and models.whisper is not None, "Run python -m offline.models fetch."
    return BilingualRecognizer(Moonshine(models.moonshine, 2), Whisper(models.whisper, 2))


def detected_turns(pcm: bytes) -> list[bytes]:
    """Return the audio of the turns that the server finds in PCM16 at 24 kHz."""
    detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 350}
    turns, start = [], 0
    for signal in TurnSegmenter(detection, create_silero_vad(), 0).feed(pcm + bytes(2 * SAMPLE_RATE)):
        if signal.kind is TurnSignalKind.STARTED:
            start = signal.sample
        elif signal.kind is TurnSignalKind.STOPPED:
            turns.append(pcm[start * 2 : signal.sample * 2])
    return turns


@pytest.mark.models
@pytest.mark.parametrize("name", NON_SPEECH_SOUNDS)
def test_sound_without_words_is_no_turn(name: str, recognizer: BilingualRecognizer) -> None:
    assert len(NON_SPEECH_SOUNDS) == 20
    whole = to_pcm16(non_speech_sound(name))
    languages: tuple[LanguageCode, ...] = ("en", "zh")
    for pcm in (*detected_turns(whole), whole):  # a client may commit it without detection
        for language in languages:
            assert recognizer.transcribe(resample_to_16k(pcm), language, LIKELY_WORDS).text == ""


@pytest.mark.models
def test_likely_words_settle_a_homophone(recognizer: BilingualRecognizer) -> None:
    texts = {entry["text"]: entry["file"] for entry in json.loads((SPEECH / "index.json").read_text("utf-8"))}
    samples, rate = soundfile.read(SPEECH / texts["請推薦我一本好看的小說。"], dtype="float32")
    pcm = to_pcm16(soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32))
    assert "小說" in recognizer.transcribe(resample_to_16k(pcm), "zh", "小說、捷運。").text


@pytest.mark.models
def test_recordings_are_still_turns(recognizer: BilingualRecognizer) -> None:
    for entry in json.loads((SPEECH / "index.json").read_text("utf-8")):
        samples, rate = soundfile.read(SPEECH / entry["file"], dtype="float32")
        pcm = to_pcm16(soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32))
        turns = [recognizer.transcribe(resample_to_16k(turn), entry["language"]).text for turn in detected_turns(pcm)]
        assert turns and all(turns), entry["file"]
