"""Held speech: on a slow computer a reply starts once its clauses can follow each other, and measures itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from offline.llm.errors import LlmError
from offline.llm.prompt import Prompt, ReplyMode
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import Priority, PriorityExecutor
from offline.pipeline.reply.speech import ReplySpeaker
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.tts.speech_pace import DEFAULT_FACTOR, SHORT_REPLY_FACTOR
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import FakeLanguageModel
from tests.support.offline.scripted_models import tone

REQUEST = ReplyRequest((LlmMessage("user", "你好"),), speak=True)
CLAUSES = ["今天天氣很好，", "適合出去散步。", "你想去哪裡呢？"]


class SlowVoice:
    """Voice whose clauses are 1 s of sound, each of which takes `work_s` of the clock's time."""

    def __init__(self, clock: ManualClock, work_s: float) -> None:
        self._clock = clock
        self._work_s = work_s

    def synthesize(self, text: str, speed: float = 1.0, voice: str = "") -> bytes:
        self._clock.now += self._work_s
        return tone(1000)


class SpeakerRig:
    """Speaker of one Mandarin reply, and the order of what it pulls and delivers."""

    def __init__(self, work_s: float) -> None:
        self.clock = ManualClock()
        self.events: list[str] = []
        self.executors = PriorityExecutor("llm"), PriorityExecutor("tts")
        voice = SlowVoice(self.clock, work_s)
        self.runtime = ModelRuntime(FakeLanguageModel(), voice, *self.executors, ("en", "zh"), 4096)

    async def texts(self, *, fails: bool = False) -> AsyncIterator[str]:
        for clause in CLAUSES[:2] if fails else CLAUSES:
            self.events.append(f"pulled {clause}")
            yield clause
        if fails:
            raise LlmError("the language model failed")

    async def speak(self, *, fails: bool = False) -> None:
        committed = asyncio.Event()
        speaker = ReplySpeaker(self.runtime, REQUEST, lambda: Priority.INTERACTIVE, committed, self.clock)
        async for clause, audio in speaker.speak(self.texts(fails=fails), lambda: True):
            assert audio
            self.events.append(f"spoken {clause}")


@pytest.fixture
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[SpeakerRig]:
    made = SpeakerRig(request.param)
    yield made
    for executor in made.executors:
        executor.close()


def events_of(order: str) -> list[str]:
    """Return the events of an order such as "p0 s0": the first clause is pulled, then spoken."""
    names = {"p": "pulled", "s": "spoken"}
    return [f"{names[each[0]]} {CLAUSES[int(each[1])]}" for each in order.split()]


@pytest.mark.parametrize("rig", [0.5], indirect=True)
async def test_speech_of_a_fast_voice_is_delivered_by_the_clause(rig: SpeakerRig) -> None:
    await rig.speak()
    assert rig.events == events_of("p0 s0 p1 s1 p2 s2")
    assert 0.5 < rig.runtime.paces["zh"].factor < DEFAULT_FACTOR


@pytest.mark.parametrize("rig", [1.0], indirect=True)
async def test_speech_of_a_slow_voice_starts_with_enough_of_a_lead(rig: SpeakerRig) -> None:
    rig.runtime.paces["zh"].restore(1.0)
    await rig.speak()
    assert rig.events == events_of("p0 p1 s0 s1 p2 s2")


@pytest.mark.parametrize("rig", [0.1], indirect=True)
async def test_held_speech_is_delivered_before_the_failure_of_the_language_model(rig: SpeakerRig) -> None:
    rig.runtime.paces["zh"].restore(1.6)
    with pytest.raises(LlmError):
        await rig.speak(fails=True)
    assert rig.events == events_of("p0 p1 s0 s1")


@pytest.mark.parametrize("rig", [2.0], indirect=True)
async def test_replies_measure_their_pace_and_become_shorter_on_a_slow_computer(rig: SpeakerRig) -> None:
    prompt = Prompt((), {}, ReplyMode.TEXT)

    def delivered() -> str:
        answer_filter = rig.runtime.answer_filter(REQUEST, prompt)
        assert answer_filter is not None
        return answer_filter.push("很好。你呢？真的嗎？", None) + answer_filter.flush()

    assert delivered() == "很好。你呢？"
    for _ in range(6):
        await rig.speak()
    assert rig.runtime.paces["zh"].factor > SHORT_REPLY_FACTOR
    assert delivered() == "很好。"
    assert rig.runtime.paces["en"].factor < 0.5, "the English voice has a pace of its own"
