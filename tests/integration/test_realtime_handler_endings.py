"""Ends of a voice call: rejections, limits, budgets, closed and vanished tabs."""

from __future__ import annotations

import asyncio
import logging

import pytest
from websockets.asyncio.server import ServerConnection

from realtime_handler import CallStage, Notice, RealtimeHandler, Visitor
from tests.support.realtime import server_events
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server, send_events
from tests.support.sessions.fake_rtc_page import KEY, FakeRtcPage, endpoint_at, running_call
from voicechat.config.settings import Endpoint, Settings
from voicechat.limits.admission import AdmissionKind, ConcurrencyLimits
from voicechat.limits.billing import BillingService
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.logs import quiet_loggers
from voicechat.upstream.connection import Failure


@pytest.mark.parametrize(
    ("talk_then_close", "failure"),
    [
        (("invalid_api_key", 3000), Failure.WRONG_KEY),
        (("model_not_found", 4004), Failure.MODEL_NOT_FOUND),
        (("unsupported_country_region_territory", 1008), Failure.REGION),
    ],
)
async def test_call_rejected_by_server_fails_with_notice(
    talk_then_close: tuple[str, int], failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    quiet_loggers()  # as the app does; fastrtc's own lines at DEBUG do not even format
    caplog.set_level(logging.DEBUG)
    visits = []

    async def talk(socket: ServerConnection) -> None:
        visits.append(socket)
        await send_events(socket, server_events.error_event(talk_then_close[0]))
        await socket.close(talk_then_close[1])

    async with running_server(talk) as url, running_call(endpoint_at(url)) as page:
        last = await page.wait_for_stage(CallStage.FAILED)
        assert last.notice == failure
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 0, (
            "the slot is free before the browser disconnects"
        )
        await page.wait_until(lambda: page.close_message is not None)
    assert len(visits) == 1
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("websockets"))
    assert KEY not in ours
    assert "secret words" not in ours


async def test_call_with_http_401_fails_with_wrong_key() -> None:
    from http import HTTPStatus

    from websockets.asyncio.server import Request, Response
    from websockets.datastructures import Headers

    async def talk(_: ServerConnection) -> None:
        raise AssertionError

    def refuse(_: Request) -> Response:
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", Headers())

    async with running_server(talk, refuse) as url, running_call(endpoint_at(url)) as page:
        assert (await page.wait_for_stage(CallStage.FAILED)).notice == Failure.WRONG_KEY


async def test_call_to_unreachable_server_fails(unused_tcp_port: int) -> None:
    async with running_call(endpoint_at(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime")) as page:
        assert (await page.wait_for_stage(CallStage.FAILED)).notice == Failure.UNREACHABLE
        assert {snapshot.stage for snapshot in page.snapshots} == {CallStage.CONNECTING, CallStage.FAILED}


async def test_call_while_models_load_waits_for_them(caplog: pytest.LogCaptureFixture) -> None:
    there = ScriptedRealtimeServer()
    places: list[Endpoint | Failure] = [Failure.LOADING]
    asked: list[str] = []

    def find_place(key: str) -> Endpoint | Failure:
        asked.append(key)
        return places[0]

    caplog.set_level(logging.INFO)
    async with running_server(there.handle_connection) as url, running_call(find_place) as page:
        assert (await page.wait_for_snapshot(lambda s: s.notice is not None)).notice == Notice.AWAITING_MODELS
        await page.wait_until(lambda: len(asked) > 3)
        assert caplog.text.count("connection ended failure=loading") == 1
        places[0] = endpoint_at(url)("")
        assert (await page.wait_for_stage(CallStage.LISTENING)).notice is None


async def test_call_with_exhausted_quota_of_key_fails() -> None:
    there = ScriptedRealtimeServer()
    failed = {"id": "r1", "status": "failed", "status_details": {"error": {"code": "insufficient_quota"}}}
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url)) as page:
        await page.wait_for_stage(CallStage.LISTENING)
        await there.send({"type": "response.done", "response": failed})
        assert (await page.wait_for_stage(CallStage.FAILED)).notice == Failure.QUOTA


