"""Transcription endpoint: the upload, the forms of an answer, and failures."""

from __future__ import annotations

import asyncio
import io
import logging
import wave
from collections.abc import AsyncIterator

import numpy as np
import pytest

from offline.endpoints import transcription_client
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.settings import EndpointSettings
from offline.endpoints.transcription_client import TranscriptionEndpoint
from tests.support.endpoints.audio_requests import cancel_sent_request, failure_without
from tests.support.endpoints.scripted_audio_server import (
    ScriptedAudioReply,
    ScriptedAudioServer,
    in_turn,
    json_reply,
    refusal,
)

KEY, WORDS = "sk-canary-0123456789", "The canary sings."
PCM = (8000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype("<i2").tobytes()


@pytest.fixture
async def endpoint(server: ScriptedAudioServer) -> AsyncIterator[TranscriptionEndpoint]:
    client = TranscriptionEndpoint(EndpointSettings(server.url, "whisper-1", KEY))
    yield client
    await client.close()


async def failure_of(endpoint: TranscriptionEndpoint) -> EndpointError:
    return await failure_without(endpoint.transcribe(PCM, "en", WORDS), WORDS, KEY)


async def test_turn_is_uploaded_as_wav_at_16_khz(server: ScriptedAudioServer, endpoint: TranscriptionEndpoint) -> None:
    assert await endpoint.transcribe(PCM, None) == "Hello."
    (request,) = server.requests
    assert request.fields == {"model": "whisper-1", "response_format": "json"}
    assert request.headers["authorization"] == f"Bearer {KEY}"
    with wave.open(io.BytesIO(request.wav)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(samples) == 16_000
    assert np.abs(np.fft.rfft(samples)).argmax() == 440


async def test_language_and_prompt_are_sent_when_set(
    server: ScriptedAudioServer, endpoint: TranscriptionEndpoint
) -> None:
    await endpoint.transcribe(PCM, "zh", "台積電")
    assert server.requests[0].fields == {
        "model": "whisper-1",
        "response_format": "json",
        "language": "zh",
        "prompt": "台積電",
    }


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (json_reply({"text": " Hello there. \n"}), "Hello there."),
        (json_reply({"text": "Hi.", "segments": [], "language": "english"}), "Hi."),
        (json_reply({"text": ""}), ""),
        (json_reply("Hello."), "Hello."),
        (ScriptedAudioReply(" 你好。\n".encode(), "text/plain; charset=utf-8"), "你好。"),
        (ScriptedAudioReply(b"\xef\xbb\xbfHi.", ""), "Hi."),
        (ScriptedAudioReply(b"42\n", "text/plain"), "42"),
        (ScriptedAudioReply(b"", "text/plain"), ""),
    ],
)
async def test_words_are_read_from_json_and_plain_text(
    reply: ScriptedAudioReply, text: str, server: ScriptedAudioServer, endpoint: TranscriptionEndpoint
) -> None:
    server.transcription = in_turn(reply)
    assert await endpoint.transcribe(PCM, None) == text


@pytest.mark.parametrize("field", ["language", "prompt", "response_format"])
async def test_refused_field_is_left_out_and_remembered(
    field: str, server: ScriptedAudioServer, endpoint: TranscriptionEndpoint
) -> None:
    server.transcription = lambda request: (
        refusal(400, f"Unsupported: {field}.") if field in request.fields else json_reply({"text": "Hi."})
    )
    for _ in range(2):
        assert await endpoint.transcribe(PCM, "en", WORDS) == "Hi."
    assert [field in request.fields for request in server.requests] == [True, False, False]
    assert all(len(request.wav) == 32_044 for request in server.requests)


