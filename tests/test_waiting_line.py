"""Visitors who wait in line for a call or a chat, with real sockets behind."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from realtime.conversation import Conversation
from realtime.places import Kind, Limits, Places
from realtime.settings import Endpoint, ServerKind, Settings
from realtime.snapshot import Notice, Stage
from realtime_handler import Visitor, VoiceCall
from text_chat import TextChat
from web.voice_socket import VoiceSockets

from .pages import Page, at
from .realtime.servers import Script, server
from .test_text_chat import Reader
from .test_text_chat import at as chat_at
from .web.sockets import SocketPage

ONE = Limits(calls=1, chats=1, waiting=2)


@asynccontextmanager
async def pages(prototype: VoiceCall, number: int) -> AsyncIterator[list[Page]]:
    """So many visitors who press the button, one after the other; the first is in."""
    there = [Page(prototype) for _ in range(number)]
    try:
        for page in there:
            await page.start()
        await there[0].reaches(Stage.LISTENING)
        yield there
    finally:
        for page in there:
            await page.hangs_up()
        assert prototype.places.empty


def loudest(events: list[dict[str, str]]) -> int:
    return max(np.abs(np.frombuffer(base64.b64decode(e["audio"]), "<i2")).max() for e in events)


async def test_who_waits_is_told_the_number_and_is_in_by_themselves() -> None:
    there = Script()
    async with server(there.talk) as url, pages(VoiceCall(Settings(), at(url), Places(ONE)), 3) as (one, two, three):
        assert (await two.reaches(Stage.WAITING)).place == 1
        assert (await three.reaches(Stage.WAITING)).place == 2
        assert there.visits == 1
        await one.hangs_up()
        last = await two.reaches(Stage.LISTENING)
        assert last.place == 0 and last.money is not None
        assert (await three.shows(lambda s: s.place == 1)).stage is Stage.WAITING
        late = Page(one.call)
        await late.start()
        assert (await late.reaches(Stage.WAITING)).place == 2
        await late.hangs_up()


async def test_nothing_said_in_line_is_kept_and_no_time_counts() -> None:
    there, now = Script(), 0.0
    settings = Settings(max_call_seconds=60, idle_seconds=60)
    async with server(there.talk) as url, pages(VoiceCall(settings, at(url), Places(ONE)), 2) as (one, two):
        await two.reaches(Stage.WAITING)
        two.level = 12_345
        frames = len(two.frames)
        await two.until(lambda: len(two.frames) > frames + 5)
        assert two.call._account.money is None
        two.level = 0
        await two.until(lambda: len(two.frames) > frames + 8)
        now = two.call.clock()
        assert two.visitor.recording is None
        await one.hangs_up()
        await two.reaches(Stage.LISTENING)
        assert two.call._call is not None and two.call._call._began >= now
        before = len(there.of("input_audio_buffer.append"))
        await there.hears("input_audio_buffer.append", before + 20)
        assert loudest(there.of("input_audio_buffer.append")) == 0


async def test_what_is_typed_in_line_is_answered_once_in() -> None:
    there = Script()
    async with server(there.talk) as url, pages(VoiceCall(Settings(), at(url), Places(ONE)), 2) as (one, two):
        await two.reaches(Stage.WAITING)
        assert await two.call.say("Hello?")
        assert [b.text for b in (await two.shows(lambda s: bool(s.bubbles))).bubbles] == ["Hello?"]
        await one.hangs_up()
        await there.hears("response.create")


@pytest.mark.parametrize("how", ["closed", "left", "vanished"])
async def test_who_goes_from_the_line_makes_room_for_those_behind(how: str) -> None:
    there = Script()
    settings = Settings(vanished_seconds=0.5)
    async with server(there.talk) as url, pages(VoiceCall(settings, at(url), Places(ONE)), 3) as (_, two, three):
        await three.shows(lambda s: s.place == 2)
        if how == "closed":
            await two.hangs_up()
        elif how == "left":
            two.call.leave()
        else:
            two.unplugged = True
            assert (await two.reaches(Stage.ENDED)).notice == Notice.NO_MICROPHONE
        await three.shows(lambda s: s.place == 1)
        assert there.visits == 1 and two.call.places.live(Kind.CALL) == 1


async def test_a_full_line_and_a_visitor_with_too_many_calls() -> None:
    there = Script()
    places = Places(Limits(calls=1, waiting=1, calls_per_visitor=1))
    async with server(there.talk) as url, pages(VoiceCall(Settings(), at(url), places), 1) as (one,):
        one.call._place.visitor = "somebody"  # type: ignore[union-attr]
        same = Visitor()
        same.key = "somebody"
        again = Page(one.call, same)
        await again.start()
        assert (await again.reaches(Stage.FAILED)).notice == Notice.VISITOR_BUSY
        waiting, late = Page(one.call), Page(one.call)
        await waiting.start()
        await late.start()
        assert (await late.reaches(Stage.FAILED)).notice == Notice.SERVER_BUSY
        for page in (again, waiting, late):
            await page.hangs_up()


async def test_a_call_over_a_web_socket_waits_too() -> None:
    there = Script()
    async with server(there.talk) as url, pages(VoiceCall(Settings(), at(url), Places(ONE)), 1) as (one,):
        page = SocketPage(VoiceSockets(one.call, grace_s=0.2))
        page.opens(page.ticket())
        assert (await page.reaches(Stage.WAITING)).place == 1
        await page.until(lambda: len(page.frames) > 10)
        await one.hangs_up()
        await page.reaches(Stage.LISTENING)
        page.leaves()
        await page.settled()


async def test_chats_wait_too_and_those_in_line_can_leave_it() -> None:
    there, places = Script(), Places(ONE)
    async with server(there.talk) as url:
        chats = [TextChat(Settings(), chat_at(url), places, Conversation(written=True)) for _ in range(3)]
        for chat in chats:
            chat.open()
        readers = [Reader(chat) for chat in chats]
        await readers[0].reaches(Stage.LISTENING)
        assert [r.last.place for r in readers] == [0, 1, 2]
        assert chats[2].say("Hello?")
        chats[1].leave()
        await readers[2].shows(lambda s: s.place == 1)
        chats[0].leave()
        await readers[2].reaches(Stage.THINKING)
        await there.hears("response.create")
        chats[2].leave()
        for chat in chats:
            await chat.settled()
        assert places.empty


async def test_calls_and_chats_share_the_sessions_of_the_embedded_server_and_own_keys_do_not() -> None:
    there, places = Script(), Places(Limits(sessions=1, waiting=2))
    async with server(there.talk) as url:

        def endpoint(own_key: str) -> Endpoint:
            return Endpoint(ServerKind.CUSTOM if own_key else ServerKind.OFFLINE, url)

        chat = TextChat(Settings(), lambda: endpoint(""), places, Conversation(written=True))
        chat.open()
        visitor = Visitor()
        page = Page(VoiceCall(Settings(), endpoint, places), visitor)
        await page.start()
        await page.reaches(Stage.WAITING)
        visitor.own_key = "sk-own"  # noticed within a tick
        await page.reaches(Stage.LISTENING)
        await page.hangs_up()
        visitor.own_key = ""
        page = Page(page.call, visitor)
        await page.start()
        await page.reaches(Stage.WAITING)
        chat.leave()
        await page.reaches(Stage.LISTENING)
        assert places.sessions == 1
        await page.hangs_up()
        await chat.settled()
        assert places.empty
    assert there.visits == 3
