"""One client of the endpoints for programs, and its connection to the operator's Realtime server.

One socket each way, both with back-pressure: a message is taken from one side when the other has room for it. The
rules, the beginning and the words of a failure are pure and stand in files of their own (`client_rules`,
`relay_beginning`, `relay_failures`); here are only the sockets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, NoReturn

from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from realtime.accounts import Account
from realtime.allowance import POLITE_S
from realtime.bucket import Bucket
from realtime.connection import FIRST_EVENT_SECONDS, UNCONFIRMED_SECONDS, open_socket, written
from realtime.dialect import Dialect
from realtime.failures import ConnectionFailed, failure_of_close
from realtime.line import SETTLE_S
from realtime.pace import Pace
from realtime.place_settings import AT_ONCE_S
from realtime.session import Mode, session_update
from realtime.settings import Endpoint, ServerKind, Settings
from webrtc_edge import where

from . import relay_client
from .client_rules import COSTING, ClientRules, Refusal, Replies, read_json, write_json
from .relay_beginning import Beginning, Stage
from .relay_client import Client, Seat, new_id
from .relay_failures import (
    CLOSING,
    EXPIRED,
    FAULT,
    IDLE,
    SPENT,
    VISITOR_DAY,
    Farewell,
    Word,
    cleaned,
    farewell_of_close,
    secrets_of,
    spellings,
    word,
)

log = logging.getLogger(__name__)

Event = dict[str, Any]

LAST_WORD_S = 1.0
"""Seconds in which a server that has said a fatal error closes; then we do."""
TICK_S = 0.5
"""Seconds between two looks at whether a session has to end, though nothing passes."""
IDLE_S = 600.0
"""Seconds without an event from either side, then a session ends: a forgotten program answers pings for ever, and holds
its place. Longer than people think about what to say next."""


class Session:
    """One client and its server."""

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        settings: Settings,
        mode: Mode,
        asked_model: str,
        account: Account,
        seat: Seat,
    ) -> None:
        most = settings.max_output_tokens if mode is Mode.VOICE else settings.max_text_tokens
        self._client = client
        self._endpoint = endpoint
        self._settings = settings
        self._account = account
        self._seat = seat
        self._mode = mode
        self._longest_s = float(settings.max_call_seconds) if mode is Mode.VOICE else float("inf")
        """Seconds. A written chat is bounded by its silence alone, as on the page."""
        self._secrets = secrets_of(endpoint)
        client.keys = spellings(endpoint.keys)
        self._replies = Replies()
        speaks = client.dialect
        self._rules = ClientRules(mode, most, asked_model=asked_model, speaks=speaks, admit=self._admit)
        update = {**session_update(settings, mode, kind=endpoint.kind), "event_id": new_id()}
        self._beginning = Beginning(update, endpoint.refused, endpoint.host)
        self._server: ClientConnection | None = None
        self._begun = asyncio.Event()
        """The client has seen its session: what it sends is sent on."""
        self._since = self._last = time.monotonic()
        """Of the session's beginning, and of the newest event from either side."""

    async def run(self) -> None:
        """Until one of the two is gone, or it has to end; who is left is then told. Raises `WebSocketDisconnect` when
        it is the client that is gone."""
        try:
            farewell, last = await self._until_over()
        finally:
            if self._server is not None:
                try:
                    await self._settle(self._server)
                finally:
                    await self._server.close()
        await self._client.leave(farewell, last)

    async def _until_over(self) -> tuple[Farewell, Word | None]:
        """Returns how the connection is to end for the client, when nothing runs any more. Raises as `run()` does."""
        tasks = [
            asyncio.create_task(side)
            for side in (self._from_server(), self._from_client(), self._watch(), self._stalled())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in tasks if task.done()).result()
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:
            log.error("A relayed session failed: %s", where(error))
            return FAULT.farewell, FAULT
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- money and time

    def _admit(self, event: Event) -> None:
        """Raises `Refusal` for a client's event that would cost too much."""
        budget = self._account.budget
        if budget.spent and event["type"] in COSTING:
            raise Refusal(SPENT[budget].code, SPENT[budget].message)
        if event["type"] == "response.create":
            self._replies.ask(event, time.monotonic())

    def _note(self, events: list[Event], now: float) -> None:
        """Book what these events of the server, in GA, say of replies and of money."""
        for event in events:
            self._account.receive(event, now)
            self._replies.receive(event, now)

    def _must_end(self, now: float) -> Word | None:
        """Why the session has to end now, or None."""
        quiet = not self._replies.in_flight(now)
        budget = self._account.must_end(quiet, now)
        if budget is not None:
            return SPENT[budget]
        if self._mode is Mode.VOICE and self._seat.stay.must_end(quiet, now):
            return VISITOR_DAY
        if self._seat.closes_at is not None and (quiet or now >= self._seat.closes_at):
            return CLOSING
        if now - self._last >= IDLE_S:
            return IDLE
        return EXPIRED if now - self._since >= self._longest_s + (0 if quiet else POLITE_S) else None

    async def _watch(self) -> tuple[Farewell, Word]:
        """Ends a session that has to, also when no event comes to notice it by."""
        await self._begun.wait()
        while True:
            await asyncio.sleep(TICK_S)
            last = self._must_end(time.monotonic())
            if last is not None:
                return last.farewell, last

    async def _stalled(self) -> NoReturn:
        """Raises `WebSocketDisconnect` when the client takes nothing any more."""
        await self._client.patience.run_out(relay_client.STALL_S)
        raise WebSocketDisconnect(1006, "stalled")

    async def _settle(self, server: ClientConnection) -> None:
        """The session is over: replies that are still being made are ended, and what they cost is booked."""
        if self._endpoint.kind is ServerKind.OFFLINE:
            return  # nobody is paid
        cancelled: set[str] = set()
        with suppress(TimeoutError, ConnectionClosed, ConnectionFailed):
            async with asyncio.timeout(SETTLE_S):
                while self._replies.in_flight(time.monotonic()):
                    for reply in self._replies.begun:
                        if reply not in cancelled:
                            cancelled.add(reply)
                            await server.send(write_json(_cancel(reply)))
                    event = self._read(await server.recv())
                    if event is not None:
                        self._note(self._beginning.later(event)[0], time.monotonic())

    # ---------------------------------------------------------------- from the client to the server

    async def _from_client(self) -> NoReturn:
        """Raises `WebSocketDisconnect`; ends by nothing else, for how a server ends is told by the other side.

        Who sends too many messages is read more slowly, and nothing is lost: programs send recordings as fast as they
        can, and ending their session for it would help nobody.
        """
        rate = self._settings.places.max_messages_per_second
        bucket = Bucket(rate, rate * AT_ONCE_S, time.monotonic())
        while True:
            message = await self._client.receive()
            await self._begun.wait()
            if (wait := bucket.take(time.monotonic())) > 0:
                await asyncio.sleep(wait)
            self._last = time.monotonic()
            try:
                texts = self._rules.receive(message, self._beginning.server)
            except Refusal as refusal:
                await self._client.say(refusal.event(new_id()))
                continue
            for text in texts:
                await self._to_server(text)

    async def _to_server(self, text: str) -> None:
        """A message, when there is room for it; nothing when the server is gone."""
        assert self._server is not None
        if written(self._server, text):
            return
        try:
            async with asyncio.timeout(relay_client.STALL_S):
                await self._server.send(text)
        except TimeoutError:
            log.warning("%s no longer reads; the connection is cut.", self._endpoint.host)
            self._server.transport.abort()
        except ConnectionClosed:
            pass

    # ---------------------------------------------------------------- from the server to the client

    async def _from_server(self) -> tuple[Farewell, Word | None]:
        """Returns how the connection is to end for the client: the close frame, and the error before it."""
        try:
            server = self._server = await open_socket(self._endpoint, self._settings.connect_seconds)
        except ConnectionFailed as failed:
            last = word(failed.failure)
            return last.farewell, last
        try:
            await self._begin(server)
            self._since = self._last = time.monotonic()
            self._account.connected(self._endpoint, self._since)
            self._rules.transcription_model = self._beginning.transcription_model
            first = self._beginning.first()
            self._note(first, self._since)
            for event in first:
                await self._client.say(cleaned(event, self._secrets))
            self._begun.set()
            pace = Pace(time.monotonic())
            while True:
                message = await server.recv()
                await asyncio.sleep(pace.wait(len(message), time.monotonic()))
                spent = await self._pass_on(server, message)
                if spent is not None:
                    return spent.farewell, spent
        except ConnectionFailed as failed:
            return await self._end_of(server, word(failed.failure))
        except ConnectionClosed as closed:
            return self._farewell(closed)

    async def _begin(self, server: ClientConnection) -> None:
        """Until the server has taken the operator's settings. Raises `ConnectionClosed`, and `ConnectionFailed` when it
        will not."""
        beginning, refused = self._beginning, self._endpoint.refused
        ready_s = self._settings.ready_seconds
        if not refused.confirms:
            ready_s = min(ready_s, UNCONFIRMED_SECONDS)
        while beginning.under_way:
            # A server that loads a model first greets late; one that has greeted confirms soon, or never.
            patience = ready_s if beginning.greeted else self._settings.connect_seconds
            if beginning.stage is Stage.NEW:
                patience = min(FIRST_EVENT_SECONDS, patience)
            try:
                async with asyncio.timeout(patience):
                    while (event := self._read(await server.recv())) is None:
                        pass
                answers = beginning.receive(event)
            except TimeoutError:
                if beginning.stage is Stage.ASKED and beginning.greeted:
                    refused.confirms = False
                answers = beginning.silence()
            await self._answer(server, answers)

    async def _answer(self, server: ClientConnection, answers: list[Event]) -> None:
        for answer in answers:
            await server.send(write_json(answer))

    async def _end_of(self, server: ClientConnection, last: Word) -> tuple[Farewell, Word]:
        """How a server that has said a fatal error closes; most do at once."""
        try:
            async with asyncio.timeout(LAST_WORD_S):
                while True:
                    await server.recv()
        except ConnectionClosed as closed:
            return (self._farewell(closed)[0] if closed.rcvd else last.farewell), last
        except TimeoutError:
            return last.farewell, last

    def _farewell(self, closed: ConnectionClosed) -> tuple[Farewell, Word | None]:
        frame = closed.rcvd
        farewell = farewell_of_close(frame.code if frame else None, frame.reason if frame else "", self._secrets)
        if self._begun.is_set():
            return farewell, None
        # It closed without a word before there was a session.
        return farewell, word(failure_of_close(frame.code if frame else None, frame.reason if frame else "", None))

    def _read(self, message: str | bytes) -> Event | None:
        """The event; None for what is none: it is not ours to pass on."""
        try:
            event = read_json(message if isinstance(message, str) else message.decode())
        except (Refusal, UnicodeDecodeError):
            log.warning("A message from %s was not JSON and is ignored.", self._endpoint.host)
            return None
        return event if isinstance(event.get("type"), str) else None

    async def _pass_on(self, server: ClientConnection, message: str | bytes) -> Word | None:
        """Returns why the session has to end after this message, when it has to."""
        event = self._read(message)
        if event is None:
            return None
        try:
            events, answers = self._beginning.later(event)
        except ConnectionFailed:
            events, answers = [event], []  # it says itself what is wrong, and how it ends
        self._last = time.monotonic()
        self._note(events, self._last)  # first of all: who does not take an event has to pay for it
        await self._answer(server, answers)
        for known in events:
            clean = cleaned(known, self._secrets)
            if clean is event and isinstance(message, str) and self._client.dialect is Dialect.GA:
                await self._client.send(message)  # as it came: nothing to write anew
            else:
                await self._client.say(clean)
        return self._must_end(time.monotonic())


def _cancel(reply: str) -> Event:
    """The event, in both dialects, that ends this reply; "": the conversation's, of a server that numbers none."""
    return {"type": "response.cancel", **({"response_id": reply} if reply else {}), "event_id": new_id()}
