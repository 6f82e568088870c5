"""Users of a voice call or a text chat with a server: complete sessions, only with shorter pauses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest

from realtime_handler import RealtimeHandler
from tests.support.realtime import fake_server_variants
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.billing import BillingService
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.session.text_session import TextSession
from voicechat.turn_taking.snapshot import CallStage, Snapshot
from voicechat.ui.i18n import CALL_NOTICE_TEXTS, CHAT_NOTICE_TEXTS, get_message

from .fake_chat_page import FakeChatPage
from .fake_rtc_page import FakeRtcPage


async def short_sleep(seconds: float) -> None:
    """Sleep at most 20 ms: the pauses between retries are not tested here."""
    await asyncio.sleep(min(seconds, 0.02))


class SessionUser(Protocol):
    """User of a call or a chat."""

    notice_texts: dict[str, tuple[str, str]]

    async def wait_for_snapshot(self, condition: Callable[[Snapshot], bool]) -> Snapshot: ...

    async def send_text(self, text: str) -> bool: ...

    def leave(self) -> None: ...


class CallUser:
    """User of a voice call."""

    notice_texts = CALL_NOTICE_TEXTS

    def __init__(self, page: FakeRtcPage) -> None:
        self.page = page

    async def wait_for_snapshot(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        return await self.page.wait_for_snapshot(condition)

    async def send_text(self, text: str) -> bool:
        return self.page.session.send_text(text)

    def leave(self) -> None:
        self.page.session.end_by_user()


class ChatUser:
    """User of a text chat."""

    notice_texts = CHAT_NOTICE_TEXTS

    def __init__(self, page: FakeChatPage) -> None:
        self.page = page

    async def wait_for_snapshot(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        return await self.page.wait_for_snapshot(condition)

    async def send_text(self, text: str) -> bool:
        return self.page.chat.send_text(text)

    def leave(self) -> None:
        self.page.chat.end_by_user()


def make_settings(url: str, **changed: Any) -> Settings:
    """Return settings with canary prompts and short timeouts."""
    prompts: dict[str, Any] = {
        "instructions": fake_server_variants.PROMPT,
        "text_instructions": fake_server_variants.PROMPT,
    }
    timeouts: dict[str, Any] = {"connect_seconds": 3.0, "ready_seconds": 3.0}
    defaults = {"realtime_url": url, "realtime_api_key": fake_server_variants.KEY}
    return Settings().with_changes(**{**defaults, **prompts, **timeouts, **changed})


@asynccontextmanager
async def running_call_user(
    url: str, own_key: str = "", accounts: BillingService | None = None, **changed: Any
) -> AsyncIterator[CallUser]:
    """Run a call until the block ends, and check that its slot is free afterwards."""
    settings = make_settings(url, **changed)
    page = FakeRtcPage(
        RealtimeHandler(settings, lambda key: settings.endpoint(own_key=key), billing=accounts, sleep=short_sleep)
    )
    page.visitor.own_key = own_key
    await page.start()
    try:
        yield CallUser(page)
    finally:
        await page.hang_up()
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 0


@asynccontextmanager
async def running_chat_user(
    url: str, own_key: str = "", accounts: BillingService | None = None, **changed: Any
) -> AsyncIterator[ChatUser]:
    """Run a chat until the block ends, and check that its slot is free afterwards."""
    settings = make_settings(url, **changed)
    admission = AdmissionController(ConcurrencyLimits(chats=1))
    conversation = Conversation(text_only=True)
    chat = TextSession(
        settings, lambda: settings.endpoint(own_key=own_key), admission, conversation, accounts, sleep=short_sleep
    )
    chat.start()
    page = FakeChatPage(chat)
    try:
        yield ChatUser(page)
    finally:
        chat.end_by_user()
        async with asyncio.timeout(30):
            await chat.wait_closed()
            await page.wait_until_finished()
        assert admission.count_admitted(AdmissionKind.CHAT) == 0


SessionFactory = Callable[..., AbstractAsyncContextManager[SessionUser]]
"""(URL of a server, own key, settings) -> call or chat with it."""
IN_CALL_AND_CHAT = pytest.mark.parametrize(
    "start_session", [running_call_user, running_chat_user], ids=["call", "chat"]
)
"""Runs a test with a call and with a chat."""


def notice_text_for(user: SessionUser, snapshot: Snapshot) -> str:
    """Return the English sentence of the notice, and check that there is a Chinese one."""
    assert snapshot.notice is not None
    assert get_message(user.notice_texts, snapshot.notice, "zh-TW").endswith("。")
    return get_message(user.notice_texts, snapshot.notice, "en")


def is_over(snapshot: Snapshot) -> bool:
    return snapshot.stage in (CallStage.FAILED, CallStage.ENDED)


def is_listening(snapshot: Snapshot) -> bool:
    return snapshot.stage is CallStage.LISTENING


def is_shown(*texts: str) -> Callable[[Snapshot], bool]:
    """Return the condition that the page shows these messages and the session listens."""
    return lambda snapshot: is_listening(snapshot) and tuple(b.text for b in snapshot.bubbles) == texts
