"""Opener of a late reply: said once a turn, only aloud, and only when the reply is wanted."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from offline.endpoints.errors import EndpointFault
from offline.pipeline.priority_executor import Priority
from offline.pipeline.reply import opener
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LlmMessage,
    Prefill,
    Recognize,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    SpeechPaused,
)
from tests.support.endpoints.endpoint_rig import (
    BASE_REQUEST,
    LOCAL_TEXT,
    REQUEST,
    EndpointRig,
    OpenRig,
    by_local_model,
    failure,
    spoken,
)
from tests.support.endpoints.fake_chat_client import FakeChatClient, answer
from tests.support.offline.fake_models import wait_until


@pytest.fixture
def late_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opener, "FIRST_WORD_LATE_S", 0.0)


async def said_until_now(rig: EndpointRig) -> list[str]:
    """Return what was spoken, after the timer of an opener is due and its speech would have been synthesised."""
    due = asyncio.Event()
    asyncio.get_running_loop().call_later(opener.FIRST_WORD_LATE_S, due.set)
    await due.wait()
    for _ in range(2):  # the timer starts a task, which asks for the speech
        await asyncio.sleep(0)
    await rig.runtime.tts_executor.run(Priority.BACKGROUND, lambda: None)
    return rig.worker.synthesizer.spoken_texts


@pytest.mark.usefixtures("late_at_once")
@pytest.mark.parametrize(("said", "expected"), [("Hello there.", "Let me think. "), ("你好。", "我想一下。")])
async def test_late_first_word_is_preceded_by_an_opener(open_rig: OpenRig, said: str, expected: str) -> None:
    word = asyncio.Event()
    rig = open_rig(FakeChatClient([word, *answer("It is noon.")]))
    request = replace(BASE_REQUEST, messages=(*BASE_REQUEST.messages, LlmMessage("user", said)))
    rig.worker.worker.submit(Generate("r", request))
    first = await rig.worker.next_result()
    assert isinstance(first, ReplySpeech) and first.text == expected and first.audio
    word.set()
    assert spoken(await rig.worker.results_until_done()) == ["It is noon."]


@pytest.mark.usefixtures("late_at_once")
async def test_failure_after_the_opener_lets_the_local_model_answer(open_rig: OpenRig) -> None:
    late = asyncio.Event()
    rig = open_rig(FakeChatClient([late, failure(EndpointFault.TIMEOUT)]))
    rig.worker.worker.submit(Generate("r", REQUEST))
    await rig.worker.next_result()
    late.set()
    results = await rig.worker.results_until_done()
    assert "".join(spoken(results)) == LOCAL_TEXT
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == by_local_model(EndpointFault.TIMEOUT)


@pytest.mark.usefixtures("late_at_once")
async def test_opener_is_said_once_a_turn(open_rig: OpenRig) -> None:
    before = LlmMessage("assistant", "Let me think. ")
    after_tool = (*REQUEST.messages, before, LlmMessage("tool", "{}", call_id="c"))
    word = asyncio.Event()
    rig = open_rig(FakeChatClient([word, *answer("It is noon.")]))
    rig.worker.worker.submit(Generate("r", replace(REQUEST, messages=after_tool)))
    await wait_until(lambda: rig.client.requests)
    assert await said_until_now(rig) == []
    word.set()
    assert spoken(await rig.worker.results_until_done()) == ["It is noon."]


@pytest.mark.usefixtures("late_at_once")
async def test_written_reply_has_no_opener(open_rig: OpenRig) -> None:
    word = asyncio.Event()
    rig = open_rig(FakeChatClient([word, *answer("It is noon.")]))
    rig.worker.worker.submit(Generate("r", replace(REQUEST, speak=False)))
    await wait_until(lambda: rig.client.requests)
    assert await said_until_now(rig) == []
    word.set()
    results = await rig.worker.results_until_done()
    assert [result.text for result in results if isinstance(result, ReplyText)] == ["It is noon."]
    assert rig.worker.synthesizer.spoken_texts == []


@pytest.mark.usefixtures("late_at_once")
async def test_speculative_reply_has_no_opener_before_it_is_wanted(open_rig: OpenRig) -> None:
    word = asyncio.Event()
    rig = open_rig(FakeChatClient([word, *answer("It is noon.")]))
    rig.worker.worker.submit(SpeechPaused("i", b"\x01\x00" * 24_000, None, BASE_REQUEST))
    await wait_until(lambda: rig.client.requests)
    assert await said_until_now(rig) == []
    rig.worker.worker.submit(Recognize("i", b"\x01\x00" * 24_000, None))
    assert isinstance(await rig.worker.next_result(), FinalTranscript)
    rig.worker.worker.submit(Generate("r", REQUEST))
    first = await rig.worker.next_result()
    assert isinstance(first, ReplySpeech) and first.text == "Let me think. "
    word.set()
    assert spoken(await rig.worker.results_until_done()) == ["It is noon."]


@pytest.mark.usefixtures("late_at_once")
async def test_wait_for_a_model_that_loads_is_not_silent(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient(answer("It is noon.")))
    rig.client.warm_up_script = [loaded := asyncio.Event()]
    rig.worker.worker.submit(Prefill(REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    rig.worker.worker.submit(Generate("r", REQUEST))
    first = await rig.worker.next_result()
    assert isinstance(first, ReplySpeech) and first.text == "Let me think. "
    loaded.set()
    assert spoken(await rig.worker.results_until_done()) == ["It is noon."]


async def test_fall_back_to_a_slow_model_is_not_silent(open_rig: OpenRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opener, "FIRST_WORD_LATE_S", 0.05)
    rig = open_rig(FakeChatClient([failure(EndpointFault.UNREACHABLE)]))
    rig.worker.language_model.piece_permits = threading.Semaphore(0)
    rig.worker.worker.submit(Generate("r", REQUEST))
    first = await rig.worker.next_result()
    assert isinstance(first, ReplySpeech) and first.text == "Let me think. "
    rig.worker.language_model.piece_permits.release(10)
    assert "".join(spoken(await rig.worker.results_until_done())) == LOCAL_TEXT


async def test_answer_in_time_has_no_opener_later(open_rig: OpenRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opener, "FIRST_WORD_LATE_S", 1e6)
    rest = asyncio.Event()
    rig = open_rig(FakeChatClient([*answer("It is noon. ")[:1], rest, *answer("Lunch.")]))
    rig.worker.worker.submit(Generate("r", REQUEST))
    first = await rig.worker.next_result()
    assert isinstance(first, ReplySpeech) and first.text == "It is noon."
    (reply,) = rig.worker.worker._replies.values()
    assert reply._opener is not None and reply._opener._timer is not None
    assert reply._opener._timer.cancelled()
    rest.set()
    assert spoken(await rig.worker.results_until_done()) == [" Lunch."]


@pytest.mark.usefixtures("late_at_once")
async def test_model_that_takes_over_reads_no_opener(open_rig: OpenRig) -> None:
    before = LlmMessage("assistant", "Let me think. It is noon."), LlmMessage("user", "And now?")
    rig = open_rig(FakeChatClient([failure(EndpointFault.UNREACHABLE)]))
    await rig.reply_to(replace(REQUEST, speak=False, messages=(*REQUEST.messages, *before)))
    (read,) = rig.worker.language_model.prompts
    assert "It is noon." in str(read.messages) and "think" not in str(read.messages)
