"""Speech recognition: Moonshine for English, Whisper for Mandarin and for language detection.

`audio` is float32 mono at 16 kHz in [-1, 1]. The engines block; call them from one thread at a time.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.chinese_text import to_full_width_punctuation, to_traditional
from offline.models.ascii_path import ascii_path
from offline.models.onnx_session import open_onnx_session
from offline.protocol.worker_messages import LanguageCode

from .hallucinations import SpeechEvidence, is_made_up
from .log_mel import log_mel
from .recognition_rules import (
    MIN_SPEECH_S,
    UNRECOGNIZED_TEXT,
    RecognitionResult,
    SttEngine,
    contains_voice,
    is_audible,
    is_plausible,
)
from .turn_detection import create_silero_vad


def _split_windows(audio: FloatAudio, window_s: float) -> list[FloatAudio]:
    samples = int(window_s * STT_SAMPLE_RATE)
    return [audio[start : start + samples] for start in range(0, len(audio), samples)]


# ------------------------------------------------------------------ Whisper


def _byte_level_alphabet() -> dict[str, int]:
    """Return GPT-2's byte-level vocabulary: printable character -> byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def _open_whisper(folder: Path, threads: int) -> Any:
    import ctranslate2  # here, because English does without it

    options = {"device": "cpu", "compute_type": "int8", "intra_threads": threads, "inter_threads": 1}
    with ascii_path(folder) as path:
        if path is not None:
            return ctranslate2.models.Whisper(str(path), **options)
    # CTranslate2 keeps what it loads from memory: 145 MB more.
    names = ("config.json", "model.bin", _vocabulary_path(folder).name)
    files = {name: (folder / name).read_bytes() for name in names}
    return ctranslate2.models.Whisper("whisper", files=files, **options)


def _vocabulary_path(folder: Path) -> Path:
    """Return the file with the tokens of a CTranslate2 model; older conversions are text, newer ones JSON."""
    as_json = folder / "vocabulary.json"
    return as_json if as_json.exists() else folder / "vocabulary.txt"


def _read_vocabulary(folder: Path) -> list[str]:
    """Return the tokens of a CTranslate2 model by their numbers."""
    path = _vocabulary_path(folder)
    text = path.read_text(encoding="utf-8")
    return list(json.loads(text)) if path.suffix == ".json" else text.split("\n")


MANDARIN_CONTEXT = "你好，請問這個是什麼意思？我想知道為什麼，可以告訴我怎麼做嗎？"
"""Text that precedes Mandarin speech for the decoder. Its question words, punctuation and Traditional characters settle
homophones: 8 wrong characters in place of 11 among the 187 of the tests' recordings."""

MAX_CONTEXT_TOKENS = 200
"""Tokens of the context that the decoder reads at most: it was trained with 223."""


