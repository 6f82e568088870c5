"""Money in whole conversations: what the page is told, and how a cap ends a call, a chat and a program's session."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import app
from realtime.accounts import Account, Accounts
from realtime.connection import Failure
from realtime.endpoint import Endpoint, ServerKind
from realtime.session import Mode
from realtime.settings import Settings
from realtime.snapshot import Stage
from realtime.usage import Budget, Caps
from web.metrics import Metrics

from .persons import BOTH, At, Caller, call
from .realtime import script
from .realtime.servers import Script, server
from .web.programs import door, program
from .web.test_metrics import read

MINI = "gpt-realtime-mini"
CENT: dict[str, Any] = {"output_tokens": 500, "output_token_details": {"audio_tokens": 500, "text_tokens": 0}}
"""The usage of a reply that costs one cent: 20 US dollars a million."""
EIGHT_CENTS: dict[str, Any] = {"output_tokens": 4000, "output_token_details": {"audio_tokens": 4000}}


def endpoint(**changed: Any) -> Endpoint:
    return Endpoint(**{"kind": ServerKind.OPENAI, "url": "wss://there", "model": MINI, **changed})


def done(reply: str, usage: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": reply, "usage": usage}}


# ---------------------------------------------------------------- accounts


def test_what_one_conversation_spends_is_booked_for_all() -> None:
    metrics = Metrics()
    accounts = Accounts(Caps(day=0.09), metrics)
    one, other = (Account(accounts, Settings(), Mode.VOICE) for _ in range(2))
    for account in (one, other):
        account.open()
        account.connected(endpoint(), 0)
    one.receive(done("r1", EIGHT_CENTS), 1)
    one.receive(done("r1", EIGHT_CENTS), 1)
    assert one.money is not None and one.money.usd == pytest.approx(0.08)
    assert other.money is not None and other.money.usd == 0
    assert one.budget is other.budget is Budget.DAY_NEAR
    other.receive(done("r1", EIGHT_CENTS), 2)
    assert one.budget is Budget.DAY_SPENT and accounts.day_spent
    one.close("day_spent")
    one.close("hung_up")
    found = read(metrics)
    assert found[("voice_chat_spent_usd_total",)] == pytest.approx(0.16)
    assert found[("voice_chat_tokens_total", "audio_out")] == 8000
    assert found[("voice_chat_conversations_open", "voice")] == 1
    assert found[("voice_chat_conversations_ended_total", "voice", "day_spent")] == 1


def test_a_visitors_own_key_and_the_embedded_server_spend_nothing_of_the_operators() -> None:
    accounts = Accounts(Caps(call=0.01, day=0.01))
    for there in (endpoint(own_key=True), endpoint(kind=ServerKind.OFFLINE)):
        account = Account(accounts, Settings(), Mode.VOICE)
        account.connected(there, 0)
        account.receive(done("r1", EIGHT_CENTS), 1)
        assert account.money is not None
        assert account.money.usd == pytest.approx(0.08 if there.own_key else 0.0)
        assert account.money.free is not there.own_key
        assert account.budget is Budget.FINE
    assert accounts.ledger.today == 0


def test_a_conversation_that_moves_adds_up_and_what_is_not_known_stays_so() -> None:
    account = Account(Accounts(), Settings(), Mode.TEXT)
    account.connected(endpoint(), 0)
    account.receive(done("r1", CENT), 1)
    account.connected(endpoint(), 2)  # the same server again, which numbers its replies from one again
    account.receive(done("r1", CENT), 3)
    account.connected(endpoint(own_key=True), 4)
    account.receive(done("r1", CENT), 5)
    assert account.money is not None
    assert account.money.usd == pytest.approx(0.03) and account.money.tokens.audio_out == 1500
    account.connected(endpoint(model="of-my-own"), 6)
    account.receive(done("r2", CENT), 7)
    assert account.money.usd is None


def test_the_operators_cap_counts_the_operators_money() -> None:
    accounts = Accounts(Caps(call=0.05))
    account = Account(accounts, Settings(), Mode.VOICE)
    account.connected(endpoint(own_key=True, model="of-my-own"), 0)
    account.receive(done("r1", EIGHT_CENTS), 1)
    account.connected(endpoint(own_key=True), 2)
    account.receive(done("r2", EIGHT_CENTS), 3)
    account.connected(endpoint(), 4)
    assert account.budget is Budget.FINE, "that was the visitor's money"
    account.receive(done("r3", EIGHT_CENTS), 5)
    assert account.budget is Budget.CALL_SPENT, "also where the price of something before was not known"
    account.own_cap = 0.01
    account.connected(endpoint(own_key=True), 6)
    assert account.budget is Budget.FINE, "what is not known cannot be judged"


def test_a_cap_that_cannot_hold_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for caps, told in ((Caps(), 0), (Caps(call=1.0), 1)):
        accounts = Accounts(caps)
        caplog.clear()
        for _ in range(2):
            account = Account(accounts, Settings(), Mode.VOICE)
            account.connected(endpoint(model="of-my-own"), 0)
            account.receive(done("r1", CENT), 1)
        assert len(caplog.records) == told
        assert "of-my-own" not in caplog.text


def test_a_reply_may_finish_but_not_for_ever() -> None:
    account = Account(Accounts(Caps(call=0.01)), Settings(), Mode.VOICE)
    account.connected(endpoint(), 0)
    assert account.must_end(True, 0) is None
    account.receive(done("r1", CENT), 1)
    assert account.must_end(False, 1) is None
    assert account.must_end(False, 20) is None
    assert account.must_end(True, 20) is Budget.CALL_SPENT
    assert account.must_end(False, 21) is Budget.CALL_SPENT


def test_when_the_day_is_spent_only_own_keys_go_on() -> None:
    house = app.House(Settings(openai_api_key="sk-operator", max_day_cost=0.05))
    house.accounts.ledger.add(0.05)
    assert house.endpoint() is Failure.DAY_SPENT
    assert isinstance(house.endpoint("sk-visitor-own"), Endpoint)


# ---------------------------------------------------------------- whole conversations


@BOTH
async def test_a_warning_and_then_a_polite_end(person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    there, caps = Script(), Accounts(Caps(call=0.09))
    async with (
        server(there.talk) as url,
        person_at(url, accounts=caps, realtime_model=MINI) as person,
    ):
        await person.shows(lambda now: now.stage is Stage.LISTENING)
        await person.types("One?")
        await there.hears("response.create")
        await there.says(script.whole_reply("r1", "a1", "One.", 200, usage=EIGHT_CENTS))
        near = await person.shows(lambda now: now.money is not None and now.money.budget is Budget.CALL_NEAR)
        assert near.money is not None and near.money.usd == pytest.approx(0.08)
        await person.shows(lambda now: now.stage is Stage.LISTENING)
        await person.types("Two?")
        await there.hears("response.create", 2)
        await there.says(script.whole_reply("r2", "a2", "Two is the answer.", 900, usage=EIGHT_CENTS))
        last = await person.shows(lambda now: now.stage is Stage.ENDED)
        assert last.notice == "call_spent" and last.notice in person.texts
        assert [(b.text, b.unheard) for b in last.bubbles if b.role == "assistant"][-1] == ("Two is the answer.", "")
        if isinstance(person, Caller):
            heard = sum(bool(frame.any()) for frame in person.page.frames) * 20
            assert heard >= 1100, "the reply was heard to its end"
    assert caplog.get_records("call") == [r for r in caplog.get_records("call") if r.levelno < logging.ERROR]


@BOTH
async def test_a_day_that_is_spent_elsewhere_ends_a_call(person_at: At) -> None:
    there, accounts = Script(), Accounts(Caps(day=0.1))
    async with server(there.talk) as url, person_at(url, accounts=accounts, realtime_model=MINI) as person:
        await person.shows(lambda now: now.stage is Stage.LISTENING)
        accounts.ledger.add(0.2)
        last = await person.shows(lambda now: now.stage is Stage.ENDED)
        assert last.notice == "day_spent" and last.notice in person.texts


@BOTH
async def test_what_a_reply_cost_is_booked_when_the_visitor_leaves_in_the_middle_of_it(person_at: At) -> None:
    there, accounts = Script(), Accounts()
    async with server(there.talk) as url, person_at(url, accounts=accounts, realtime_model=MINI) as person:
        await person.shows(lambda now: now.stage is Stage.LISTENING)
        await person.types("One?")
        await there.hears("response.create")
        await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One", 400))
        await person.shows(lambda now: any(bubble.role == "assistant" for bubble in now.bubbles))
        person.leaves()
        (cancel,) = await there.hears("response.cancel")
        assert cancel["response_id"] == "r1"
        await there.says(script.reply_ends("r1", "a1", "One", "cancelled", usage=CENT))
        await there.gone()
    assert accounts.ledger.today == pytest.approx(0.01)


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.1])
async def test_a_tab_that_goes_while_the_price_is_awaited_still_pays(pause_s: float) -> None:
    """The page tells of the hang-up, and the browser's connection closes at any moment after it."""
    there, accounts = Script(), Accounts()
    async with server(there.talk) as url, call(url, accounts=accounts, realtime_model=MINI) as person:
        await person.shows(lambda now: now.stage is Stage.LISTENING)
        await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One", 400))
        await person.shows(lambda now: now.stage is Stage.SPEAKING)
        person.leaves()
        await asyncio.sleep(pause_s)
        gone = asyncio.create_task(person.page.hangs_up())
        await there.hears("response.cancel")
        await there.says(script.reply_ends("r1", "a1", "One", "cancelled", usage=CENT))
        await gone
        await there.gone()
    assert accounts.ledger.today == pytest.approx(0.01)


