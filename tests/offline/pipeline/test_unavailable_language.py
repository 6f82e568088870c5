"""Turns in a language without a working engine: one clear sentence in place of a reply; the other language works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from offline.llm.prompt import ENGLISH_ONLY_RULE, MANDARIN_ONLY_RULE, build_prompt
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import APOLOGIES, LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LanguageCode,
    LlmMessage,
    Recognize,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    SpeechPaused,
    WorkResult,
)
from tests.support.offline.fake_models import FakeLanguageModel, FakeRecognizer, FakeSynthesizer, WorkerRig

AUDIO = b"\x01\x00" * 24_000
OTHER: dict[LanguageCode, LanguageCode] = {"en": "zh", "zh": "en"}
WORDS: dict[LanguageCode, str] = {"en": "How are you today?", "zh": "你今天好嗎？"}


@asynccontextmanager
async def worker_with(languages: tuple[LanguageCode, ...], recognizer: FakeRecognizer) -> AsyncIterator[WorkerRig]:
    llm, tts, results = FakeLanguageModel(), FakeSynthesizer(), asyncio.Queue[WorkResult]()
    executors = [PriorityExecutor(name) for name in ("llm", "tts", "stt")]
    runtime = ModelRuntime(llm, tts, executors[0], executors[1], languages, 4096)
    worker = PipelineSessionWorker(LoadedModels(recognizer, executors[2], runtime), 0, results.put_nowait, lambda: None)
    yield WorkerRig(worker, recognizer, llm, tts, results, [], [])
    await worker.close()
    for executor in executors:
        executor.close()


async def final_transcript(rig: WorkerRig) -> FinalTranscript:
    while not isinstance(result := await rig.next_result(), FinalTranscript):
        pass
    return result


def request_for(text: str, *, speak: bool = True) -> ReplyRequest:
    return ReplyRequest((LlmMessage("system", "Be kind."), LlmMessage("user", text)), speak=speak)


@pytest.mark.parametrize("unavailable", ["en", "zh"])
@pytest.mark.parametrize("is_detected", [True, False], ids=["detected", "chosen by the caller"])
@pytest.mark.parametrize("is_speculative", [True, False])
async def test_turn_in_an_unavailable_language_gets_one_sentence(
    unavailable: LanguageCode, is_detected: bool, is_speculative: bool
) -> None:
    recognizer = FakeRecognizer(WORDS[unavailable], 1.0 if unavailable == "zh" else 0.0)
    hint = None if is_detected else unavailable
    request = request_for(WORDS[unavailable])
    async with worker_with((OTHER[unavailable],), recognizer) as rig:
        if is_speculative:
            expected = ReplyRequest(request.messages[:-1], speak=True)
            rig.worker.submit(SpeechPaused("item", AUDIO, hint, expected))
        rig.worker.submit(Recognize("item", AUDIO, hint))
        transcript = await final_transcript(rig)
        assert (transcript.text, transcript.language) == (WORDS[unavailable], unavailable)
        rig.worker.submit(Generate("resp", request))
        said = [result for result in await rig.results_until_done() if isinstance(result, ReplySpeech)]
        assert "".join(each.text for each in said).replace(" ", "") == APOLOGIES[unavailable].replace(" ", "")
        assert rig.language_model.prompts == []


@pytest.mark.parametrize("available", ["en", "zh"])
async def test_turn_in_the_available_language_gets_a_reply(available: LanguageCode) -> None:
    recognizer = FakeRecognizer(WORDS[OTHER[available]], 0.0)
    async with worker_with((available,), recognizer) as rig:
        for language in (OTHER[available], available):  # an apology is not repeated
            recognizer.transcript = WORDS[language]
            rig.worker.submit(Recognize(language, AUDIO, language))
            await final_transcript(rig)
            rig.worker.submit(Generate(language, request_for(WORDS[language])))
            said = [result for result in await rig.results_until_done() if isinstance(result, ReplySpeech)]
        assert said[0].text.strip() == "Good morning." and len(rig.language_model.prompts) == 1


async def test_typed_message_after_an_unavailable_turn_gets_a_reply() -> None:
    async with worker_with(("en",), FakeRecognizer(WORDS["zh"], 1.0)) as rig:
        rig.worker.submit(Recognize("item", AUDIO, None))
        await final_transcript(rig)
        for request in (request_for("Hello?"), request_for(WORDS["zh"], speak=False)):
            rig.worker.submit(Generate("resp", request))
            results = await rig.results_until_done()
            assert any(isinstance(each, ReplySpeech if request.speak else ReplyText) for each in results)
        assert len(rig.language_model.prompts) == 2


async def test_failing_language_detection_leaves_the_language_of_the_turn_before() -> None:
    class Failing(FakeRecognizer):
        def mandarin_probability(self, audio: object) -> float:
            raise RuntimeError("bad weights")

    async with worker_with(("en", "zh"), Failing("Hello there.")) as rig:
        rig.worker.submit(Recognize("item", AUDIO, None))
        transcript = await final_transcript(rig)
        assert (transcript.text, transcript.language) == ("Hello there.", "en")


@pytest.mark.parametrize(
    ("languages", "contains_rule"),
    [
        (("en",), lambda text: ENGLISH_ONLY_RULE in text and "好" not in text),
        (("zh",), lambda text: MANDARIN_ONLY_RULE in text and "lovely" not in text),
        (("en", "zh"), lambda text: ENGLISH_ONLY_RULE not in text and MANDARIN_ONLY_RULE not in text),
    ],
)
def test_prompt_names_the_languages_that_can_be_spoken(
    languages: tuple[LanguageCode, ...], contains_rule: Callable[[str], bool]
) -> None:
    prompt = build_prompt(request_for("?"), languages, 4096)
    assert contains_rule(" ".join(message["content"] for message in prompt.messages))
