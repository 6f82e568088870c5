"""Limits of gateway sessions between real sockets: costs, rates and duration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.manual_clock import ManualClock
from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.running_gateway import Event, append_event, connected_client, running_gateway
from voicechat.gateway import gateway, gateway_session
from voicechat.gateway.in_flight_responses import MAX_IN_FLIGHT_RESPONSES
from voicechat.limits.billing import BillingService
from voicechat.limits.daily_quota import OVERRUN_GRACE_S
from voicechat.limits.pricing import SpendLimits
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.upstream import usage_drain

MINI_MODEL = "gpt-realtime-mini"
EIGHT_CENTS_USAGE: Event = {"output_tokens": 4000, "output_token_details": {"audio_tokens": 4000}}
CREATE_RESPONSE: Event = {"type": "response.create"}


def response_created(reply: str) -> Event:
    return {"type": "response.created", "response": {"id": reply}}


def response_done(reply: str, usage: Event = EIGHT_CENTS_USAGE) -> Event:
    return {"type": "response.done", "response": {"id": reply, "usage": usage}}


# ---------------------------------------------------------------- replies in flight at the end


async def test_active_responses_are_billed_after_the_client_leaves() -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
    ):
        async with connected_client(ours.url()) as client:
            await client.next_event()
            await client.send(CREATE_RESPONSE)
            await there.wait_for("response.create")
            await there.send(response_created("r1"), response_created("aside"))
            await client.next_event()
            await client.next_event()
        cancels = await there.wait_for("response.cancel", 2)
        assert [event["response_id"] for event in cancels] == ["r1", "aside"]
        await there.send(response_done("aside"), response_done("r1"))
        await ours.wait_until_empty()
        await there.wait_closed()
    assert accounts.daily_spend.today_usd == pytest.approx(0.16)


async def test_requested_response_is_cancelled_when_it_begins() -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
    ):
        async with connected_client(ours.url()) as client:
            await client.next_event()
            await client.send(CREATE_RESPONSE)
            await there.wait_for("response.create")
        assert not there.received_of("response.cancel")
        await there.send(response_created("late"))
        [cancel] = await there.wait_for("response.cancel")
        assert cancel["response_id"] == "late"
        await there.send(response_done("late"))
        await ours.wait_until_empty()
    assert accounts.daily_spend.today_usd == pytest.approx(0.08)


async def test_missing_usage_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_drain, "USAGE_DRAIN_TIMEOUT_S", 0.2)
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_gateway(url) as ours:
        async with connected_client(ours.url()) as client:
            await client.next_event()
            await there.send(response_created("r1"))
            await client.next_event()
        async with asyncio.timeout(2):
            await there.wait_for("response.cancel")
            await ours.wait_until_empty()
        await there.wait_closed()


async def test_embedded_server_usage_is_not_waited_for() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(endpoint=lambda: Endpoint(ServerKind.OFFLINE, url)) as ours,
    ):
        async with connected_client(ours.url()) as client:
            await client.next_event()
            await there.send(response_created("r1"))
            await client.next_event()
        await ours.wait_until_empty()
        await there.wait_closed()
    assert not there.received_of("response.cancel")


async def test_session_ended_by_the_daily_budget_bills_its_last_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.limits.billing.OVERRUN_GRACE_S", 0.0)
    there, accounts = ScriptedRealtimeServer(), BillingService(SpendLimits(day_usd=0.1))
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await there.send(response_created("r1"))
        await client.next_event()
        accounts.daily_spend.add(0.2)
        await there.wait_for("response.cancel")
        await there.send(response_done("r1"))
        assert await client.read_until_closed() == (1008, "insufficient_quota.day_budget_spent")
        assert accounts.daily_spend.today_usd == pytest.approx(0.28)


# ---------------------------------------------------------------- how many, how much


async def test_requests_beyond_the_in_flight_limit_get_an_error() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await client.send(*[CREATE_RESPONSE] * MAX_IN_FLIGHT_RESPONSES)
        error = await client.send_expecting_error({**CREATE_RESPONSE, "event_id": "one too many"})
        assert (error["code"], error["event_id"]) == ("too_many_responses", "one too many")
        assert len(await there.wait_for("response.create", MAX_IN_FLIGHT_RESPONSES)) == MAX_IN_FLIGHT_RESPONSES
        await there.send(response_created("r1"), response_done("r1"))
        await client.read_until("response.done")
        await client.send({**CREATE_RESPONSE, "event_id": "now"})
        assert (await there.wait_for("response.create", MAX_IN_FLIGHT_RESPONSES + 1))[-1]["event_id"] == "now"
        await client.send(*[{"type": "response.cancel"}] * 2)
        await there.wait_for("response.cancel", 2)


COSTLY_EVENTS: list[Event] = [
    CREATE_RESPONSE,
    append_event(),
    {"type": "input_audio_buffer.commit"},
    {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}},
]


async def test_billable_events_beyond_the_budget_get_an_error() -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService(SpendLimits(day_usd=0.1))
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await there.send(response_created("r1"))
        await client.next_event()
        accounts.daily_spend.add(0.2)
        for number, event in enumerate(COSTLY_EVENTS):
            error = await client.send_expecting_error({**event, "event_id": f"e{number}"})
            assert (error["code"], error["event_id"]) == ("day_budget_spent", f"e{number}")
        await client.send({"type": "response.cancel"})
        await there.wait_for("response.cancel")
        assert [event["type"] for event in there.received] == ["response.cancel"]
        await there.send(response_done("r1"))
        assert (await client.read_until("response.done"))["response"]["id"] == "r1"
        assert (await client.read_until_closed())[0] == 1008


async def test_daily_budget_ends_an_idle_session() -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService(SpendLimits(day_usd=0.1))
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        accounts.daily_spend.add(0.2)
        assert await client.read_until_closed() == (1008, "insufficient_quota.day_budget_spent")
        assert client.received[-1]["error"]["code"] == "day_budget_spent"
        await there.wait_closed()
        await ours.wait_until_empty()


async def test_budget_waits_for_a_parallel_response() -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService(SpendLimits(call_usd=0.05))
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, accounts=accounts, REALTIME_MODEL=MINI_MODEL) as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await there.send(response_created("r1"), response_created("r2"), response_done("r1"))
        await client.read_until("response.done")
        await asyncio.sleep(2 * gateway_session.LIMIT_CHECK_INTERVAL_S)
        await there.send(response_done("r2"))
        assert (await client.read_until("response.done"))["response"]["id"] == "r2"
        assert (await client.read_until_closed())[0] == 1008


async def test_transcription_model_stays_the_operators() -> None:
    there = ScriptedRealtimeServer()
    wanted: dict[str, Any] = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe", "language": "zh"}}}}
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, TRANSCRIPTION_MODEL="gpt-4o-mini-transcribe") as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await client.send({"type": "session.update", "session": {"type": "realtime", **wanted}})
        [update] = await there.wait_for("session.update")
        heard = update["session"]["audio"]["input"]["transcription"]
        assert heard == {"model": "gpt-4o-mini-transcribe", "language": "zh"}


# ---------------------------------------------------------------- how long


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat"])
async def test_idle_session_ends(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_session, "IDLE_TIMEOUT_S", 100.0)  # the longest duration is far away then
    monkeypatch.setattr(gateway_session, "LIMIT_CHECK_INTERVAL_S", 0.02)
    there, clock = ScriptedRealtimeServer(), ManualClock()
    almost_s = 99.0
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, clock=clock) as ours,
        connected_client(ours.url(path)) as client,
    ):
        await client.next_event()
        for number in range(1, 5):
            await clock.advance(almost_s)
            await clock.wait_for_reads(2)  # the limits were checked
            await client.send({"type": "response.cancel"})
            await there.wait_for("response.cancel", number)
        for _ in range(4):
            await clock.advance(almost_s)
            await clock.wait_for_reads(2)
            await there.send({"type": "rate_limits.updated"})
            assert (await client.next_event())["type"] == "rate_limits.updated"
        await clock.advance(almost_s + 1.0)
        assert await client.read_until_closed() == (1001, "invalid_request_error.session_idle")
        assert client.received[-1]["error"]["code"] == "session_idle"
        await ours.wait_until_empty()
        await there.wait_closed()


async def test_voice_session_ends_at_the_maximum_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_session, "LIMIT_CHECK_INTERVAL_S", 0.02)
    there, clock = ScriptedRealtimeServer(), ManualClock()
    async with running_server(there.handle_connection) as url, running_gateway(url, clock=clock) as ours:
        ours.gateway._settings = ours.gateway._settings.with_changes(max_call_seconds=100)
        async with connected_client(ours.url("/text-chat")) as writes, connected_client(ours.url()) as speaks:
            await writes.next_event()
            await speaks.next_event()
            await clock.advance(99.9)
            await clock.wait_for_reads(6)  # the limits of both were checked
            assert ours.gateway.connection_count == 2
            await clock.advance(0.1)
            assert await speaks.read_until_closed() == (1001, "invalid_request_error.session_expired")
            async with connected_client(ours.url()) as heard:
                await heard.next_event()
                await there.send(response_created("r1"))
                await heard.next_event()
                await clock.advance(100.0 + OVERRUN_GRACE_S - 0.1)
                await clock.wait_for_reads(6)
                assert ours.gateway.connection_count == 2, "a reply may be heard to its end"
                await clock.advance(0.1)
                assert (await heard.read_until_closed())[0] == 1001
            assert ours.gateway.connection_count == 1, "a written session is as long as one likes"


async def test_daily_quota_ends_voice_sessions_of_its_visitor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService(visitor_quota_s=100)
    monkeypatch.setattr(gateway, "visitor_key", lambda socket: socket.headers.get("user-agent", ""))
    async with running_server(there.handle_connection) as url, running_gateway(url, accounts=accounts) as ours:
        async with connected_client(ours.url(), user_agent_header="visitor-a") as client:
            await client.next_event()
            accounts.daily_quota.add("visitor-a", 99.9)
            assert await client.read_until_closed() == (1008, "insufficient_quota.visitor_day_spent")
            assert client.received[-1]["error"]["code"] == "visitor_day_spent"
        async with connected_client(ours.url(), user_agent_header="visitor-a") as client:
            assert await client.read_until_closed() == (1008, "insufficient_quota.visitor_day_spent")
        async with connected_client(ours.url("/text-chat"), user_agent_header="visitor-a") as client:
            assert (await client.next_event())["type"] == "session.created"
        async with connected_client(ours.url()) as client:
            assert (await client.next_event())["type"] == "session.created", "another visitor's quota"


async def test_client_beyond_the_message_rate_is_read_slowly_and_loses_none() -> None:
    there, clock = ScriptedRealtimeServer(), ManualClock()
    clock.moves_by_itself = True
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, clock=clock, MAX_MESSAGES_PER_SECOND="100") as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        await client.send(*[append_event(bytes(2))] * 500)
        await there.wait_for("input_audio_buffer.append", 500)
        assert not any(clock.sleeps), "five seconds' worth may come at once"
        await client.send(*[append_event(bytes(2))] * 30)
        await there.wait_for("input_audio_buffer.append", 530)
        assert sum(clock.sleeps) == pytest.approx(0.3), "thirty more"


async def test_message_size_limit_is_the_operators() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, MAX_MESSAGE_BYTES="70000") as ours,
        connected_client(ours.url()) as client,
        connected_client(ours.url()) as other,
    ):
        await client.next_event()
        await client.send(append_event(bytes(51_000)))  # 68,000 in base64
        await there.wait_for("input_audio_buffer.append", 1)
        await other.next_event()
        await other.send(append_event(bytes(54_000)))
        assert (await other.read_until_closed())[0] == 1009