@BOTH
async def test_a_reply_that_was_only_asked_for_is_paid_too(person_at: At) -> None:
    there, accounts = Script(), Accounts()
    async with server(there.talk) as url, person_at(url, accounts=accounts, realtime_model=MINI) as person:
        await person.shows(lambda now: now.stage is Stage.LISTENING)
        await person.types("One?")
        await there.hears("response.create")
        person.leaves()
        await there.says(script.reply_begins("r1", "a1"))
        (cancel,) = await there.hears("response.cancel")
        assert cancel["response_id"] == "r1"
        await there.says(done("r1", CENT))
        await there.gone()
    assert accounts.ledger.today == pytest.approx(0.01)


@BOTH
async def test_a_server_that_never_says_what_it_cost_is_left_soon(person_at: At) -> None:
    there = Script()
    async with server(there.talk) as url:
        async with person_at(url, realtime_model=MINI) as person:
            await person.shows(lambda now: now.stage is Stage.LISTENING)
            await person.types("One?")
            await there.hears("response.create")
            await there.says(script.reply_begins("r1", "a1"), script.clause("r1", "a1", "One", 400))
            await person.shows(lambda now: any(bubble.role == "assistant" for bubble in now.bubbles))
            person.leaves()
            await there.hears("response.cancel")
        await there.gone()


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat"])
async def test_a_programs_session_is_counted_and_ends(path: str) -> None:
    there, metrics = Script(), Metrics()
    accounts = Accounts(Caps(call=0.09), metrics)
    async with (
        server(there.talk) as url,
        door(url, accounts=accounts, REALTIME_MODEL=MINI) as ours,
        program(ours.url(path)) as client,
    ):
        await client.next()
        await there.says(done("r1", EIGHT_CENTS), {"type": "response.created", "response": {"id": "r2"}})
        assert (await client.until("response.created"))["response"]["id"] == "r2"
        await there.says(done("r2", EIGHT_CENTS))
        assert (await client.until("response.done"))["response"]["id"] == "r2"
        assert (await client.end())[0] == 1008
        assert client.got[-1]["error"]["code"] == "session_budget_spent"
        await ours.empty()
    found = read(metrics)
    assert found[("voice_chat_spent_usd_total",)] == pytest.approx(0.16)
    mode = "text" if path == "/text-chat" else "voice"
    assert found[("voice_chat_conversations_total", mode)] == 1
    assert found[("voice_chat_conversations_open", mode)] == 0
