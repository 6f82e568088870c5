"""Session worker whose speech and final words come from a scripted server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from offline.endpoints.circuit_breaker import CircuitBreaker
from offline.endpoints.settings import EndpointSettings
from offline.endpoints.speech_client import SpeechEndpoint
from offline.endpoints.transcription_client import TranscriptionEndpoint
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LlmMessage,
    ProvisionalTranscript,
    Recognize,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    WorkResult,
)
from offline.remote import remote_speech
from offline.remote.endpoint_faults import EndpointFaults
from offline.remote.remote_speech import FallbackSpeech, FallbackTranscription
from tests.support.endpoints.scripted_audio_server import (
    AudioRequest,
    ScriptedAudioReply,
    ScriptedAudioServer,
    running_audio_server,
)
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig

KEY = "sk-canary-0123456789"
REQUEST = ReplyRequest((LlmMessage("system", "Tell stories."), LlmMessage("user", "Hello there.")), speak=True)
BASE_REQUEST = ReplyRequest(REQUEST.messages[:1], speak=True)
AUDIO = b"\x01\x00" * 24_000
CLAUSES = ["One thing here.", " Two things here.", " Three things here.", " Four things here."]


class FailureLog(logging.Handler):
    """Keeps the lines of a logger."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class RemoteRig(WorkerRig):
    """Session worker whose speech and final words come from a scripted server."""

    server: ScriptedAudioServer
    speech: FallbackSpeech
    transcription: FallbackTranscription
    clock: ManualClock
    failures: list[str] = field(default_factory=list)
    """Lines of the log."""
    reported_faults: list[Mapping[str, str]] = field(default_factory=list)
    """Present faults of the endpoints after each change."""

    async def voices(self, response_id: str = "r") -> list[str]:
        """Return which voice spoke each clause of the next reply, in order."""
        voices, _ = await self.voices_and_fault(response_id)
        return voices

    async def voices_and_fault(self, response_id: str = "r") -> tuple[list[str], str]:
        """Return which voice spoke each clause of the next reply, and the fault for which this computer spoke."""
        self.worker.submit(Generate(response_id, REQUEST))
        *spoken, done = await self.results_until_done()
        assert isinstance(done, ReplyDone) and done.reason == "stop"
        assert [clause.text for clause in spoken if isinstance(clause, ReplySpeech)] == CLAUSES
        return [voice_of(clause) for clause in spoken if isinstance(clause, ReplySpeech)], done.speech_fault

    async def final_words(self, audio: bytes = AUDIO) -> tuple[str, str]:
        """Return the words of a turn, and their language."""
        result = await self.final_transcript(audio)
        return result.text, result.language

    async def final_transcript(self, audio: bytes = AUDIO) -> FinalTranscript:
        """Return the transcript of a turn."""
        self.worker.submit(Recognize("i", audio, None))
        result = await self.next_result()
        assert isinstance(result, FinalTranscript)
        return result


def remote_audio(request: AudioRequest) -> bytes:
    return b"\x07\x07" * len(request.fields["input"])


def voice_of(clause: ReplySpeech) -> str:
    """Return the voice, after checking that the audio is that of the clause."""
    spoken = len(clause.text.strip())
    if clause.audio == b"\x07\x07" * spoken:
        return "remote"
    assert clause.audio in (b"\x00\x01" * spoken, b"\x00\x01" * len(clause.text))
    return "local"


def speak(request: AudioRequest) -> ScriptedAudioReply:
    return ScriptedAudioReply(remote_audio(request), "audio/pcm")


def clause_number(request: AudioRequest) -> int:
    return [clause.strip() for clause in CLAUSES].index(request.fields["input"])


def each_clause(*replies: ScriptedAudioReply | None) -> Callable[[AudioRequest], ScriptedAudioReply]:
    """Answer the request for each clause with its reply; with its audio for None and beyond the end."""

    def answer(request: AudioRequest) -> ScriptedAudioReply:
        number = clause_number(request)
        return (replies[number] if number < len(replies) else None) or speak(request)

    return answer


@asynccontextmanager
async def open_remote_rig() -> AsyncIterator[RemoteRig]:
    """Open the worker and its server while the context lasts."""
    async with running_audio_server() as server:
        server.speech = speak
        endpoints = [EndpointSettings(server.url, "m", KEY)] * 2
        clients = SpeechEndpoint(endpoints[0]), TranscriptionEndpoint(endpoints[1])
        clock, failures = ManualClock(), FailureLog()
        remote_speech.LOGGER.addHandler(failures)
        faults, reported_faults = EndpointFaults(), list[Mapping[str, str]]()
        faults.watch(reported_faults.append)
        speech = FallbackSpeech(clients[0], CircuitBreaker(clock), faults.noter("tts"))
        transcription = FallbackTranscription(clients[1], CircuitBreaker(clock), faults.noter("stt"))
        executors = PriorityExecutor("stt"), PriorityExecutor("llm"), PriorityExecutor("tts")
        recognizer, model, synthesizer = FakeRecognizer(), FakeLanguageModel(CLAUSES), FakeSynthesizer()
        runtime = ModelRuntime(model, synthesizer, *executors[1:], ("en", "zh"), 4096, remote_speech=speech)
        results, provisional = asyncio.Queue[WorkResult](), list[ProvisionalTranscript]()

        def deliver(result: WorkResult) -> None:
            if isinstance(result, ProvisionalTranscript):
                provisional.append(result)
            else:
                results.put_nowait(result)

        models = LoadedModels(recognizer, executors[0], runtime, transcription)
        worker = PipelineSessionWorker(models, 0, deliver, lambda: None)
        yield RemoteRig(
            worker, recognizer, model, synthesizer, results, [], provisional, server, speech, transcription, clock,
            failures.lines, reported_faults,
        )  # fmt: skip
        remote_speech.LOGGER.removeHandler(failures)
        await worker.close()
        for client in clients:
            await client.close()
        for executor in executors:
            executor.close()
