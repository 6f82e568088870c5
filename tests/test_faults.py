"""Every way a server can fail, told to a person: what they read, what the log holds, and that nothing hangs.

The whole of a voice call and of a text chat against a real socket, with nothing of ours replaced but the waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import numpy as np
import pytest

from realtime.book import CallBook
from realtime.connection import Failure
from realtime.conversation import Conversation
from realtime.settings import Settings
from realtime.snapshot import Snapshot, Stage
from realtime_handler import VoiceCall
from text_chat import TextChat
from web.texts import CHAT_NOTICES, NOTICES, sentence
from webrtc_edge import quiet_loggers

from .realtime import fault_server as faults
from .realtime import script
from .test_realtime_handler import Page
from .test_text_chat import Reader

pytestmark = pytest.mark.timeout(30)


async def hasty(seconds: float) -> None:
    """Pauses between tries are not what is tested here."""
    await asyncio.sleep(min(seconds, 0.02))


class Person(Protocol):
    """Somebody at the page."""

    texts: dict[str, tuple[str, str]]

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot: ...

    async def types(self, text: str) -> bool: ...


class Caller:
    texts = NOTICES

    def __init__(self, page: Page) -> None:
        self.page = page

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        return await self.page.shows(condition)

    async def types(self, text: str) -> bool:
        return await self.page.call.say(text)


class Writer:
    texts = CHAT_NOTICES

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    async def shows(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        return await self.reader.shows(condition)

    async def types(self, text: str) -> bool:
        return self.reader.chat.say(text)


def settings_for(url: str, **changed: Any) -> Settings:
    told: dict[str, Any] = {"instructions": faults.PROMPT, "text_instructions": faults.PROMPT}
    quick: dict[str, Any] = {"connect_seconds": 3.0, "ready_seconds": 3.0}
    return Settings(realtime_url=url, **{"realtime_api_key": faults.KEY, **told, **quick, **changed})


@asynccontextmanager
async def call(url: str, own_key: str = "", **changed: Any) -> AsyncIterator[Caller]:
    settings = settings_for(url, **changed)
    page = Page(VoiceCall(settings, lambda key: settings.endpoint(own_key=key), sleep=hasty))
    page.visitor.own_key = own_key
    await page.start()
    try:
        yield Caller(page)
    finally:
        await page.hangs_up()
        assert page.call.calls.live == 0


@asynccontextmanager
async def chat(url: str, own_key: str = "", **changed: Any) -> AsyncIterator[Writer]:
    settings = settings_for(url, **changed)
    book = CallBook(1)
    chat = TextChat(settings, lambda: settings.endpoint(own_key=own_key), book, Conversation(written=True), sleep=hasty)
    chat.open()
    reader = Reader(chat)
    try:
        yield Writer(reader)
    finally:
        chat.leave()
        async with asyncio.timeout(5):
            await chat.settled()
            await reader.finishes()
        assert book.live == 0


@pytest.fixture(params=[call, chat], ids=["call", "chat"])
def person_at(request: pytest.FixtureRequest) -> Callable[..., AbstractAsyncContextManager[Person]]:
    """A call or a chat with a server: the same must hold for both."""
    chosen: Callable[..., AbstractAsyncContextManager[Person]] = request.param
    return chosen


At = Callable[..., AbstractAsyncContextManager[Person]]


@pytest.fixture(autouse=True)
def discreet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens, nothing secret is in the log."""
    quiet_loggers()
    caplog.set_level(logging.DEBUG)
    yield
    written = caplog.text.lower()
    for secret in faults.SECRETS:
        assert secret.lower() not in written


