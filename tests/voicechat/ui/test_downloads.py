"""Downloads: tickets, their limits, and the content of each file format."""

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

from realtime_handler import Visitor
from tests.support.manual_clock import ManualClock
from voicechat.audio.recording import Recording
from voicechat.server.routes import openapi_schema
from voicechat.ui.downloads import MAX_TICKETS, TICKET_LIFETIME_S, Download, Downloads
from voicechat.ui.widgets.more_menu import MEDIA_TYPES, ExportFormat, create_download

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def downloads(clock: ManualClock) -> Downloads:
    return Downloads(clock)


@pytest.fixture
async def http_client(downloads: Downloads) -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter()
    downloads.add_to(router)
    assert openapi_schema(router)["paths"] == {}
    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test/") as client:
        yield client


def text_download(content: bytes = b"content") -> Download:
    return Download("name.txt", "text/plain", lambda: [content])


async def test_ticket_is_valid_once(http_client: httpx.AsyncClient, downloads: Downloads) -> None:
    url = downloads.create_url(text_download())
    assert (await http_client.head(url)).status_code == 405
    answer = await http_client.get(url)
    assert (answer.status_code, answer.content) == (200, b"content")
    assert answer.headers["content-disposition"] == 'attachment; filename="name.txt"'
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await http_client.get(url)).status_code == 404


async def test_ticket_expires_after_a_minute(
    http_client: httpx.AsyncClient, downloads: Downloads, clock: ManualClock
) -> None:
    url = downloads.create_url(text_download())
    clock.now += TICKET_LIFETIME_S
    assert (await http_client.get(url)).status_code == 404


async def test_unknown_ticket_is_not_found(http_client: httpx.AsyncClient, downloads: Downloads) -> None:
    tickets = {downloads.create_url(text_download()) for _ in range(100)}
    assert len(tickets) == 100
    assert min(len(ticket.rpartition("/")[2]) for ticket in tickets) == 43
    for guess in ("voice-export/", "voice-export/0", "voice-export/../health"):
        assert (await http_client.get(guess)).status_code == 404


async def test_tickets_are_bounded(http_client: httpx.AsyncClient, downloads: Downloads) -> None:
    first = downloads.create_url(text_download())
    last = [downloads.create_url(text_download(b"%d" % n)) for n in range(MAX_TICKETS)][-1]
    assert (await http_client.get(first)).status_code == 404
    assert (await http_client.get(last)).content == b"%d" % (MAX_TICKETS - 1)


# -------------------------------------------------------------------- content of the files


def make_visitor() -> Visitor:
    visitor = Visitor()
    visitor.conversation.add_user_message("現在幾點？", 1.0)
    visitor.recording = Recording(60)
    visitor.recording.write_microphone(0.0, np.full(480, 5, dtype=np.int16))
    return visitor


async def fetch_download(
    web: httpx.AsyncClient, downloads: Downloads, kind: ExportFormat, visitor: Visitor
) -> httpx.Response:
    download = create_download(kind, visitor, "zh-TW", WHEN)
    assert download is not None
    return await web.get(downloads.create_url(download))


async def test_every_format_is_served(http_client: httpx.AsyncClient, downloads: Downloads) -> None:
    visitor = make_visitor()
    answers = {kind: await fetch_download(http_client, downloads, kind, visitor) for kind in ExportFormat}
    for kind, answer in answers.items():
        assert answer.headers["content-type"] == MEDIA_TYPES[kind]
        assert f'"voice-chat-20260504-030201.{kind}"' in answer.headers["content-disposition"]
    assert answers[ExportFormat.MARKDOWN].text == "# 對話紀錄 2026-05-04 03:02\n\n**你** (0:01)\n\n現在幾點？\n"
    assert json.loads(answers[ExportFormat.JSON].text)["messages"][0]["text"] == "現在幾點？"
    assert answers[ExportFormat.SUBTITLES].text == "1\n00:00:01,000 --> 00:00:02,000\n你: 現在幾點？\n"
    with wave.open(io.BytesIO(answers[ExportFormat.RECORDING].content)) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, 480)


@pytest.mark.parametrize("kind", ExportFormat)
async def test_empty_conversation_has_no_download(kind: ExportFormat) -> None:
    assert create_download(kind, Visitor(), "en", WHEN) is None
    cleared = make_visitor()
    await cleared.clear()
    assert create_download(kind, cleared, "en", WHEN) is None


@pytest.mark.parametrize("kind", ExportFormat)
async def test_cleared_conversation_is_not_served(
    kind: ExportFormat, http_client: httpx.AsyncClient, downloads: Downloads
) -> None:
    visitor = make_visitor()
    download = create_download(kind, visitor, "en", WHEN)
    assert download is not None
    await visitor.clear()
    assert (await http_client.get(downloads.create_url(download))).content == b""


async def test_closed_page_deletes_the_recording() -> None:
    visitor: Any = make_visitor()
    visitor.on_page_closed()
    assert visitor.recording.sample_count == 0
    assert create_download(ExportFormat.RECORDING, visitor, "en", WHEN) is None
