"""Clock of the uplink: barge-in verdicts and silence filling while no loudspeaker frame is pulled."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import numpy as np

from realtime_handler import CallStage
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import endpoint_at, running_call
from voicechat.audio.format import FRAME_S
from voicechat.audio.uplink_buffer import STALL_THRESHOLD_S
from voicechat.config.settings import DuckingMode
from voicechat.session.voice_session import MAX_CATCH_UP_FRAMES


def uplink_frames(server: ScriptedRealtimeServer) -> list[np.ndarray]:
    events = server.received_of("input_audio_buffer.append")
    return [np.frombuffer(base64.b64decode(event["audio"]), "<i2") for event in events]


def trailing_silence_s(frames: list[np.ndarray]) -> float:
    """Silence after the last frame with sound; 0.0 without any such frame."""
    loud = [number for number, frame in enumerate(frames) if frame.any()]
    return (len(frames) - 1 - loud[-1]) * FRAME_S if loud else 0.0


async def wait_for_uplink(
    server: ScriptedRealtimeServer, condition: Callable[[list[np.ndarray]], bool], seconds: float
) -> list[np.ndarray]:
    async with asyncio.timeout(seconds):
        while not condition(frames := uplink_frames(server)):
            await server.wait_for("input_audio_buffer.append", len(frames) + 1)
    return frames


async def test_barge_in_without_loudspeaker_pull_is_judged_from_the_microphone() -> None:
    server = ScriptedRealtimeServer()
    async with (
        running_server(server.handle_connection) as url,
        running_call(endpoint_at(url), ducking=DuckingMode.ON) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        page.stop_pulling()
        await server.send(
            server_events.response_started("r1", "a1"),
            server_events.clause_deltas("r1", "a1", "One two three four", 4000),
            server_events.speech_started("u1"),
        )
        speaking = asyncio.create_task(page.speak(3000, 2))
        async with asyncio.timeout(1.5):
            (cancel,) = await server.wait_for("response.cancel")
        assert cancel["response_id"] == "r1"
        speaking.cancel()


async def test_stalled_microphone_without_loudspeaker_pull_sends_silence_in_real_time() -> None:
    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        page.stop_pulling()
        await page.speak(3000, 0.2)
        began = page.handler.clock()
        await wait_for_uplink(server, lambda sent: trailing_silence_s(sent) >= 1.0, seconds=5)
        elapsed = page.handler.clock() - began
        assert elapsed >= STALL_THRESHOLD_S + 0.9, "silence never runs ahead of the time that has passed"


async def test_both_directions_flowing_send_each_microphone_frame_once_and_no_silence() -> None:
    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url, running_call(endpoint_at(url)) as page:
        page.microphone_level = 1000
        await page.wait_for_stage(CallStage.LISTENING)
        before = len(uplink_frames(server))
        frames = await wait_for_uplink(server, lambda sent: len(sent) >= before + 75, seconds=5)
        assert all(frame.all() for frame in frames[before:])


async def test_minute_without_event_loop_sends_at_most_a_second_of_silence_at_once() -> None:
    server = ScriptedRealtimeServer()
    async with running_server(server.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await page.speak(3000, 0.2)
        page.stop_pulling()
        page.session.next_frame(page.handler.clock() + 60.0)
        assert page.session.send_text("marker")
        await server.wait_for("conversation.item.create")
        silence_frames = round(trailing_silence_s(uplink_frames(server)) / FRAME_S)
        assert MAX_CATCH_UP_FRAMES <= silence_frames <= MAX_CATCH_UP_FRAMES + 2