class Whisper:
    """A multilingual Whisper model through CTranslate2, with a window as short as the utterance allows.

    The model was trained on windows of 30 s, mostly silence for a short utterance. The encoder accepts fewer frames.
    With a few seconds of silence at the end, a short utterance is five times faster at the same error rate.
    """

    MAX_WINDOW_S = 30.0
    """Seconds of the longest window."""
    PADDING_S = 3.0
    """Seconds of silence after the utterance."""
    MIN_WINDOW_S = 8.0
    """Seconds of the shortest window."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._model = _open_whisper(folder, threads)
        self._mel_bins = int(self._model.n_mels)  # 80; 128 from large-v3 on
        self._vocabulary = _read_vocabulary(folder)
        self._ids = {token: i for i, token in enumerate(self._vocabulary)}
        self._byte_by_character = _byte_level_alphabet()

    def _encode(self, audio: FloatAudio) -> Any:
        import ctranslate2

        window_s = min(self.MAX_WINDOW_S, max(self.MIN_WINDOW_S, len(audio) / STT_SAMPLE_RATE + self.PADDING_S))
        features = log_mel(audio, math.ceil(window_s * 50) * 2, self._mel_bins)
        return self._model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None])))

    def mandarin_probability(self, audio: FloatAudio) -> float:
        """Return the probability (0 to 1) of Mandarin rather than English."""
        probabilities = dict(self._model.detect_language(self._encode(audio))[0])
        zh, en = probabilities.get("<|zh|>", 0.0), probabilities.get("<|en|>", 0.0)
        return float(zh / (zh + en)) if zh + en > 0 else 0.0

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> str:
        """Return the words in `audio`, window by window; "" without any.

        `context`, words that are likely in it, is used in Mandarin, where it settles homophones.
        """
        before = MANDARIN_CONTEXT + context if language == "zh" else ""
        tokens = [self._ids["<|startofprev|>"], *self._encode_text(before)[-MAX_CONTEXT_TOKENS:]] if before else []
        windows = _split_windows(audio, self.MAX_WINDOW_S - 1)
        pieces = (self._transcribe_window(window, language, before, tokens) for window in windows)
        return ("" if language == "zh" else " ").join(filter(None, pieces))

    def _transcribe_window(self, audio: FloatAudio, language: LanguageCode, context: str, tokens: list[int]) -> str:
        audio_s = len(audio) / STT_SAMPLE_RATE
        task = ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        prompt = [*tokens, *(self._ids[token] for token in task)]
        result = self._model.generate(
            self._encode(audio),
            [prompt],
            beam_size=1,
            max_length=min(448, len(prompt) + int(audio_s * 12) + 10),
            suppress_blank=True,
            return_no_speech_prob=True,
            return_scores=True,
        )[0]
        text = self._decode(result.sequences_ids[0])
        evidence = SpeechEvidence(result.no_speech_prob, result.scores[0])
        return "" if is_made_up(to_traditional(text), audio_s, evidence, context) else text

    def _encode_text(self, text: str) -> list[int]:
        """Return tokens of `text`, the longest first. They need not be those of the training's tokeniser."""
        character_by_byte = {byte: character for character, byte in self._byte_by_character.items()}
        rest, tokens = "".join(character_by_byte[byte] for byte in text.encode()), []
        while rest:
            size = next(size for size in range(len(rest), 0, -1) if rest[:size] in self._ids)
            tokens.append(self._ids[rest[:size]])
            rest = rest[size:]
        return tokens

    def _decode(self, ids: list[int]) -> str:
        raw = bytearray()
        for i in ids:
            token = self._vocabulary[i] if i < len(self._vocabulary) else ""
            if not (token.startswith("<|") and token.endswith("|>")):
                raw += bytes(self._byte_by_character[c] for c in token if c in self._byte_by_character)
        return raw.decode("utf-8", "ignore").strip()


# ------------------------------------------------------------------ Moonshine


