"""What a program's session may cost and how long it may last, between real sockets."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.support.realtime.fake_realtime_server import ScriptedRealtimeServer, running_server
from tests.support.sessions.running_gateway import Event, append_event, connected_client, running_gateway
from voicechat.gateway import gateway, gateway_session
from voicechat.gateway.client_event_policy import MAX_IN_FLIGHT_RESPONSES
from voicechat.limits.budget import BillingService
from voicechat.limits.pricing import SpendLimits
from voicechat.protocol.endpoint import Endpoint, ServerKind

MINI_MODEL = "gpt-realtime-mini"
EIGHT_CENTS_USAGE: Event = {"output_tokens": 4000, "output_token_details": {"audio_tokens": 4000}}
CREATE_RESPONSE: Event = {"type": "response.create"}


def response_created(reply: str) -> Event:
    return {"type": "response.created", "response": {"id": reply}}


def response_done(reply: str, usage: Event = EIGHT_CENTS_USAGE) -> Event:
    return {"type": "response.done", "response": {"id": reply, "usage": usage}}


# ---------------------------------------------------------------- replies in flight at the end


async def test_what_was_being_said_is_paid_when_the_client_goes() -> None:
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


async def test_a_reply_that_was_only_asked_for_is_cancelled_as_it_begins() -> None:
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


async def test_a_server_that_never_says_what_it_cost_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_session, "USAGE_DRAIN_TIMEOUT_S", 0.2)
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_gateway(url) as ours:
        async with connected_client(ours.url()) as client:
            await client.next_event()
            await there.send(response_created("r1"))
            await client.next_event()
        left = time.monotonic()
        await there.wait_for("response.cancel")
        await ours.wait_until_empty()
        assert time.monotonic() - left < 2
        await there.wait_closed()


async def test_nothing_is_waited_for_at_a_server_that_nobody_pays() -> None:
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


async def test_a_session_that_is_cut_by_the_day_pays_for_its_last_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.limits.budget.OVERRUN_GRACE_S", 0.0)
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


async def test_one_client_has_only_so_many_replies_in_flight() -> None:
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


async def test_once_the_money_is_spent_nothing_more_is_bought() -> None:
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


async def test_the_money_of_a_day_ends_a_session_in_which_nothing_happens() -> None:
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


async def test_a_reply_beside_the_one_that_is_done_may_be_heard_to_its_end() -> None:
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


async def test_no_client_chooses_a_dearer_model_for_what_is_heard() -> None:
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
async def test_a_session_in_which_nobody_says_anything_ends(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_session, "IDLE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(gateway_session, "LIMIT_CHECK_INTERVAL_S", 0.05)
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url) as ours,
        connected_client(ours.url(path)) as client,
    ):
        await client.next_event()
        began = time.monotonic()
        for _ in range(4):
            await asyncio.sleep(0.2)
            await client.send({"type": "response.cancel"})
        for _ in range(4):
            await asyncio.sleep(0.2)
            await there.send({"type": "rate_limits.updated"})
        assert await client.read_until_closed() == (1001, "invalid_request_error.session_idle")
        assert client.received[-1]["error"]["code"] == "session_idle"
        assert time.monotonic() - began >= 2.5
        await ours.wait_until_empty()
        await there.wait_closed()


async def test_a_spoken_session_lasts_as_long_as_a_call_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_session, "LIMIT_CHECK_INTERVAL_S", 0.05)
    monkeypatch.setattr(gateway_session, "OVERRUN_GRACE_S", 0.5)
    there = ScriptedRealtimeServer()
    async with running_server(there.handle_connection) as url, running_gateway(url) as ours:
        ours.gateway._settings = ours.gateway._settings.with_changes(max_call_seconds=1)
        async with connected_client(ours.url("/text-chat")) as writes, connected_client(ours.url()) as speaks:
            await writes.next_event()
            await speaks.next_event()
            assert await speaks.read_until_closed() == (1001, "invalid_request_error.session_expired")
            began = time.monotonic()
            async with connected_client(ours.url()) as heard:
                await heard.next_event()
                await there.send(response_created("r1"))
                assert (await heard.read_until_closed())[0] == 1001
                assert time.monotonic() - began >= 1.5, "a reply may be heard to its end"
            assert ours.gateway.connection_count == 1, "a written session is as long as one likes"


async def test_a_visitors_day_is_counted_and_ends_spoken_sessions_of_their_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, accounts = ScriptedRealtimeServer(), BillingService(visitor_quota_s=100)
    monkeypatch.setattr(gateway, "visitor_key", lambda socket: socket.headers.get("user-agent", ""))
    async with running_server(there.handle_connection) as url, running_gateway(url, accounts=accounts) as ours:
        async with connected_client(ours.url(), user_agent_header="somebody") as client:
            await client.next_event()
            accounts.daily_quota.add("somebody", 99.9)
            assert await client.read_until_closed() == (1008, "insufficient_quota.visitor_day_spent")
            assert client.received[-1]["error"]["code"] == "visitor_day_spent"
        async with connected_client(ours.url(), user_agent_header="somebody") as client:
            assert await client.read_until_closed() == (1008, "insufficient_quota.visitor_day_spent")
        async with connected_client(ours.url("/text-chat"), user_agent_header="somebody") as client:
            assert (await client.next_event())["type"] == "session.created"
        async with connected_client(ours.url()) as client:
            assert (await client.next_event())["type"] == "session.created", "somebody else's day"


async def test_who_sends_too_many_messages_is_read_more_slowly_and_loses_none() -> None:
    there = ScriptedRealtimeServer()
    async with (
        running_server(there.handle_connection) as url,
        running_gateway(url, MAX_MESSAGES_PER_SECOND="100") as ours,
        connected_client(ours.url()) as client,
    ):
        await client.next_event()
        began = time.monotonic()
        await client.send(*[append_event(bytes(2))] * 530)
        await there.wait_for("input_audio_buffer.append", 500)
        at_once = time.monotonic() - began
        await there.wait_for("input_audio_buffer.append", 530)
        assert time.monotonic() - began >= 0.29, "thirty more than five seconds' worth"
        assert at_once < 5.0, "what may come at once is not held back"


async def test_the_operator_says_how_large_a_message_may_be() -> None:
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
