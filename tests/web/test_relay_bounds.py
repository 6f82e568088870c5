"""What a program's session may cost and how long it may last, between real sockets."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from realtime.accounts import Accounts
from realtime.endpoint import Endpoint, ServerKind
from realtime.usage import Caps
from tests.realtime.servers import Script, server
from tests.web.programs import Event, append, door, program
from web import relay, relay_session
from web.client_rules import MAX_REPLIES

MINI = "gpt-realtime-mini"
EIGHT_CENTS: Event = {"output_tokens": 4000, "output_token_details": {"audio_tokens": 4000}}
CREATE: Event = {"type": "response.create"}


def created(reply: str) -> Event:
    return {"type": "response.created", "response": {"id": reply}}


def done(reply: str, usage: Event = EIGHT_CENTS) -> Event:
    return {"type": "response.done", "response": {"id": reply, "usage": usage}}


# ---------------------------------------------------------------- replies in flight at the end


async def test_what_was_being_said_is_paid_when_the_client_goes() -> None:
    there, accounts = Script(), Accounts()
    async with server(there.talk) as url, door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours:
        async with program(ours.url()) as client:
            await client.next()
            await client.send(CREATE)
            await there.hears("response.create")
            await there.says(created("r1"), created("aside"))
            await client.next()
            await client.next()
        cancels = await there.hears("response.cancel", 2)
        assert [event["response_id"] for event in cancels] == ["r1", "aside"]
        await there.says(done("aside"), done("r1"))
        await ours.empty()
        await there.gone()
    assert accounts.ledger.today == pytest.approx(0.16)


async def test_a_reply_that_was_only_asked_for_is_cancelled_as_it_begins() -> None:
    there, accounts = Script(), Accounts()
    async with server(there.talk) as url, door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours:
        async with program(ours.url()) as client:
            await client.next()
            await client.send(CREATE)
            await there.hears("response.create")
        assert not there.of("response.cancel")
        await there.says(created("late"))
        [cancel] = await there.hears("response.cancel")
        assert cancel["response_id"] == "late"
        await there.says(done("late"))
        await ours.empty()
    assert accounts.ledger.today == pytest.approx(0.08)


async def test_a_server_that_never_says_what_it_cost_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_session, "SETTLE_S", 0.2)
    there = Script()
    async with server(there.talk) as url, door(url) as ours:
        async with program(ours.url()) as client:
            await client.next()
            await there.says(created("r1"))
            await client.next()
        left = time.monotonic()
        await there.hears("response.cancel")
        await ours.empty()
        assert time.monotonic() - left < 2
        await there.gone()


async def test_nothing_is_waited_for_at_a_server_that_nobody_pays() -> None:
    there = Script()
    async with server(there.talk) as url, door(endpoint=lambda: Endpoint(ServerKind.OFFLINE, url)) as ours:
        async with program(ours.url()) as client:
            await client.next()
            await there.says(created("r1"))
            await client.next()
        await ours.empty()
        await there.gone()
    assert not there.of("response.cancel")


async def test_a_session_that_is_cut_by_the_day_pays_for_its_last_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.accounts.POLITE_S", 0.0)
    there, accounts = Script(), Accounts(Caps(day=0.1))
    async with (
        server(there.talk) as url,
        door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours,
        program(ours.url()) as client,
    ):
        await client.next()
        await there.says(created("r1"))
        await client.next()
        accounts.ledger.add(0.2)
        await there.hears("response.cancel")
        await there.says(done("r1"))
        assert await client.end() == (1008, "insufficient_quota.day_budget_spent")
        assert accounts.ledger.today == pytest.approx(0.28)


# ---------------------------------------------------------------- how many, how much


async def test_one_client_has_only_so_many_replies_in_flight() -> None:
    there = Script()
    async with server(there.talk) as url, door(url) as ours, program(ours.url()) as client:
        await client.next()
        await client.send(*[CREATE] * MAX_REPLIES)
        error = await client.refused({**CREATE, "event_id": "one too many"})
        assert (error["code"], error["event_id"]) == ("too_many_responses", "one too many")
        assert len(await there.hears("response.create", MAX_REPLIES)) == MAX_REPLIES
        await there.says(created("r1"), done("r1"))
        await client.until("response.done")
        await client.send({**CREATE, "event_id": "now"})
        assert (await there.hears("response.create", MAX_REPLIES + 1))[-1]["event_id"] == "now"
        await client.send(*[{"type": "response.cancel"}] * 2)
        await there.hears("response.cancel", 2)


COSTLY: list[Event] = [
    CREATE,
    append(),
    {"type": "input_audio_buffer.commit"},
    {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}},
]


async def test_once_the_money_is_spent_nothing_more_is_bought() -> None:
    there, accounts = Script(), Accounts(Caps(day=0.1))
    async with (
        server(there.talk) as url,
        door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours,
        program(ours.url()) as client,
    ):
        await client.next()
        await there.says(created("r1"))
        await client.next()
        accounts.ledger.add(0.2)
        for number, event in enumerate(COSTLY):
            error = await client.refused({**event, "event_id": f"e{number}"})
            assert (error["code"], error["event_id"]) == ("day_budget_spent", f"e{number}")
        await client.send({"type": "response.cancel"})
        await there.hears("response.cancel")
        assert [event["type"] for event in there.got] == ["response.cancel"]
        await there.says(done("r1"))
        assert (await client.until("response.done"))["response"]["id"] == "r1"
        assert (await client.end())[0] == 1008


async def test_the_money_of_a_day_ends_a_session_in_which_nothing_happens() -> None:
    there, accounts = Script(), Accounts(Caps(day=0.1))
    async with (
        server(there.talk) as url,
        door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours,
        program(ours.url()) as client,
    ):
        await client.next()
        accounts.ledger.add(0.2)
        assert await client.end() == (1008, "insufficient_quota.day_budget_spent")
        assert client.got[-1]["error"]["code"] == "day_budget_spent"
        await there.gone()
        await ours.empty()


async def test_a_reply_beside_the_one_that_is_done_may_be_heard_to_its_end() -> None:
    there, accounts = Script(), Accounts(Caps(call=0.05))
    async with (
        server(there.talk) as url,
        door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours,
        program(ours.url()) as client,
    ):
        await client.next()
        await there.says(created("r1"), created("r2"), done("r1"))
        await client.until("response.done")
        await asyncio.sleep(2 * relay_session.TICK_S)
        await there.says(done("r2"))
        assert (await client.until("response.done"))["response"]["id"] == "r2"
        assert (await client.end())[0] == 1008


async def test_no_client_chooses_a_dearer_model_for_what_is_heard() -> None:
    there = Script()
    wanted: dict[str, Any] = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe", "language": "zh"}}}}
    async with (
        server(there.talk) as url,
        door(url, TRANSCRIPTION_MODEL="gpt-4o-mini-transcribe") as ours,
        program(ours.url()) as client,
    ):
        await client.next()
        await client.send({"type": "session.update", "session": {"type": "realtime", **wanted}})
        [update] = await there.hears("session.update")
        heard = update["session"]["audio"]["input"]["transcription"]
        assert heard == {"model": "gpt-4o-mini-transcribe", "language": "zh"}


# ---------------------------------------------------------------- how long


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat"])
async def test_a_session_in_which_nobody_says_anything_ends(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_session, "IDLE_S", 1.0)
    monkeypatch.setattr(relay_session, "TICK_S", 0.05)
    there = Script()
    async with server(there.talk) as url, door(url) as ours, program(ours.url(path)) as client:
        await client.next()
        began = time.monotonic()
        for _ in range(4):
            await asyncio.sleep(0.2)
            await client.send({"type": "response.cancel"})
        for _ in range(4):
            await asyncio.sleep(0.2)
            await there.says({"type": "rate_limits.updated"})
        assert await client.end() == (1001, "invalid_request_error.session_idle")
        assert client.got[-1]["error"]["code"] == "session_idle"
        assert time.monotonic() - began >= 2.5
        await ours.empty()
        await there.gone()


async def test_a_spoken_session_lasts_as_long_as_a_call_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_session, "TICK_S", 0.05)
    monkeypatch.setattr(relay_session, "POLITE_S", 0.5)
    there = Script()
    async with server(there.talk) as url, door(url) as ours:
        ours.relay._settings = replace(ours.relay._settings, max_call_seconds=1)
        async with program(ours.url("/text-chat")) as writes, program(ours.url()) as speaks:
            await writes.next()
            await speaks.next()
            assert await speaks.end() == (1001, "invalid_request_error.session_expired")
            began = time.monotonic()
            async with program(ours.url()) as heard:
                await heard.next()
                await there.says(created("r1"))
                assert (await heard.end())[0] == 1001
                assert time.monotonic() - began >= 1.5, "a reply may be heard to its end"
            assert ours.relay.connected == 1, "a written session is as long as one likes"


async def test_a_visitors_day_is_counted_and_ends_spoken_sessions_of_their_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there, accounts = Script(), Accounts(visitor_day_s=100)
    monkeypatch.setattr(relay, "visitor_key", lambda socket: socket.headers.get("user-agent", ""))
    async with server(there.talk) as url, door(url, accounts=accounts) as ours:
        async with program(ours.url(), user_agent_header="somebody") as client:
            await client.next()
            accounts.allowance.add("somebody", 99.9)
            assert await client.end() == (1008, "insufficient_quota.visitor_day_spent")
            assert client.got[-1]["error"]["code"] == "visitor_day_spent"
        async with program(ours.url(), user_agent_header="somebody") as client:
            assert await client.end() == (1008, "insufficient_quota.visitor_day_spent")
        async with program(ours.url("/text-chat"), user_agent_header="somebody") as client:
            assert (await client.next())["type"] == "session.created"
        async with program(ours.url()) as client:
            assert (await client.next())["type"] == "session.created", "somebody else's day"


async def test_who_sends_too_many_messages_is_read_more_slowly_and_loses_none() -> None:
    there = Script()
    async with (
        server(there.talk) as url,
        door(url, MAX_MESSAGES_PER_SECOND="100") as ours,
        program(ours.url()) as client,
    ):
        await client.next()
        began = time.monotonic()
        await client.send(*[append(bytes(2))] * 530)
        await there.hears("input_audio_buffer.append", 500)
        at_once = time.monotonic() - began
        await there.hears("input_audio_buffer.append", 530)
        assert time.monotonic() - began >= 0.29, "thirty more than five seconds' worth"
        assert at_once < 5.0, "what may come at once is not held back"


async def test_the_operator_says_how_large_a_message_may_be() -> None:
    there = Script()
    async with (
        server(there.talk) as url,
        door(url, MAX_MESSAGE_BYTES="70000") as ours,
        program(ours.url()) as client,
        program(ours.url()) as other,
    ):
        await client.next()
        await client.send(append(bytes(51_000)))  # 68,000 in base64
        await there.hears("input_audio_buffer.append", 1)
        await other.next()
        await other.send(append(bytes(54_000)))
        assert (await other.end())[0] == 1009
