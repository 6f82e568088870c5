"""Turns with functions beside the smallest model: calls, spoken results, and facts where no function fits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from benchmarks.support.tools.router_requests import read_declarations
from offline.llm.prompt import ReplyMode
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    Generate,
    LlmMessage,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    ReplyToolCall,
    ToolCall,
    WorkResult,
)
from tests.support.facts.moment import NOW
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig

TOOLS = {tool["name"]: json.dumps(tool) for tool in read_declarations()}


async def open_worker(*, few_shot: bool) -> AsyncIterator[WorkerRig]:
    language_model, synthesizer, results = FakeLanguageModel(), FakeSynthesizer(), asyncio.Queue[WorkResult]()
    executors = PriorityExecutor("stt"), PriorityExecutor("llm", 2), PriorityExecutor("tts")
    runtime = ModelRuntime(
        language_model, synthesizer, *executors[1:], ("en", "zh"), 4096, clock=lambda: NOW, few_shot=few_shot
    )
    models = LoadedModels(FakeRecognizer(), executors[0], runtime)
    worker = PipelineSessionWorker(models, 0, results.put_nowait, lambda: None)
    yield WorkerRig(worker, FakeRecognizer(), language_model, synthesizer, results, [], [])
    await worker.close()
    for executor in executors:
        executor.close()


@pytest.fixture
async def small() -> AsyncIterator[WorkerRig]:
    async for rig in open_worker(few_shot=True):
        yield rig


@pytest.fixture
async def large() -> AsyncIterator[WorkerRig]:
    async for rig in open_worker(few_shot=False):
        yield rig


async def reply_to(rig: WorkerRig, *messages: LlmMessage, tools: tuple[str, ...] = ()) -> list[WorkResult]:
    rig.worker.submit(Generate("r", ReplyRequest(messages, speak=True, tools=tools or tuple(TOOLS.values()))))
    *found, done = await rig.results_until_done()
    assert isinstance(done, ReplyDone) and done.reason == "stop"
    return found


async def test_arguments_known_by_code_make_a_call_without_the_model(small: WorkerRig) -> None:
    (call,) = await reply_to(small, LlmMessage("user", "Set a timer for ten minutes"))
    assert call == ReplyToolCall("r", "timer", '{"seconds": 600}') and small.language_model.prompts == []


async def test_model_writes_the_arguments_of_the_chosen_function(small: WorkerRig) -> None:
    arguments = {"recipient": "Anna", "text": "I am late"}
    small.language_model.pieces = [json.dumps({"name": "send_message", "arguments": arguments})]
    (call,) = await reply_to(small, LlmMessage("user", "Text Anna that I am late"))
    assert call == ReplyToolCall("r", "send_message", json.dumps(arguments))
    assert [prompt.reply_mode for prompt in small.language_model.prompts] == [ReplyMode.TOOL_CALL]


async def test_call_without_valid_arguments_is_answered_in_words(small: WorkerRig) -> None:
    small.language_model.pieces = ['{"name": "send_message", "arguments": {}}']
    await reply_to(small, LlmMessage("user", "Text Anna that I am late"))
    assert [p.reply_mode for p in small.language_model.prompts] == [ReplyMode.TOOL_CALL, ReplyMode.TEXT]


WEAK = "I wonder, will it be dark and cold outside at the cabin?"


async def test_model_is_asked_where_a_message_may_ask_for_a_function(small: WorkerRig) -> None:
    small.language_model.pieces = ['{"name": "get_weather", ', '"arguments": {"city": "cabin"}}']
    (call,) = await reply_to(small, LlmMessage("user", WEAK))
    assert call == ReplyToolCall("r", "get_weather", '{"city": "cabin"}')
    assert [prompt.reply_mode for prompt in small.language_model.prompts] == [ReplyMode.TEXT_OR_TOOL_CALL]


async def test_words_for_a_message_without_a_call_are_written_with_the_conversation(small: WorkerRig) -> None:
    small.language_model.pieces = ["It may be."]
    history = LlmMessage("user", "Hi"), LlmMessage("assistant", "Hello.")
    (spoken,) = await reply_to(small, *history, LlmMessage("user", WEAK))
    assert isinstance(spoken, ReplySpeech) and spoken.text == "It may be."
    asked, written = small.language_model.prompts
    assert (asked.reply_mode, written.reply_mode) == (ReplyMode.TEXT_OR_TOOL_CALL, ReplyMode.TEXT)
    assert "tools" not in written.body and len(written.messages) > len(asked.messages)


async def test_result_with_a_sentence_is_spoken_as_it_is(small: WorkerRig) -> None:
    call = LlmMessage("assistant", "", (ToolCall("c", "current_time", "{}"),))
    result = LlmMessage("tool", '{"speech": "It is ten.", "time": "10:00"}', call_id="c")
    (spoken,) = await reply_to(small, LlmMessage("user", "What time is it?"), call, result)
    assert isinstance(spoken, ReplySpeech) and spoken.text == "It is ten." and spoken.audio
    assert small.language_model.prompts == []


async def test_code_answers_where_no_function_fits(small: WorkerRig) -> None:
    (spoken,) = await reply_to(small, LlmMessage("user", "What is 12 times 3?"), tools=(TOOLS["set_lights"],))
    assert isinstance(spoken, ReplySpeech) and spoken.text == "12 times 3 is 36."


async def test_larger_model_chooses_functions_itself(large: WorkerRig) -> None:
    large.language_model.pieces = ["Hello."]
    await reply_to(large, LlmMessage("user", "Set a timer for ten minutes"))
    (prompt,) = large.language_model.prompts
    assert prompt.reply_mode is ReplyMode.TEXT_OR_TOOL_CALL and len(prompt.body["tools"]) == len(TOOLS)