@pytest.fixture(autouse=True)
async def tidy() -> AsyncIterator[None]:
    """Whatever happens, nothing goes on after it."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=2)
    assert not [task for task in left if not task.done()]


def read_by(person: Person, snapshot: Snapshot) -> str:
    """The sentence the person reads; there is one in both languages."""
    assert snapshot.notice is not None
    assert sentence(person.texts, snapshot.notice, "zh-TW").endswith("。")
    return sentence(person.texts, snapshot.notice, "en")


def over(snapshot: Snapshot) -> bool:
    return snapshot.stage in (Stage.FAILED, Stage.ENDED)


def listening(snapshot: Snapshot) -> bool:
    return snapshot.stage is Stage.LISTENING


def said(*texts: str) -> Callable[[Snapshot], bool]:
    """Everything is said, and it is quiet again."""
    return lambda snapshot: listening(snapshot) and tuple(b.text for b in snapshot.bubbles) == texts


# -------------------------------------------------------------------- what ends it, and is said

KEY_REFUSED = "The server did not accept the API key."
NO_MODEL = "The server does not have the chosen model."
NO_CREDIT = "The account has no credit left."
FULL = "All lines of the server are busy."

REFUSALS: dict[str, tuple[Callable[[], faults.Fault], Failure, str, str]] = {
    "key, 401": (lambda: faults.turned_away(401), Failure.WRONG_KEY, KEY_REFUSED, "HTTP 401"),
    "key, 403": (lambda: faults.turned_away(403), Failure.WRONG_KEY, KEY_REFUSED, "HTTP 403"),
    "key, error and 3000": (
        lambda: faults.let_in_and_refused("invalid_api_key", 3000, "invalid_request_error.invalid_api_key"),
        Failure.WRONG_KEY,
        KEY_REFUSED,
        "invalid_api_key",
    ),
    "key, 3000 alone": (
        lambda: faults.let_in_and_closed(3000, "invalid_request_error.invalid_api_key"),
        Failure.WRONG_KEY,
        KEY_REFUSED,
        "close code 3000",
    ),
    "quota, error and 4000": (
        lambda: faults.let_in_and_refused("insufficient_quota", 4000, "insufficient_quota.credit_balance_exhausted"),
        Failure.QUOTA,
        NO_CREDIT,
        "insufficient_quota",
    ),
    "quota, close reason alone": (
        lambda: faults.let_in_and_closed(4000, "insufficient_quota.credit_balance_exhausted"),
        Failure.QUOTA,
        NO_CREDIT,
        "close code 4000",
    ),
    "quota, 429": (lambda: faults.turned_away(429, "insufficient_quota"), Failure.QUOTA, NO_CREDIT, "HTTP 429"),
    "model, 404": (lambda: faults.turned_away(404), Failure.MODEL_NOT_FOUND, NO_MODEL, "HTTP 404"),
    "model, 400": (lambda: faults.turned_away(400, "invalid_model"), Failure.MODEL_NOT_FOUND, NO_MODEL, "HTTP 400"),
    "model, error and 4004": (
        lambda: faults.let_in_and_refused("model_not_found", 4004),
        Failure.MODEL_NOT_FOUND,
        NO_MODEL,
        "model_not_found",
    ),
    "beta header forced": (
        lambda: faults.let_in_and_refused(
            "beta_api_shape_disabled", 4000, "invalid_request_error.beta_api_shape_disabled"
        ),
        Failure.REFUSED_SETTINGS,
        "The server refused the",
        "beta_api_shape_disabled",
    ),
    "full, 503": (lambda: faults.turned_away(503), Failure.SERVER_FULL, FULL, "HTTP 503"),
    "full, 1013": (lambda: faults.let_in_and_closed(1013, "try again later"), Failure.SERVER_FULL, FULL, "1013"),
    "full, error and 1008": (
        lambda: faults.let_in_and_refused("", 1008, kind="session_limit_reached"),
        Failure.SERVER_FULL,
        FULL,
        "server_full",
    ),
    "a required setting": (
        faults.refuses_the_settings,
        Failure.REFUSED_SETTINGS,
        "The server refused the",
        "type (invali",
    ),
    "no Realtime server": (
        lambda: faults.turned_away(400),
        Failure.WRONG_ADDRESS,
        "no Realtime server",
        "HTTP 400",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_no_second_try_can_heal(name: str, person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    make, failure, words, logged = REFUSALS[name]
    fault = make()
    async with fault.running() as url, person_at(url) as person:
        last = await person.shows(over)
        assert (last.stage, last.notice) == (Stage.FAILED, failure)
        assert words in read_by(person, last)
        assert not await person.types(faults.TYPED), "it is over"
    assert fault.visits == 1, "and nothing is tried again"
    assert logged in caplog.text


@pytest.mark.parametrize(
    ("make", "failure", "words", "logged"),
    [
        (lambda: faults.turned_away(502), Failure.SERVER_ERROR, "The server had a problem.", "HTTP 502"),
        (lambda: faults.error_only("model_load_error"), Failure.SERVER_ERROR, "The server had a", "model_load_error"),
        (lambda: faults.let_in_and_closed(1011, ""), Failure.LOST, "connection to the server was lost", "1011"),
    ],
    ids=["502", "a model that does not load", "closed at once"],
)
async def test_what_is_tried_again_in_vain(
    make: Callable[[], faults.Fault],
    failure: Failure,
    words: str,
    logged: str,
    person_at: At,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = make()
    async with fault.running() as url, person_at(url) as person:
        last = await person.shows(over)
        assert (last.stage, last.notice) == (Stage.FAILED, failure)
        assert words in read_by(person, last)
    assert fault.visits == 3
    assert logged in caplog.text


@pytest.mark.parametrize("make", [lambda: faults.turned_away(401), lambda: faults.let_in_and_closed(3000, "")])
async def test_a_visitors_own_wrong_key_is_their_business(make: Callable[[], faults.Fault], person_at: At) -> None:
    fault = make()
    async with fault.running() as url, person_at(url, faults.KEY, realtime_api_key="the-operators") as person:
        last = await person.shows(over)
        assert (last.stage, last.notice) == (Stage.FAILED, Failure.WRONG_OWN_KEY)
        assert "did not accept your API key" in read_by(person, last)
    assert fault.keys == {f"Bearer {faults.KEY}"}, "the operator's key is not sent with it"


async def test_nobody_there(unused_tcp_port: int, person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    async with person_at(f"ws://127.0.0.1:{unused_tcp_port}/v1/realtime") as person:
        last = await person.shows(over)
        assert (last.stage, last.notice) == (Stage.FAILED, Failure.UNREACHABLE)
        assert "cannot be reached" in read_by(person, last)
    assert "No connection to 127.0.0.1: ConnectionRefusedError" in caplog.text


async def test_somebody_there_who_says_nothing(person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    async with faults.deaf() as url, person_at(url, connect_seconds=0.1) as person:
        last = await person.shows(over)
        assert (last.stage, last.notice) == (Stage.FAILED, Failure.UNREACHABLE)
    assert "TimeoutError" in caplog.text


async def test_the_money_runs_out_during_a_reply(person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    there = faults.OutOfMoney()
    async with there.running() as url, person_at(url) as person:
        await person.shows(listening)
        assert await person.types(faults.TYPED)
        last = await person.shows(over)
        assert (last.stage, last.notice) == (Stage.FAILED, Failure.QUOTA)
        assert NO_CREDIT in read_by(person, last)
        assert [bubble.text for bubble in last.bubbles] == [faults.TYPED]
    assert there.visits == 1
    assert "A reply failed: quota" in caplog.text


# -------------------------------------------------------------------- what heals


async def test_a_first_event_that_comes_late(person_at: At) -> None:
    there = faults.Slow()
    async with there.running() as url, person_at(url, ready_seconds=5.0) as person:
        await person.shows(lambda snapshot: snapshot.stage is Stage.CONNECTING)
        there.loaded.set()
        await person.shows(listening)
        assert await person.types(faults.TYPED)
        await person.shows(said(faults.TYPED, faults.REPLY))


async def test_a_first_event_that_comes_later_than_anyone_waits(
    person_at: At, caplog: pytest.LogCaptureFixture
) -> None:
    there = faults.Slow()
    async with there.running() as url, person_at(url, ready_seconds=0.05) as person:
        await person.shows(listening)
        assert "did not confirm the session settings in time" in caplog.text
        assert await person.types(faults.TYPED)
        there.loaded.set()
        await person.shows(said(faults.TYPED, faults.REPLY))


async def test_the_line_drops_in_the_middle_of_a_reply(person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    there = faults.Drops()
    async with there.running() as url, person_at(url) as person:
        await person.shows(listening)
        assert await person.types(faults.TYPED)
        await person.shows(lambda snapshot: snapshot.stage is Stage.RECONNECTING)
        there.again.set()
        back = await person.shows(listening)
        assert (back.notice, len(back.bubbles)) == (None, 2)
        assert back.bubbles[0].text == faults.TYPED
        assert faults.REPLY.startswith(back.bubbles[1].text)
        assert await person.types(faults.TYPED)
        await person.shows(lambda snapshot: listening(snapshot) and len(snapshot.bubbles) == 4)
    told = [event["item"]["content"][0]["text"] for event in there.got if "item" in event]
    assert told[:2] == [faults.TYPED, faults.TYPED], "the second server was told what had been said"
    assert "No connection for a call: lost" in caplog.text


@pytest.mark.parametrize("with_error", [True, False])
async def test_the_servers_hour_is_over(with_error: bool, person_at: At, caplog: pytest.LogCaptureFixture) -> None:
    there = faults.Expires(with_error=with_error)
    async with there.running() as url, person_at(url) as person:
        await person.shows(listening)
        assert await person.types(faults.TYPED)
        back = await person.shows(lambda shown: listening(shown) and bool(shown.bubbles) and len(there.updates) == 2)
        assert back.notice is None
        assert await person.types(faults.TYPED)
        last = await person.shows(lambda shown: listening(shown) and shown.bubbles[-1].text == faults.REPLY)
        assert [bubble.text for bubble in last.bubbles] == [faults.TYPED, faults.TYPED, faults.REPLY]
    assert "No connection for a call: expired" in caplog.text


async def test_nonsense_all_around(person_at: At) -> None:
    there = faults.Babbles()
    async with there.running() as url, person_at(url) as person:
        await person.shows(listening)
        assert await person.types(faults.TYPED)
        last = await person.shows(said(faults.TYPED, faults.REPLY))
        assert last.notice is None
    assert there.visits == 1


# -------------------------------------------------------------------- servers of another kind

KINDS = [faults.Official, faults.LocalAI, faults.SpeechToSpeech, faults.Beta, faults.SecretiveBeta, faults.Speaches]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_answered_by_every_kind(kind: type[faults.Official], person_at: At) -> None:
    there = kind()
    async with there.running() as url, person_at(url, ready_seconds=kind.patience) as person:
        assert (await person.shows(listening)).notice is None
        assert await person.types(faults.TYPED)
        last = await person.shows(said(faults.TYPED, faults.REPLY))
        assert last.notice is None
        assert there.updates[-1]["instructions"] == faults.PROMPT
    assert there.visits == 1
    assert there.complaints == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_voice_is_answered_by_every_kind(kind: type[faults.Official]) -> None:
    there = kind()
    async with there.running() as url, call(url, ready_seconds=kind.patience) as person:
        await person.shows(listening)
        await there.hear()
        last = await person.shows(said(faults.SPOKEN, faults.REPLY))
        assert last.notice is None
        assert np.count_nonzero(np.concatenate(person.page.frames)) == faults.REPLY_MS * 24
    assert there.complaints == []


@pytest.mark.parametrize("kind", [faults.Beta, faults.SecretiveBeta, faults.Speaches])
async def test_a_conversation_is_told_again_in_beta(kind: type[faults.Official]) -> None:
    there = kind()
    async with there.running() as url, call(url, ready_seconds=kind.patience) as person:
        await person.shows(listening)
        await there.hear()
        await person.shows(said(faults.SPOKEN, faults.REPLY))
        there.sockets[-1].transport.abort()
        await person.shows(lambda snapshot: listening(snapshot) and there.visits == 2 and len(there.got) == 2)
    assert [event["item"]["content"][0] for event in there.got] == [
        {"type": "input_text", "text": faults.SPOKEN},
        {"type": "text", "text": faults.REPLY},
    ]
    assert there.complaints == []


@pytest.mark.parametrize("kind", [faults.Official, faults.SpeechToSpeech, faults.Speaches])
async def test_a_reply_is_interrupted_also_where_truncating_is_unknown(kind: type[faults.Official]) -> None:
    there = kind()
    async with there.running() as url, call(url, ready_seconds=kind.patience) as person:
        await person.shows(listening)
        await there.say(*script.reply_begins("r7", "a7"), *script.clause("r7", "a7", faults.REPLY, 5000))
        await person.shows(lambda snapshot: snapshot.stage is Stage.SPEAKING)
        await there.say(script.speech_started("u1"))
        await person.shows(lambda snapshot: snapshot.stage is Stage.HEARING)
        await there.say(*script.turn_over("u1"), script.heard("u1", faults.SPOKEN), *there.reply(1))
        last = await person.shows(lambda snapshot: listening(snapshot) and snapshot.bubbles[-1].text == faults.REPLY)
        assert last.notice is None
        assert last.bubbles[0].unheard
    assert set(there.complaints) <= {"conversation.item.truncate"}
    assert there.complaints or [event["type"] for event in there.got] == ["conversation.item.truncate"]
