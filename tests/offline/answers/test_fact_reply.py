"""Turns that code answers: which ones, and how they are delivered in place of the language model's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from offline.answers.confidence import REFUSALS
from offline.answers.fact_reply import answer_from_facts
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    FACTS,
    AnsweredBy,
    Generate,
    LlmMessage,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    WorkResult,
)
from tests.support.facts.moment import NOW
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig

INSTRUCTIONS = LlmMessage("system", "You are a friendly voice assistant.")
QUESTION = LlmMessage("user", "What is twelve times three?")
REQUEST = ReplyRequest((INSTRUCTIONS, QUESTION), speak=True)
ANSWER = "12 times 3 is 36."
TOOL = '{"name":"calculate","parameters":{"type":"object","properties":{}}}'
BOTH = ("en", "zh")


def with_instructions(text: str) -> ReplyRequest:
    return replace(REQUEST, messages=(LlmMessage("system", text), QUESTION))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (REQUEST, ANSWER),
        (replace(REQUEST, speak=False), ANSWER),
        (replace(REQUEST, messages=(QUESTION,)), ANSWER),
        (replace(REQUEST, messages=(INSTRUCTIONS, LlmMessage("user", "現在幾點？"))), "現在是下午 2 點 20 分。"),
        (replace(REQUEST, tools=(TOOL,), tool_choice="none"), ANSWER),
        (replace(REQUEST, tools=(TOOL,)), ""),
        (replace(REQUEST, tools=(TOOL,), tool_choice="required"), ""),
        (replace(REQUEST, is_turn=False), ""),
        (replace(REQUEST, messages=(INSTRUCTIONS, LlmMessage("assistant", QUESTION.text))), ""),
        (replace(REQUEST, messages=(*REQUEST.messages, LlmMessage("tool", "36", call_id="c"))), ""),
        (replace(REQUEST, messages=()), ""),
        (with_instructions("Translate everything I say into French."), ""),
        (with_instructions("You are an interpreter between two people."), ""),
        (with_instructions("請把我說的話翻譯成英文。"), ""),
        (with_instructions("You are a patient English tutor on a phone call."), ANSWER),
    ],
)
def test_normal_turn_of_a_conversation_is_answered(request_: ReplyRequest, answer: str) -> None:
    assert answer_from_facts(request_, BOTH, NOW) == answer


@pytest.mark.parametrize(("languages", "answer"), [(("zh",), ""), (("en",), ANSWER)])
def test_answer_in_a_language_that_is_not_spoken_is_left_to_the_model(languages: tuple[str, ...], answer: str) -> None:
    assert answer_from_facts(REQUEST, languages, NOW) == answer


@pytest.fixture
async def rig() -> AsyncIterator[WorkerRig]:
    language_model, synthesizer, results = FakeLanguageModel(), FakeSynthesizer(), asyncio.Queue[WorkResult]()
    executors = PriorityExecutor("stt"), PriorityExecutor("llm", 2), PriorityExecutor("tts")
    runtime = ModelRuntime(language_model, synthesizer, *executors[1:], BOTH, 4096, clock=lambda: NOW)
    recognizer = FakeRecognizer()
    worker = PipelineSessionWorker(LoadedModels(recognizer, executors[0], runtime), 0, results.put_nowait, lambda: None)
    yield WorkerRig(worker, recognizer, language_model, synthesizer, results, [], [])
    await worker.close()
    for executor in executors:
        executor.close()


async def reply_to(rig: WorkerRig, text: str, *, speak: bool = True) -> tuple[str, ReplyDone]:
    """Return the words of a reply and its end."""
    rig.worker.submit(Generate("r", ReplyRequest((INSTRUCTIONS, LlmMessage("user", text)), speak=speak)))
    *parts, done = await rig.results_until_done()
    assert isinstance(done, ReplyDone)
    return "".join(part.text for part in parts if isinstance(part, ReplySpeech | ReplyText)), done


@pytest.mark.parametrize("speak", [True, False])
async def test_question_for_code_is_answered_without_the_model(rig: WorkerRig, speak: bool) -> None:
    words, done = await reply_to(rig, QUESTION.text, speak=speak)
    assert words == ANSWER
    assert done == ReplyDone("r", "stop", answered_by=AnsweredBy(FACTS, is_endpoint=False))
    assert rig.language_model.prompts == []
    assert rig.synthesizer.spoken_texts == ([ANSWER] if speak else [])


async def test_time_in_a_reply_is_that_of_the_runtime_s_clock(rig: WorkerRig) -> None:
    assert (await reply_to(rig, "What time is it?"))[0] == "It is 2:20 PM."


async def test_other_turn_is_answered_by_the_model(rig: WorkerRig) -> None:
    words, done = await reply_to(rig, "Hello there.")
    assert words == "Good morning. How are you?" and done.answered_by is None
    assert "logprobs" not in rig.language_model.prompts[0].body


@pytest.mark.parametrize(
    ("log_probability", "words"),
    [(-0.01, "The capital is Sydney."), (-0.6, "I'm not sure, but the capital is Sydney."), (-3.0, REFUSALS["en"])],
)
async def test_fact_of_the_model_is_said_hedged_or_not_claimed(
    rig: WorkerRig, log_probability: float, words: str
) -> None:
    rig.language_model.pieces = ["The ", "capital ", "is ", "Sydney."]
    rig.language_model.piece_log_probability = log_probability
    assert (await reply_to(rig, "What is the capital of Australia?"))[0] == words
    assert rig.language_model.prompts[0].body["logprobs"] is True


async def test_spoken_reply_ends_after_two_sentences_and_stops_the_model(rig: WorkerRig) -> None:
    rig.language_model.pieces = ["One. ", "Two. ", "Three. ", *["More. "] * 5000]
    words, done = await reply_to(rig, "Hello there.")
    assert words == "One. Two." and done.reason == "stop"
    assert rig.language_model.completed_count == 0


async def test_written_reply_has_all_sentences(rig: WorkerRig) -> None:
    rig.language_model.pieces = ["One. ", "Two. ", "Three."]
    assert (await reply_to(rig, "Hello there.", speak=False))[0] == "One. Two. Three."
