"""A text chat against real sockets, with the page's reader played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from realtime.connection import Failure
from realtime.conversation import BubbleState, Conversation
from realtime.places import Kind, Limits, Places
from realtime.settings import Endpoint, ServerKind, Settings
from realtime.snapshot import Notice, Snapshot, Stage
from text_chat import TextChat

from .realtime import script
from .realtime.servers import Script, server

KEY = "sk-canary-0000"


def at(url: str) -> Callable[[], Endpoint]:
    return lambda: Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"})


class Reader:
    """The page: takes what it is shown."""

    def __init__(self, chat: TextChat) -> None:
        self.chat = chat
        self.last: Snapshot = chat.snapshot
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for snapshot in self.chat.news():
            async with self._changed:
                self.last = snapshot
                self._changed.notify_all()

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: condition(self.last))
        return self.last

    async def reaches(self, stage: Stage) -> Snapshot:
        return await self.shows(lambda snapshot: snapshot.stage is stage)

    async def finishes(self) -> Snapshot:
        async with asyncio.timeout(10):
            await self._task
        return self.last

    def goes(self) -> None:
        self._task.cancel()


@asynccontextmanager
async def chatting(
    endpoint: Callable[[], Endpoint | Failure], conversation: Conversation | None = None, **changed: Any
) -> AsyncIterator[Reader]:
    book = Places(Limits(chats=1))
    chat = TextChat(Settings(**changed), endpoint, book, conversation or Conversation(written=True))
    chat.open()
    reader = Reader(chat)
    try:
        yield reader
    finally:
        chat.leave()
        async with asyncio.timeout(5):
            await chat.settled()
            await reader.finishes()
        assert book.live(Kind.CHAT) == 0


def texts(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(bubble.role, bubble.text) for bubble in snapshot.bubbles]


def begins(reply: str, item: str) -> list[dict[str, Any]]:
    message = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    return [
        {"type": "response.created", "response": {"id": reply, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "response_id": reply, "output_index": 0, "item": message},
        {"type": "conversation.item.added", "previous_item_id": None, "item": message},
    ]


def word(reply: str, item: str, text: str) -> dict[str, Any]:
    about = {"response_id": reply, "item_id": item, "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **about, "delta": text}


def ends(reply: str, item: str, text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    message = {"id": item, "type": "message", "role": "assistant", "status": status, "content": content}
    return {"type": "response.done", "response": {"id": reply, "status": status, "output": [message]}}


async def begun(there: Script, page: Reader, words: str, question: str = "One") -> None:
    """The first question, and a reply of which `words` are shown."""
    page.chat.say(question)  # while connecting: sent as soon as there is a connection
    await there.hears("response.create")
    await there.says(begins("r1", "a1"), word("r1", "a1", words))
    await page.shows(lambda s: len(s.bubbles) == 2)


async def goes_on(there: Script, page: Reader) -> list[str]:
    """Another question and its whole answer, after a first reply that was stopped: all the texts shown then."""
    page.chat.say("Two")
    await there.hears("response.create", 2)
    await there.says(begins("r2", "a2"), ends("r2", "a2", "Yes."))
    last = await page.shows(lambda s: s.stage is Stage.LISTENING and s.bubbles[-1].text == "Yes.")
    return [text for _, text in texts(last)]


async def test_a_chat_streams_markdown_as_it_was_written() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        assert texts(await page.reaches(Stage.LISTENING)) == []
        assert page.chat.say("  两行\n\n  and *more*  ")
        item = (await there.hears("conversation.item.create"))[0]["item"]
        assert item["content"] == [{"type": "input_text", "text": "两行\n\n  and *more*"}]
        await there.hears("response.create")
        assert (await page.reaches(Stage.THINKING)).bubbles[0].text == "两行\n\n  and *more*"
        await there.says(begins("r1", "a1"), word("r1", "a1", "**简体**\n"))
        await page.shows(lambda s: len(s.bubbles) == 2 and s.bubbles[1].text == "**简体**")
        await there.says(word("r1", "a1", "- 一"), ends("r1", "a1", "**简体**\n- 一"))
        done = await page.reaches(Stage.LISTENING)
        assert texts(done)[1] == ("assistant", "**简体**\n- 一")
        assert done.bubbles[1].state is BubbleState.DONE


async def test_the_session_is_a_written_one() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        assert there.update["session"]["output_modalities"] == ["text"]
        assert there.update["session"]["audio"]["input"]["turn_detection"] is None


async def test_stop_keeps_what_was_written_and_the_chat_goes_on() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        await begun(there, page, "In the ", "Tell me everything")
        page.chat.stop()
        assert (await there.hears("response.cancel"))[0]["response_id"] == "r1"
        stopped = await page.reaches(Stage.LISTENING)
        assert texts(stopped)[1] == ("assistant", "In the")
        await there.says(word("r1", "a1", "late"), ends("r1", "a1", "In the late", "cancelled"))
        assert await goes_on(there, page) == ["Tell me everything", "In the", "Two", "Yes."]
        assert there.of("conversation.item.delete") == []


async def test_stop_before_the_reply_was_announced() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        page.chat.say("One")
        await there.hears("response.create")
        page.chat.stop()
        await page.reaches(Stage.LISTENING)
        await there.says(begins("r1", "a1"), word("r1", "a1", "No"))
        assert (await there.hears("response.cancel"))[0]["response_id"] == "r1"
        await there.says(ends("r1", "a1", "No", "cancelled"))
        assert await goes_on(there, page) == ["One", "Two", "Yes."]


async def test_stop_with_a_server_that_does_not_announce_its_replies() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        page.chat.say("One")
        await there.hears("response.create")
        await there.says(word("r1", "a1", "In the "))
        await page.shows(lambda s: len(s.bubbles) == 2)
        page.chat.stop()
        assert (await there.hears("response.cancel"))[0]["response_id"] == "r1"
        await there.says(word("r1", "a1", "late"), ends("r1", "a1", "In the late", "cancelled"))
        page.chat.say("Two")
        await there.hears("response.create", 2)
        await there.says(word("r2", "a2", "Yes."), ends("r2", "a2", "Yes."))
        last = await page.shows(lambda s: s.stage is Stage.LISTENING and len(s.bubbles) == 4)
        assert [text for _, text in texts(last)] == ["One", "In the", "Two", "Yes."]
        assert there.of("conversation.item.delete") == []


async def test_a_server_that_speaks_although_it_was_asked_to_write() -> None:
    there, about = Script(), {"response_id": "r1", "item_id": "a1", "output_index": 0, "content_index": 0}
    async with server(there.talk) as url, chatting(at(url)) as page:
        page.chat.say("One")
        await there.hears("response.create")
        await there.says(
            begins("r1", "a1"),
            {"type": "response.output_audio_transcript.delta", **about, "delta": "Hello."},
            {"type": "response.output_audio.delta", **about, "delta": "AAAA" * 4000},
            ends("r1", "a1", "Hello."),
        )
        await page.shows(lambda s: s.stage is Stage.LISTENING and len(s.bubbles) == 2)
        page.chat.say("Two")
        await there.hears("response.create", 2)
        last = await page.shows(lambda s: len(s.bubbles) == 3)
        assert [text for _, text in texts(last)] == ["One", "Hello.", "Two"]
        assert there.of("conversation.item.truncate") == []


async def test_a_reply_that_was_over_before_it_was_cancelled() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        await begun(there, page, "Long")
        page.chat.say("Two")
        cancel = (await there.hears("response.cancel"))[0]
        await there.says(ends("r1", "a1", "Long"))
        await there.hears("response.create", 2)
        refusal = {"code": "response_cancel_not_active", "event_id": cancel["event_id"], "message": "Nothing there."}
        added = {
            "id": "seen",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "."}],
        }
        await there.says(
            {"type": "error", "error": refusal},
            {
                "type": "conversation.item.added",
                "item": {**added, "status": "completed"},
            },  # what shows that it was read
        )
        await page.shows(lambda s: len(s.bubbles) == 4)
        page.chat.clear()
        await there.says(begins("r2", "a2"), word("r2", "a2", "About what was cleared"))
        assert (await there.hears("response.cancel", 2))[1]["response_id"] == "r2"
        await page.shows(lambda s: s.bubbles == ())


async def test_a_message_ends_the_reply_that_is_being_written() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        await begun(there, page, "Long")
        page.chat.say("Two")
        await there.hears("response.cancel")
        assert len(there.of("response.create")) == 1
        await there.says(ends("r1", "a1", "Long", "cancelled"))
        await there.hears("response.create", 2)
        await there.says(begins("r2", "a2"), ends("r2", "a2", "Fine."))
        last = await page.shows(lambda s: s.stage is Stage.LISTENING and len(s.bubbles) == 4)
        assert [text for _, text in texts(last)] == ["One", "Long", "Two", "Fine."]


async def test_clear_empties_both_sides() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        page.chat.say("Secret")
        user = (await there.hears("conversation.item.create"))[0]["item"]
        await there.hears("response.create")
        await there.says(
            {"type": "conversation.item.added", "previous_item_id": None, "item": {**user, "status": "completed"}},
            *begins("r1", "a1"),
            ends("r1", "a1", "Hush."),
        )
        await page.shows(lambda s: s.stage is Stage.LISTENING and len(s.bubbles) == 2)
        page.chat.clear()
        gone = [event["item_id"] for event in await there.hears("conversation.item.delete", 2)]
        assert gone == [user["id"], "a1"]
        await page.shows(lambda s: s.bubbles == ())


async def test_a_lost_connection_is_mended_and_the_history_told_again() -> None:
    there, conversation = Script(), Conversation(written=True)
    async with server(there.talk) as url, chatting(at(url), conversation) as page:
        page.chat.say("One")
        await there.hears("response.create")
        await there.says(begins("r1", "a1"), ends("r1", "a1", "Two " * 3000))
        await page.shows(lambda s: s.stage is Stage.LISTENING and len(s.bubbles) == 2)
        there.got.clear()
        await there.cut()
        told = [event["item"]["content"][0]["text"] for event in await there.hears("conversation.item.create", 2)]
        assert told == ["One", ("Two " * 3000).strip()]
        await page.reaches(Stage.LISTENING)


async def test_a_question_that_was_lost_with_the_connection_is_asked_again_once() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        page.chat.say("One")
        await there.hears("response.create")
        await there.cut()
        await there.hears("response.create", 2)
        assert [event["item"]["content"][0]["text"] for event in there.of("conversation.item.create")] == ["One"] * 2
        await there.says(begins("r1", "a1"))
        await there.cut()
        last = await page.shows(lambda s: s.stage is Stage.LISTENING and there.visits == 3)
        assert texts(last) == [("user", "One")]
        assert len(there.of("response.create")) == 2


@pytest.mark.parametrize(
    ("code", "failure"), [(3000, Failure.WRONG_KEY), (4004, Failure.MODEL_NOT_FOUND)], ids=["key", "model"]
)
async def test_what_cannot_heal_ends_the_chat(code: int, failure: Failure, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    there = Script()
    async with server(there.talk) as url, chatting(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.close(code, "secret words")
        last = await page.finishes()
        assert (last.stage, last.notice) == (Stage.FAILED, failure)
        assert not page.chat.under_way
        assert not page.chat.say("Hello?")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name != "websockets.server")
    assert failure in ours
    assert KEY not in ours
    assert "secret" not in ours


async def test_one_chat_too_many() -> None:
    there, book = Script(), Places(Limits(chats=1))
    async with server(there.talk) as url:
        one, two = (TextChat(Settings(), at(url), book, Conversation(written=True)) for _ in range(2))
        one.open()
        two.open()
        assert (two.snapshot.stage, two.snapshot.notice) == (Stage.FAILED, Notice.SERVER_BUSY)
        assert [s.stage async for s in two.news()] == [Stage.FAILED]
        one.leave()
        await one.settled()
        assert book.live(Kind.CHAT) == 0


async def test_a_closed_tab_gives_its_place_back() -> None:
    there, book = Script(), Places(Limits(chats=1))
    async with server(there.talk) as url:
        chat = TextChat(Settings(vanished_seconds=1), at(url), book, Conversation(written=True))
        chat.open()
        reader = Reader(chat)
        await reader.reaches(Stage.LISTENING)
        reader.goes()
        async with asyncio.timeout(5):
            await chat.settled()
        assert book.live(Kind.CHAT) == 0
        await there.gone()


async def test_an_idle_chat_is_closed_with_a_word() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url), chat_idle_seconds=1) as page:
        last = await page.finishes()
        assert (last.stage, last.notice) == (Stage.ENDED, Notice.IDLE)


async def test_a_long_message_is_kept_back() -> None:
    there = Script()
    async with server(there.talk) as url, chatting(at(url), max_message_chars=5) as page:
        await page.reaches(Stage.LISTENING)
        assert not page.chat.say("too long")
        assert (await page.shows(lambda s: s.notice is not None)).notice == Notice.MESSAGE_TOO_LONG
        assert not page.chat.say("   ")
        assert there.got == []


async def test_a_chat_and_a_call_know_nothing_of_each_other() -> None:
    from realtime_handler import Visitor

    visitor = Visitor()
    visitor.written.say("written")
    assert visitor.conversation.bubbles() == ()
    visitor.conversation.receive(script.speech_started("u1"))
    visitor.conversation.receive(script.heard("u1", "spoken"))
    assert [bubble.text for bubble in visitor.written.bubbles()] == ["written"]
    await visitor.clear()
    assert [bubble.text for bubble in visitor.written.bubbles()] == ["written"]
