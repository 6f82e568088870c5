"""Recording of a call: microphone and loudspeaker on the clock of the captions."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_handler import Visitor
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at, running_call
from voicechat.audio.format import RATE
from voicechat.config.settings import DuckingMode
from voicechat.turn_taking.snapshot import CallStage


def stereo_channels(visitor: Visitor) -> NDArray[np.int16]:
    """int16[2, n]: left and right."""
    assert visitor.recording is not None
    data = b"".join(visitor.recording.iter_wav())[44:]
    return np.frombuffer(data, dtype="<i2").reshape(-1, 2).T


async def wait_for_samples(page: FakeRtcPage, samples: int) -> None:
    recording = page.visitor.recording
    assert recording is not None
    await page.wait_until(lambda: recording.sample_count >= samples)


async def test_recording_has_both_sides_as_heard() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.microphone_level = 1234
        await there.send(server_events.complete_response("r1", "a1", "It is noon.", 400))
        await page.wait_for_stage(CallStage.SPEAKING)
        await page.wait_for_stage(CallStage.LISTENING)
        page.microphone_level = 0
    left, right = stereo_channels(page.visitor)
    assert set(left) == {0, 1234}
    assert np.count_nonzero(right) == 400 * RATE // 1000
    (utterance,) = page.visitor.conversation.utterances()
    assert utterance.span is not None
    begin, end = np.flatnonzero(right)[[0, -1]] / RATE
    assert utterance.span.start == pytest.approx(begin, abs=0.1)
    assert utterance.span.end == pytest.approx(end, abs=0.1)


async def test_recording_of_interrupted_reply_is_cut() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_call(endpoint_at(url), ducking=DuckingMode.OFF) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send(
            server_events.complete_response("r1", "a1", "A long story, that nobody wants to hear to its end.", 20_000)
        )
        await page.wait_for_stage(CallStage.SPEAKING)
        await there.send(server_events.speech_started("u1"))
        await page.wait_for_stage(CallStage.USER_SPEAKING)
        there_now = page.visitor.recording
        assert there_now is not None
        await wait_for_samples(page, there_now.sample_count + RATE // 2)
    _, right = stereo_channels(page.visitor)
    assert 0 < np.count_nonzero(right) < RATE
    assert not right[-RATE // 4 :].any()


async def test_recording_of_next_call_is_appended() -> None:
    visitor = Visitor()
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        async with running_call(endpoint_at(url), visitor) as page:
            await page.wait_for_stage(CallStage.LISTENING)
            await there.send(server_events.complete_response("r1", "a1", "One.", 200))
            await page.wait_for_stage(CallStage.SPEAKING)
            await page.wait_for_stage(CallStage.LISTENING)
        assert visitor.recording is not None
        first = visitor.recording.duration_s
        async with running_call(endpoint_at(url), visitor) as page:
            await page.wait_for_stage(CallStage.LISTENING)
            await wait_for_samples(page, round((first + 0.2) * RATE))
    assert np.count_nonzero(stereo_channels(visitor)[1]) == 200 * RATE // 1000


@pytest.mark.parametrize("in_call", [True, False], ids=["in the call", "after it"])
async def test_recording_after_clear_is_empty(in_call: bool) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.microphone_level = 77
        recording = page.visitor.recording
        assert recording is not None
        await wait_for_samples(page, RATE // 2)
        if not in_call:
            page.session.end_by_user()
        await page.visitor.clear()
        assert recording.sample_count == 0
        if in_call:
            page.microphone_level = 78
            await wait_for_samples(page, RATE // 5)
            assert recording.duration_s < 5
            clock = page.visitor.conversation.clock
            assert clock.elapsed_s(page.handler.clock()) == pytest.approx(recording.duration_s, abs=0.2)


@pytest.mark.parametrize("changed", [{"record_calls": False}], ids=["not recorded"])
async def test_recording_switched_off_does_not_exist(changed: dict[str, Any]) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url), **changed) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.visitor.recording is None


async def test_recording_after_page_closed_takes_nothing() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await wait_for_samples(page, RATE // 10)
        page.visitor.on_page_closed()
        frames = len(page.frames)
        await page.wait_until(lambda: len(page.frames) > frames + 5)
        assert page.visitor.recording is not None
        assert page.visitor.recording.sample_count == 0


async def test_recording_of_queued_call_does_not_exist() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url), max_calls=1) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        second = FakeRtcPage(page.handler)
        try:
            async with asyncio.timeout(30):
                await second.start()
                await second.wait_for_stage(CallStage.QUEUED)
                await second.wait_until(lambda: len(second.frames) > 5)
            assert second.visitor.recording is None
        finally:
            await second.hang_up()
