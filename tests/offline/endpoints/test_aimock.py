"""Endpoints against aimock, a mock of OpenAI's API by other authors: its forms of answers, and its failures."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from offline.endpoints.chat_client import ChatEndpoint
from offline.endpoints.chat_stream import ChatEnd, ChatEvent, ChatText, ChatThinking
from offline.endpoints.dialect import ChatRequest
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.settings import EndpointSettings
from offline.endpoints.speech_client import SpeechEndpoint
from offline.endpoints.transcription_client import TranscriptionEndpoint
from offline.wav import wav_file
from tests.support.endpoints.aimock_server import AimockServer, running_aimock
from tests.support.offline.scripted_models import silence, tone

SERVED_WORDS = "The lighthouse keeper makes tea for his cat and for himself."
WORDS_MATCH = {"userMessage": "Hello"}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
REQUEST = ChatRequest(({"role": "user", "content": "Hello"},), 50)

Serve = Callable[..., AimockServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve one fixture, which answers "Hello"; further fields of the fixture by name."""
    with ExitStack() as stack:

        def start(response: dict[str, Any], match: dict[str, Any] | None = None, **fields: Any) -> AimockServer:
            fixture = {"match": WORDS_MATCH if match is None else match, "response": response, **fields}
            return stack.enter_context(running_aimock(tmp_path, fixture))

        yield start


async def collect(server: AimockServer, request: ChatRequest = REQUEST) -> list[ChatEvent]:
    endpoint = ChatEndpoint(EndpointSettings(server.url, "gpt-4o-mini", "sk-mock"))
    try:
        async with aclosing(endpoint.stream(request)) as events:
            return [event async for event in events]
    finally:
        await endpoint.close()


async def failure_of(server: AimockServer) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        await collect(server)
    return caught.value


def texts(events: list[ChatEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, ChatText)]


async def test_chat_is_streamed_with_token_counts(serve: Serve) -> None:
    server = serve({"content": SERVED_WORDS}, chunkSize=5, latency=1)
    events = await collect(server)
    assert len(texts(events)) > 5 and "".join(texts(events)) == SERVED_WORDS
    end = events[-1]
    assert isinstance(end, ChatEnd) and end.finish_reason == "stop" and end.usage.output_tokens > 0
    (request,) = await asyncio.to_thread(server.requests)
    assert request["path"] == "/v1/chat/completions"
    assert request["body"]["stream_options"] == {"include_usage": True}


async def test_words_arrive_before_the_end(serve: Serve) -> None:
    """The rest of the answer would take a minute."""
    server = serve({"content": SERVED_WORDS}, chunkSize=5, streamingProfile={"ttft": 1, "tps": 0.2})
    endpoint = ChatEndpoint(EndpointSettings(server.url, "gpt-4o-mini"))
    async with aclosing(endpoint.stream(REQUEST)) as events:
        first = await anext(events)
    assert isinstance(first, ChatText) and SERVED_WORDS.startswith(first.text)
    await endpoint.close()


async def test_reasoning_is_not_delivered(serve: Serve) -> None:
    events = await collect(serve({"content": SERVED_WORDS, "reasoning": "secret plan " * 5}))
    assert any(isinstance(event, ChatThinking) for event in events)
    assert "".join(texts(events)) == SERVED_WORDS


