"""Fixtures of the tests of endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import ProvisionalTranscript, WorkResult
from offline.remote.endpoint_faults import EndpointFaults
from offline.remote.endpoint_model import EndpointModel
from tests.support.endpoints.endpoint_rig import EndpointRig, OpenRig
from tests.support.endpoints.fake_chat_client import FakeChatClient
from tests.support.endpoints.remote_rig import RemoteRig, open_remote_rig
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig


@pytest.fixture
async def open_rig() -> AsyncIterator[OpenRig]:
    executors = PriorityExecutor("stt"), PriorityExecutor("llm", 2), PriorityExecutor("tts")
    workers: list[PipelineSessionWorker] = []

    def open_rig(client: FakeChatClient) -> EndpointRig:
        clock, results = ManualClock(), asyncio.Queue[WorkResult]()
        recognizer, language_model, synthesizer = FakeRecognizer(), FakeLanguageModel(), FakeSynthesizer()
        provisional: list[ProvisionalTranscript] = []
        faults, reported_faults = EndpointFaults(), list[Mapping[str, str]]()
        faults.watch(reported_faults.append)

        def deliver(result: WorkResult) -> None:
            if isinstance(result, ProvisionalTranscript):
                provisional.append(result)
            else:
                results.put_nowait(result)

        runtime = ModelRuntime(
            language_model,
            synthesizer,
            executors[1],
            executors[2],
            ("en", "zh"),
            4096,
            endpoint=EndpointModel(client, ("en", "zh"), clock, faults.noter("llm")),
        )
        worker = PipelineSessionWorker(
            LoadedModels(recognizer, executors[0], runtime), 0, deliver, lambda: None, clock.sleep
        )
        workers.append(worker)
        rig = WorkerRig(worker, recognizer, language_model, synthesizer, results, [], provisional)
        return EndpointRig(rig, runtime, client, clock, reported_faults)

    yield open_rig
    for worker in workers:
        await worker.close()
    for executor in executors:
        executor.close()


@pytest.fixture
async def rig() -> AsyncIterator[RemoteRig]:
    async with open_remote_rig() as opened:
        yield opened
