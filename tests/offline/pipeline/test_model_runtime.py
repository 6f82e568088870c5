"""Real models: recognition, language detection, synthesis, and two sessions at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from benchmarks.support.speech_samples import error_rate, load_speech_samples
from offline.audio import resample_to_16k
from offline.pipeline.loader import Pipeline, load_pipeline
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LanguageCode,
    LlmMessage,
    Recognize,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    ToolCall,
    WorkResult,
)

pytestmark = [pytest.mark.models, pytest.mark.asyncio(loop_scope="module")]
RESULT_TIMEOUT_S = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pipeline() -> AsyncIterator[Pipeline]:
    loaded = await load_pipeline(lambda _: None)
    yield loaded
    await loaded.close()


def to_pcm16(samples: np.ndarray) -> bytes:
    return np.asarray(np.clip(samples, -1, 1) * 32767, "<i2").tobytes()


async def recognize_clips(pipeline: Pipeline, clips: list[bytes]) -> list[FinalTranscript]:
    results = asyncio.Queue[WorkResult]()
    worker = pipeline.open(results.put_nowait)
    found = []
    for i, clip in enumerate(clips):
        worker.submit(Recognize(str(i), clip, None))
        result = await asyncio.wait_for(results.get(), RESULT_TIMEOUT_S)
        assert isinstance(result, FinalTranscript)
        found.append(result)
    await worker.close()
    return found


async def test_recognition_of_human_english_has_few_errors(pipeline: Pipeline) -> None:
    clips = [u for u in load_speech_samples("en") if u.is_human]
    recognized = await recognize_clips(pipeline, [to_pcm16(u.samples) for u in clips])
    assert {h.language for h in recognized} == {"en"}
    assert error_rate([(u.text, h.text) for u, h in zip(clips, recognized, strict=True)], "en") < 0.15


async def test_recognition_of_mandarin_detects_the_language(pipeline: Pipeline) -> None:
    clips = load_speech_samples("zh", 6)
    recognized = await recognize_clips(pipeline, [to_pcm16(u.samples) for u in clips])
    assert {h.language for h in recognized} == {"zh"}
    assert error_rate([(u.text, h.text) for u, h in zip(clips, recognized, strict=True)], "zh") < 0.2


async def test_recognition_of_thanks_is_not_filtered(pipeline: Pipeline) -> None:
    for text, word in (("Thank you.", "thank"), ("Thank you so much.", "thank"), ("Thanks.", "thank")):
        audio = await asyncio.to_thread(pipeline._models.runtime.tts.synthesize, text, 1.2)
        (recognized,) = await recognize_clips(pipeline, [bytes(48 * 300) + audio + bytes(48 * 200)])
        assert word in recognized.text.lower(), text


async def test_recognition_of_noise_is_empty(pipeline: Pipeline) -> None:
    noise = np.random.default_rng(1).standard_normal(24_000 * 2).astype(np.float32)
    (silence,) = await recognize_clips(pipeline, [b"\0\0" * 24_000])
    assert silence.text == ""
    for loudness in (0.0003, 0.002, 0.01, 0.05):
        (hiss,) = await recognize_clips(pipeline, [to_pcm16(noise * loudness)])
        assert hiss.text == "", loudness


@pytest.mark.parametrize(
    ("text", "language"), [("The train leaves at eight in the morning.", "en"), ("明天早上八點的火車。", "zh")]
)
async def test_synthesised_speech_is_recognised(pipeline: Pipeline, text: str, language: LanguageCode) -> None:
    runtime = pipeline._models.runtime
    audio = await asyncio.to_thread(runtime.tts.synthesize, text)
    assert 1.0 < len(audio) / 48_000 < 6.0
    faster = await asyncio.to_thread(runtime.tts.synthesize, text, 1.5)
    assert len(faster) < 0.85 * len(audio)
    recognized = await asyncio.to_thread(pipeline._models.recognizer.transcribe, resample_to_16k(audio), language)
    assert error_rate([(text, recognized.text)], language) < 0.35


async def generate_reply(pipeline: Pipeline, request: ReplyRequest) -> tuple[str, ReplyDone]:
    """Return the text of a spoken reply, and its `ReplyDone`."""
    results = asyncio.Queue[WorkResult]()
    worker = pipeline.open(results.put_nowait)
    worker.submit(Generate("r", request))
    text = ""
    while not isinstance(result := await asyncio.wait_for(results.get(), RESULT_TIMEOUT_S), ReplyDone):
        assert isinstance(result, ReplySpeech)
        assert result.audio
        text += result.text
    await worker.close()
    return text, result


@pytest.mark.parametrize(
    ("question", "answered"), [("What is the weather in Paris?", True), ("Set a timer for five minutes.", False)]
)
async def test_reply_where_text_is_required_contains_no_tool_call(
    pipeline: Pipeline, question: str, answered: bool
) -> None:
    tools = tuple(
        json.dumps({"name": name, "parameters": {"type": "object", "properties": {field: {"type": "string"}}}})
        for name, field in (("get_weather", "city"), ("set_timer", "minutes"))
    )
    messages: tuple[LlmMessage, ...] = (LlmMessage("user", question),)
    if answered:
        call = ToolCall("c", "get_weather", '{"city": "Paris"}')
        messages += (LlmMessage("assistant", "", (call,)), LlmMessage("tool", '{"sky": "cloudy"}', call_id="c"))
    choice = "auto" if answered else "none"
    text, done = await generate_reply(pipeline, ReplyRequest(messages, speak=True, tools=tools, tool_choice=choice))
    assert done.reason == "stop"
    assert text.strip()
    assert not any(mark in text for mark in ("{", "get_weather", "set_timer"))
    assert not answered or "cloudy" in text


async def test_two_pipeline_sessions_at_once_answer_their_own_questions(pipeline: Pipeline) -> None:
    requests = [
        ReplyRequest((LlmMessage("user", f"What is the capital of {c}?"),), speak=True) for c in ("France", "Italy")
    ]
    (paris, done), (rome, _) = await asyncio.gather(*(generate_reply(pipeline, request) for request in requests))
    assert done.reason == "stop"
    assert done.output_tokens > 0
    assert "Paris" in paris
    assert "Rome" in rome
