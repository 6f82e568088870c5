"""Speech models: voices and recognition, each loaded and tried by itself. One that fails takes no other down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from offline.audio import FloatAudio, resample_to_16k
from offline.models.store import ModelStore
from offline.protocol.worker_messages import LanguageCode
from offline.stt.recognition_rules import Recognizer
from offline.stt.turn_detection import create_silero_vad

from .model_runtime import TtsBackend

if TYPE_CHECKING:
    from hibari import Hibari

    from offline.stt.recognizers import Moonshine, Whisper
    from offline.tts.kokoro import Kokoro

LOGGER = logging.getLogger(__name__)
Result = TypeVar("Result")

WARM_UP_TEXTS: dict[LanguageCode, str] = {"en": "Hello, how are you?", "zh": "你好。"}
LANGUAGE_NAMES: dict[LanguageCode, str] = {"en": "English", "zh": "Mandarin"}
MAX_REASON_CHARS = 200
"""Characters of an engine's error that are logged."""


class SpeechUnavailable(Exception):
    """No language can be both recognised and spoken. The message names the engines and their errors."""


@dataclass(frozen=True, slots=True)
class SpeechModels:
    """Engines of the process. One that is missing or failed is None."""

    hibari: Hibari | None = None
    """English voice."""
    kokoro: Kokoro | None = None
    """Mandarin voice."""
    moonshine: Moonshine | None = None
    """English recognition; without it, Whisper's is used."""
    whisper: Whisper | None = None
    """Mandarin recognition and language detection."""
    failures: dict[str, str] = field(default_factory=dict)
    """Reason in one line, by engine."""

    @property
    def tts(self) -> TtsBackend:
        """Speech synthesis with these voices."""
        from offline.tts.synthesizer import Synthesizer

        return Synthesizer(self.hibari, self.kokoro)

    @property
    def recognizer(self) -> Recognizer:
        """Speech recognition with these engines."""
        from offline.stt.recognizers import BilingualRecognizer

        return BilingualRecognizer(self.moonshine, self.whisper)

    @property
    def languages(self) -> tuple[LanguageCode, ...]:
        """Languages that are recognised and spoken."""
        voices: dict[LanguageCode, object] = {"en": self.hibari, "zh": self.kokoro}
        return tuple(each for each in self.recognizer.languages if voices[each] is not None)

    @property
    def detail(self) -> str:
        """One sentence on the languages that failed; "" without a failure."""
        missing = [name for language, name in LANGUAGE_NAMES.items() if language not in self.languages]
        return f"{' and '.join(missing)} cannot be used: {self._reasons}." if self.failures and missing else ""

    @property
    def _reasons(self) -> str:
        return "; ".join(f"{engine}: {reason}" for engine, reason in self.failures.items())

    def require_language(self) -> SpeechModels:
        """Return these models. Raises `SpeechUnavailable` without a language."""
        if not self.languages:
            raise SpeechUnavailable(self._reasons or "the speech models are missing")
        return self


def _attempt(failures: dict[str, str], engine: str, use: Callable[[], Result]) -> Result | None:
    """Return what `use` returns. Log its failure in one line, add it to `failures` and return None."""
    try:
        return use()
    except Exception as error:
        # This precedes every conversation, so the error's message is safe to log.
        failures[engine] = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_REASON_CHARS]
        LOGGER.error("models: engine failed engine=%s reason=%s", engine, failures[engine])
        return None


def load_speech_models(store: ModelStore, threads: int) -> SpeechModels:
    """Return the models of `store` that can be loaded. Raises `SpeechUnavailable` when no language is left."""
    from offline.stt.recognizers import Moonshine, Whisper
    from offline.tts.synthesizer import load_english_voice, load_mandarin_voice

    failures: dict[str, str] = {}
    if _attempt(failures, "silero", create_silero_vad) is None:  # every language needs it
        return SpeechModels(failures=failures).require_language()

    def load(engine: str, build: Callable[[Path, int], Result], path: Path | None) -> Result | None:
        return _attempt(failures, engine, partial(build, path, threads)) if path is not None else None

    return SpeechModels(
        hibari=_attempt(failures, "hibari", load_english_voice),
        kokoro=load("kokoro", load_mandarin_voice, store.kokoro),
        moonshine=load("moonshine", Moonshine, store.moonshine),
        whisper=load("whisper", Whisper, store.whisper),
        failures=failures,
    ).require_language()


def warm_up_speech(speech: SpeechModels) -> SpeechModels:
    """Run each engine once: first runs are slow because of memory and lookup tables. Return those that work.

    Raises `SpeechUnavailable` when no language is left.
    """
    failures, tts = speech.failures, speech.tts
    samples: dict[LanguageCode, FloatAudio] = {}
    voices: tuple[tuple[str, LanguageCode, object], ...] = (
        ("hibari", "en", speech.hibari),
        ("kokoro", "zh", speech.kokoro),
    )
    for engine, language, voice in voices:
        if voice is not None:
            pcm = _attempt(failures, engine, partial(tts.synthesize, WARM_UP_TEXTS[language]))
            if pcm is not None:
                samples[language] = resample_to_16k(pcm)
    if not samples:
        return replace(speech, hibari=None, kokoro=None).require_language()
    any_sample = next(iter(samples.values()))
    moonshine, whisper = speech.moonshine, speech.whisper
    if moonshine is not None:
        _attempt(failures, "moonshine", partial(moonshine.transcribe, samples.get("en", any_sample), "en"))
    if whisper is not None:
        sample = samples.get("zh", any_sample)
        _attempt(failures, "whisper", lambda: (whisper.mandarin_probability(sample), whisper.transcribe(sample, "zh")))
    failed = {engine: None for engine in ("hibari", "kokoro", "moonshine", "whisper") if engine in failures}
    return replace(speech, **failed).require_language()  # type: ignore[arg-type]  # each may be None
