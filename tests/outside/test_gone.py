"""Visitors of the real app who are gone without a word: their places are free, and nobody is paid for them."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.browser.conftest import App

from .canaries import REPLY, WRITTEN
from .upstream import Upstream
from .visitor import Ear, Visitor


async def test_a_page_that_is_closed_in_a_chat(app: App, upstream: Upstream) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = Visitor(app.url, client, Ear())
        await visitor.opens()
        await visitor.event("text-send", text_input="written")
        await visitor.told(lambda said: REPLY in said)
        await visitor.leaves()
    left = time.monotonic()
    app.wait(lambda health: health["chats"] == upstream.live == 0, 12)
    assert time.monotonic() - left < 2


async def test_a_page_whose_stream_is_cut(app: App, upstream: Upstream) -> None:
    """Nobody fetches what the chat says, and the page is not known to be closed."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = Visitor(app.url, client, Ear())
        await visitor.opens()
        await visitor.event("text-send", text_input=WRITTEN)
        await visitor.told(lambda said: REPLY in said)
        await visitor.cut()
        left = time.monotonic()
        app.wait(lambda health: health["chats"] == upstream.live == 0, 20)
        assert time.monotonic() - left < 4
        await visitor.leaves()


@pytest.mark.long
async def test_a_chat_whose_words_nobody_fetches(app: App, upstream: Upstream) -> None:
    """Gradio would let it run for ever."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = Visitor(app.url, client, Ear())
        await visitor.opens()
        told = [one for one in visitor.config["dependencies"] if one["backend_fn"] and len(one["outputs"]) == 5]
        send = next(one for one in visitor.config["dependencies"] if one["id"] == told[-1]["trigger_after"])
        for one, data in ((send, [None, WRITTEN]), (told[-1], [None, None])):
            body = {"fn_index": one["id"], "data": data, "session_hash": "deaf"}
            await visitor.get("/gradio_api/queue/join", "POST", json=body)
            app.wait(lambda health: health["chats"] == 1)
        await visitor.leaves()
    app.wait(lambda health: health["chats"] == upstream.live == 0, 15)