async def test_tab_closed_while_connecting_releases_everything() -> None:
    arrived = asyncio.Event()
    left = asyncio.Event()

    async def talk(socket: ServerConnection) -> None:
        arrived.set()
        await socket.wait_closed()
        left.set()

    async with running_server(talk) as url:
        async with running_call(endpoint_at(url), Visitor()) as page:
            await arrived.wait()
            await page.hang_up()
            assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 0
            assert page.visitor.call is None
            async with asyncio.timeout(2):
                await left.wait()
        assert all(task.done() for task in page.session._tasks)


async def test_call_above_limit_fails_and_next_is_admitted() -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        book = AdmissionController(ConcurrencyLimits(calls=1))
        prototype = RealtimeHandler(Settings(), endpoint_at(url), book)
        first, second = FakeRtcPage(prototype), FakeRtcPage(prototype)
        await first.start()
        await first.wait_for_stage(CallStage.LISTENING)
        await second.start()
        assert (await second.wait_for_stage(CallStage.FAILED)).notice == Notice.SERVER_BUSY
        assert book.count_admitted(AdmissionKind.CALL) == 1
        await second.hang_up()
        assert book.count_admitted(AdmissionKind.CALL) == 1
        await first.hang_up()
        assert book.count_admitted(AdmissionKind.CALL) == 0
        third = FakeRtcPage(prototype)
        await third.start()
        await third.wait_for_stage(CallStage.LISTENING)
        await third.hang_up()
    assert there.connection_count == 2


@pytest.mark.parametrize(
    ("limit", "notice"), [({"idle_seconds": 0}, Notice.IDLE), ({"max_call_seconds": 0}, Notice.TIME_LIMIT)]
)
async def test_call_at_time_or_idle_limit_ends(limit: dict[str, int], notice: Notice) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_call(endpoint_at(url), **limit) as page:
        last = await page.wait_for_stage(CallStage.ENDED)
        assert last.notice == notice
        await page.wait_until(lambda: page.close_message is not None)


async def test_vanished_page_frees_its_slot() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_call(endpoint_at(url), vanished_seconds=0.5) as page,
    ):
        await page.wait_for_stage(CallStage.LISTENING)
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 1
        page.is_microphone_unplugged = True
        last = await page.wait_for_stage(CallStage.ENDED)
        assert last.notice == Notice.NO_MICROPHONE
        assert page.handler.admission.count_admitted(AdmissionKind.CALL) == 0


async def test_internal_error_ends_call_with_notice() -> None:
    there = ScriptedRealtimeServer()

    def endpoint(_: str) -> Endpoint:
        raise RuntimeError(KEY)

    async with running_server(there.handle_connection), running_call(endpoint) as page:
        assert (await page.wait_for_stage(CallStage.FAILED)).notice == Notice.INTERNAL


async def test_daily_quota_ends_call_and_refuses_next() -> None:
    there, billing = ScriptedRealtimeServer(), BillingService(visitor_quota_s=100)
    visitor = Visitor()
    visitor.visitor_key = "somebody"
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url), billing=billing)
        page = FakeRtcPage(prototype, visitor)
        await page.start()
        await page.wait_for_stage(CallStage.LISTENING)
        billing.daily_quota.add("somebody", 100)
        assert (await page.wait_for_stage(CallStage.ENDED)).notice == Notice.VISITOR_DAILY_QUOTA
        await page.hang_up()
        again = FakeRtcPage(prototype, visitor)
        await again.start()
        assert (await again.wait_for_stage(CallStage.FAILED)).notice == Notice.VISITOR_DAILY_QUOTA
        await again.hang_up()
        assert there.connection_count == 1 and prototype.admission.is_empty
