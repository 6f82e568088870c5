"""A call over a web socket: the same call as over WebRTC, for whoever holds a ticket."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest
from fastapi import APIRouter

from realtime.places import Kind, Limits, Places
from realtime.settings import Settings
from realtime_handler import Notice, Stage, Visitor, VoiceCall
from web import voice_socket
from web.routes import description
from web.voice_socket import DONE, LIFE_S, LOST, MAX_TICKETS, NO_TICKET, LaneState, VoiceSockets
from web.voice_wire import FRAME_BYTES, SURPLUS, TOO_MUCH, UNSUPPORTED, WINDOW

from ..pages import Page, at
from ..realtime import script
from ..realtime.servers import Script, server
from .sockets import SocketPage, carried, sockets_at


async def test_a_conversation() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        assert page.call.places.live(Kind.CALL) == page.let_go == 1
        page.level = 1234
        spoken = np.full(480, 1234, "<i2").tobytes()
        async with asyncio.timeout(5):
            while base64.b64decode((await there.hears("input_audio_buffer.append"))[-1]["audio"]) != spoken:
                await there.hears("input_audio_buffer.append", len(there.of("input_audio_buffer.append")) + 1)
        await there.says(script.speech_started("u1"))
        await page.reaches(Stage.HEARING)
        await there.says(script.turn_over("u1"), script.heard("u1", "What time is it?"))
        await page.reaches(Stage.THINKING)
        await there.says(script.whole_reply("r1", "a1", "It is noon.", 400, "u1"))
        await page.reaches(Stage.SPEAKING)
        last = await page.reaches(Stage.LISTENING)
        assert [(b.role, b.text) for b in last.bubbles] == [("user", "What time is it?"), ("assistant", "It is noon.")]
        assert last.waits is not None and last.money is not None
        assert np.count_nonzero(np.concatenate(page.frames)) == 400 * 24
        assert {len(frame) for frame in page.frames} == {480}
    recording = page.visitor.recording
    assert recording is not None
    sound = np.frombuffer(b"".join(recording.wav())[44:], "<i2").reshape(-1, 2).T
    assert 1234 in sound[0] and np.count_nonzero(sound[1]) == 400 * 24
    assert page.visitor.call is None
    assert page.snapshots[-1].stage is Stage.ENDED
    await there.gone()


async def test_the_pace_holds_while_a_lot_arrives() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"))
        start, began = len(page.frames), page.call.clock()
        for number in range(40):
            await there.says(script.clause("r1", "a1", f"Word {number}. ", 500, 10))
        await page.until(lambda: len(page.frames) >= start + 50)
        assert page.call.clock() - began >= 0.95, "50 frames are a second, whatever arrives"


async def test_what_the_page_does_not_take_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that stalls holds the reply up; when it lasts, the browser is gone."""
    monkeypatch.setattr(voice_socket, "STALL_S", 0.3)
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 4000))
        await page.reaches(Stage.SPEAKING)
        page.tells = False
        told = len(page.frames) // 5 * 5
        await page.until(lambda: page.code is not None)
        assert page.code == LOST
        assert len(page.frames) == told + WINDOW
        await page.settled()
        (bubble,) = page.visitor.snapshot().bubbles
        assert "four" in bubble.unheard, "most of four seconds was never sent"


async def test_a_network_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_socket, "STALL_S", 0.2)
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        page.takes.clear()
        await page.settled()
        assert page.visitor.call is None


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([bytes(FRAME_BYTES - 2)], UNSUPPORTED),
        ([b""], UNSUPPORTED),
        ([bytes(1_000_000)], UNSUPPORTED),
        (["hello"], UNSUPPORTED),
        (["x" * 5000], TOO_MUCH),
        ([bytes(FRAME_BYTES)] * (SURPLUS + 100), TOO_MUCH),
    ],
    ids=["short", "empty", "large", "no JSON", "long", "flood"],
)
async def test_what_is_not_spoken_here_ends_the_call(messages: list[bytes | str], code: int) -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        for message in messages:
            page.sends(message)
        await page.until(lambda: page.code is not None)
        assert page.code == code
        await page.settled()


# -------------------------------------------------------------------- tickets


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def turned_away(page: SocketPage, ticket: str) -> None:
    await page.opens(ticket)
    assert (page.accepted, page.code) == (False, NO_TICKET)
    assert page.visitor.call is None


