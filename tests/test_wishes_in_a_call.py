"""What a visitor wants otherwise, told to the server of a running call: whenever it was said, and as that server takes
it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from websockets.asyncio.server import Request, Response, ServerConnection

from realtime.refusals import Refused
from realtime.settings import Endpoint, Language
from realtime.snapshot import Notice
from realtime.wishes import WISH_EVENT_ID, Pace, When, Wishes
from realtime_handler import Stage, Visitor

from .pages import at, calling
from .realtime.servers import Script, send, server

Event = dict[str, Any]


def silence(update: Event) -> int:
    return int(update["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"])


class Slow(Script):
    """Confirms its settings only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.confirm = asyncio.Event()

    async def talk(self, socket: ServerConnection) -> None:
        await send(socket, {"type": "session.created", "session": {}})
        self.update = json.loads(await socket.recv())
        self.asked.set()
        await self.confirm.wait()
        await send(socket, {"type": "session.updated", "session": self.update["session"]})
        async for message in socket:
            async with self._changed:
                self.got.append(json.loads(message))
                self._changed.notify_all()


async def test_what_was_wanted_while_connecting_is_told_when_there_is_a_connection() -> None:
    there = Slow()
    async with server(there.talk) as url, calling(at(url)) as page:
        await asyncio.wait_for(there.asked.wait(), 5)
        assert await page.visitor.wish(Wishes(pace=Pace.PATIENT, call_cost=0.5)) is When.NOW
        assert page.call._account.own_cap == 0.5
        there.confirm.set()
        (told,) = await there.hears("session.update")
        assert silence(there.update) == 350 and silence(told) == 800


async def test_what_was_wanted_while_the_line_was_lost_is_in_the_next_ones_settings() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.cut()
        await page.reaches(Stage.RECONNECTING)
        await page.visitor.wish(Wishes(pace=Pace.PATIENT))
        await page.reaches(Stage.LISTENING)
        assert silence(there.of("session.update")[-1] if there.of("session.update") else there.update) == 800
        await page.visitor.wish(Wishes())
        assert silence((await there.hears("session.update", len(there.of("session.update")) or 1))[-1]) == 350


async def test_a_setting_that_the_server_refuses_is_said_and_not_thought_told() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await page.visitor.wish(Wishes(instructions="Be a pirate."))
        (told,) = await there.hears("session.update")
        assert told["event_id"] == WISH_EVENT_ID
        error = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "event_id": WISH_EVENT_ID}
        await there.says({"type": "error", "error": error})
        await page.shows(lambda now: now.notice == Notice.WISH_REFUSED)
        await page.visitor.wish(Wishes(instructions="Be a pirate.", pace=Pace.PATIENT))
        again = (await there.hears("session.update", 2))[-1]
        assert again["session"]["instructions"] == "Be a pirate.", "told once more: the server has not taken it"


async def test_a_call_keeps_its_model_and_the_next_one_has_the_other() -> None:
    asked: list[str] = []

    def note(request: Request) -> Response | None:
        asked.append(request.path.partition("?")[2])
        return None

    there, visitor = Script(), Visitor()
    async with server(there.talk, note) as url:
        for _ in range(2):
            async with calling(at(url), visitor, models=("better",)) as page:
                await page.reaches(Stage.LISTENING)
                assert await visitor.wish(Wishes(model="better")) in (When.NEXT_CALL, When.NOTHING)
                assert not there.of("session.update")
    assert asked == ["model=m", "model=better"]


async def test_what_a_server_refuses_of_one_visitor_is_not_remembered_for_the_others() -> None:
    class Picky(Script):
        async def talk(self, socket: ServerConnection) -> None:
            await send(socket, {"type": "session.created", "session": {}})
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "session.update":
                    self.update = event
                    if event["session"].get("instructions") == "Be a pirate.":
                        self.got.append(event)
                        about = {"param": "session.instructions", "event_id": event["event_id"]}
                        await send(socket, {"type": "error", "error": {"code": "invalid_value", **about}})
                        continue
                    await send(socket, {"type": "session.updated", "session": event["session"]})

    there, refused = Picky(), Refused()
    async with server(there.talk) as url:
        found = at(url)("")
        assert isinstance(found, Endpoint)
        ours = replace(found, refused=refused)
        visitor = Visitor()
        visitor.wishes = Wishes(instructions="Be a pirate.")
        async with calling(lambda _: ours, visitor) as page:
            await page.reaches(Stage.LISTENING)
        assert len(there.got) == 1 and "instructions" not in there.update["session"]
    assert refused.leave_out({"session": {"instructions": "Be a pirate."}}) == {
        "session": {"instructions": "Be a pirate."}
    }


async def test_a_server_with_a_transcription_model_of_its_own_keeps_it() -> None:
    class Own(Script):
        async def talk(self, socket: ServerConnection) -> None:
            model = {"audio": {"input": {"transcription": {"model": "its-own"}}}}
            await send(socket, {"type": "session.created", "session": model})
            self.update = json.loads(await socket.recv())
            await send(socket, {"type": "session.updated", "session": self.update["session"]})
            async for message in socket:
                async with self._changed:
                    self.got.append(json.loads(message))
                    self._changed.notify_all()

    there = Own()
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        assert "transcription" not in there.update["session"]["audio"]["input"]
        await page.visitor.wish(Wishes(language=Language.CHINESE))
        (told,) = await there.hears("session.update")
        assert told["session"]["audio"]["input"]["transcription"] == {"language": "zh"}
