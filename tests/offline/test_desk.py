"""A desk with stand-in models: what is prepared, held back, delivered, dropped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from offline.desk import Desk, Models
from offline.hearing import CAPTION_MOST_S
from offline.lanes import Lane
from offline.reply import Engines
from offline.work import (
    Generate,
    Hearing,
    Listening,
    Message,
    Paused,
    Prefill,
    Provisional,
    RecognitionFailed,
    Recognize,
    Recognized,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    Request,
    Result,
    Resumed,
    Stop,
)
from tests.offline.desks import WAIT_S, Ear, Mouth, Pen, Rig, until

TOOL = '{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}'


def sound(seconds: float) -> bytes:
    return b"\x01\x00" * int(24_000 * seconds)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    ear, pen, mouth, results, released = Ear(), Pen(), Mouth(), asyncio.Queue[Result](), list[bool]()
    provisional: list[Provisional] = []

    def deliver(result: Result) -> None:
        if isinstance(result, Provisional):
            provisional.append(result)
        else:
            results.put_nowait(result)

    lanes = Lane("ear"), Lane("pen", 2), Lane("mouth")
    engines = Engines(pen, mouth, lanes[1], lanes[2], ("en", "zh"), 4096)
    desk = Desk(Models(ear, lanes[0], engines), 0, deliver, lambda: released.append(True))
    yield Rig(desk, ear, pen, mouth, results, released, provisional)
    await desk.close()
    for lane in lanes:
        lane.close()


BASE = Request((Message("system", "Be kind."),), speak=True)


EXPECTED = Request((*BASE.messages, Message("user", "Hello there.")), speak=True)


async def test_a_spoken_reply_comes_clause_by_clause(rig: Rig) -> None:
    rig.desk.submit(Generate("r", EXPECTED))
    first, second, done = await rig.until_done()
    assert first == ReplySpeech("r", "Good morning.", b"\x00\x01" * len("Good morning."))
    assert isinstance(second, ReplySpeech)
    assert second.text == " How are you?"
    assert done == ReplyDone("r", "stop", 5, 2, 3)


async def test_a_written_reply_is_not_spoken(rig: Rig) -> None:
    rig.desk.submit(Generate("r", Request((Message("user", "Hi"),), speak=False)))
    *pieces, done = await rig.until_done()
    assert "".join(p.text for p in pieces if isinstance(p, ReplyText)) == "Good morning. How are you?"
    assert isinstance(done, ReplyDone)
    assert rig.mouth.said == []


async def test_chinese_replies_are_written_in_traditional_characters(rig: Rig) -> None:
    rig.pen.pieces = ["台湾", "很美，", "我们", "去吧。"]
    for speak in (True, False):
        rig.desk.submit(Generate("r", Request((Message("user", "你好"),), speak=speak)))
        *pieces, _ = await rig.until_done()
        assert "".join(p.text for p in pieces if isinstance(p, (ReplyText, ReplySpeech))) == "台灣很美，我們去吧。"


async def test_what_was_prepared_is_held_back_until_it_is_asked_for(rig: Rig) -> None:
    rig.desk.submit(Paused("i", sound(1), None, BASE))
    await rig.spoken_ahead(2)
    assert rig.results.empty()
    assert rig.provisional == [Provisional("i", "Hello there.")]
    rig.desk.submit(Recognize("i", sound(1.3), None))
    assert await rig.next() == Recognized("i", "Hello there.", "en", 1.3)
    rig.desk.submit(Generate("r", EXPECTED))
    assert [type(r) for r in await rig.until_done()] == [ReplySpeech, ReplySpeech, ReplyDone]
    assert (rig.ear.count, len(rig.pen.prompts)) == (1, 1), "nothing was done twice"


async def test_another_request_than_expected_gets_a_reply_of_its_own(rig: Rig) -> None:
    rig.desk.submit(Paused("i", sound(1), None, BASE))
    await rig.spoken_ahead(1)
    other = Request((Message("user", "Something else"),), speak=True)
    rig.desk.submit(Generate("r", other))
    await rig.until_done()
    assert len(rig.pen.prompts) == 2
    assert rig.pen.prompts[-1].messages[-1]["content"] == "Something else"


async def test_the_words_of_a_pause_are_told_while_it_holds_also_when_no_reply_follows(rig: Rig) -> None:
    rig.desk.submit(Paused("i", sound(1), None, None))
    rig.desk.submit(Resumed("i"))
    rig.ear.says = "Hello there, my friend."
    rig.desk.submit(Paused("i", sound(2), None, None))
    await until(lambda: rig.provisional)
    assert rig.provisional == [Provisional("i", "Hello there, my friend.")]
    assert rig.results.empty() and rig.pen.prompts == []


async def test_speech_that_goes_on_voids_what_was_prepared(rig: Rig) -> None:
    rig.desk.submit(Paused("i", sound(1), None, BASE))
    await rig.spoken_ahead(2)
    rig.desk.submit(Resumed("i"))
    rig.ear.says = "Hello there, my friend."
    rig.desk.submit(Recognize("i", sound(2), None))
    recognized = await rig.next()
    assert isinstance(recognized, Recognized)
    assert recognized.text == "Hello there, my friend."


async def test_silence_is_recognised_as_nothing_and_not_answered_ahead(rig: Rig) -> None:
    rig.ear.says = ""
    rig.desk.submit(Paused("i", sound(1), None, BASE))
    rig.desk.submit(Recognize("i", sound(1), None))
    assert await rig.next() == Recognized("i", "", "en", 1.0)
    assert rig.pen.prompts == []


async def test_failed_recognition_is_told_once_and_without_secrets(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.ear.says = None
    rig.desk.submit(Paused("i", sound(1), None, BASE))
    rig.desk.submit(Recognize("i", sound(1), None))
    assert isinstance(await rig.next(), RecognitionFailed)
    assert "secret" not in caplog.text


async def test_mandarin_is_known_by_its_sound_and_a_hint_decides(rig: Rig) -> None:
    rig.ear.chinese = 0.97
    rig.desk.submit(Recognize("i", sound(1), None))
    recognized = await rig.next()
    assert isinstance(recognized, Recognized)
    assert recognized.language == "zh"
    rig.desk.submit(Recognize("j", sound(1), "en"))
    recognized = await rig.next()
    assert isinstance(recognized, Recognized)
    assert recognized.language == "en"


async def test_captions_grow_while_the_person_speaks_and_are_read_ahead(rig: Rig) -> None:
    rig.desk.submit(Prefill(BASE))
    rig.ear.says = "Tell me a story"
    rig.desk.submit(Listening("i", sound(1), None))
    await until(lambda: rig.ear.count)
    rig.ear.says = "Tell me a story about"
    rig.desk.submit(Listening("i", sound(1.4), None))
    assert await rig.next() == Hearing("i", "Tell me a story")
    await until(lambda: len(rig.pen.read_ahead) >= 2)
    assert rig.pen.read_ahead[-1].messages[-1]["content"] == "Tell me a story"


async def test_what_was_settled_of_a_long_turn_is_not_heard_again_at_its_end(rig: Rig) -> None:
    rig.ear.says = "Once upon a time"
    rig.desk.submit(Listening("i", sound(11), None))
    assert await rig.next() == Hearing("i", "Once upon a time")
    rig.ear.says = "there was a tower."
    rig.desk.submit(Recognize("i", sound(12), None))
    result = await rig.next()
    assert isinstance(result, Recognized)
    assert result.text == "Once upon a time there was a tower."
    assert rig.ear.longest_s <= CAPTION_MOST_S


async def test_stop_is_told_at_once_and_stops_the_model(rig: Rig) -> None:
    rig.pen.gate = threading.Semaphore(2)
    rig.desk.submit(Generate("r", EXPECTED))
    await until(lambda: rig.pen.prompts)
    rig.desk.submit(Stop("r"))
    found = await rig.until_done()
    assert isinstance(found[-1], ReplyDone)
    assert found[-1].reason == "stopped"
    assert await asyncio.to_thread(rig.pen.stopped.wait, WAIT_S)
    rig.desk.submit(Stop("r"))
    assert rig.results.empty(), "a reply is over once"


async def test_a_model_that_fails_is_told(rig: Rig) -> None:
    rig.pen.fails = True
    rig.desk.submit(Generate("r", EXPECTED))
    (done,) = await rig.until_done()
    assert isinstance(done, ReplyDone)
    assert done.reason == "failed"
    assert "Hello" not in done.message


async def test_what_is_too_long_after_all_is_tried_once_with_less_of_it(rig: Rig) -> None:
    long = Request(tuple(Message("user", f"Part {n}. " + "word " * 50) for n in range(30)), speak=True)
    rig.pen.holds = 6000
    rig.desk.submit(Generate("r", long))
    assert isinstance((await rig.until_done())[0], ReplySpeech)
    assert len(rig.pen.prompts) == 2
    assert rig.pen.prompts[-1].messages[-1] == rig.pen.prompts[0].messages[-1]
    rig.pen.holds = 10
    rig.desk.submit(Generate("s", long))
    (done,) = await rig.until_done()
    assert isinstance(done, ReplyDone)
    assert (done.reason, done.message) == ("failed", "No reply: it is too long.")
    assert len(rig.pen.prompts) == 4


async def test_a_bound_that_was_asked_for_is_told_another_one_is_not_heard(rig: Rig) -> None:
    rig.pen.pieces, rig.pen.finish = ["One thing. ", "Another th"], "length"
    rig.desk.submit(Generate("r", Request(EXPECTED.messages, speak=True, max_tokens=9)))
    *pieces, done = await rig.until_done()
    assert [p.text for p in pieces if isinstance(p, ReplySpeech)] == ["One thing.", " Another th"]
    assert isinstance(done, ReplyDone)
    assert done.reason == "max_tokens"
    rig.desk.submit(Generate("s", EXPECTED))
    *pieces, done = await rig.until_done()
    assert [p.text for p in pieces if isinstance(p, ReplySpeech)] == ["One thing."]
    assert isinstance(done, ReplyDone)
    assert done.reason == "stop"


async def test_a_call_of_a_declared_function(rig: Rig) -> None:
    rig.pen.pieces = ['{"name": "weather", ', '"arguments": {"city": "Rome"}}', "and then some"]
    rig.desk.submit(Generate("r", Request((Message("user", "Weather?"),), speak=True, tools=(TOOL,))))
    call, done = await rig.until_done()
    assert call == ReplyToolCall("r", "weather", '{"city": "Rome"}')
    assert isinstance(done, ReplyDone)
    assert done.reason == "stop"
    assert rig.mouth.said == []


async def test_a_call_that_is_none_becomes_words(rig: Rig) -> None:
    rig.pen.pieces = ['{"name": "launch", "arguments": {}}']
    rig.desk.submit(Generate("r", Request((Message("user", "Weather?"),), speak=True, tools=(TOOL,))))
    spoken, done = await rig.until_done()
    assert isinstance(spoken, ReplySpeech)
    assert spoken.text == "In words."
    assert isinstance(done, ReplyDone)


async def test_a_forced_call_cut_short_ends_without_words(rig: Rig) -> None:
    rig.pen.pieces, rig.pen.finish = ['{"name":'], "length"
    for bound in (3, None):
        request = Request(EXPECTED.messages, True, tools=(TOOL,), tool_choice="required", max_tokens=bound)
        rig.desk.submit(Generate("r", request))
        (done,) = await rig.until_done()
        assert isinstance(done, ReplyDone)
        assert done.reason == "max_tokens"
    assert rig.mouth.said == []


async def test_reading_ahead_gives_way_to_a_reply_of_any_session(rig: Rig) -> None:
    other = Desk(rig.desk._models, 1, lambda _: None, lambda: None)
    rig.pen.reads_long = True
    for reader in (rig.desk, other):
        rig.pen.read_ahead.clear()
        reader.submit(Prefill(BASE))
        await until(lambda: rig.pen.read_ahead)
        rig.desk.submit(Generate("r", EXPECTED))
        assert isinstance((await rig.until_done())[0], ReplySpeech)
        assert await asyncio.to_thread(rig.pen.stopped.wait, WAIT_S)
        rig.pen.stopped.clear()
    rig.pen.gate = threading.Semaphore(0)
    rig.desk.submit(Generate("r", EXPECTED))
    await until(lambda: len(rig.pen.prompts) == 3)
    other.submit(Prefill(BASE))
    rig.pen.gate.release(10)
    await rig.until_done()
    await other.close()
    assert len(rig.pen.read_ahead) == 1, "nobody reads ahead while a reply is being written"


async def test_nothing_is_delivered_after_closing(rig: Rig) -> None:
    rig.pen.gate = threading.Semaphore(0)
    rig.desk.submit(Generate("r", EXPECTED))
    rig.desk.submit(Paused("i", sound(1), None, BASE))
    rig.desk.submit(Recognize("i", sound(1), None))
    await rig.desk.close()
    while not rig.results.empty():
        rig.results.get_nowait()
    rig.pen.gate.release(10)
    for _ in range(5):
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    assert rig.results.empty()
    assert rig.released