class Moonshine:
    """Moonshine tiny (English only). Its cost grows with the utterance: a short one takes some 50 ms."""

    MAX_WINDOW_S = 30.0
    """Seconds of the longest window."""
    MAX_TOKENS_PER_S = 6.5
    """Tokens per second of audio that the decoder may generate."""
    HEADS, HEAD_SIZE = 8, 36
    START_TOKEN, END_TOKEN = 1, 2

    def __init__(self, folder: Path, threads: int) -> None:
        self._encoder, self._decoder = (
            open_onnx_session(folder / name, threads) for name in ("encoder_model.ort", "decoder_model_merged.ort")
        )
        self._token_pieces = self._parse_token_pieces((folder / "tokenizer.bin").read_bytes())
        self._past_names = [i.name for i in self._decoder.get_inputs() if i.name.startswith("past")]
        self._output_names = [o.name.replace("present", "past_key_values") for o in self._decoder.get_outputs()]

    @staticmethod
    def _parse_token_pieces(raw: bytes) -> list[bytes]:
        """Return the pieces of a length-prefixed vocabulary. A length of 128 or more takes two bytes, low seven bits
        first."""
        pieces, at = [], 0
        while at < len(raw):
            size = raw[at]
            at += 1
            if size >= 128:
                size += raw[at] * 128 - 128
                at += 1
            pieces.append(raw[at : at + size])
            at += size
        return pieces

    def transcribe(self, audio: FloatAudio, language: LanguageCode = "en", context: str = "") -> str:
        """Return the words in `audio`, window by window; "" without any."""
        return " ".join(filter(None, map(self._transcribe_window, _split_windows(audio, self.MAX_WINDOW_S))))

    def _transcribe_window(self, audio: FloatAudio) -> str:
        if len(audio) < MIN_SPEECH_S * STT_SAMPLE_RATE:
            return ""
        values = audio[None]
        # Both networks take the mask per sample: the decoder downsamples it itself.
        mask = np.ones(values.shape, np.int64)
        hidden = self._encoder.run(None, {"input_values": values, "attention_mask": mask})[0]
        steps = hidden.shape[1]
        past = {
            name: np.zeros((1, self.HEADS, 0 if ".decoder." in name else steps, self.HEAD_SIZE), np.float32)
            for name in self._past_names
        }
        token, raw = self.START_TOKEN, bytearray()
        for step in range(int(len(audio) / STT_SAMPLE_RATE * self.MAX_TOKENS_PER_S) + 6):
            outputs = self._decoder.run(
                None,
                {
                    "encoder_attention_mask": mask,
                    "input_ids": np.array([[token]], np.int64),
                    "encoder_hidden_states": hidden,
                    **past,
                    "use_cache_branch": np.array([step > 0]),
                },
            )
            token = int(outputs[0][0, -1].argmax())
            if token == self.END_TOKEN:
                break
            fresh = zip(self._output_names[1:], outputs[1:], strict=True)
            past |= {name: value for name, value in fresh if step == 0 or ".decoder." in name}
            raw += self._decode_token(token)
        return raw.decode("utf-8", "ignore").replace("\u2581", " ").strip()

    def _decode_token(self, token: int) -> bytes:
        piece = self._token_pieces[token]
        if re.fullmatch(rb"<0x[0-9A-F]{2}>", piece):
            return bytes([int(piece[3:5], 16)])
        return b"" if re.fullmatch(rb"<.+>", piece) else piece


# ------------------------------------------------------------------ both languages


class BilingualRecognizer:
    """Recognition by the engines that could be loaded. Without an engine of its own, English is Whisper's too."""

    def __init__(self, english: SttEngine | None, whisper: Whisper | None) -> None:
        self._whisper = whisper
        self._engines: dict[LanguageCode, SttEngine | None] = {"en": english or whisper, "zh": whisper}

    @property
    def languages(self) -> tuple[LanguageCode, ...]:
        """Languages with an engine."""
        return tuple(language for language, engine in self._engines.items() if engine is not None)

    def mandarin_probability(self, audio: FloatAudio) -> float:
        """Return the probability (0 to 1) of Mandarin; 0 when only English is available."""
        return self._whisper.mandarin_probability(audio) if self._whisper is not None else 0.0

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> RecognitionResult:
        """Return the transcript, Mandarin in Traditional characters; "" for implausible text.

        Speech in a language without an engine is transcribed as `UNRECOGNIZED_TEXT`.
        """
        audio_s = len(audio) / STT_SAMPLE_RATE
        if audio_s < MIN_SPEECH_S or not is_audible(audio) or not contains_voice(audio, create_silero_vad()):
            return RecognitionResult("", language)
        engine = self._engines[language]
        if engine is None:
            return RecognitionResult(UNRECOGNIZED_TEXT[language], language)
        text = engine.transcribe(audio, language, context)
        if language == "zh":
            text = to_full_width_punctuation(to_traditional(text))
        return RecognitionResult(text if is_plausible(text, audio_s) else "", language)
