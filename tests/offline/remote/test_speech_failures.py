"""Speech and recognition by an endpoint: unexpected errors, and the server's own sentences in the endpoint's voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from offline.endpoints.circuit_breaker import CircuitBreaker
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.protocol.worker_messages import LanguageCode
from offline.remote.remote_speech import FallbackSpeech, FallbackTranscription
from offline.stt.recognition_rules import RecognitionResult
from tests.support.manual_clock import ManualClock

SECOND = b"\x01\x00" * 24_000


class ScriptedClient:
    """Speech and recognition that answer in turn, the last answer again and again."""

    host = "models.example"
    is_private = False

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.texts: list[str] = []

    def _next(self) -> bytes:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def synthesize(self, text: str, speed: float) -> bytes:
        self.texts.append(text)
        return self._next()

    async def transcribe(self, pcm: bytes, language: LanguageCode | None, prompt: str = "") -> str:
        return self._next().decode()

    async def close(self) -> None:
        pass


async def clauses() -> AsyncGenerator[tuple[str, str], None]:
    yield "One.", "One."
    yield "Two.", "Two."


async def test_unexpected_error_of_the_voice_lets_this_computer_speak(caplog: pytest.LogCaptureFixture) -> None:
    speech = FallbackSpeech(ScriptedClient(RuntimeError("a secret")))

    async def local(text: str) -> bytes:
        return b"local"

    reply = speech.open_reply(1.0, local, committed := asyncio.Event())
    committed.set()
    spoken = [each async for each in reply.synthesized(clauses())]
    assert spoken == [("One.", b"local"), ("Two.", b"local")]
    assert "fault=malformed" in caplog.text and "secret" not in caplog.text


async def test_unexpected_error_of_the_recognition_leaves_the_words_of_this_computer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def local() -> RecognitionResult:
        return RecognitionResult("Hello.", "en")

    transcription = FallbackTranscription(ScriptedClient(RuntimeError("a secret")))
    assert await transcription.transcribe(SECOND, None, local()) == RecognitionResult("Hello.", "en", "malformed")
    assert "fault=malformed" in caplog.text and "secret" not in caplog.text


async def test_own_sentence_is_made_once_and_left_out_while_the_endpoint_rests() -> None:
    clock = ManualClock()
    broken = EndpointError(EndpointFault.SERVER_ERROR, "It failed.")
    client = ScriptedClient(SECOND, broken)
    speech = FallbackSpeech(client, CircuitBreaker(clock))
    for _ in range(2):
        assert await speech.synthesize_fixed("Let me think.", 1.0) == SECOND
    assert client.texts == ["Let me think."]
    assert await speech.synthesize_fixed("Another.", 1.0) == b""
    assert await speech.synthesize_fixed("Let me think.", 1.0) == b"", "this computer's voice speaks the rest"
    assert client.texts == ["Let me think.", "Another."]