async def test_a_ticket_counts_once_and_for_a_minute() -> None:
    there, clock = Script(), Clock()
    async with server(there.talk) as url:
        sockets = VoiceSockets(VoiceCall(Settings(), at(url)), clock)
        await turned_away(SocketPage(sockets), "guessed")
        first = SocketPage(sockets)
        ticket = first.ticket()
        assert len(base64.urlsafe_b64decode(ticket + "=")) == 32
        clock.now += LIFE_S - 0.1
        first.opens(ticket)
        await first.reaches(Stage.LISTENING)
        await turned_away(SocketPage(sockets), ticket)
        first.leaves()
        await first.settled()
        late = SocketPage(sockets)
        ticket = late.ticket()
        clock.now += LIFE_S
        await turned_away(late, ticket)
        await late.settled()  # the page's news end too
        assert late.let_go == 0


async def test_tickets_are_bounded() -> None:
    sockets = sockets_at("ws://127.0.0.1:1")
    oldest = SocketPage(sockets)
    ticket = oldest.ticket()
    for _ in range(MAX_TICKETS):
        SocketPage(sockets).ticket()
    await turned_away(oldest, ticket)
    await oldest.settled()


def test_the_route_is_in_no_list() -> None:
    router = APIRouter()
    sockets_at("ws://127.0.0.1:1").add_to(router)
    assert description(router)["paths"] == {}


# -------------------------------------------------------------------- how it begins and ends


async def test_all_places_taken() -> None:
    there = Script()
    async with server(there.talk) as url:
        prototype = VoiceCall(Settings(), at(url), Places(Limits(calls=1)))
        other = Page(prototype)
        await other.start()
        await other.reaches(Stage.LISTENING)
        async with carried(VoiceSockets(prototype), busy=1) as page:
            assert (await page.reaches(Stage.FAILED)).notice == Notice.SERVER_BUSY
            await page.until(lambda: page.code is not None)
            assert (page.texts, page.code) == ([{"type": "ended"}], DONE)
        await other.hangs_up()
    assert there.visits == 1


async def test_a_limit_ends_the_call_and_is_said() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url, max_call_seconds=1)) as page:
        assert (await page.reaches(Stage.ENDED)).notice == Notice.TIME_LIMIT
        await page.until(lambda: page.code is not None)
        assert (page.texts, page.code) == ([{"type": "ended"}], DONE)


async def test_a_page_that_vanishes_frees_its_place() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url, vanished_seconds=0.5)) as page:
        await page.reaches(Stage.LISTENING)
        page.speaks = False
        assert (await page.reaches(Stage.ENDED)).notice == Notice.NO_MICROPHONE
        assert page.sockets.prototype.places.live(Kind.CALL) == 0


async def test_hanging_up_on_the_page_closes_the_socket() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        page.call.leave()
        assert page.sockets.prototype.places.live(Kind.CALL) == 0
        await page.until(lambda: page.code is not None)
        assert (page.texts, page.code) == ([], DONE)


async def test_a_connection_that_cannot_be_freed_does_not_keep_the_call_waiting() -> None:
    async def never() -> None:
        raise ConnectionError

    there = Script()
    async with server(there.talk) as url:
        page = SocketPage(sockets_at(url))
        page._free = never  # type: ignore[method-assign]
        page.opens(page.ticket())
        await page.reaches(Stage.LISTENING)
        page.leaves()
        await page.settled()


# -------------------------------------------------------------------- the same call, another way


