"""Voices: the table of pairs, OpenAI's names, and the choice of a session."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from offline.models.store import optional_models
from offline.protocol.voices import (
    DEFAULT_STYLE,
    DEFAULT_VOICE,
    HIBARI,
    OPENAI_VOICES,
    SPEAKERS,
    VOICE_IDS,
    VOICE_PAIRS,
    VoicePair,
    voice_pair,
)
from offline.protocol.worker_messages import Generate
from offline.tts.synthesizer import DATA_DIR
from tests.support.offline.session_driver import SessionDriver, single_error

STYLE_BYTES = 510 * 256 * 4
DEFAULT_STYLE_SHA256 = "03adb5d5e3ddd88b047954e974e651cb0a4b524c985057e5d872e962c7be1169"


def gender(speaker: str) -> str:
    """Return "f" or "m"."""
    return "f" if speaker == HIBARI else speaker[1]


def chosen(voice: Any) -> dict[str, Any]:
    """Return the audio settings that choose a voice."""
    return {"audio": {"output": {"voice": voice}}}


def requested_voice(driver: SessionDriver, **response: Any) -> str:
    """Return the voice of the work that a new response submits."""
    driver.create_message("Hello")
    driver.send_event("response.create", response=response)
    return next(work for work in reversed(driver.submitted_work) if isinstance(work, Generate)).request.voice


def test_each_speaker_is_in_the_pair_that_it_chooses() -> None:
    assert VOICE_PAIRS.keys() == SPEAKERS.keys()
    for speaker, pair in VOICE_PAIRS.items():
        assert (SPEAKERS[pair.english], SPEAKERS[pair.mandarin]) == ("en", "zh")
        assert speaker == (pair.english if SPEAKERS[speaker] == "en" else pair.mandarin)
        assert gender(pair.english) == gender(pair.mandarin) == gender(speaker)


@pytest.mark.parametrize(
    ("name", "english", "mandarin"),
    [
        ("alloy", "hibari", "zf_xiaoxiao"),
        ("ash", "am_michael", "zm_yunxi"),
        ("ballad", "bm_george", "zm_yunyang"),
        ("cedar", "am_fenrir", "zm_yunjian"),
        ("coral", "hibari", "zf_xiaoyi"),
        ("echo", "am_michael", "zm_yunxi"),
        ("marin", "hibari", "zf_xiaoxiao"),
        ("sage", "hibari", "zf_xiaobei"),
        ("shimmer", "hibari", "zf_xiaoyi"),
        ("verse", "am_puck", "zm_yunxia"),
    ],
)
def test_each_name_of_openai_has_the_nearest_pair(name: str, english: str, mandarin: str) -> None:
    assert voice_pair(name) == VoicePair(english, mandarin)


def test_table_of_openai_names_is_complete_and_of_known_voices() -> None:
    assert len(OPENAI_VOICES) == 10 and set(OPENAI_VOICES.values()) <= VOICE_PAIRS.keys()
    assert not OPENAI_VOICES.keys() & VOICE_PAIRS.keys()


@pytest.mark.parametrize("name", ["", DEFAULT_VOICE, "of a later version"])
def test_default_pair_is_the_fast_english_voice_and_the_style_of_the_package(name: str) -> None:
    assert voice_pair(name) == VoicePair(HIBARI, DEFAULT_STYLE)


def test_manifest_has_each_style_but_the_one_of_the_package() -> None:
    (model,) = optional_models({})
    assert {file.name.removesuffix(".bin") for file in model.files} == SPEAKERS.keys() - {HIBARI, DEFAULT_STYLE}
    for file in model.files:
        assert file.size_bytes == STYLE_BYTES and len(file.sha256) == 64
        official, package = file.sources
        assert official.url is not None and official.url.endswith(f"/voices/{file.name}")
        assert package.npm is not None and package.npm.member == f"package/voices/{file.name}"
        assert package.npm.integrity.startswith("sha512-")
    assert len({file.sha256 for file in model.files}) == len(model.files)
    assert hashlib.sha256((DATA_DIR / f"{DEFAULT_STYLE}.bin").read_bytes()).hexdigest() == DEFAULT_STYLE_SHA256


@pytest.mark.parametrize("name", VOICE_IDS)
def test_session_with_a_voice_requests_it(name: str) -> None:
    driver = SessionDriver()
    (updated,) = driver.update(**chosen(name))
    assert updated["session"]["audio"]["output"]["voice"] == name
    assert requested_voice(driver) == name


def test_voice_as_an_object_counts_by_its_id() -> None:
    driver = SessionDriver()
    (updated,) = driver.update(**chosen({"id": "zm_yunxi"}))
    assert updated["session"]["audio"]["output"]["voice"] == "zm_yunxi"
    assert requested_voice(driver) == "zm_yunxi"


def test_response_before_the_first_audio_may_have_another_voice() -> None:
    driver = SessionDriver()
    assert requested_voice(driver, **chosen("af_bella")) == "af_bella"
    driver.deliver_speech("Hi.")
    driver.finish_reply()
    assert single_error(driver.update(**chosen("zm_yunxi")))["code"] == "cannot_update_voice"


@pytest.mark.parametrize(
    ("voice", "param"), [("eve", "voice"), ("", "voice"), ({"id": "eve"}, "voice.id"), (7, "voice")]
)
def test_unknown_voice_is_an_error_and_the_session_keeps_its_own(voice: Any, param: str) -> None:
    driver = SessionDriver()
    driver.update(**chosen("bm_george"))
    error = single_error(driver.update(**chosen(voice)))
    assert error["param"] == f"session.audio.output.{param}"
    if isinstance(voice, int):
        assert error["code"] == "invalid_type"
    else:
        assert error["code"] == "invalid_value"
        assert all(repr(name) in error["message"] for name in VOICE_IDS)
    assert requested_voice(driver) == "bm_george"
