"""Realtime server whose turns a chat endpoint answers over HTTP, with fakes of the models of this computer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from offline.endpoints.settings import Endpoints, EndpointSettings
from offline.models.store import ModelStore
from offline.pipeline.loader import Pipeline
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels
from offline.pipeline.speech_models import SpeechModels
from offline.remote.endpoint_faults import EndpointFaults
from offline.remote.setup import open_chat_endpoint
from offline.server import RealtimeServer

from .fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer
from .scripted_models import running_server, tone_detector

LANGUAGES = ("en", "zh")
STORE = ModelStore(llm=Path("fake-model.gguf"), moonshine=None, whisper=None, kokoro=None)


@dataclass
class EndpointServer:
    """The running server, and the models beside the endpoint."""

    url: str = ""
    language_model: FakeLanguageModel = field(default_factory=FakeLanguageModel)
    synthesizer: FakeSynthesizer = field(default_factory=FakeSynthesizer)


@asynccontextmanager
async def endpoint_server(settings: EndpointSettings) -> AsyncIterator[EndpointServer]:
    """Run a server whose language model is the endpoint of `settings`."""
    running = EndpointServer()
    endpoint = open_chat_endpoint(Endpoints(llm=settings), LANGUAGES, EndpointFaults())
    assert endpoint is not None
    runtime = ModelRuntime(
        running.language_model,
        running.synthesizer,
        PriorityExecutor("llm"),
        PriorityExecutor("tts"),
        LANGUAGES,
        4096,
        endpoint=endpoint,
    )
    models = LoadedModels(FakeRecognizer(), PriorityExecutor("stt"), runtime)
    pipeline = Pipeline(models, SpeechModels(), STORE, "fake-model", 1)
    server = RealtimeServer(capacity=1, vad_factory=tone_detector)
    server.mark_ready(pipeline, pipeline.languages)
    try:
        async with running_server(server) as running.url:
            yield running
    finally:
        await server.close()
