"""Kokoro v1.0: phonemes and a voice's style -> speech.

The published model is one graph. Here it is split in two. The encoder (phonemes -> duration, pitch and loudness curves)
takes 30 ms. The decoder (curves -> samples) takes 0.35 s per second of speech on two cores, and less than half of that
where its convolutions are computed as matrix products, see `integer_graph`. The encoder adds silence to each clause:
about 0.4 s before it and 0.7 s after it. The decoder receives the audible frames only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx.utils import Extractor

from offline.audio import FloatAudio
from offline.models.onnx_session import open_onnx_session

from .integer_graph import prefers_matrix_products, with_instance_norms, with_matrix_products
from .styles import Style, read_style

MAX_PHONEMES = 508
"""Phonemes of one clause that the model accepts."""
MARGIN_FRAMES = 3
"""Frames (25 ms each) kept around the audible ones, because the decoder looks that far to both sides."""
SPEECH_LOUDNESS_THRESHOLD = -8.5
"""Value of the loudness curve above which a frame is audible: silence has -9.6 to -9.0, speech more than 0."""

_CONTENT, _PITCH, _LOUDNESS = (
    "/encoder/MatMul_1_output_0",
    "/encoder/Reshape_output_0",
    "/encoder/Reshape_1_output_0",
)
"""Tensors between encoder and decoder: float32 [1, 512, frames], and twice [1, 2 * frames]."""


def split_model(model_path: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Return the encoder and the decoder of the published model."""
    whole = onnx.load_model_from_string(model_path.read_bytes())
    shapes: dict[str, list[str | int | None]]
    shapes = {_CONTENT: [1, 512, "frames"], _PITCH: [1, "halves"], _LOUDNESS: [1, "halves"]}
    for name, shape in shapes.items():
        whole.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    parts = Extractor(whole)
    encoder = parts.extract_model(["tokens", "style", "speed"], list(shapes))
    decoder = parts.extract_model([*shapes, "style"], ["audio"])
    return encoder, decoder


def fast_forms(models: Iterable[onnx.ModelProto], threads: int) -> list[onnx.ModelProto]:
    """Return the forms of the models that this computer computes fastest."""
    if not prefers_matrix_products(threads):
        return list(models)
    return [with_matrix_products(with_instance_norms(model)) for model in models]


def audible_frames(loudness: FloatAudio) -> slice:
    """Return the frames to decode. `loudness` has two values per frame. Empty when all is silent."""
    frames = len(loudness) // 2
    loud = np.flatnonzero(loudness > SPEECH_LOUDNESS_THRESHOLD) // 2
    if not len(loud):
        return slice(0, 0)
    return slice(max(0, int(loud[0]) - MARGIN_FRAMES), min(frames, int(loud[-1]) + 1 + MARGIN_FRAMES))


class Kokoro:
    """Kokoro model with its default style. Blocks; call it from one thread at a time."""

    def __init__(self, model_path: Path, vocabulary_path: Path, style_path: Path, threads: int) -> None:
        self._encoder, self._decoder = (
            open_onnx_session(part.SerializeToString(), threads)
            for part in fast_forms(split_model(model_path), threads)
        )
        self._vocabulary: dict[str, int] = json.loads(vocabulary_path.read_text("utf-8"))["vocab"]
        self._default_style = read_style(style_path)

    def __call__(self, phonemes: str, speed: float, voice_style: Style | None = None) -> FloatAudio:
        """Return float32 samples at 24 kHz; none without known phonemes.

        `speed` 1.0 is the model's default. `voice_style` None is the default style.
        """
        ids = [self._vocabulary[c] for c in phonemes if c in self._vocabulary][:MAX_PHONEMES]
        if not ids:
            return np.zeros(0, np.float32)
        style = (self._default_style if voice_style is None else voice_style)[len(ids)]
        feed = {"tokens": np.array([[0, *ids, 0]], np.int64), "style": style, "speed": np.array([speed], np.float32)}
        content, pitch, loudness = self._encoder.run([_CONTENT, _PITCH, _LOUDNESS], feed)
        part = audible_frames(loudness[0])
        if part.start == part.stop:
            return np.zeros(0, np.float32)
        halves = slice(2 * part.start, 2 * part.stop)
        feed = {
            _CONTENT: content[:, :, part],
            _PITCH: pitch[:, halves],
            _LOUDNESS: loudness[:, halves],
            "style": style,
        }
        audio: FloatAudio = self._decoder.run(None, feed)[0].squeeze()
        return audio
