"""What a visitor saves: for them alone, once, and as it is when it is fetched."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import APIRouter, FastAPI

from realtime.recording import Recording
from realtime_handler import Visitor
from web.downloads import LIFE_S, MAX_TICKETS, Download, Downloads
from web.routes import description
from web.voice_export import MEDIA_TYPES, Kind, download_of

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def downloads(clock: Clock) -> Downloads:
    return Downloads(clock)


@pytest.fixture
async def web(downloads: Downloads) -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter()
    downloads.add_to(router)
    assert description(router)["paths"] == {}
    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here/") as client:
        yield client


def a_file(content: bytes = b"content") -> Download:
    return Download("name.txt", "text/plain", lambda: [content])


async def test_a_ticket_counts_once(web: httpx.AsyncClient, downloads: Downloads) -> None:
    where = downloads.offer(a_file())
    assert (await web.head(where)).status_code == 405
    answer = await web.get(where)
    assert (answer.status_code, answer.content) == (200, b"content")
    assert answer.headers["content-disposition"] == 'attachment; filename="name.txt"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await web.get(where)).status_code == 404


async def test_a_ticket_is_old_after_a_minute(web: httpx.AsyncClient, downloads: Downloads, clock: Clock) -> None:
    where = downloads.offer(a_file())
    clock.now += LIFE_S
    assert (await web.get(where)).status_code == 404


async def test_nobody_guesses(web: httpx.AsyncClient, downloads: Downloads) -> None:
    tickets = {downloads.offer(a_file()) for _ in range(100)}
    assert len(tickets) == 100
    assert min(len(ticket.rpartition("/")[2]) for ticket in tickets) == 43
    for guess in ("voice-export/", "voice-export/0", "voice-export/../health"):
        assert (await web.get(guess)).status_code == 404


async def test_tickets_have_a_bound(web: httpx.AsyncClient, downloads: Downloads) -> None:
    first = downloads.offer(a_file())
    last = [downloads.offer(a_file(b"%d" % n)) for n in range(MAX_TICKETS)][-1]
    assert (await web.get(first)).status_code == 404
    assert (await web.get(last)).content == b"%d" % (MAX_TICKETS - 1)


# -------------------------------------------------------------------- what is in the files


def visitor() -> Visitor:
    who = Visitor()
    who.conversation.say("現在幾點？", 1.0)
    who.recording = Recording(60)
    who.recording.visitor(0.0, np.full(480, 5, dtype=np.int16))
    return who


async def fetched(web: httpx.AsyncClient, downloads: Downloads, kind: Kind, who: Visitor) -> httpx.Response:
    download = download_of(kind, who, "zh-TW", WHEN)
    assert download is not None
    return await web.get(downloads.offer(download))


async def test_every_kind(web: httpx.AsyncClient, downloads: Downloads) -> None:
    who = visitor()
    answers = {kind: await fetched(web, downloads, kind, who) for kind in Kind}
    for kind, answer in answers.items():
        assert answer.headers["content-type"] == MEDIA_TYPES[kind]
        assert f'"voice-chat-20260504-030201.{kind}"' in answer.headers["content-disposition"]
    assert answers[Kind.MARKDOWN].text == "# 對話紀錄 2026-05-04 03:02\n\n**你** (0:01)\n\n現在幾點？\n"
    assert json.loads(answers[Kind.JSON].text)["messages"][0]["text"] == "現在幾點？"
    assert answers[Kind.SUBTITLES].text == "1\n00:00:01,000 --> 00:00:02,000\n你: 現在幾點？\n"
    with wave.open(io.BytesIO(answers[Kind.RECORDING].content)) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 480)


@pytest.mark.parametrize("kind", Kind)
async def test_there_may_be_nothing_to_save(kind: Kind) -> None:
    assert download_of(kind, Visitor(), "en", WHEN) is None
    cleared = visitor()
    await cleared.clear()
    assert download_of(kind, cleared, "en", WHEN) is None


@pytest.mark.parametrize("kind", Kind)
async def test_what_is_cleared_is_not_handed_out_any_more(
    kind: Kind, web: httpx.AsyncClient, downloads: Downloads
) -> None:
    who = visitor()
    download = download_of(kind, who, "en", WHEN)
    assert download is not None
    await who.clear()
    assert (await web.get(downloads.offer(download))).content == b""


async def test_a_page_that_is_closed_leaves_no_recording() -> None:
    who: Any = visitor()
    who.page_gone()
    assert who.recording.samples == 0
    assert download_of(Kind.RECORDING, who, "en", WHEN) is None