async def test_tool_calls_are_collected_from_their_pieces(serve: Serve) -> None:
    calls = [
        {"name": "get_weather", "arguments": {"city": "Taipei", "days": [1, 2, 3]}},
        {"name": "get_weather", "arguments": {"city": "London"}},
    ]
    events = await collect(serve({"toolCalls": calls}, chunkSize=4), ChatRequest(REQUEST.messages, 50, (TOOL,), "auto"))
    end = events[-1]
    assert isinstance(end, ChatEnd) and end.finish_reason == "tool_calls"
    assert [call.arguments for call in end.tool_calls] == ['{"city":"Taipei","days":[1,2,3]}', '{"city":"London"}']
    assert {call.name for call in end.tool_calls} == {"get_weather"}
    assert len({call.id for call in end.tool_calls}) == 2


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (429, "rate_limit_exceeded", EndpointFault.RATE_LIMITED),
        (429, "insufficient_quota", EndpointFault.NO_CREDIT),
        (401, "invalid_api_key", EndpointFault.UNAUTHORIZED),
        (400, "context_length_exceeded", EndpointFault.CONTEXT_LENGTH),
        (404, "model_not_found", EndpointFault.NOT_FOUND),
        (503, "overloaded", EndpointFault.SERVER_ERROR),
    ],
)
async def test_error_bodies_are_understood(serve: Serve, status: int, code: str, fault: EndpointFault) -> None:
    error = {"message": "secret words", "type": code, "code": code}
    failure = await failure_of(serve({"error": error, "status": status}))
    assert (failure.fault, failure.status) == (fault, status)
    assert "secret" not in str(failure)


async def test_answer_cut_after_some_chunks_is_broken_off(serve: Serve) -> None:
    failure = await failure_of(serve({"content": SERVED_WORDS}, chunkSize=5, truncateAfterChunks=4))
    assert failure.fault is EndpointFault.BROKEN_OFF


async def test_answer_that_cannot_be_read_is_malformed(serve: Serve) -> None:
    failure = await failure_of(serve({"content": SERVED_WORDS}, chaos={"malformedRate": 1.0}))
    assert failure.fault is EndpointFault.MALFORMED


async def test_dropped_connection_is_broken_off(serve: Serve) -> None:
    failure = await failure_of(serve({"content": SERVED_WORDS}, chaos={"disconnectRate": 1.0}))
    assert failure.fault is EndpointFault.BROKEN_OFF


@pytest.mark.parametrize("is_wav", [False, True])
async def test_speech_is_read_in_both_forms(serve: Serve, is_wav: bool) -> None:
    pcm = silence(20) + tone(200)
    audio = base64.b64encode(wav_file(pcm, 24_000) if is_wav else pcm).decode()
    server = serve({"audio": audio, "format": "wav" if is_wav else "pcm"})
    endpoint = SpeechEndpoint(EndpointSettings(server.url, "tts-1", "sk-mock", "nova"))
    try:
        assert await endpoint.synthesize("Hello there.", 1.2) == pcm
    finally:
        await endpoint.close()


async def test_speech_that_is_compressed_is_refused(serve: Serve) -> None:
    server = serve({"audio": base64.b64encode(b"ID3\x04" + bytes(400)).decode()})
    endpoint = SpeechEndpoint(EndpointSettings(server.url, "tts-1"))
    with pytest.raises(EndpointError, match="MP3") as caught:
        await endpoint.synthesize("Hello there.")
    assert caught.value.fault is EndpointFault.MALFORMED
    await endpoint.close()


@pytest.mark.parametrize("language", ["en", None])
async def test_turn_is_transcribed(serve: Serve, language: Any) -> None:
    server = serve({"transcription": {"text": " Go forward ten meters."}}, {"endpoint": "transcription"})
    endpoint = TranscriptionEndpoint(EndpointSettings(server.url, "whisper-1", "sk-mock"))
    try:
        assert await endpoint.transcribe(tone(300), language, "Keywords") == "Go forward ten meters."
    finally:
        await endpoint.close()


async def test_audio_errors_are_understood(serve: Serve) -> None:
    refusal = {"error": {"message": "secret", "type": "rate_limit_error"}, "status": 429}
    speech = SpeechEndpoint(EndpointSettings(serve(refusal, {"endpoint": "speech"}).url, "tts-1"))
    server = serve(refusal, {"endpoint": "transcription"})
    transcription = TranscriptionEndpoint(EndpointSettings(server.url, "whisper-1"))
    for ask in (speech.synthesize("Hello there."), transcription.transcribe(tone(300), "en")):
        with pytest.raises(EndpointError) as caught:
            await ask
        assert caught.value.fault is EndpointFault.RATE_LIMITED
        assert "secret" not in str(caught.value)
    await speech.close()
    await transcription.close()
