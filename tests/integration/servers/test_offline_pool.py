"""Application with OFFLINE_URL: calls and chats over two embedded servers, one of which ends under them."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

import app
from offline.server import RealtimeServer
from realtime_handler import RealtimeHandler
from tests.support.offline.offline_process import OfflineProcess, offline_process
from tests.support.offline.scripted_models import ModelScript, make_loaded_server, running_server
from tests.support.sessions.fake_chat_page import FakeChatPage
from tests.support.sessions.fake_rtc_page import FakeRtcPage
from tests.support.sessions.session_users import is_listening, is_shown
from voicechat.config.settings import ServerKind, Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.protocol.failures import Failure
from voicechat.server.application import Application
from voicechat.session.text_session import TextSession
from voicechat.turn_taking.snapshot import CallStage

pytestmark = pytest.mark.timeout(120)

KEY = "key-of-the-pool-canary"


class WatchedAdmission(AdmissionController):
    """Admission whose changes of the limit a test can await."""

    def __init__(self, limits: ConcurrencyLimits) -> None:
        super().__init__(limits)
        self.changed = asyncio.Event()

    def set_offline_sessions(self, sessions: int) -> None:
        super().set_offline_sessions(sessions)
        self.changed.set()

    async def wait_for_sessions(self, sessions: int) -> None:
        """Wait until this many sessions of the embedded servers are admitted at a time."""
        async with asyncio.timeout(20):
            while self.limits.offline_sessions != sessions:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture(autouse=True)
def watched_admission(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the applications of this module have such an admission."""
    monkeypatch.setattr("voicechat.server.application.AdmissionController", WatchedAdmission)


@asynccontextmanager
async def running_application(*urls: str, key: str = "") -> AsyncIterator[tuple[Application, WatchedAdmission]]:
    """Run the background tasks of an application with these embedded servers."""
    settings = Settings.from_env({"OFFLINE_URL": ",".join(urls), "OFFLINE_KEY": key, "MAX_WAITING": "4"})
    application = app.create_application(settings)
    assert isinstance(application.admission, WatchedAdmission)
    async with application.run_in_background():
        yield application, application.admission


@asynccontextmanager
async def chats_of(application: Application, number: int) -> AsyncIterator[list[FakeChatPage]]:
    """Open text chats, one after the other, and close them at the end."""
    chats = [
        TextSession(
            application.settings, application.resolve_endpoint, application.admission, Conversation(text_only=True)
        )
        for _ in range(number)
    ]
    for chat in chats:
        chat.start()
    try:
        yield [FakeChatPage(chat) for chat in chats]
    finally:
        for chat in chats:
            chat.end_by_user()
        for chat in chats:
            await chat.wait_closed(5)


def sessions_of(server: RealtimeServer) -> int:
    sessions: int = server.health()["sessions"]
    return sessions


async def test_sessions_fill_both_servers_and_the_next_visitor_waits_for_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    servers = [make_loaded_server(capacity=2), make_loaded_server(capacity=1)]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(running_server(server)) for server in servers]
        application, admission = await stack.enter_async_context(running_application(*urls))
        assert application.settings.server_kind is ServerKind.OFFLINE
        assert application.resolve_endpoint("") is Failure.LOADING
        assert application.server_status() == ("loading", None, "offline")
        await admission.wait_for_sessions(3)
        assert application.server_status() == ("idle", None, "offline")
        assert (await application.health()).status == "ok"
        assert application.model_status().voices == ("hibari",)
        pages = await stack.enter_async_context(chats_of(application, 4))
        for page in pages[:3]:
            await page.wait_for_snapshot(is_listening)
        assert [sessions_of(server) for server in servers] == [2, 1]
        assert "connection ended" not in caplog.text, "none was sent to a server that was full"
        assert (await pages[3].wait_for_stage(CallStage.QUEUED)).queue_position == 1
        pages[0].chat.end_by_user()
        assert pages[3].chat.send_text("Is it my turn?")
        await pages[3].wait_for_snapshot(is_shown("Is it my turn?", "You said: Is it my turn?"))
    assert application.admission.is_empty


async def test_chats_of_a_server_that_ends_go_on_at_the_other_with_what_was_said() -> None:
    scripts = [ModelScript(), ModelScript()]
    servers = [make_loaded_server(script, capacity=2) for script in scripts]
    async with AsyncExitStack() as stack, AsyncExitStack() as ending:
        urls = [await ending.enter_async_context(running_server(servers[0]))]
        urls += [await stack.enter_async_context(running_server(servers[1]))]
        application, admission = await stack.enter_async_context(running_application(*urls))
        await admission.wait_for_sessions(4)
        (page,) = await stack.enter_async_context(chats_of(application, 1))
        await page.wait_for_snapshot(is_listening)
        assert (sessions_of(servers[0]), sessions_of(servers[1])) == (1, 0)
        assert page.chat.send_text("I am Ada.")
        await page.wait_for_snapshot(is_shown("I am Ada.", "You said: I am Ada."))
        await ending.aclose()
        await page.wait_for_stage(CallStage.RECONNECTING)
        await page.wait_for_snapshot(is_listening)
        assert sessions_of(servers[1]) == 1
        await admission.wait_for_sessions(2)
        health = await application.health()
        assert health.status == "ok" and health.detail.startswith("Ready embedded servers: 1 of 2.")
        assert page.chat.send_text("Who am I?")
        await page.wait_for_snapshot(lambda snapshot: is_listening(snapshot) and len(snapshot.bubbles) == 4)
        assert scripts[1].model_context() == [
            ("user", "I am Ada."),
            ("assistant", "You said: I am Ada."),
            ("user", "Who am I?"),
        ]


