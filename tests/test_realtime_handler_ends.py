"""How a voice call ends or does not begin: refusals, no place, no money, limits, a tab that is closed or vanishes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from websockets.asyncio.server import ServerConnection

from realtime.accounts import Accounts
from realtime.connection import Failure
from realtime.places import Kind, Limits, Places
from realtime.settings import Endpoint, Settings
from realtime_handler import Notice, Stage, Visitor, VoiceCall

from .pages import KEY, Page, at, calling
from .realtime import script
from .realtime.servers import Script, send, server


@pytest.mark.parametrize(
    ("talk_then_close", "failure"),
    [
        (("invalid_api_key", 3000), Failure.WRONG_KEY),
        (("model_not_found", 4004), Failure.MODEL_NOT_FOUND),
        (("session_limit_reached", 1008), Failure.SERVER_FULL),
    ],
)
async def test_a_refusal_is_said_and_ends_the_call(
    talk_then_close: tuple[str, int], failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    visits = []

    async def talk(socket: ServerConnection) -> None:
        visits.append(socket)
        await send(socket, script.error(talk_then_close[0]))
        await socket.close(talk_then_close[1])

    async with server(talk) as url, calling(at(url)) as page:
        last = await page.reaches(Stage.FAILED)
        assert last.notice == failure
        assert page.call.places.live(Kind.CALL) == 0, "its place is free before the browser has gone"
        await page.until(lambda: page.closed is not None)
    assert len(visits) == 1
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("websockets"))
    assert KEY not in ours
    assert "secret words" not in ours


async def test_a_wrong_key_at_the_door() -> None:
    from http import HTTPStatus

    from websockets.asyncio.server import Request, Response
    from websockets.datastructures import Headers

    async def talk(_: ServerConnection) -> None:
        raise AssertionError

    def refuse(_: Request) -> Response:
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", Headers())

    async with server(talk, refuse) as url, calling(at(url)) as page:
        assert (await page.reaches(Stage.FAILED)).notice == Failure.WRONG_KEY


async def test_a_server_that_is_not_there(unused_tcp_port: int) -> None:
    async with calling(at(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime")) as page:
        assert (await page.reaches(Stage.FAILED)).notice == Failure.UNREACHABLE
        assert {snapshot.stage for snapshot in page.snapshots} == {Stage.CONNECTING, Stage.FAILED}


async def test_a_server_whose_models_are_loading() -> None:
    there = Script()
    places: list[Endpoint | Failure] = [Failure.LOADING]
    async with server(there.talk) as url, calling(lambda _: places[0]) as page:
        assert (await page.shows(lambda s: s.notice is not None)).notice == Failure.LOADING
        places[0] = at(url)("")
        assert (await page.reaches(Stage.LISTENING)).notice is None


async def test_no_money_in_the_middle_of_a_call() -> None:
    there = Script()
    failed = {"id": "r1", "status": "failed", "status_details": {"error": {"code": "insufficient_quota"}}}
    async with server(there.talk) as url, calling(at(url)) as page:
        await page.reaches(Stage.LISTENING)
        await there.says({"type": "response.done", "response": failed})
        assert (await page.reaches(Stage.FAILED)).notice == Failure.QUOTA


async def test_a_tab_closed_while_connecting() -> None:
    arrived = asyncio.Event()
    left = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        arrived.set()
        await socket.wait_closed()
        left.set()

    async with server(talk) as url:
        async with calling(at(url), Visitor()) as page:
            await arrived.wait()
            await page.hangs_up()
            assert page.call.places.live(Kind.CALL) == 0
            assert page.visitor.call is None
            async with asyncio.timeout(2):
                await left.wait()
        assert all(task.done() for task in page.call._tasks)


async def test_all_places_taken() -> None:
    there = Script()
    async with server(there.talk) as url:
        book = Places(Limits(calls=1))
        prototype = VoiceCall(Settings(), at(url), book)
        first, second = Page(prototype), Page(prototype)
        await first.start()
        await first.reaches(Stage.LISTENING)
        await second.start()
        assert (await second.reaches(Stage.FAILED)).notice == Notice.SERVER_BUSY
        assert book.live(Kind.CALL) == 1
        await second.hangs_up()
        assert book.live(Kind.CALL) == 1
        await first.hangs_up()
        assert book.live(Kind.CALL) == 0
        third = Page(prototype)
        await third.start()
        await third.reaches(Stage.LISTENING)
        await third.hangs_up()
    assert there.visits == 2


@pytest.mark.parametrize(
    ("limit", "notice"), [({"idle_seconds": 0}, Notice.IDLE), ({"max_call_seconds": 0}, Notice.TIME_LIMIT)]
)
async def test_limits_end_a_call(limit: dict[str, int], notice: Notice) -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), **limit) as page:
        last = await page.reaches(Stage.ENDED)
        assert last.notice == notice
        await page.until(lambda: page.closed is not None)


async def test_a_page_that_vanishes_frees_its_line() -> None:
    there = Script()
    async with server(there.talk) as url, calling(at(url), vanished_seconds=0.5) as page:
        await page.reaches(Stage.LISTENING)
        assert page.call.places.live(Kind.CALL) == 1
        page.unplugged = True
        last = await page.reaches(Stage.ENDED)
        assert last.notice == Notice.NO_MICROPHONE
        assert page.call.places.live(Kind.CALL) == 0


async def test_an_error_of_ours_ends_the_call_and_is_said() -> None:
    there = Script()

    def endpoint(_: str) -> Endpoint:
        raise RuntimeError(KEY)

    async with server(there.talk), calling(endpoint) as page:
        assert (await page.reaches(Stage.FAILED)).notice == Notice.INTERNAL


async def test_a_visitors_day_ends_the_call_politely_and_the_next_one_is_refused() -> None:
    there, accounts = Script(), Accounts(visitor_day_s=100)
    visitor = Visitor()
    visitor.key = "somebody"
    async with server(there.talk) as url:
        prototype = VoiceCall(Settings(), at(url), accounts=accounts)
        page = Page(prototype, visitor)
        await page.start()
        await page.reaches(Stage.LISTENING)
        accounts.allowance.add("somebody", 100)
        assert (await page.reaches(Stage.ENDED)).notice == Notice.VISITOR_DAY
        await page.hangs_up()
        again = Page(prototype, visitor)
        await again.start()
        assert (await again.reaches(Stage.FAILED)).notice == Notice.VISITOR_DAY
        await again.hangs_up()
        assert there.visits == 1 and prototype.places.empty