async def test_refused_language_does_not_drop_the_others(
    server: ScriptedAudioServer, endpoint: TranscriptionEndpoint
) -> None:
    no_chinese = refusal(400, "language 'zh' is not supported")
    server.transcription = lambda request: (
        no_chinese if request.fields.get("language") == "zh" else json_reply({"text": "Hi."})
    )
    for language in ("zh", "zh", "en"):
        assert await endpoint.transcribe(PCM, language) == "Hi."
    assert [request.fields.get("language") for request in server.requests] == ["zh", None, None, "en"]


async def test_words_in_the_fault_of_another_field_drop_nothing(
    server: ScriptedAudioServer, endpoint: TranscriptionEndpoint
) -> None:
    detail = [{"loc": ["body", "file"], "msg": "no", "input": "language prompt response_format"}]
    server.transcription = in_turn(json_reply({"detail": detail}, 422))
    assert (await failure_of(endpoint)).fault is EndpointFault.REJECTED
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (refusal(401), EndpointFault.UNAUTHORIZED),
        (refusal(404), EndpointFault.NOT_FOUND),
        (refusal(429), EndpointFault.RATE_LIMITED),
        (refusal(400, f"{WORDS} {KEY}"), EndpointFault.REJECTED),
        (refusal(503, WORDS), EndpointFault.SERVER_ERROR),
        (json_reply({"error": WORDS}), EndpointFault.SERVER_ERROR),
        (json_reply({"words": WORDS}), EndpointFault.MALFORMED),
        (json_reply([WORDS]), EndpointFault.MALFORMED),
        (json_reply({"text": None}), EndpointFault.MALFORMED),
        (json_reply(None), EndpointFault.MALFORMED),
        (ScriptedAudioReply(b"[" * 50_000, "application/json"), EndpointFault.MALFORMED),
        (ScriptedAudioReply(b'{"a":' * 50_000, "application/json"), EndpointFault.MALFORMED),
        (ScriptedAudioReply(b'{"text": "The', "application/json"), EndpointFault.MALFORMED),
        (ScriptedAudioReply(b"<html>hi", "text/html"), EndpointFault.MALFORMED),
        (ScriptedAudioReply(b"\xff\xfe\xfd", "text/plain"), EndpointFault.MALFORMED),
        (ScriptedAudioReply(b'{"text": "Hello."}', "application/json", cut_at=9), EndpointFault.BROKEN_OFF),
    ],
)
async def test_failure_has_its_fault_and_nothing_of_words_or_key(
    reply: ScriptedAudioReply,
    fault: EndpointFault,
    server: ScriptedAudioServer,
    endpoint: TranscriptionEndpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.transcription = in_turn(reply)
    assert (await failure_of(endpoint)).fault is fault
    assert WORDS not in caplog.text and KEY not in caplog.text


async def test_slow_transcript_times_out(
    server: ScriptedAudioServer, endpoint: TranscriptionEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription_client, "TRANSCRIPTION_TIMEOUT_S", 0.1)
    server.transcription = in_turn(json_reply({"text": "Hi."}, begin=asyncio.Event()))
    assert (await failure_of(endpoint)).fault is EndpointFault.TIMEOUT


async def test_too_long_transcript_is_refused(
    server: ScriptedAudioServer, endpoint: TranscriptionEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription_client, "MAX_TRANSCRIPT_BYTES", 10)
    assert "too long" in str(await failure_of(endpoint))


async def test_missing_choice_of_a_model_names_the_setting(server: ScriptedAudioServer) -> None:
    endpoint = TranscriptionEndpoint(EndpointSettings(server.url, key=KEY))
    error = await failure_of(endpoint)
    assert error.fault is EndpointFault.NOT_CHOSEN and "set STT_MODEL." in str(error)
    await endpoint.close()


async def test_cancelled_request_closes_its_connection(
    server: ScriptedAudioServer, endpoint: TranscriptionEndpoint
) -> None:
    server.transcription = in_turn(json_reply({"text": "Hi."}, begin=asyncio.Event()))
    await cancel_sent_request(server, endpoint.transcribe(PCM, None))
