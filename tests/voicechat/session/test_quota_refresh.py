"""Quota of a visitor at other replicas: learned before a call starts, and before a program gets a session."""

from __future__ import annotations

import asyncio

import pytest

from realtime_handler import CallStage, Notice, RealtimeHandler, Visitor
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.fake_rtc_page import FakeRtcPage, endpoint_at
from tests.support.sessions.running_gateway import connected_client, running_gateway
from voicechat.config.settings import Settings
from voicechat.gateway import gateway
from voicechat.limits.billing import BillingService
from voicechat.limits.daily_quota import DailyQuota

VISITOR = "visitor-a"
LIMIT_S = 100.0


class SlowQuota(DailyQuota):
    """Quota that learns from elsewhere that the visitor has used all seconds, when the test lets it."""

    def __init__(self) -> None:
        super().__init__(LIMIT_S, lambda: 1e9)
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def refresh(self, visitor: str) -> None:
        self.is_asked.set()
        await self.may_answer.wait()
        self.add(visitor, LIMIT_S)


def visitor_with_key() -> Visitor:
    """Return a visitor whose seconds are counted."""
    visitor = Visitor()
    visitor.visitor_key = VISITOR
    return visitor


async def test_call_of_a_visitor_without_seconds_at_other_replicas_is_refused() -> None:
    there, quota = ScriptedRealtimeServer(), SlowQuota()
    quota.may_answer.set()
    async with running_server(there.handle_connection) as url:
        prototype = RealtimeHandler(Settings(), endpoint_at(url), billing=BillingService(daily_quota=quota))
        page = FakeRtcPage(prototype, visitor_with_key())
        await page.start()
        assert (await page.wait_for_stage(CallStage.FAILED)).notice == Notice.VISITOR_DAILY_QUOTA
        await page.hang_up()
        assert there.connection_count == 0 and prototype.admission.is_empty


async def test_call_that_is_hung_up_during_the_refresh_does_not_start() -> None:
    quota = SlowQuota()
    prototype = RealtimeHandler(Settings(), endpoint_at("ws://127.0.0.1:1"), billing=BillingService(daily_quota=quota))
    handler, visitor = prototype.copy(), visitor_with_key()
    starting = asyncio.create_task(handler.start_without_webrtc([visitor]))
    await quota.is_asked.wait()
    await handler.shutdown()
    quota.may_answer.set()
    await starting
    assert handler.session is None and visitor.call is None and prototype.admission.is_empty


async def test_program_of_a_visitor_without_seconds_at_other_replicas_gets_no_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, quota = ScriptedRealtimeServer(), SlowQuota()
    quota.may_answer.set()
    monkeypatch.setattr(gateway, "visitor_key", lambda _: VISITOR)
    accounts = BillingService(daily_quota=quota)
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts) as ours,
        connected_client(ours.url()) as client,
    ):
        assert await client.read_until_closed() == (1008, "insufficient_quota.visitor_day_spent")
    assert there.connection_count == 0
