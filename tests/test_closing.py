"""The app ends while people talk: they are told, may finish, and nobody comes in any more."""

from __future__ import annotations

import asyncio

import pytest

from realtime import course
from realtime.conversation import Conversation
from realtime.places import Kind, Limits, Places
from realtime.settings import Settings
from realtime.snapshot import Notice, Stage
from realtime_handler import VoiceCall
from text_chat import TextChat
from web.ending import Ending

from .pages import Page, at, calling
from .realtime import script
from .realtime.servers import Script, server
from .test_text_chat import Reader
from .test_text_chat import at as chat_at
from .web.programs import door, program


@pytest.fixture(autouse=True)
def quickly_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "TOLD_S", 0.3)


async def test_who_is_in_is_told_and_who_waits_is_sent_away() -> None:
    there = Script()
    async with server(there.talk) as url:
        prototype = VoiceCall(Settings(), at(url), Places(Limits(calls=1, waiting=1)))
        one, two = Page(prototype), Page(prototype)
        await one.start()
        await one.reaches(Stage.LISTENING)
        await two.start()
        await two.reaches(Stage.WAITING)
        prototype.places.close(7.0)
        assert (await two.reaches(Stage.FAILED)).notice == Notice.CLOSING
        told = await one.shows(lambda s: s.notice == Notice.CLOSING_SOON)
        assert (told.stage, told.seconds) == (Stage.LISTENING, 7)
        late = Page(prototype)
        await late.start()
        assert (await late.reaches(Stage.FAILED)).notice == Notice.CLOSING
        assert (await one.reaches(Stage.ENDED)).notice == Notice.CLOSING, "nobody was saying anything"
        for page in (one, two, late):
            await page.hangs_up()
        assert prototype.places.empty


async def test_a_reply_is_heard_to_its_end() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "It is noon.", 1500))
        await page.reaches(Stage.SPEAKING)
        page.call.places.close(30.0)
        assert (await page.reaches(Stage.ENDED)).notice == Notice.CLOSING
        assert page.visitor.conversation.captions()[-1].unheard == ""


async def test_who_goes_on_talking_is_cut_when_the_time_is_up() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.speech_started("u1"))
        await page.reaches(Stage.HEARING)
        page.call.places.close(0.6)
        assert (await page.reaches(Stage.ENDED)).notice == Notice.CLOSING


async def test_a_chat_ends_too() -> None:
    there, places = Script(), Places(Limits())
    async with server(there.talk) as url:
        chat = TextChat(Settings(), chat_at(url), places, Conversation(written=True))
        chat.open()
        reader = Reader(chat)
        await reader.reaches(Stage.LISTENING)
        places.close(7.0)
        await reader.shows(lambda s: s.notice == Notice.CLOSING_SOON)
        assert (await reader.reaches(Stage.ENDED)).notice == Notice.CLOSING
        await chat.settled()
        assert places.empty


async def test_a_program_whose_reply_does_not_end() -> None:
    there = Script()
    async with server(there.talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        await there.says({"type": "response.created", "response": {"id": "r1"}})
        await client.next()
        ours.relay._places.close(0.6)
        assert await client.end() == (1012, "server_error.server_closing")
        assert client.got[-1]["error"]["code"] == "server_closing"


async def test_the_server_ends_when_the_last_one_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        should_exit = False

    class Guest:
        def place_changed(self) -> None: ...

        def closing(self, seconds: float) -> None:
            told.set_result(seconds)

    told: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr("web.ending.TOLD_S", 0.0)
    places, running = Places(Limits()), Server()
    ending = Ending(places, 60.0)
    ending.serves(running)  # type: ignore[arg-type]
    place = places.enter(Guest(), Kind.CALL)
    ending._told(15, None)
    ending._told(15, None)  # the same once more, as process managers do: nothing else happens
    assert await told == 60.0 and ending.has_begun and not running.should_exit
    place.leave()
    await asyncio.to_thread(ending.wait)
    assert running.should_exit
