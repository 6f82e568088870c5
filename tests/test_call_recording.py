"""The recording of a call: what the microphone gave and the loudspeaker was given, on the clock of the captions."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime.playback import RATE
from realtime.snapshot import Stage
from realtime_handler import Visitor

from .pages import Page, at, calling
from .realtime import script
from .realtime.servers import Script, server


def sides(visitor: Visitor) -> NDArray[np.int16]:
    """int16[2, n]: left and right."""
    assert visitor.recording is not None
    data = b"".join(visitor.recording.wav())[44:]
    return np.frombuffer(data, dtype="<i2").reshape(-1, 2).T


async def records(page: Page, samples: int) -> None:
    recording = page.visitor.recording
    assert recording is not None
    await page.until(lambda: recording.samples >= samples)


async def test_both_sides_are_recorded_as_they_were_heard() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        page.level = 1234
        await there.says(script.whole_reply("r1", "a1", "It is noon.", 400))
        await page.reaches(Stage.SPEAKING)
        await page.reaches(Stage.LISTENING)
        page.level = 0
    left, right = sides(page.visitor)
    assert set(left) == {0, 1234}
    assert np.count_nonzero(right) == 400 * RATE // 1000
    (utterance,) = page.visitor.conversation.utterances()
    assert utterance.span is not None
    begin, end = np.flatnonzero(right)[[0, -1]] / RATE
    assert utterance.span.start == pytest.approx(begin, abs=0.1)
    assert utterance.span.end == pytest.approx(end, abs=0.1)


async def test_an_interrupted_reply_is_cut_in_the_recording_too() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "A long story, that nobody wants to hear to its end.", 20_000))
        await page.reaches(Stage.SPEAKING)
        await there.says(script.speech_started("u1"))
        await page.reaches(Stage.HEARING)
        there_now = page.visitor.recording
        assert there_now is not None
        await records(page, there_now.samples + RATE // 2)
    _, right = sides(page.visitor)
    assert 0 < np.count_nonzero(right) < RATE
    assert not right[-RATE // 4 :].any()


async def test_the_next_call_is_recorded_behind_the_first() -> None:
    visitor = Visitor()
    there = Script()
    async with server(there.talk) as url:
        async with calling(at(url), visitor) as page:
            await page.reaches(Stage.LISTENING)
            await there.says(script.whole_reply("r1", "a1", "One.", 200))
            await page.reaches(Stage.SPEAKING)
            await page.reaches(Stage.LISTENING)
        assert visitor.recording is not None
        first = visitor.recording.seconds
        async with calling(at(url), visitor) as page:
            await page.reaches(Stage.LISTENING)
            await records(page, round((first + 0.2) * RATE))
    assert np.count_nonzero(sides(visitor)[1]) == 200 * RATE // 1000


@pytest.mark.parametrize("in_call", [True, False], ids=["in the call", "after it"])
async def test_clear_erases_the_recording(in_call: bool) -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        page.level = 77
        recording = page.visitor.recording
        assert recording is not None
        await records(page, RATE // 2)
        if not in_call:
            page.call.leave()
        await page.visitor.clear()
        assert recording.samples == 0
        if in_call:
            page.level = 78
            await records(page, RATE // 5)
            assert recording.seconds < 5
            clock = page.visitor.conversation.clock
            assert clock.at(page.call.clock()) == pytest.approx(recording.seconds, abs=0.2)


@pytest.mark.parametrize("changed", [{"record_calls": False}], ids=["not recorded"])
async def test_nothing_is_recorded_where_that_is_not_wanted(changed: dict[str, Any]) -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), **changed) as page:
        await page.reaches(Stage.LISTENING)
        assert page.visitor.recording is None


async def test_nothing_is_recorded_of_a_page_that_has_gone() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await records(page, RATE // 10)
        page.visitor.page_gone()
        frames = len(page.frames)
        await page.until(lambda: len(page.frames) > frames + 5)
        assert page.visitor.recording is not None
        assert page.visitor.recording.samples == 0


async def test_a_visitor_who_waits_in_line_is_not_recorded() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), max_calls=1) as page:
        await page.reaches(Stage.LISTENING)
        second = Page(page.call)
        try:
            async with asyncio.timeout(5):
                await second.start()
                await second.reaches(Stage.WAITING)
                await second.until(lambda: len(second.frames) > 5)
            assert second.visitor.recording is None
        finally:
            await second.hangs_up()
