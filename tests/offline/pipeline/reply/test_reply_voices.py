"""Voice of a reply: from the request to the synthesiser, and what sessions with other voices share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from offline.llm.prompt import Prompt
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LlmMessage,
    Recognize,
    ReplyRequest,
    ReplySpeech,
    SpeechPaused,
    WorkResult,
)
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig

BASE = ReplyRequest((LlmMessage("system", "Be kind."),), speak=True)
REQUEST = replace(BASE, messages=(*BASE.messages, LlmMessage("user", "Hello there.")))


@pytest.fixture
async def rig() -> AsyncIterator[WorkerRig]:
    llm, tts, results = FakeLanguageModel(), FakeSynthesizer(), asyncio.Queue[WorkResult]()
    executors = [PriorityExecutor(name) for name in ("llm", "tts", "stt")]
    runtime = ModelRuntime(llm, tts, executors[0], executors[1], ("en", "zh"), 4096)
    recognizer = FakeRecognizer()
    models = LoadedModels(recognizer, executors[2], runtime)
    worker = PipelineSessionWorker(models, 0, results.put_nowait, lambda: None)
    yield WorkerRig(worker, recognizer, llm, tts, results, [], [])
    await worker.close()
    for executor in executors:
        executor.close()


@pytest.mark.parametrize("voice", ["", "zm_yunxi", "af_bella"])
async def test_reply_is_spoken_with_the_voice_of_its_request(rig: WorkerRig, voice: str) -> None:
    rig.worker.submit(Generate("r", replace(REQUEST, voice=voice)))
    results = await rig.results_until_done()
    assert sum(isinstance(each, ReplySpeech) for each in results) == 2
    assert rig.synthesizer.voices == [voice, voice]


async def test_replies_of_one_worker_have_the_voice_of_each_request(rig: WorkerRig) -> None:
    for voice in ("zm_yunxi", "", "af_bella"):
        rig.worker.submit(Generate("r", replace(REQUEST, voice=voice)))
        await rig.results_until_done()
    assert list(dict.fromkeys(rig.synthesizer.voices)) == ["zm_yunxi", "", "af_bella"]


async def test_reply_prepared_in_another_voice_is_not_used(rig: WorkerRig) -> None:
    audio = b"\x01\x00" * 24_000
    rig.worker.submit(SpeechPaused("item", audio, "en", replace(BASE, voice="zm_yunxi")))
    await rig.wait_for_clauses(1)
    rig.worker.submit(Recognize("item", audio, "en"))
    while not isinstance(await rig.next_result(), FinalTranscript):
        pass
    rig.worker.submit(Generate("r", replace(REQUEST, voice="af_bella")))
    results = await rig.results_until_done()
    assert "".join(each.text for each in results if isinstance(each, ReplySpeech)) == "Good morning. How are you?"
    assert rig.synthesizer.voices[-2:] == ["af_bella", "af_bella"]


async def test_own_sentences_are_made_once_for_each_voice() -> None:
    tts, executors = FakeSynthesizer(), [PriorityExecutor("llm"), PriorityExecutor("tts")]
    runtime = ModelRuntime(FakeLanguageModel(), tts, executors[0], executors[1], ("en",), 4096)
    assert runtime.with_voice("") is runtime
    for voice in ("", "af_bella", "", "af_bella"):
        assert await runtime.with_voice(voice).synthesize_fixed("Let me think.", 1.0)
    assert tts.voices == ["", "af_bella"]
    for executor in executors:
        executor.close()


async def test_generation_in_one_voice_stops_the_prefill_of_another() -> None:
    llm, executors = FakeLanguageModel(blocks_prefill=True), [PriorityExecutor("llm"), PriorityExecutor("tts")]
    runtime = ModelRuntime(llm, FakeSynthesizer(), executors[0], executors[1], ("en",), 4096)
    one, other = runtime.with_voice("af_bella"), runtime.with_voice("zm_yunxi")
    prompt = runtime.build_prompt(REQUEST)
    started = threading.Event()
    prefill = llm.prefill

    def report_and_prefill(wanted: Prompt, slot: int, stop: threading.Event) -> None:
        started.set()
        prefill(wanted, slot, stop)

    llm.prefill = report_and_prefill  # type: ignore[method-assign]
    prefilling = asyncio.create_task(one.prefill(prompt, 0))
    assert await asyncio.to_thread(started.wait, 10)
    with other.preempt_prefill():
        await asyncio.wait_for(prefilling, 10)
        assert llm.stopped.is_set()
        started.clear()
        await runtime.prefill(prompt, 0)
        assert not started.is_set(), "no prefill during a reply, in whatever voice"
    for executor in executors:
        executor.close()
