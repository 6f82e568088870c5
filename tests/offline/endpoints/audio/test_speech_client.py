"""Speech endpoint: what is asked for, and the failures of a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.endpoints import speech_client
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.settings import EndpointSettings
from offline.endpoints.speech_client import SpeechEndpoint, split_input
from offline.wav import wav_file
from tests.support.endpoints.audio_requests import cancel_sent_request, failure_without
from tests.support.endpoints.scripted_audio_server import (
    ScriptedAudioReply,
    ScriptedAudioServer,
    in_turn,
    json_reply,
    refusal,
)

KEY, TEXT = "sk-canary-0123456789", "The canary sings."
PCM = np.arange(-1000, 1000, dtype="<i2").tobytes()


@pytest.fixture
async def endpoint(server: ScriptedAudioServer) -> AsyncIterator[SpeechEndpoint]:
    client = SpeechEndpoint(EndpointSettings(server.url, "tts-1", KEY))
    yield client
    await client.close()


async def failure_of(endpoint: SpeechEndpoint) -> EndpointError:
    return await failure_without(endpoint.synthesize(TEXT, 1.0), TEXT, KEY)


# ------------------------------------------------------------------ requests


async def test_request_has_the_fields_of_the_protocol(server: ScriptedAudioServer, endpoint: SpeechEndpoint) -> None:
    server.speech = in_turn(ScriptedAudioReply(PCM, "audio/pcm"))
    assert await endpoint.synthesize(TEXT, 1.0) == PCM
    assert await endpoint.synthesize(TEXT, 1.25) == PCM
    plain = {"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "pcm"}
    assert [request.fields for request in server.requests] == [plain, plain | {"speed": 1.25}]
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert endpoint.host == f"127.0.0.1:{server.port}" and endpoint.is_private


async def test_voice_of_the_settings_is_asked_for(server: ScriptedAudioServer) -> None:
    endpoint = SpeechEndpoint(EndpointSettings(server.url, "m", voice="af_sky"))
    await endpoint.synthesize(TEXT, 1.0)
    assert server.requests[0].fields["voice"] == "af_sky"
    await endpoint.close()


@pytest.mark.parametrize("text", ["", "  ", "…!", "👍"])
async def test_text_without_words_needs_no_request(
    text: str, server: ScriptedAudioServer, endpoint: SpeechEndpoint
) -> None:
    assert await endpoint.synthesize(text, 1.0) == b""
    assert server.requests == []


async def test_long_text_is_spoken_in_pieces(server: ScriptedAudioServer, endpoint: SpeechEndpoint) -> None:
    words = ["word"] * 1500
    assert await endpoint.synthesize(" ".join(words), 1.0) == b"\x01\x00" * 2
    sent = [request.fields["input"] for request in server.requests]
    assert max(map(len, sent)) <= 4096 and " ".join(sent).split() == words


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 9))
def test_pieces_have_all_words_and_are_short_enough(text: str, limit: int) -> None:
    pieces = list(split_input(text, limit))
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "no", "speed"),
        refusal(400, "Unknown field 'speed'."),
        json_reply({"detail": [{"loc": ["body", "speed"], "msg": "Extra inputs are not permitted"}]}, 422),
        json_reply({"detail": [{"loc": ["body", "speed"], "msg": "no", "input": {"response_format": "pcm"}}]}, 422),
    ],
    ids=["param", "message", "validation", "validation-with-input"],
)
async def test_refused_field_is_left_out_and_remembered(
    answer: ScriptedAudioReply, server: ScriptedAudioServer, endpoint: SpeechEndpoint
) -> None:
    server.speech = lambda request: answer if "speed" in request.fields else ScriptedAudioReply(PCM)
    for _ in range(2):
        assert await endpoint.synthesize(TEXT, 1.5) == PCM
    assert ["speed" in request.fields for request in server.requests] == [True, False, False]


async def test_field_is_not_held_responsible_for_another_refusal(
    server: ScriptedAudioServer, endpoint: SpeechEndpoint
) -> None:
    server.speech = in_turn(
        refusal(400, "response_format?"), refusal(400, "bad voice"), ScriptedAudioReply(wav_file(PCM, 24_000))
    )
    assert (await failure_of(endpoint)).fault is EndpointFault.REJECTED
    assert await endpoint.synthesize(TEXT, 1.0) == PCM
    assert [request.fields["response_format"] for request in server.requests] == ["pcm", "wav", "pcm"]


@pytest.mark.parametrize("message", ["response_format 'pcm' is not supported", "Unknown field: response_format"])
async def test_wav_is_asked_for_where_samples_are_refused(
    message: str, server: ScriptedAudioServer, endpoint: SpeechEndpoint
) -> None:
    server.speech = in_turn(refusal(400, message), ScriptedAudioReply(wav_file(PCM, 24_000)))
    for _ in range(2):
        assert await endpoint.synthesize(TEXT, 1.0) == PCM
    assert [request.fields["response_format"] for request in server.requests] == ["pcm", "wav", "wav"]


async def test_format_is_left_out_where_wav_is_refused_too(
    server: ScriptedAudioServer, endpoint: SpeechEndpoint
) -> None:
    no_field = refusal(400, "Unknown field: response_format")
    server.speech = lambda request: no_field if "response_format" in request.fields else ScriptedAudioReply(PCM)
    for _ in range(2):
        assert await endpoint.synthesize(TEXT, 1.0) == PCM
    assert [request.fields.get("response_format") for request in server.requests] == ["pcm", "wav", None, None]


async def test_speed_out_of_range_does_not_drop_the_others(
    server: ScriptedAudioServer, endpoint: SpeechEndpoint
) -> None:
    too_fast = refusal(400, "speed must be at most 1.2, not 1.5.")
    server.speech = lambda request: too_fast if request.fields.get("speed") == 1.5 else ScriptedAudioReply(PCM)
    for speed in (1.5, 1.5, 1.1):
        assert await endpoint.synthesize(TEXT, speed) == PCM
    assert [request.fields.get("speed") for request in server.requests] == [1.5, None, None, 1.1]


@pytest.mark.parametrize(
    ("models", "fault", "words"),
    [
        (refusal(404), EndpointFault.NOT_CHOSEN, "has no list of models: set TTS_MODEL."),
        (json_reply("?"), EndpointFault.NOT_CHOSEN, "has no list of models: set TTS_MODEL."),
        (json_reply({"data": [{"id": "a"}, {"id": "b"}]}), EndpointFault.NOT_CHOSEN, "offers 2: a, b."),
        (refusal(401), EndpointFault.UNAUTHORIZED, "refuses the key"),
    ],
)
async def test_missing_choice_of_a_model_is_named(
    models: ScriptedAudioReply, fault: EndpointFault, words: str, server: ScriptedAudioServer
) -> None:
    server.models = models
    endpoint = SpeechEndpoint(EndpointSettings(server.url, key=KEY))
    error = await failure_of(endpoint)
    assert error.fault is fault and words in str(error)
    await endpoint.close()


async def test_only_model_of_the_list_is_used(server: ScriptedAudioServer) -> None:
    server.models = json_reply({"data": [{"id": "kokoro"}]})
    endpoint = SpeechEndpoint(EndpointSettings(server.url))
    for _ in range(2):
        await endpoint.synthesize(TEXT, 1.0)
    assert [request.fields["model"] for request in server.requests] == ["kokoro", "kokoro"]
    await endpoint.close()


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (refusal(401), EndpointFault.UNAUTHORIZED),
        (refusal(402), EndpointFault.NO_CREDIT),
        (refusal(404), EndpointFault.NOT_FOUND),
        (refusal(429, headers=(("Retry-After", "7"),)), EndpointFault.RATE_LIMITED),
        (refusal(400, f"You said {TEXT} with {KEY}"), EndpointFault.REJECTED),
        (ScriptedAudioReply(b"oops " + TEXT.encode(), status=500), EndpointFault.SERVER_ERROR),
        (ScriptedAudioReply(PCM, cut_at=100), EndpointFault.BROKEN_OFF),
        (ScriptedAudioReply(PCM, cut_at=0), EndpointFault.BROKEN_OFF),
        (json_reply({"error": {"message": TEXT, "code": 503}}), EndpointFault.SERVER_ERROR),
        (ScriptedAudioReply(b"ID3\x04" + bytes(99), "audio/mpeg"), EndpointFault.MALFORMED),
    ],
)
async def test_failure_has_its_fault_and_nothing_of_text_or_key(
    reply: ScriptedAudioReply,
    fault: EndpointFault,
    server: ScriptedAudioServer,
    endpoint: SpeechEndpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.speech = in_turn(reply)
    error = await failure_of(endpoint)
    assert error.fault is fault
    assert error.retry_after_s == (7 if fault is EndpointFault.RATE_LIMITED else None)
    assert TEXT not in caplog.text and KEY not in caplog.text


@pytest.mark.parametrize("limit", ["FIRST_BYTE_TIMEOUT_S", "CLAUSE_TIMEOUT_S"])
async def test_slow_answer_times_out_and_its_connection_is_closed(
    limit: str, server: ScriptedAudioServer, endpoint: SpeechEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_client, limit, 0.1)
    never = asyncio.Event()
    is_first = limit == "FIRST_BYTE_TIMEOUT_S"
    server.speech = in_turn(ScriptedAudioReply(PCM, begin=never if is_first else None, pause_at=100, go_on=never))
    assert (await failure_of(endpoint)).fault is EndpointFault.TIMEOUT
    await server.wait_for(lambda each: each.clients_left == 1)


async def test_too_long_answer_is_refused(
    server: ScriptedAudioServer, endpoint: SpeechEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_client, "MAX_SPEECH_BYTES", len(PCM) - 1)
    server.speech = in_turn(ScriptedAudioReply(PCM))
    error = await failure_of(endpoint)
    assert error.fault is EndpointFault.MALFORMED and "too long" in str(error)


async def test_unreachable_endpoint_is_named(unused_tcp_port: int) -> None:
    endpoint = SpeechEndpoint(EndpointSettings(f"http://127.0.0.1:{unused_tcp_port}/v1", "m", KEY))
    assert (await failure_of(endpoint)).fault is EndpointFault.UNREACHABLE
    await endpoint.close()


async def test_cancelled_request_closes_its_connection(server: ScriptedAudioServer, endpoint: SpeechEndpoint) -> None:
    server.speech = in_turn(ScriptedAudioReply(PCM, begin=asyncio.Event()))
    await cancel_sent_request(server, endpoint.synthesize(TEXT, 1.0))
