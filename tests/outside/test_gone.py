"""Visitors of the real app who are gone without a word: their places are free, and nobody is paid for them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.browser.conftest import App, running_app

from .upstream import Upstream
from .visitor import Ear, Visitor


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream("spoken", "reply").running() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def app(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with running_app(tmp_path_factory.mktemp("gone") / "log.txt", REALTIME_URL=upstream.url) as app:
        app.wait(lambda health: health["http"] == 200)
        yield app
        assert "Traceback" not in app.log.read_text()


async def test_a_page_that_is_closed_in_a_chat(app: App, upstream: Upstream) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = Visitor(app.url, client, Ear())
        await visitor.opens()
        await visitor.event("text-send", text_input="written")
        await visitor.told(lambda said: "reply" in said)
        await visitor.leaves()
    left = time.monotonic()
    app.wait(lambda health: health["chats"] == upstream.live == 0, 12)
    assert time.monotonic() - left < 2
