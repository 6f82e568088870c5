"""Abrupt disconnects from the real app: slot and upstream connection are released within seconds."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.support.app.app_process import AppProcess
from tests.support.app.canaries import REPLY, WRITTEN
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from voicechat.ui.tabs.stream_liveness import UNREAD_TIMEOUT_S


async def test_chat_is_closed_when_its_page_is_closed(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
        await visitor.open()
        await visitor.trigger_event("text-send", text_input="written")
        await visitor.wait_for_text(lambda text: REPLY in text)
        await visitor.close()
    left_at = time.monotonic()
    canary_app.wait_for_health(lambda health: health["chats"] == upstream.open_connections == 0, 12)
    assert time.monotonic() - left_at < 2


async def test_chat_is_closed_when_the_event_stream_is_cut(
    canary_app: AppProcess, upstream: ThreadedRealtimeServer
) -> None:
    """The page's heartbeat stream stays open."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
        await visitor.open()
        await visitor.trigger_event("text-send", text_input=WRITTEN)
        await visitor.wait_for_text(lambda text: REPLY in text)
        await visitor.cut_event_stream()
        left_at = time.monotonic()
        canary_app.wait_for_health(lambda health: health["chats"] == upstream.open_connections == 0, 20)
        assert time.monotonic() - left_at < UNREAD_TIMEOUT_S, "it was not the cut stream that closed the chat"
        await visitor.close()


@pytest.mark.long
async def test_chat_without_an_event_stream_is_closed(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    """Gradio alone never ends it."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
        await visitor.open()
        dependencies = visitor.config["dependencies"]
        stream = [each for each in dependencies if each["backend_fn"] and len(each["outputs"]) == 5][-1]
        send = next(each for each in dependencies if each["id"] == stream["trigger_after"])
        for each, data in ((send, [None, WRITTEN]), (stream, [None, None])):
            body = {"fn_index": each["id"], "data": data, "session_hash": "without-stream"}
            await visitor.request("/gradio_api/queue/join", "POST", json=body)
            canary_app.wait_for_health(lambda health: health["chats"] == 1)
        await visitor.close()
    health = canary_app.wait_for_health(lambda health: health["chats"] == upstream.open_connections == 0, 15)
    assert health["calls"] == 0