async def test_a_call_that_webrtc_has_lost_goes_on() -> None:
    """Nothing of it begins anew, and fastrtc, which takes half a minute to notice, has no say in it any more."""
    there = Script()
    async with server(there.talk) as url:
        sockets = sockets_at(url)
        old = Page(sockets.prototype)
        await old.start()
        await old.reaches(Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One two three four", 2000))
        await old.reaches(Stage.SPEAKING)
        async with carried(sockets, old.visitor) as page:
            await page.until(lambda: bool(page.frames))
            assert page.call is old.call
            frames = len(old.frames)
            await old.hangs_up()
            assert page.call.under_way
            await there.says(script.reply_ends("r1", "a1", "One two three four"))
            last = await page.reaches(Stage.LISTENING)
            assert [bubble.text for bubble in last.bubbles] == ["One two three four"]
            both = np.concatenate([*old.frames, *page.frames])
            assert np.count_nonzero(both) == 2000 * 24, "not a sample was lost or played twice"
            assert len(old.frames) == frames
            assert sockets.prototype.places.live(Kind.CALL) == 1
        assert (there.visits, page.visitor.call) == (1, None)


async def test_a_call_that_has_ended_before_the_socket_came_does_not_begin_anew() -> None:
    there = Script()
    async with server(there.talk) as url:
        sockets = sockets_at(url)
        old = Page(sockets.prototype)
        await old.start()
        await old.reaches(Stage.LISTENING)
        page = SocketPage(sockets, old.visitor)
        ticket = page.ticket()
        await old.call.hang_up(Notice.TIME_LIMIT)
        page.opens(ticket)
        last = await page.reaches(Stage.ENDED)
        assert last.notice == Notice.TIME_LIMIT
        await page.until(lambda: page.code == DONE)
        assert page.texts == [{"type": "ended"}] and not page.frames
        await page.settled()
        await old.hangs_up()
        assert there.visits == 1 and sockets.prototype.places.live(Kind.CALL) == 0


async def test_one_ticket_a_visitor_and_one_reader_a_ticket() -> None:
    """Whoever asks again and again holds no more than whoever asks once."""
    sockets, visitor = sockets_at("ws://nowhere"), Visitor()

    async def nothing() -> None:
        pass

    _, first = sockets.offer(visitor, nothing)
    _, other = sockets.offer(Visitor(), nothing)
    _, last = sockets.offer(visitor, nothing)
    assert first.state is LaneState.OVER and other.state is last.state is LaneState.OFFERED
    reading = asyncio.create_task(anext(last.news(), None))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert [snapshot async for snapshot in last.news()] == []
    last.close()
    assert await reading is None
    async with asyncio.timeout(1):
        assert [snapshot async for snapshot in last.news()] == []


async def test_a_socket_that_is_lost_and_made_again() -> None:
    there = Script()
    async with server(there.talk) as url:
        sockets = sockets_at(url, grace_s=5)
        first = SocketPage(sockets)
        first.opens(first.ticket())
        await first.reaches(Stage.LISTENING)
        call = first.call
        first.leaves(1006)
        async with carried(sockets, first.visitor) as second:
            await second.until(lambda: len(second.frames) > 5)
            assert second.call is call
            await first.settled()
            assert call.under_way
            await there.says(script.whole_reply("r1", "a1", "Still here.", 100))
            await second.shows(lambda snapshot: [b.text for b in snapshot.bubbles] == ["Still here."])
        assert there.visits == 1


async def test_a_socket_that_is_lost_for_good() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url, grace_s=0.1)) as page:
        await page.reaches(Stage.LISTENING)
        page.leaves(1006)
        await page.settled()
        assert page.visitor.call is None
        assert page.snapshots[-1].stage is Stage.ENDED


async def test_a_conversation_goes_on_in_the_next_call() -> None:
    there, visitor = Script(), Visitor()
    async with server(there.talk) as url:
        sockets = sockets_at(url)
        old = Page(sockets.prototype, visitor)
        await old.start()
        await old.reaches(Stage.LISTENING)
        await there.says(script.whole_reply("r1", "a1", "Remember me.", 40))
        await old.shows(lambda snapshot: bool(snapshot.bubbles) and snapshot.stage is Stage.LISTENING)
        await old.hangs_up()
        async with carried(sockets, visitor) as page:
            (seed,) = await there.hears("conversation.item.create")
            assert seed["item"]["content"] == [{"type": "output_text", "text": "Remember me."}]
            assert [b.text for b in (await page.reaches(Stage.LISTENING)).bubbles] == ["Remember me."]


async def test_words_nobody_knows_do_no_harm() -> None:
    there = Script()
    async with server(there.talk) as url, carried(sockets_at(url)) as page:
        await page.reaches(Stage.LISTENING)
        page.sends(json.dumps({"type": "something new"}))
        count = len(page.frames)
        await page.until(lambda: len(page.frames) > count + 10)
        assert page.code is None
