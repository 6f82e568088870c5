"""Budgets in whole sessions: what the page shows, and how a limit ends calls, chats and API sessions."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import app
from tests.support.app.prometheus_samples import read_metrics
from tests.support.realtime import server_events
from tests.support.realtime.event_observation import observe
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.running_gateway import connected_client, running_gateway
from tests.support.sessions.session_users import IN_CALL_AND_CHAT, CallUser, SessionFactory, running_call_user
from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Settings
from voicechat.limits.billing import BillingService, SessionBilling
from voicechat.limits.pricing import SpendLimits, SpendStatus
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.server.prometheus import Metrics
from voicechat.turn_taking.snapshot import CallStage
from voicechat.upstream.connection import Failure

MINI_MODEL = "gpt-realtime-mini"
ONE_CENT_USAGE: dict[str, Any] = {"output_tokens": 500, "output_token_details": {"audio_tokens": 500, "text_tokens": 0}}
"""The usage of a reply that costs one cent: 20 US dollars a million."""
EIGHT_CENTS_USAGE: dict[str, Any] = {"output_tokens": 4000, "output_token_details": {"audio_tokens": 4000}}


def make_endpoint(**changed: Any) -> Endpoint:
    return Endpoint(**{"kind": ServerKind.OPENAI, "url": "wss://there", "model": MINI_MODEL, **changed})


def response_done(reply: str, usage: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": reply, "usage": usage}}


# ---------------------------------------------------------------- accounts


def test_billing_of_two_sessions_shares_daily_spend() -> None:
    metrics = Metrics()
    accounts = BillingService(SpendLimits(day_usd=0.09), metrics)
    one, other = (SessionBilling(accounts, Settings(), SessionMode.VOICE) for _ in range(2))
    for account in (one, other):
        account.open()
        account.on_connected(make_endpoint(), 0)
    observe(one, response_done("r1", EIGHT_CENTS_USAGE), 1)
    observe(one, response_done("r1", EIGHT_CENTS_USAGE), 1)
    assert one.cost is not None and one.cost.usd == pytest.approx(0.08)
    assert other.cost is not None and other.cost.usd == 0
    assert one.status is other.status is SpendStatus.DAY_WARNING
    observe(other, response_done("r1", EIGHT_CENTS_USAGE), 2)
    assert one.status is SpendStatus.DAY_EXCEEDED and accounts.is_day_exceeded
    one.close("day_spent")
    one.close("hung_up")
    found = read_metrics(metrics)
    assert found[("voice_chat_spent_usd_total",)] == pytest.approx(0.16)
    assert found[("voice_chat_tokens_total", "audio_out")] == 8000
    assert found[("voice_chat_conversations_open", "voice")] == 1
    assert found[("voice_chat_conversations_ended_total", "voice", "day_spent")] == 1


def test_billing_of_own_key_and_offline_server_spends_nothing_of_operator() -> None:
    accounts = BillingService(SpendLimits(call_usd=0.01, day_usd=0.01))
    for there in (make_endpoint(has_own_key=True), make_endpoint(kind=ServerKind.OFFLINE)):
        account = SessionBilling(accounts, Settings(), SessionMode.VOICE)
        account.on_connected(there, 0)
        observe(account, response_done("r1", EIGHT_CENTS_USAGE), 1)
        assert account.cost is not None
        assert account.cost.usd == pytest.approx(0.08 if there.has_own_key else 0.0)
        assert account.cost.is_free is not there.has_own_key
        assert account.status is SpendStatus.OK
    assert accounts.daily_spend.today_usd == 0


def test_billing_across_servers_adds_up_and_unknown_stays_unknown() -> None:
    account = SessionBilling(BillingService(), Settings(), SessionMode.TEXT)
    account.on_connected(make_endpoint(), 0)
    observe(account, response_done("r1", ONE_CENT_USAGE), 1)
    account.on_connected(make_endpoint(), 2)  # the same server again, which numbers its replies from one again
    observe(account, response_done("r1", ONE_CENT_USAGE), 3)
    account.on_connected(make_endpoint(has_own_key=True), 4)
    observe(account, response_done("r1", ONE_CENT_USAGE), 5)
    assert account.cost is not None
    assert account.cost.usd == pytest.approx(0.03) and account.cost.tokens.audio_out == 1500
    account.on_connected(make_endpoint(model="of-my-own"), 6)
    observe(account, response_done("r2", ONE_CENT_USAGE), 7)
    assert account.cost.usd is None


def test_call_limit_of_operator_counts_only_operator_spending() -> None:
    accounts = BillingService(SpendLimits(call_usd=0.05))
    account = SessionBilling(accounts, Settings(), SessionMode.VOICE)
    account.on_connected(make_endpoint(has_own_key=True, model="of-my-own"), 0)
    observe(account, response_done("r1", EIGHT_CENTS_USAGE), 1)
    account.on_connected(make_endpoint(has_own_key=True), 2)
    observe(account, response_done("r2", EIGHT_CENTS_USAGE), 3)
    account.on_connected(make_endpoint(), 4)
    assert account.status is SpendStatus.OK, "that was the visitor's money"
    observe(account, response_done("r3", EIGHT_CENTS_USAGE), 5)
    assert account.status is SpendStatus.CALL_EXCEEDED, "also where the price of something before was not known"
    account.visitor_limit_usd = 0.01
    account.on_connected(make_endpoint(has_own_key=True), 6)
    assert account.status is SpendStatus.OK, "what is not known cannot be judged"


def test_unknown_price_with_limit_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    for caps, warnings in ((SpendLimits(), 0), (SpendLimits(call_usd=1.0), 1)):
        accounts = BillingService(caps)
        caplog.clear()
        for _ in range(2):
            account = SessionBilling(accounts, Settings(), SessionMode.VOICE)
            account.on_connected(make_endpoint(model="of-my-own"), 0)
            observe(account, response_done("r1", ONE_CENT_USAGE), 1)
        assert len(caplog.records) == warnings
        assert "of-my-own" not in caplog.text


def test_exceeded_budget_lets_reply_finish_within_grace() -> None:
    account = SessionBilling(BillingService(SpendLimits(call_usd=0.01)), Settings(), SessionMode.VOICE)
    account.on_connected(make_endpoint(), 0)
    assert account.must_end(True, 0) is None
    observe(account, response_done("r1", ONE_CENT_USAGE), 1)
    assert account.must_end(False, 1) is None
    assert account.must_end(False, 20) is None
    assert account.must_end(True, 20) is SpendStatus.CALL_EXCEEDED
    assert account.must_end(False, 21) is SpendStatus.CALL_EXCEEDED


def test_exceeded_day_lets_only_own_keys_connect() -> None:
    application_under_test = app.create_application(Settings(openai_api_key="sk-operator", max_day_cost=0.05))
    application_under_test.billing.daily_spend.add(0.05)
    assert application_under_test.resolve_endpoint() is Failure.DAILY_BUDGET_SPENT
    assert isinstance(application_under_test.resolve_endpoint("sk-visitor-own"), Endpoint)


# ---------------------------------------------------------------- whole conversations


@IN_CALL_AND_CHAT
async def test_session_near_limit_warns_and_at_limit_ends_after_reply(
    start_session: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    there, caps = ScriptedRealtimeServer(), BillingService(SpendLimits(call_usd=0.09))
    async with (
        running_server(there.handle_connection) as url,
        start_session(url, accounts=caps, realtime_model=MINI_MODEL) as person,
    ):
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
        await person.send_text("One?")
        await there.wait_for("response.create")
        await there.send(server_events.complete_response("r1", "a1", "One.", 200, usage=EIGHT_CENTS_USAGE))
        near = await person.wait_for_snapshot(
            lambda now: now.cost is not None and now.cost.status is SpendStatus.CALL_WARNING
        )
        assert near.cost is not None and near.cost.usd == pytest.approx(0.08)
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
        await person.send_text("Two?")
        await there.wait_for("response.create", 2)
        await there.send(
            server_events.complete_response("r2", "a2", "Two is the answer.", 900, usage=EIGHT_CENTS_USAGE)
        )
        last = await person.wait_for_snapshot(lambda now: now.stage is CallStage.ENDED)
        assert last.notice == "call_spent" and last.notice in person.notice_texts
        assert [(b.text, b.unheard) for b in last.bubbles if b.role == "assistant"][-1] == ("Two is the answer.", "")
        if isinstance(person, CallUser):
            heard = sum(bool(frame.any()) for frame in person.page.frames) * 20
            assert heard >= 1100, "the reply was heard to its end"
    assert caplog.get_records("call") == [r for r in caplog.get_records("call") if r.levelno < logging.ERROR]


@IN_CALL_AND_CHAT
async def test_day_exceeded_elsewhere_ends_session(start_session: SessionFactory) -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService(SpendLimits(day_usd=0.1))
    async with (
        running_server(there.handle_connection) as url,
        start_session(url, accounts=accounts, realtime_model=MINI_MODEL) as person,
    ):
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
        accounts.daily_spend.add(0.2)
        last = await person.wait_for_snapshot(lambda now: now.stage is CallStage.ENDED)
        assert last.notice == "day_spent" and last.notice in person.notice_texts


@IN_CALL_AND_CHAT
async def test_reply_cancelled_by_leaving_is_billed(
    start_session: SessionFactory,
) -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService()
    async with (
        running_server(there.handle_connection) as url,
        start_session(url, accounts=accounts, realtime_model=MINI_MODEL) as person,
    ):
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
        await person.send_text("One?")
        await there.wait_for("response.create")
        await there.send(
            server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One", 400)
        )
        await person.wait_for_snapshot(lambda now: any(bubble.role == "assistant" for bubble in now.bubbles))
        person.leave()
        (cancel,) = await there.wait_for("response.cancel")
        assert cancel["response_id"] == "r1"
        await there.send(server_events.response_finished("r1", "a1", "One", "cancelled", usage=ONE_CENT_USAGE))
        await there.wait_closed()
    assert accounts.daily_spend.today_usd == pytest.approx(0.01)


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.1])
async def test_tab_closed_while_usage_is_awaited_is_billed(pause_s: float) -> None:
    """The page tells of the hang-up, and the browser's connection closes at any moment after it."""
    there, accounts = ScriptedRealtimeServer(), BillingService()
    async with (
        running_server(there.handle_connection) as url,
        running_call_user(url, accounts=accounts, realtime_model=MINI_MODEL) as person,
    ):
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
        await there.send(
            server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One", 400)
        )
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.SPEAKING)
        person.leave()
        await asyncio.sleep(pause_s)
        hang_up = asyncio.create_task(person.page.hang_up())
        await there.wait_for("response.cancel")
        await there.send(server_events.response_finished("r1", "a1", "One", "cancelled", usage=ONE_CENT_USAGE))
        await hang_up
        await there.wait_closed()
    assert accounts.daily_spend.today_usd == pytest.approx(0.01)


