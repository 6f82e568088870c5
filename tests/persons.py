"""Somebody in a voice call, or in a text chat, with a server: the whole of either, with only the waiting shortened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest

from realtime.accounts import Accounts
from realtime.conversation import Conversation
from realtime.places import Kind, Limits, Places
from realtime.settings import Settings
from realtime.snapshot import Snapshot, Stage
from realtime_handler import VoiceCall
from text_chat import TextChat
from web.texts import CHAT_NOTICES, NOTICES, sentence
from webrtc_edge import quiet_loggers

from .pages import Page
from .realtime import kinds
from .test_text_chat import Reader


async def hasty(seconds: float) -> None:
    """Pauses between tries are not what is tested here."""
    await asyncio.sleep(min(seconds, 0.02))


class Person(Protocol):
    """Somebody at the page."""

    texts: dict[str, tuple[str, str]]

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot: ...

    async def types(self, text: str) -> bool: ...

    def leaves(self) -> None: ...


class Caller:
    texts = NOTICES

    def __init__(self, page: Page) -> None:
        self.page = page

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        return await self.page.shows(condition)

    async def types(self, text: str) -> bool:
        return await self.page.call.say(text)

    def leaves(self) -> None:
        self.page.call.leave()


class Writer:
    texts = CHAT_NOTICES

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        return await self.reader.shows(condition)

    async def types(self, text: str) -> bool:
        return self.reader.chat.say(text)

    def leaves(self) -> None:
        self.reader.chat.leave()


def settings_for(url: str, **changed: Any) -> Settings:
    told: dict[str, Any] = {"instructions": kinds.PROMPT, "text_instructions": kinds.PROMPT}
    quick: dict[str, Any] = {"connect_seconds": 3.0, "ready_seconds": 3.0}
    return Settings(realtime_url=url, **{"realtime_api_key": kinds.KEY, **told, **quick, **changed})


@asynccontextmanager
async def call(url: str, own_key: str = "", accounts: Accounts | None = None, **changed: Any) -> AsyncIterator[Caller]:
    settings = settings_for(url, **changed)
    page = Page(VoiceCall(settings, lambda key: settings.endpoint(own_key=key), accounts=accounts, sleep=hasty))
    page.visitor.own_key = own_key
    await page.start()
    try:
        yield Caller(page)
    finally:
        await page.hangs_up()
        assert page.call.places.live(Kind.CALL) == 0


@asynccontextmanager
async def chat(url: str, own_key: str = "", accounts: Accounts | None = None, **changed: Any) -> AsyncIterator[Writer]:
    settings = settings_for(url, **changed)
    book = Places(Limits(chats=1))
    conversation = Conversation(written=True)
    chat = TextChat(settings, lambda: settings.endpoint(own_key=own_key), book, conversation, accounts, sleep=hasty)
    chat.open()
    reader = Reader(chat)
    try:
        yield Writer(reader)
    finally:
        chat.leave()
        async with asyncio.timeout(5):
            await chat.settled()
            await reader.finishes()
        assert book.live(Kind.CHAT) == 0


At = Callable[..., AbstractAsyncContextManager[Person]]
"""(url of a server, own key, settings) -> a call or a chat with it."""
BOTH = pytest.mark.parametrize("person_at", [call, chat], ids=["call", "chat"])
"""The same must hold for a call and for a chat."""


@pytest.fixture(autouse=True)
def discreet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens, nothing secret is in the log."""
    quiet_loggers()
    caplog.set_level(logging.DEBUG)
    yield
    written = caplog.text.lower()
    for secret in kinds.SECRETS:
        assert secret.lower() not in written


@pytest.fixture(autouse=True)
async def tidy() -> AsyncIterator[None]:
    """Whatever happens, nothing goes on after it."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=2)
    assert not [task for task in left if not task.done()]


def read_by(person: Person, snapshot: Snapshot) -> str:
    """The sentence the person reads; there is one in both languages."""
    assert snapshot.notice is not None
    assert sentence(person.texts, snapshot.notice, "zh-TW").endswith("。")
    return sentence(person.texts, snapshot.notice, "en")


def over(snapshot: Snapshot) -> bool:
    return snapshot.stage in (Stage.FAILED, Stage.ENDED)


def listening(snapshot: Snapshot) -> bool:
    return snapshot.stage is Stage.LISTENING


def said(*texts: str) -> Callable[[Snapshot], bool]:
    """Everything is said, and it is quiet again."""
    return lambda snapshot: listening(snapshot) and tuple(b.text for b in snapshot.bubbles) == texts
