"""Visitors of the real app who are gone without a word: their places are free, and nobody is paid for them."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.support.app.app_process import AppProcess
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.planted_secrets import REPLY, WRITTEN
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer


async def test_a_page_that_is_closed_in_a_chat(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
        await visitor.open()
        await visitor.trigger_event("text-send", text_input="written")
        await visitor.wait_for_text(lambda said: REPLY in said)
        await visitor.close()
    left = time.monotonic()
    canary_app.wait_for_health(lambda health: health["chats"] == upstream.open_connections == 0, 12)
    assert time.monotonic() - left < 2


async def test_a_page_whose_stream_is_cut(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    """Nobody fetches what the chat says, and the page is not known to be closed."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
        await visitor.open()
        await visitor.trigger_event("text-send", text_input=WRITTEN)
        await visitor.wait_for_text(lambda said: REPLY in said)
        await visitor.cut_event_stream()
        left = time.monotonic()
        canary_app.wait_for_health(lambda health: health["chats"] == upstream.open_connections == 0, 20)
        assert time.monotonic() - left < 4
        await visitor.close()


@pytest.mark.long
async def test_a_chat_whose_words_nobody_fetches(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    """Gradio would let it run for ever."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
        await visitor.open()
        told = [one for one in visitor.config["dependencies"] if one["backend_fn"] and len(one["outputs"]) == 5]
        send = next(one for one in visitor.config["dependencies"] if one["id"] == told[-1]["trigger_after"])
        for one, data in ((send, [None, WRITTEN]), (told[-1], [None, None])):
            body = {"fn_index": one["id"], "data": data, "session_hash": "deaf"}
            await visitor.request("/gradio_api/queue/join", "POST", json=body)
            canary_app.wait_for_health(lambda health: health["chats"] == 1)
        await visitor.close()
    canary_app.wait_for_health(lambda health: health["chats"] == upstream.open_connections == 0, 15)