@IN_CALL_AND_CHAT
async def test_requested_reply_after_leaving_is_billed(start_session: SessionFactory) -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService()
    async with (
        running_server(there.handle_connection) as url,
        start_session(url, accounts=accounts, realtime_model=MINI_MODEL) as person,
    ):
        await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
        await person.send_text("One?")
        await there.wait_for("response.create")
        person.leave()
        await there.send(server_events.response_started("r1", "a1"))
        (cancel,) = await there.wait_for("response.cancel")
        assert cancel["response_id"] == "r1"
        await there.send(response_done("r1", ONE_CENT_USAGE))
        await there.wait_closed()
    assert accounts.daily_spend.today_usd == pytest.approx(0.01)


@IN_CALL_AND_CHAT
async def test_server_without_usage_is_left_within_timeout(start_session: SessionFactory) -> None:
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url:
        async with start_session(url, realtime_model=MINI_MODEL) as person:
            await person.wait_for_snapshot(lambda now: now.stage is CallStage.LISTENING)
            await person.send_text("One?")
            await there.wait_for("response.create")
            await there.send(
                server_events.response_started("r1", "a1"), server_events.clause_deltas("r1", "a1", "One", 400)
            )
            await person.wait_for_snapshot(lambda now: any(bubble.role == "assistant" for bubble in now.bubbles))
            person.leave()
            await there.wait_for("response.cancel")
        await there.wait_closed()


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat"])
async def test_gateway_session_at_limit_is_counted_and_ends(path: str) -> None:
    there, metrics = ScriptedRealtimeServer(), Metrics()
    accounts = BillingService(SpendLimits(call_usd=0.09), metrics)
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
        connected_client(ours.url(path)) as client,
    ):
        await client.next_event()
        await there.send(response_done("r1", EIGHT_CENTS_USAGE), {"type": "response.created", "response": {"id": "r2"}})
        assert (await client.read_until("response.created"))["response"]["id"] == "r2"
        await there.send(response_done("r2", EIGHT_CENTS_USAGE))
        assert (await client.read_until("response.done"))["response"]["id"] == "r2"
        assert (await client.read_until_closed())[0] == 1008
        assert client.received[-1]["error"]["code"] == "session_budget_spent"
        await ours.wait_until_empty()
    found = read_metrics(metrics)
    assert found[("voice_chat_spent_usd_total",)] == pytest.approx(0.16)
    mode = "text" if path == "/text-chat" else "voice"
    assert found[("voice_chat_conversations_total", mode)] == 1
    assert found[("voice_chat_conversations_open", mode)] == 0