@asynccontextmanager
async def embedded_process(key: str) -> AsyncIterator[tuple[OfflineProcess, str]]:
    """Run an embedded server with two sessions, whose key is in the environment; yield its address."""
    launcher = ("tests.support.models.scripted_process",)
    async with offline_process("--key-from-env", launcher=launcher, OFFLINE_KEY=key, OFFLINE_SESSIONS="2") as server:
        url = (await server.wait_for_line("listening"))["listening"]
        assert (await server.wait_for_line("ready"))["capacity"] == 2
        yield server, url


def replied(count: int) -> Callable[[object], bool]:
    """Return the condition that the page shows this many messages and the session listens."""
    return lambda snapshot: is_listening(snapshot) and len(snapshot.bubbles) == count  # type: ignore[arg-type,attr-defined]


@dataclass(frozen=True)
class CallAtTwoServers:
    """Call of one question and its reply at the first of two embedded servers."""

    first: OfflineProcess
    second: OfflineProcess
    application: Application
    admission: WatchedAdmission
    page: FakeRtcPage


@asynccontextmanager
async def call_at_two_servers() -> AsyncIterator[CallAtTwoServers]:
    """Start two embedded servers, an application and a call."""
    async with (
        embedded_process(KEY) as (first, first_url),
        embedded_process(KEY) as (second, second_url),
        running_application(first_url, second_url, key=KEY) as (application, admission),
    ):
        await admission.wait_for_sessions(4)
        page = FakeRtcPage(RealtimeHandler(application.settings, application.resolve_endpoint, admission))
        await page.start()
        try:
            await page.wait_for_stage(CallStage.LISTENING)
            assert page.session.send_text("I am Ada.")
            await page.wait_for_snapshot(replied(2))
            yield CallAtTwoServers(first, second, application, admission, page)
        finally:
            if hasattr(signal, "SIGCONT"):
                for server in (first, second):  # a frozen one cannot be asked to end
                    send_signal(server, signal.SIGCONT)
            await page.hang_up()


def send_signal(server: OfflineProcess, number: int) -> None:
    """Send a signal to a server that has not ended."""
    if server.process.returncode is None:
        server.process.send_signal(number)


async def test_call_outlives_the_kill_of_its_server_and_the_end_of_both_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with call_at_two_servers() as call:
        page, application = call.page, call.application
        call.first.process.kill()
        await page.wait_for_stage(CallStage.RECONNECTING)
        await page.wait_for_stage(CallStage.LISTENING)
        await call.admission.wait_for_sessions(2)
        assert page.session.send_text("And now?")
        await page.wait_for_snapshot(replied(4))
        call.second.process.kill()
        await call.admission.wait_for_sessions(1)
        assert (await page.wait_for_stage(CallStage.RECONNECTING)).bubbles[0].text == "I am Ada."
        await page.wait_for_snapshot(lambda snapshot: snapshot.notice == Failure.EMBEDDED_UNREACHABLE)
        assert application.resolve_endpoint("") is Failure.EMBEDDED_UNREACHABLE
        assert application.server_status() == ("loading", "embedded_unreachable", "offline")
        health = await application.health()
        assert health.status == "unreachable" and health.detail.endswith(" does not answer.")
    assert KEY not in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
async def test_call_of_a_frozen_server_goes_on_at_another_and_waits_in_one_sentence_where_there_is_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with call_at_two_servers() as call:
        page = call.page
        send_signal(call.first, signal.SIGSTOP)
        await page.wait_until(lambda: page.snapshots[-1].stage is CallStage.RECONNECTING, seconds=30)
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.session.send_text("And now?")
        await page.wait_for_snapshot(replied(4))
        assert "upstream: no answer, cutting the connection" in caplog.text
        send_signal(call.second, signal.SIGSTOP)
        await page.wait_until(lambda: page.snapshots[-1].notice == Failure.EMBEDDED_UNREACHABLE, seconds=30)
        shown = page.snapshots[-1]
        assert shown.stage is CallStage.RECONNECTING and shown.bubbles[0].text == "I am Ada."
        send_signal(call.second, signal.SIGCONT)
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.session.send_text("Who am I?")
        await page.wait_for_snapshot(replied(6))
    assert KEY not in caplog.text
