"""End of the process: sessions end first, then requests and connections of the endpoints are closed."""

from __future__ import annotations

import asyncio
import signal
import threading
from pathlib import Path

import pytest

import offline.__main__ as entry_point
from offline.models.store import ModelStore
from offline.pipeline import loader
from offline.pipeline.loader import Pipeline
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels
from offline.pipeline.speech_models import SpeechModels
from offline.protocol.worker_messages import LanguageCode
from offline.remote.endpoint_model import EndpointModel
from offline.remote.remote_speech import FallbackSpeech, FallbackTranscription
from offline.server import RealtimeServer
from tests.support.endpoints.endpoint_rig import REQUEST
from tests.support.endpoints.fake_chat_client import FakeChatClient
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, wait_until
from tests.support.offline.scripted_models import ModelScript, ScriptedModelRuntime

STORE = ModelStore(llm=Path("fake-model.gguf"), moonshine=None, whisper=None, kokoro=None)


class ClosingAudioClient:
    """Speech and recognition; with `hangs`, the closing of its connections does not end."""

    host = "models.example"
    is_private = True

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs
        self.is_closed = False

    async def synthesize(self, text: str, speed: float) -> bytes:
        return b"\x01\x00"

    async def transcribe(self, pcm: bytes, language: LanguageCode | None, prompt: str = "") -> str:
        return "Hello."

    async def close(self) -> None:
        self.is_closed = True
        if self._hangs:
            await asyncio.Event().wait()


def open_pipeline(
    chat: FakeChatClient | None, speech: ClosingAudioClient | None, words: ClosingAudioClient | None
) -> Pipeline:
    runtime = ModelRuntime(
        FakeLanguageModel(),
        FakeSynthesizer(),
        PriorityExecutor("llm"),
        PriorityExecutor("tts"),
        ("en",),
        4096,
        endpoint=EndpointModel(chat, ("en",)) if chat is not None else None,
        remote_speech=FallbackSpeech(speech) if speech is not None else None,
    )
    transcription = FallbackTranscription(words) if words is not None else None
    models = LoadedModels(FakeRecognizer(), PriorityExecutor("stt"), runtime, transcription)
    return Pipeline(models, SpeechModels(), STORE, "fake-model", 1)


async def test_close_ends_warm_ups_and_closes_all_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "CLOSE_TIMEOUT_S", 0.05)
    chat, speech, words = FakeChatClient([]), ClosingAudioClient(hangs=True), ClosingAudioClient()
    chat.warm_up_script = [asyncio.Event()]
    pipeline = open_pipeline(chat, speech, words)
    before = asyncio.all_tasks()
    pipeline.runtime.start_warm_up(REQUEST)
    await wait_until(lambda: chat.warm_ups)
    await pipeline.close()
    assert chat.cancelled_count == 1
    assert [chat.is_closed, speech.is_closed, words.is_closed] == [True] * 3
    assert asyncio.all_tasks() == before


async def test_close_without_endpoints_ends_the_threads() -> None:
    before = set(threading.enumerate())
    pipeline = open_pipeline(None, None, None)
    threads = set(threading.enumerate()) - before
    assert {thread.name for thread in threads} == {"stt-0", "llm-0", "tts-0"}
    await pipeline.close()
    await wait_until(lambda: not any(thread.is_alive() for thread in threads))


async def test_process_closes_its_models_after_the_last_session(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = ScriptedModelRuntime(ModelScript())

    async def load_models(server: RealtimeServer, *, fetch: bool) -> None:
        server.mark_ready(workers, workers.languages)
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setattr(entry_point, "load_models", load_models)
    assert not workers.is_closed
    async with asyncio.timeout(20):
        assert await entry_point.serve("127.0.0.1", 0, 1, "", exit_with_parent=False, fetch=False) == 0
    assert workers.is_closed
