"""Session worker with fake models: speculative work, held results, delivery, cancellation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import PriorityExecutor
from offline.pipeline.session_worker import LoadedModels, PipelineSessionWorker
from offline.protocol.worker_messages import (
    CaptionDelta,
    CaptionRequest,
    FinalTranscript,
    Generate,
    LlmMessage,
    Prefill,
    ProvisionalTranscript,
    RecognitionFailed,
    Recognize,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    SpeechPaused,
    SpeechResumed,
    StopGeneration,
    WorkResult,
)
from offline.stt.recognition_rules import CAPTION_WINDOW_MAX_S
from tests.support.offline.fake_models import (
    RESULT_TIMEOUT_S,
    FakeLanguageModel,
    FakeRecognizer,
    FakeSynthesizer,
    WorkerRig,
    wait_until,
)
from writing.chinese_script import ChineseScript

WEATHER_TOOL_JSON = (
    '{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}'
)


def nonzero_pcm(seconds: float) -> bytes:
    return b"\x01\x00" * int(24_000 * seconds)


@pytest.fixture
async def rig() -> AsyncIterator[WorkerRig]:
    recognizer, language_model, synthesizer, results, released = (
        FakeRecognizer(),
        FakeLanguageModel(),
        FakeSynthesizer(),
        asyncio.Queue[WorkResult](),
        list[bool](),
    )
    provisional: list[ProvisionalTranscript] = []

    def deliver(result: WorkResult) -> None:
        if isinstance(result, ProvisionalTranscript):
            provisional.append(result)
        else:
            results.put_nowait(result)

    executors = PriorityExecutor("stt"), PriorityExecutor("llm", 2), PriorityExecutor("tts")
    runtime = ModelRuntime(language_model, synthesizer, executors[1], executors[2], ("en", "zh"), 4096)
    worker = PipelineSessionWorker(
        LoadedModels(recognizer, executors[0], runtime), 0, deliver, lambda: released.append(True)
    )
    yield WorkerRig(worker, recognizer, language_model, synthesizer, results, released, provisional)
    await worker.close()
    for executor in executors:
        executor.close()


BASE_REQUEST = ReplyRequest((LlmMessage("system", "Be kind."),), speak=True)


EXPECTED_REQUEST = ReplyRequest((*BASE_REQUEST.messages, LlmMessage("user", "Hello there.")), speak=True)


async def test_generate_with_speech_delivers_clause_by_clause(rig: WorkerRig) -> None:
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    first, second, done = await rig.results_until_done()
    assert first == ReplySpeech("r", "Good morning.", b"\x00\x01" * len("Good morning."))
    assert isinstance(second, ReplySpeech)
    assert second.text == " How are you?"
    assert done == ReplyDone("r", "stop", 5, 2, 3)


async def test_generate_without_speech_delivers_text_only(rig: WorkerRig) -> None:
    rig.worker.submit(Generate("r", ReplyRequest((LlmMessage("user", "Hi"),), speak=False)))
    *pieces, done = await rig.results_until_done()
    assert "".join(p.text for p in pieces if isinstance(p, ReplyText)) == "Good morning. How are you?"
    assert isinstance(done, ReplyDone)
    assert rig.synthesizer.spoken_texts == []


async def test_generate_in_chinese_delivers_traditional_characters(rig: WorkerRig) -> None:
    rig.language_model.pieces = ["台湾", "很美，", "我们", "去吧。"]
    for speak in (True, False):
        rig.worker.submit(Generate("r", ReplyRequest((LlmMessage("user", "你好"),), speak=speak)))
        *pieces, _ = await rig.results_until_done()
        assert "".join(p.text for p in pieces if isinstance(p, (ReplyText, ReplySpeech))) == "台灣很美，我們去吧。"


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("traditional", "這樣寫：`颜色`，\n```\n颜色，后台。\n```\n後台在這裡。"),
        ("simplified", "这样写：`颜色`，\n```\n颜色，后台。\n```\n后台在这里。"),
    ],
)
async def test_captions_of_a_spoken_reply_keep_code_and_the_script_of_the_user(
    rig: WorkerRig, script: ChineseScript, shown: str
) -> None:
    rig.language_model.pieces = ["这样写：`颜", "色`，\n```\n颜色，", "后台。\n```\n", "后台在这里。"]
    for speak in (True, False):
        rig.worker.submit(Generate("r", ReplyRequest((LlmMessage("user", "你好"),), speak, script=script)))
        *pieces, _ = await rig.results_until_done()
        assert "".join(p.text for p in pieces if isinstance(p, (ReplyText, ReplySpeech))) == shown


async def test_speculative_results_are_held_until_requested(rig: WorkerRig) -> None:
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, BASE_REQUEST))
    await rig.wait_for_clauses(2)
    assert rig.results.empty()
    assert rig.provisional == [ProvisionalTranscript("i", "Hello there.")]
    rig.worker.submit(Recognize("i", nonzero_pcm(1.3), None))
    assert await rig.next_result() == FinalTranscript("i", "Hello there.", "en", 1.3)
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    assert [type(r) for r in await rig.results_until_done()] == [ReplySpeech, ReplySpeech, ReplyDone]
    assert (rig.recognizer.transcription_count, len(rig.language_model.prompts)) == (1, 1), "no work is repeated"


async def test_generate_with_an_unexpected_request_ignores_the_speculative_reply(rig: WorkerRig) -> None:
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, BASE_REQUEST))
    await rig.wait_for_clauses(1)
    other = ReplyRequest((LlmMessage("user", "Something else"),), speak=True)
    rig.worker.submit(Generate("r", other))
    await rig.results_until_done()
    assert len(rig.language_model.prompts) == 2
    assert rig.language_model.prompts[-1].messages[-1]["content"] == "Something else"


async def test_pause_without_a_request_delivers_the_provisional_transcript_of_the_last_pause(rig: WorkerRig) -> None:
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, None))
    rig.worker.submit(SpeechResumed("i"))
    rig.recognizer.transcript = "Hello there, my friend."
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(2), None, None))
    await wait_until(lambda: rig.provisional)
    assert rig.provisional == [ProvisionalTranscript("i", "Hello there, my friend.")]
    assert rig.results.empty() and rig.language_model.prompts == []


async def test_speech_resumed_discards_speculative_results(rig: WorkerRig) -> None:
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, BASE_REQUEST))
    await rig.wait_for_clauses(2)
    rig.worker.submit(SpeechResumed("i"))
    rig.recognizer.transcript = "Hello there, my friend."
    rig.worker.submit(Recognize("i", nonzero_pcm(2), None))
    recognized = await rig.next_result()
    assert isinstance(recognized, FinalTranscript)
    assert recognized.text == "Hello there, my friend."


async def test_pause_without_words_prepares_no_reply(rig: WorkerRig) -> None:
    rig.recognizer.transcript = ""
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, BASE_REQUEST))
    rig.worker.submit(Recognize("i", nonzero_pcm(1), None))
    assert await rig.next_result() == FinalTranscript("i", "", "en", 1.0)
    assert rig.language_model.prompts == []


async def test_failed_recognition_is_reported_once_without_its_message(
    rig: WorkerRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.recognizer.transcript = None
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, BASE_REQUEST))
    rig.worker.submit(Recognize("i", nonzero_pcm(1), None))
    assert isinstance(await rig.next_result(), RecognitionFailed)
    assert "secret" not in caplog.text


async def test_recognition_language_follows_the_audio_or_the_hint(rig: WorkerRig) -> None:
    rig.recognizer.chinese_probability = 0.97
    rig.worker.submit(Recognize("i", nonzero_pcm(1), None))
    recognized = await rig.next_result()
    assert isinstance(recognized, FinalTranscript)
    assert recognized.language == "zh"
    rig.worker.submit(Recognize("j", nonzero_pcm(1), "en"))
    recognized = await rig.next_result()
    assert isinstance(recognized, FinalTranscript)
    assert recognized.language == "en"


async def test_captions_during_speech_are_delivered_and_prefilled(rig: WorkerRig) -> None:
    rig.worker.submit(Prefill(BASE_REQUEST))
    rig.recognizer.transcript = "Tell me a story"
    rig.worker.submit(CaptionRequest("i", nonzero_pcm(1), None))
    await wait_until(lambda: rig.recognizer.transcription_count)
    rig.recognizer.transcript = "Tell me a story about"
    rig.worker.submit(CaptionRequest("i", nonzero_pcm(1.4), None))
    assert await rig.next_result() == CaptionDelta("i", "Tell me a story")
    # The first prefill may be replaced by the second before it begins.
    prefilled = rig.language_model.prefilled_prompts
    await wait_until(lambda: prefilled and prefilled[-1].messages[-1]["content"] == "Tell me a story")


async def test_recognition_of_a_long_turn_reuses_finalized_segments(rig: WorkerRig) -> None:
    rig.recognizer.transcript = "Once upon a time"
    rig.worker.submit(CaptionRequest("i", nonzero_pcm(11), None))
    assert await rig.next_result() == CaptionDelta("i", "Once upon a time")
    rig.recognizer.transcript = "there was a tower."
    rig.worker.submit(Recognize("i", nonzero_pcm(12), None))
    result = await rig.next_result()
    assert isinstance(result, FinalTranscript)
    assert result.text == "Once upon a time there was a tower."
    assert rig.recognizer.longest_audio_s <= CAPTION_WINDOW_MAX_S


async def test_stop_generation_delivers_done_at_once_and_stops_the_model(rig: WorkerRig) -> None:
    rig.language_model.piece_permits = threading.Semaphore(2)
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    await wait_until(lambda: rig.language_model.prompts)
    rig.worker.submit(StopGeneration("r"))
    found = await rig.results_until_done()
    assert isinstance(found[-1], ReplyDone)
    assert found[-1].reason == "stopped"
    assert await asyncio.to_thread(rig.language_model.stopped.wait, RESULT_TIMEOUT_S)
    rig.worker.submit(StopGeneration("r"))
    assert rig.results.empty(), "a reply ends once"


async def test_usage_of_a_reply_stopped_while_speaking_counts_all_generated_tokens(rig: WorkerRig) -> None:
    rig.language_model.piece_permits = threading.Semaphore(2)
    rig.synthesizer.clause_permits = threading.Semaphore(0)
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    await rig.wait_for_clauses(1)
    rig.language_model.piece_permits.release()
    await wait_until(lambda: rig.language_model.completed_count)
    rig.worker.submit(StopGeneration("r"))
    rig.synthesizer.clause_permits.release()
    assert await rig.results_until_done() == [ReplyDone("r", "stopped", 5, 2, 3)]


async def test_failing_language_model_delivers_a_failed_reply(rig: WorkerRig) -> None:
    rig.language_model.fails = True
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    (done,) = await rig.results_until_done()
    assert isinstance(done, ReplyDone)
    assert done.reason == "failed"
    assert "Hello" not in done.message


async def test_model_failure_while_speaking_ends_the_reply_before_the_clause_is_spoken(rig: WorkerRig) -> None:
    rig.language_model.piece_permits = threading.Semaphore(2)
    rig.language_model.fails_after_pieces = True
    rig.synthesizer.clause_permits = threading.Semaphore(0)
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    await rig.wait_for_clauses(1)
    rig.language_model.piece_permits.release()
    (done,) = await rig.results_until_done()
    rig.synthesizer.clause_permits.release()
    assert isinstance(done, ReplyDone)
    assert (done.reason, done.output_tokens) == ("failed", 3)
    assert len(rig.synthesizer.spoken_texts) == 1


async def test_prompt_beyond_the_window_is_retried_once_with_less_history(rig: WorkerRig) -> None:
    long = ReplyRequest(tuple(LlmMessage("user", f"Part {n}. " + "word " * 50) for n in range(30)), speak=True)
    rig.language_model.max_prompt_chars = 6000
    rig.worker.submit(Generate("r", long))
    assert isinstance((await rig.results_until_done())[0], ReplySpeech)
    assert len(rig.language_model.prompts) == 2
    assert rig.language_model.prompts[-1].messages[-1] == rig.language_model.prompts[0].messages[-1]
    rig.language_model.max_prompt_chars = 10
    rig.worker.submit(Generate("s", long))
    (done,) = await rig.results_until_done()
    assert isinstance(done, ReplyDone)
    assert (done.reason, done.message) == ("failed", "No reply: it is too long.")
    assert len(rig.language_model.prompts) == 4


async def test_token_limit_of_the_client_is_reported_and_the_default_one_hidden(rig: WorkerRig) -> None:
    rig.language_model.pieces, rig.language_model.finish_reason = ["One thing. ", "Another th"], "length"
    rig.worker.submit(Generate("r", ReplyRequest(EXPECTED_REQUEST.messages, speak=True, max_tokens=9)))
    *pieces, done = await rig.results_until_done()
    assert [p.text for p in pieces if isinstance(p, ReplySpeech)] == ["One thing.", " Another th"]
    assert isinstance(done, ReplyDone)
    assert done.reason == "max_tokens"
    rig.worker.submit(Generate("s", EXPECTED_REQUEST))
    *pieces, done = await rig.results_until_done()
    assert [p.text for p in pieces if isinstance(p, ReplySpeech)] == ["One thing."]
    assert isinstance(done, ReplyDone)
    assert done.reason == "stop"


async def test_tool_call_of_a_declared_function_is_delivered(rig: WorkerRig) -> None:
    rig.language_model.pieces = ['{"name": "weather", ', '"arguments": {"city": "Rome"}}', "and then some"]
    rig.worker.submit(
        Generate("r", ReplyRequest((LlmMessage("user", "Weather?"),), speak=True, tools=(WEATHER_TOOL_JSON,)))
    )
    call, done = await rig.results_until_done()
    assert call == ReplyToolCall("r", "weather", '{"city": "Rome"}')
    assert isinstance(done, ReplyDone)
    assert done.reason == "stop"
    assert rig.synthesizer.spoken_texts == []


async def test_tool_call_of_an_undeclared_function_is_replaced_by_text(rig: WorkerRig) -> None:
    rig.language_model.pieces = ['{"name": "launch", "arguments": {}}']
    rig.worker.submit(
        Generate("r", ReplyRequest((LlmMessage("user", "Weather?"),), speak=True, tools=(WEATHER_TOOL_JSON,)))
    )
    spoken, done = await rig.results_until_done()
    assert isinstance(spoken, ReplySpeech)
    assert spoken.text == "In words."
    assert isinstance(done, ReplyDone)


async def test_truncated_required_tool_call_ends_without_text(rig: WorkerRig) -> None:
    rig.language_model.pieces, rig.language_model.finish_reason = ['{"name":'], "length"
    for bound in (3, None):
        request = ReplyRequest(
            EXPECTED_REQUEST.messages, True, tools=(WEATHER_TOOL_JSON,), tool_choice="required", max_tokens=bound
        )
        rig.worker.submit(Generate("r", request))
        (done,) = await rig.results_until_done()
        assert isinstance(done, ReplyDone)
        assert done.reason == "max_tokens"
    assert rig.synthesizer.spoken_texts == []


async def test_prefill_stops_for_a_reply_of_any_session(rig: WorkerRig) -> None:
    other = PipelineSessionWorker(rig.worker._models, 1, lambda _: None, lambda: None)
    rig.language_model.blocks_prefill = True
    for reader in (rig.worker, other):
        rig.language_model.prefilled_prompts.clear()
        reader.submit(Prefill(BASE_REQUEST))
        await wait_until(lambda: rig.language_model.prefilled_prompts)
        rig.worker.submit(Generate("r", EXPECTED_REQUEST))
        assert isinstance((await rig.results_until_done())[0], ReplySpeech)
        assert await asyncio.to_thread(rig.language_model.stopped.wait, RESULT_TIMEOUT_S)
        rig.language_model.stopped.clear()
    rig.language_model.piece_permits = threading.Semaphore(0)
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    await wait_until(lambda: len(rig.language_model.prompts) == 3)
    other.submit(Prefill(BASE_REQUEST))
    rig.language_model.piece_permits.release(10)
    await rig.results_until_done()
    await other.close()
    assert len(rig.language_model.prefilled_prompts) == 1, "no prefill during a reply"


async def test_closed_worker_delivers_nothing(rig: WorkerRig) -> None:
    rig.language_model.piece_permits = threading.Semaphore(0)
    rig.worker.submit(Generate("r", EXPECTED_REQUEST))
    rig.worker.submit(SpeechPaused("i", nonzero_pcm(1), None, BASE_REQUEST))
    rig.worker.submit(Recognize("i", nonzero_pcm(1), None))
    await rig.worker.close()
    while not rig.results.empty():
        rig.results.get_nowait()
    rig.language_model.piece_permits.release(10)
    for _ in range(5):
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert rig.results.empty()
    assert rig.released
