"""Token stream of a reply."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from offline.llm.errors import LlmError, LlmUsage
from offline.llm.prompt import Prompt
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import Priority, PriorityExecutor
from tests.support.offline.fake_models import RESULT_TIMEOUT_S, FakeLanguageModel, FakeSynthesizer, wait_until

PROMPT = Prompt(({"role": "user", "content": "Hi"},), {})


@pytest.fixture
async def language_model() -> FakeLanguageModel:
    return FakeLanguageModel()


@pytest.fixture
async def runtime(language_model: FakeLanguageModel) -> AsyncIterator[ModelRuntime]:
    executors = PriorityExecutor("llm"), PriorityExecutor("tts")
    yield ModelRuntime(language_model, FakeSynthesizer(), *executors, ("en", "zh"), 4096)
    for executor in executors:
        executor.close()


def ignore_usage(usage: LlmUsage) -> None:
    pass


async def test_tokens_of_a_reply_end_with_the_complete_counts(runtime: ModelRuntime) -> None:
    counts = list[LlmUsage]()
    tokens = runtime.tokens(PROMPT, 0, Priority.INTERACTIVE, threading.Event(), counts.append)
    assert [text async for text in tokens] == ["Good ", "morning. ", "How are you?"]
    assert counts == [LlmUsage(5, 2, 1), LlmUsage(5, 2, 2), LlmUsage(5, 2, 3), LlmUsage(5, 2, 3)]


async def test_token_counts_of_a_reply_grow_before_its_text_is_pulled(
    runtime: ModelRuntime, language_model: FakeLanguageModel
) -> None:
    counts = list[LlmUsage]()
    async with aclosing(runtime.tokens(PROMPT, 0, Priority.INTERACTIVE, threading.Event(), counts.append)) as tokens:
        assert await anext(tokens) == "Good "
        await wait_until(lambda: LlmUsage(5, 2, 3) in counts)


async def test_tokens_of_a_failing_model_raise_its_error(
    runtime: ModelRuntime, language_model: FakeLanguageModel
) -> None:
    language_model.fails = True
    with pytest.raises(LlmError):
        await anext(runtime.tokens(PROMPT, 0, Priority.INTERACTIVE, threading.Event(), ignore_usage))


async def test_tokens_closed_early_stop_the_model(runtime: ModelRuntime, language_model: FakeLanguageModel) -> None:
    language_model.piece_permits = threading.Semaphore(1)
    stop = threading.Event()
    async with aclosing(runtime.tokens(PROMPT, 0, Priority.INTERACTIVE, stop, ignore_usage)) as tokens:
        assert await anext(tokens) == "Good "
    assert stop.is_set()
    assert await asyncio.to_thread(language_model.stopped.wait, RESULT_TIMEOUT_S)
