"""Resume through the real app: a page that lost its event stream while its call goes on, and one that was closed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.app.app_process import AppProcess, running_app
from tests.support.app.canaries import REPLY, SPOKEN, WRITTEN
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.webrtc_call_client import webrtc_call
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer

WAV_HEADER_BYTES = 44


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, threaded_server: ThreadedRealtimeServer) -> Iterator[AppProcess]:
    log = tmp_path_factory.mktemp("resume") / "app.log"
    with running_app(
        log, REALTIME_URL=threaded_server.url, REALTIME_API_KEY="sk-test", DEBUG="true", DRAIN_SECONDS="1"
    ) as app:
        app.wait_for_health(lambda health: health["status"] == "ok")
        yield app


@asynccontextmanager
async def browser(served: AppProcess, user_agent: str = "one") -> AsyncIterator[Callable[[str], GradioPageClient]]:
    """Yield a function that makes pages of one browser, with its cookies.

    Browsers of one address and user agent that come within 2 s get one visitor id (`COOKIE_REUSE_WINDOW_S`).
    """
    async with httpx.AsyncClient(timeout=20, headers={"User-Agent": user_agent}) as client:
        yield lambda name: GradioPageClient(served.url, client, TrafficRecorder(), name)


def calls_are(count: int) -> Callable[[dict[str, object]], bool]:
    return lambda health: health["calls"] == count


async def wait_for_health(served: AppProcess, condition: Callable[[dict[str, object]], bool]) -> None:
    """Wait without blocking the calls of this event loop."""
    await asyncio.to_thread(served.wait_for_health, condition, 20)


async def export_recording(page: GradioPageClient) -> bytes:
    (path,) = await page.trigger_event("voice-export-wav")
    return (await page.request(f"/{path}")).content if path else b""


def websocket_call(page: GradioPageClient) -> AbstractAsyncContextManager[None]:
    return page.websocket_call()


@pytest.mark.parametrize("hold_call", [webrtc_call, websocket_call], ids=["WebRTC", "WebSocket"])
async def test_page_that_lost_only_its_requests_takes_over_from_its_own_call(
    served: AppProcess, hold_call: Callable[[GradioPageClient], AbstractAsyncContextManager[None]]
) -> None:
    token = secrets.token_hex(32)
    async with browser(served) as open_tab, browser(served, "another") as stranger:
        page, back, thief = open_tab("page"), open_tab("back"), stranger("thief")
        await page.open(token)
        async with hold_call(page):
            await page.wait_for_text(lambda text: SPOKEN in text and REPLY in text)
            await page.trigger_event("text-send", text_input=WRITTEN)
            await page.wait_for_text(lambda text: WRITTEN in text)
            await page.close()
            await wait_for_health(served, lambda health: (health["calls"], health["chats"]) == (1, 0))
            await thief.open(token)
            await wait_for_health(served, calls_are(1))
            assert SPOKEN not in thief.received_text
            await back.open(token)
            await back.wait_for_text(lambda text: SPOKEN in text and WRITTEN in text)
            await wait_for_health(served, calls_are(0))
            before = await export_recording(back)
            assert len(before) > WAV_HEADER_BYTES
        async with back.websocket_call():
            await wait_for_health(served, calls_are(1))
            await back.wait_for_text(lambda text: text.count(SPOKEN) > 2)
        assert len(await export_recording(back)) > len(before), "the next call continues the recording"
        await wait_for_health(served, calls_are(0))
        await back.close()
        await thief.close()
    log = served.log_path.read_text()
    assert not [each for each in (token, SPOKEN, WRITTEN) if each in log]


async def test_reloaded_page_forgets_after_forget_me_and_tabs_stay_apart(served: AppProcess) -> None:
    one, two = secrets.token_hex(32), secrets.token_hex(32)
    async with browser(served) as open_tab:
        first, second = open_tab("first"), open_tab("second")
        for page, token, text in ((first, one, "In the first tab."), (second, two, "In the second tab.")):
            await page.open(token)
            await page.trigger_event("text-send", text_input=text)
            await page.wait_for_text(lambda received, text=text: text in received)  # type: ignore[misc]
            await page.close()
        await wait_for_health(served, lambda health: health["chats"] == 0)
        again = open_tab("again")
        await again.open(one)
        await again.wait_for_text(lambda text: "In the first tab." in text)
        assert "In the second tab." not in again.received_text
        await again.trigger_event("forget-me")
        await again.close()
        for token in (one, two):
            empty = open_tab("empty")
            await empty.open(token)
            assert " tab." not in empty.received_text
            await empty.close()


def is_launched(app: AppProcess) -> bool:
    """Return whether the process has done what follows the first answer: Gradio's `launch()` asks its own server."""
    return any(each in app.log_path.read_text() for each in ("To create a public link", "Uvicorn running"))


@pytest.mark.parametrize("command", [["app.py"], ["-m", "uvicorn", "app:app"]], ids=["python app.py", "uvicorn"])
def test_app_ends_in_time_with_open_pages(tmp_path: Path, upstream: ThreadedRealtimeServer, command: list[str]) -> None:

    with running_app(tmp_path / "log", command, REALTIME_URL=upstream.url, DRAIN_SECONDS="1") as app:
        app.wait_for_health(lambda health: health["status"] == "ok" and is_launched(app))
        with connect(app.url.replace("http", "ws") + "/page-connection") as page:
            process_id = page.recv(10)
            app.process.terminate()
            received = []
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    received.append(page.recv(10))
            assert received == ["draining"] and len(str(process_id)) == 16
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        assert app.process.wait(10) == 0, app.log_path.read_text()
