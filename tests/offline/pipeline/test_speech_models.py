"""Speech models: a failing engine leaves the languages that do not need it, and is logged in one line."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offline.audio import FloatAudio
from offline.engines import LANGUAGE_ENGINES
from offline.models.store import ModelStore
from offline.pipeline import speech_models
from offline.pipeline.speech_models import SpeechUnavailable, load_speech_models, warm_up_speech
from offline.protocol.worker_messages import LanguageCode
from offline.stt import recognizers, smart_turn
from offline.stt.recognition_rules import UNRECOGNIZED_TEXT
from offline.tts import synthesizer
from tests.support.missing_packages import environment_without
from tests.support.paths import ROOT

ENGINES = ("hibari", "kokoro", "moonshine", "whisper")
STORE = ModelStore(Path("llm"), Path("moonshine"), Path("whisper"), Path("kokoro"))
SPEECH = (0.3 * np.sin(np.arange(24_000) / 8)).astype(np.float32)


class FakeVoice:
    """English or Mandarin voice; fails at its first use where the test wants it to."""

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails

    def __call__(self, text: str, speed: float, voice_style: object = None) -> FloatAudio:
        if self._fails:
            raise RuntimeError("bad weights")
        return SPEECH

    def phonemize(self, text: str) -> list[str]:
        return [text]


class FakeEngine:
    """Speech recognition; fails at its first use where the test wants it to."""

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> str:
        if self._fails:
            raise RuntimeError("bad weights")
        return "Hello."

    def mandarin_probability(self, audio: FloatAudio) -> float:
        if self._fails:
            raise RuntimeError("bad weights")
        return 0.0

    def end_probability(self, audio: FloatAudio) -> float:
        if self._fails:
            raise RuntimeError("bad weights")
        return 0.9


def install(monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...], broken_in_use: tuple[str, ...] = ()) -> None:
    """Replace the engines by fakes, of which some cannot be loaded or used."""

    def loader(name: str, kind: Callable[..., object]) -> Callable[..., object]:
        def load(*_: object) -> object:
            if name in broken:
                raise RuntimeError(f"Unable to open\n  file '{name}'")
            return kind(fails=name in broken_in_use)

        return load

    monkeypatch.setattr(synthesizer, "load_english_voice", loader("hibari", FakeVoice))
    monkeypatch.setattr(synthesizer, "load_mandarin_voice", loader("kokoro", FakeVoice))
    monkeypatch.setattr(recognizers, "Moonshine", loader("moonshine", FakeEngine))

    class FakeWhisper(FakeEngine):
        def __new__(cls, *_: object) -> FakeWhisper:
            return loader("whisper", lambda fails: super(FakeWhisper, cls).__new__(cls))()  # type: ignore[return-value]

        def __init__(self, *_: object) -> None:
            super().__init__(fails="whisper" in broken_in_use)

    monkeypatch.setattr(recognizers, "Whisper", FakeWhisper)
    monkeypatch.setattr(recognizers, "contains_voice", lambda audio, vad: True)
    monkeypatch.setattr(smart_turn, "SmartTurn", loader("smart_turn", FakeEngine))


def expected_languages(broken: tuple[str, ...]) -> tuple[str, ...]:
    english = "hibari" not in broken and not {"moonshine", "whisper"} <= set(broken)
    mandarin = not {"kokoro", "whisper"} & set(broken)
    return (("en",) if english else ()) + (("zh",) if mandarin else ())


@pytest.mark.parametrize(
    "broken", [each for count in range(5) for each in itertools.combinations(ENGINES, count)], ids="+".join
)
def test_languages_are_those_whose_engines_load(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: tuple[str, ...]
) -> None:
    install(monkeypatch, broken)
    expected = expected_languages(broken)
    if not expected:
        with pytest.raises(SpeechUnavailable) as raised:
            load_speech_models(STORE, 1)
        assert all(engine in str(raised.value) for engine in broken)
    else:
        speech = warm_up_speech(load_speech_models(STORE, 1))
        assert speech.languages == expected
        assert bool(speech.detail) is (len(expected) < 2)
        assert all(engine in speech.detail for engine in broken if speech.detail)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [line.split("engine=")[1].split()[0] for line in lines] == list(broken)
    assert all("\n" not in line and "RuntimeError: Unable to open file" in line for line in lines)


@pytest.mark.parametrize(
    "broken", [each for count in range(5) for each in itertools.combinations(ENGINES, count)], ids="+".join
)
def test_engine_that_fails_at_its_first_use_takes_no_other_down(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...]
) -> None:
    install(monkeypatch, (), broken)
    loaded = load_speech_models(STORE, 1)
    assert loaded.languages == ("en", "zh")
    expected = expected_languages(broken)
    if not expected:
        with pytest.raises(SpeechUnavailable, match="bad weights"):
            warm_up_speech(loaded)
        return
    speech = warm_up_speech(loaded)
    assert speech.languages == expected and set(speech.failures) == set(broken)
    for language in expected:  # what is left works
        assert speech.tts.synthesize("Hello.") or "hibari" in broken
        assert speech.recognizer.transcribe(SPEECH, language).text
        assert speech.recognizer.mandarin_probability(SPEECH) == 0.0
    assert (speech.voice_factor is not None) is ("zh" in expected or "kokoro" not in broken)


@pytest.mark.parametrize(("broken", "peak"), [((), 0.1), (("kokoro",), 0.3)], ids=["both languages", "English only"])
def test_warm_up_keeps_mandarin_speech_where_that_is_spoken(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...], peak: float
) -> None:
    class QuietVoice(FakeVoice):
        def __call__(self, text: str, speed: float, voice_style: object = None) -> FloatAudio:
            return SPEECH / 3

    install(monkeypatch, (), broken)
    if not broken:
        monkeypatch.setattr(synthesizer, "load_mandarin_voice", lambda *_: QuietVoice())
    sample = warm_up_speech(load_speech_models(STORE, 1)).sample
    assert sample is not None and float(np.abs(sample).max()) == pytest.approx(peak, rel=0.1)


def test_turn_end_model_that_is_missing_or_broken_takes_no_language_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = replace(STORE, smart_turn=Path("smart_turn"))
    for broken, broken_in_use, given in ((), (), STORE), (("smart_turn",), (), store), ((), ("smart_turn",), store):
        caplog.clear()
        install(monkeypatch, broken, broken_in_use)
        speech = warm_up_speech(load_speech_models(given, 1))
        assert (speech.languages, speech.detail, speech.smart_turn) == (("en", "zh"), "", None)
        (record,) = caplog.records
        assert "smart" in record.getMessage()
    install(monkeypatch, ())
    assert warm_up_speech(load_speech_models(store, 1)).smart_turn is not None


def test_missing_voice_detector_is_a_failure_of_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, ())

    def fail() -> None:
        raise OSError("no file")

    monkeypatch.setattr(speech_models, "create_silero_vad", fail)
    with pytest.raises(SpeechUnavailable, match="silero: OSError: no file"):
        load_speech_models(STORE, 1)


def test_speech_without_an_engine_is_named_and_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("whisper",))
    speech = load_speech_models(STORE, 1)
    assert speech.recognizer.transcribe(SPEECH, "zh").text == UNRECOGNIZED_TEXT["zh"]
    assert speech.recognizer.transcribe(SPEECH, "en").text == "Hello."
    assert speech.recognizer.transcribe(np.zeros(16_000, np.float32), "zh").text == ""


LOAD = """
import json
from offline.engines import import_engines, require_engines
require_engines()
import_engines()
from offline.llm.clause_splitter import ClauseSplitter
from offline.models.store import find_models
from offline.pipeline.speech_models import load_speech_models, warm_up_speech
speech = warm_up_speech(load_speech_models(find_models(), 1))
splitter = ClauseSplitter()
clauses = [*splitter.push("今天天氣很好所以我們一起去公園散步然後回家吃飯看書"), *splitter.flush()]
sounds = [len(speech.tts.synthesize(text)) for text in ("Hello there.", "你好。")]
print(json.dumps([speech.languages, speech.detail, sounds, "".join(clauses)]))
"""
"""Program that loads and uses the real models."""


@pytest.mark.parametrize(
    ("kind", "engines"),
    [("missing", [name]) for names in LANGUAGE_ENGINES.values() for name in names]
    + [("broken", list(names)) for names in LANGUAGE_ENGINES.values()],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_engine_that_cannot_be_imported_takes_only_its_language_down(
    kind: str, engines: list[str], tmp_path: Path
) -> None:
    variables = environment_without(tmp_path, **{kind: engines})
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    languages, detail, (english, mandarin), clauses = json.loads(done.stdout)
    lost = next(language for language, names in LANGUAGE_ENGINES.items() if engines[0] in names)
    assert languages == [language for language in LANGUAGE_ENGINES if language != lost]
    assert detail.startswith(("English" if lost == "en" else "Mandarin") + " cannot be used: ")
    assert any(name in detail for name in engines) and detail.endswith(".")
    assert (english if lost == "zh" else mandarin) > 10_000
    assert clauses == "今天天氣很好所以我們一起去公園散步然後回家吃飯看書"
