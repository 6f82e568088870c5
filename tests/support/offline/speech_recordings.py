"""Speech recordings of conversations with real models, and measures of text and audio."""

from __future__ import annotations

import json

import numpy as np
import soundfile
import soxr

from tests.support.paths import SPEECH

ENGLISH = "en/sense-880.flac"
QUESTION = "en/michael-01.flac"
MANDARIN = "zh/yunyang-03.flac"


def load_recording(file: str) -> tuple[str, bytes]:
    """Return the text of a recording, and its audio as PCM16 at 24 kHz."""
    entries = json.loads((SPEECH / "index.json").read_text("utf-8"))
    text = next(entry["text"] for entry in entries if entry["file"] == file)
    samples, rate = soundfile.read(SPEECH / file, dtype="float32")
    louder = soxr.resample(samples, rate, 24_000)
    return text, (np.clip(louder, -1, 1) * 32767).astype(np.int16).tobytes()


def normalized_text(text: str) -> str:
    """Return letters, digits and spaces only, for error rates."""
    return "".join(letter for letter in text.lower().replace("-", " ") if letter.isalnum() or letter == " ")


def rms(pcm: bytes) -> float:
    """Return the root mean square of PCM16."""
    return float(np.sqrt(np.mean(np.frombuffer(pcm, np.int16).astype(float) ** 2)))
