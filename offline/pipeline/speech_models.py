"""Speech models: voices and recognition, each loaded and tried by itself. One that fails takes no other down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from offline.audio import FloatAudio, duration_s, resample_to_16k
from offline.models.store import ModelStore
from offline.protocol.worker_messages import LanguageCode
from offline.stt.recognition_rules import Recognizer
from offline.stt.turn_detection import create_silero_vad

if TYPE_CHECKING:
    from hibari import Hibari

    from offline.stt.recognizers import Moonshine, Whisper
    from offline.stt.smart_turn import SmartTurn
    from offline.tts.kokoro import Kokoro
    from offline.tts.styles import VoiceStyles
    from offline.tts.synthesizer import Synthesizer

LOGGER = logging.getLogger(__name__)
Result = TypeVar("Result")

WARM_UP_TEXTS: dict[LanguageCode, str] = {"en": "Hello, how are you?", "zh": "你好。"}
PACE_TEXT = "你好，很高興認識你。"
"""Clause for the speed of the Mandarin voice: 2 s of speech."""
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
    """Mandarin voice, and English voices besides hibari."""
    styles: VoiceStyles | None = None
    """Styles of Kokoro besides its default one."""
    moonshine: Moonshine | None = None
    """English recognition; without it, Whisper's is used."""
    whisper: Whisper | None = None
    """Mandarin recognition and language detection."""
    smart_turn: SmartTurn | None = None
    """End of a turn by the voice; without it, the words alone decide."""
    failures: dict[str, str] = field(default_factory=dict)
    """Reason in one line, by engine."""
    sample: FloatAudio | None = field(default=None, compare=False)
    """Speech of the warm-up at 16 kHz, in Mandarin where that is spoken; None before the warm-up."""

    voice_factor: float | None = field(default=None, compare=False)
    """Seconds per second of speech that the Mandarin voice takes; None before the warm-up, or without the voice."""

    @property
    def tts(self) -> Synthesizer:
        """Speech synthesis with these voices."""
        from offline.tts.synthesizer import Synthesizer

        return Synthesizer(self.hibari, self.kokoro, self.styles)

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
    from offline.stt.smart_turn import SmartTurn
    from offline.tts.styles import VoiceStyles
    from offline.tts.synthesizer import load_english_voice, load_mandarin_voice

    failures: dict[str, str] = {}
    if _attempt(failures, "silero", create_silero_vad) is None:  # every language needs it
        return SpeechModels(failures=failures).require_language()

    if store.smart_turn is None:
        LOGGER.info("models: smart turn is missing, words alone end a turn remedy='python -m offline.models fetch'")

    def load(engine: str, build: Callable[[Path, int], Result], path: Path | None) -> Result | None:
        return _attempt(failures, engine, partial(build, path, threads)) if path is not None else None

    return SpeechModels(
        hibari=_attempt(failures, "hibari", load_english_voice),
        kokoro=load("kokoro", load_mandarin_voice, store.kokoro),
        styles=VoiceStyles(store.style_file),
        moonshine=load("moonshine", Moonshine, store.moonshine),
        whisper=load("whisper", Whisper, store.whisper),
        smart_turn=load("smart_turn", SmartTurn, store.smart_turn),
        failures=failures,
    ).require_language()


def _voice_factor(tts: Synthesizer) -> float | None:
    """Return the seconds per second of speech that the Mandarin voice takes, which has run before; None if silent."""
    begun = time.monotonic()
    speech_s = duration_s(tts.synthesize(PACE_TEXT))
    return (time.monotonic() - begun) / speech_s if speech_s else None


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
    factor = _attempt(failures, "kokoro", partial(_voice_factor, tts)) if "zh" in samples else None
    if not samples:
        return replace(speech, hibari=None, kokoro=None).require_language()
    any_sample = next(iter(samples.values()))
    moonshine, whisper = speech.moonshine, speech.whisper
    if moonshine is not None:
        _attempt(failures, "moonshine", partial(moonshine.transcribe, samples.get("en", any_sample), "en"))
    if whisper is not None:
        sample = samples.get("zh", any_sample)
        _attempt(failures, "whisper", lambda: (whisper.mandarin_probability(sample), whisper.transcribe(sample, "zh")))
    if speech.smart_turn is not None:
        _attempt(failures, "smart_turn", partial(speech.smart_turn.end_probability, any_sample))
    engines = ("hibari", "kokoro", "moonshine", "whisper", "smart_turn")
    failed = {engine: None for engine in engines if engine in failures}
    speech = replace(speech, sample=samples.get("zh", any_sample), voice_factor=factor)
    return replace(speech, **failed).require_language()  # type: ignore[arg-type]  # each may be None
