"""Thirty times in a row: lines that are lost, visitors who come back, computers that sleep. Nothing piles up."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realtime.conversation import Conversation
from realtime.places import Kind, Limits, Places
from realtime.settings import Settings
from realtime.snapshot import Notice, Stage
from realtime_handler import VoiceCall
from text_chat import TextChat
from visitor import Visitor
from web.voice_socket import VoiceSockets

from .pages import Page, at
from .persons import BOTH, At, discreet, listening, tidy  # noqa: F401  (two are fixtures)
from .realtime import script
from .realtime.servers import Script, server
from .test_text_chat import Reader
from .web.programs import door, program
from .web.sockets import SocketPage

OFTEN = 30


def open_files() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


@pytest.fixture(autouse=True)
async def nothing_piles_up() -> AsyncIterator[None]:
    tasks, files = len(asyncio.all_tasks()), open_files()
    yield
    deadline = time.monotonic() + 5
    while len(asyncio.all_tasks()) > tasks or open_files() > files:
        assert time.monotonic() < deadline, asyncio.all_tasks()
        await asyncio.sleep(0.02)


@BOTH
async def test_a_line_that_is_lost_again_and_again(person_at: At) -> None:
    there = Script()
    async with server(there.talk) as url, person_at(url, reconnect_attempts=OFTEN) as person:
        await person.shows(listening)
        assert await person.types("One")
        await there.hears("response.create")
        await there.says(script.whole_reply("r1", "a1", "Two.", 20))
        await person.shows(lambda s: listening(s) and len(s.bubbles) == 2)
        tasks, files = len(asyncio.all_tasks()), open_files()
        for number in range(OFTEN):
            await there.cut()
            await there.hears("conversation.item.create", 3 + 2 * number)
            last = await person.shows(listening)
            assert [bubble.text for bubble in last.bubbles] == ["One", "Two."]
            assert len(there.of("response.create")) == 1, "what was answered is not asked again"
        # One more: a socket that has just been closed may still be on its way out.
        assert (len(asyncio.all_tasks()), open_files()) <= (tasks + 1, files + 1)
    assert there.visits == OFTEN + 1


async def test_a_socket_of_a_page_that_is_lost_again_and_again() -> None:
    there, visitor = Script(), Visitor()
    async with server(there.talk) as url:
        sockets = VoiceSockets(VoiceCall(Settings(), at(url)), grace_s=5)
        before = None
        for _ in range(OFTEN):
            page = SocketPage(sockets, visitor)
            page.opens(page.ticket())
            await page.until(lambda page=page: len(page.frames) > 3)
            if before is not None:
                await before.settled()
            page.leaves(1006)
            before = page
        assert sockets.prototype.places.live(Kind.CALL) == 1
        last = SocketPage(sockets, visitor)
        last.opens(last.ticket())
        await last.reaches(Stage.LISTENING)
        last.leaves()
        await last.settled()
        assert (there.visits, sockets.prototype.places.live(Kind.CALL)) == (1, 0)


async def test_a_visitor_who_calls_again_and_again() -> None:
    there, visitor = Script(), Visitor()
    async with server(there.talk) as url:
        prototype = VoiceCall(Settings(max_calls=1), at(url))
        for _ in range(OFTEN):
            page = Page(prototype, visitor)
            await page.start()
            await page.reaches(Stage.LISTENING)
            await page.hangs_up()
            assert (prototype.places.live(Kind.CALL), visitor.call) == (0, None)
    assert there.visits == OFTEN


async def test_a_program_that_connects_again_and_again() -> None:
    there = Script()
    async with server(there.talk) as url, door(url, MAX_SOCKETS="1") as ours:
        for number in range(OFTEN):
            async with program(ours.url()) as client:
                assert (await client.next())["type"] == "session.created"
                if number % 2:
                    client.socket.transport.abort()
            await ours.empty()
    assert there.visits == OFTEN


# -------------------------------------------------------------------- a computer that sleeps


class Clock:
    """The real one, and what was slept through."""

    def __init__(self) -> None:
        self.slept = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.slept


async def test_a_call_on_a_computer_that_slept_for_an_hour() -> None:
    """Server and browser are one laptop, and its clock counts the night: the call is over, and that is said."""
    there, clock = Script(), Clock()
    async with server(there.talk) as url:
        page = Page(VoiceCall(Settings(), at(url), clock=clock))
        await page.start()
        await page.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "Good night.", 5000))
        await page.reaches(Stage.SPEAKING)
        page.unplugged = True
        clock.slept = 3600
        await there.cut()
        last = await page.reaches(Stage.ENDED)
        assert last.notice in (Notice.NO_MICROPHONE, Notice.TIME_LIMIT)
        await page.until(lambda: page.closed is not None)
        assert page.call.places.live(Kind.CALL) == 0
        await page.hangs_up()
    assert there.visits <= 2


async def test_a_call_whose_browser_wakes_first_goes_on() -> None:
    """The microphone delivers again before anybody looks at the clock."""
    there, clock = Script(), Clock()
    async with server(there.talk) as url:
        page = Page(VoiceCall(Settings(max_call_seconds=86_400, idle_seconds=86_400), at(url), clock=clock))
        await page.start()
        await page.reaches(Stage.LISTENING)
        clock.slept = 3600
        page.call.hear(bytes(960))
        await there.cut()
        back = len(page.frames)
        await there.hears("input_audio_buffer.append", len(there.of("input_audio_buffer.append")) + 5)
        await page.reaches(Stage.LISTENING)
        assert len(page.frames) - back < 200, "an hour of sound is not made up for"
        await page.hangs_up()
    assert there.visits == 2


async def test_a_chat_on_a_computer_that_slept_for_an_hour() -> None:
    there, clock = Script(), Clock()
    async with server(there.talk) as url:
        book = Places(Limits(chats=1))
        chat = TextChat(Settings(), lambda: at(url)(""), book, Conversation(written=True), clock=clock)
        chat.open()
        reader = Reader(chat)
        await reader.reaches(Stage.LISTENING)
        clock.slept = 3600
        await there.cut()
        last = await reader.shows(
            lambda s: (s.stage in (Stage.ENDED, Stage.LISTENING) and there.visits == 2) or s.stage is Stage.ENDED
        )
        assert last.stage is Stage.LISTENING or last.notice is not None
        chat.leave()
        await chat.settled()
        await reader.finishes()
        assert book.live(Kind.CHAT) == 0
