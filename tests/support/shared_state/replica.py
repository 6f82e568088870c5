"""Replica: pages and conversation store of one of several processes, over one Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import Any

import fakeredis
import redis.asyncio as redis

from tests.support.manual_clock import ManualClock
from tests.support.sessions.fake_session import FakeSession
from voicechat.session.conversation_store import InMemoryConversationStore, ResumeKey, resume_key
from voicechat.session.page_resume import PageResume
from voicechat.session.visitor import Visitor
from voicechat.shared_state.conversations.redis_conversation_store import RedisConversationStore
from voicechat.shared_state.redis_connection import (
    BREAKER_S,
    Argument,
    RedisConnection,
    SharedStateUnavailable,
)
from voicechat.shared_state.visitor_names import SECRET_SCRIPT, VisitorNames

TTL_S = 60.0


class Way(Enum):
    """What becomes of the scripts that a replica runs."""

    OPEN = "carried out and answered"
    ANSWER_LOST = "carried out, without an answer"
    LATE = "carried out when the test says so, without an answer"


class LossyConnection(RedisConnection):
    """Connection that loses and delays scripts as a hanging server does."""

    way = Way.OPEN

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._late: list[Coroutine[Any, Any, Any]] = []

    async def run_script(self, source: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        sent = super().run_script(source, keys, list(arguments))
        if source == SECRET_SCRIPT:  # it comes before the script that is lost
            return await sent
        if self.way is Way.LATE:
            self._late.append(sent)
            raise SharedStateUnavailable
        answer = await sent
        if self.way is Way.ANSWER_LOST:
            raise SharedStateUnavailable
        return answer

    async def carry_out_late(self) -> None:
        """Carry out the delayed scripts."""
        late, self._late = self._late, []
        for sent in late:
            await sent

    def drop_late(self) -> None:
        """Forget the delayed scripts."""
        for sent in self._late:
            sent.close()


def page_key(number: int = 0, owner: str = "browser one") -> ResumeKey:
    """Return the key of a page of a browser."""
    key = resume_key(f"{number:064x}", owner)
    assert key is not None
    return key


def start_call(visitor: Visitor) -> FakeSession:
    """Let a visitor have a call."""
    call: Any = FakeSession(visitor.conversation)
    visitor.call = call
    started: FakeSession = call
    return started


def texts_of(visitor: Visitor) -> tuple[list[str], list[str]]:
    """Return the texts of both conversations."""
    spoken, written = visitor.conversation.bubbles(), visitor.text_conversation.bubbles()
    return [bubble.text for bubble in spoken], [bubble.text for bubble in written]


def do_nothing() -> None:
    """Let nothing happen."""


class ConversationReplica:
    """Store and pages of one process. The clock is the test's; messages arrive only in `run_in_background`."""

    def __init__(self, client: redis.Redis, clock: Callable[[], float], secret: bytes = b"", **limits: Any) -> None:
        """`secret`: of the deployment's settings; empty where Redis keeps one."""
        self.connection = LossyConnection(client, clock=clock)
        self.names = VisitorNames(self.connection, secret)
        self.local = InMemoryConversationStore(TTL_S, clock)
        self.store = RedisConversationStore(
            self.connection, self.names, self.local, TTL_S, clock=clock, sleep=self.pause, fetch_retries=2, **limits
        )
        self.pages = PageResume(self.store, clock)
        self.on_pause: Callable[[], None] = do_nothing
        """What happens while a page that opens waits for Redis."""

    async def pause(self, _: float) -> None:
        """Wait as a page that opens does, without the time."""
        self.on_pause()
        await asyncio.sleep(0)

    async def open_page(self, key: ResumeKey) -> Visitor:
        """Open a page."""
        visitor = Visitor()
        await self.pages.fetch(key, visitor)
        self.pages.open_page(key, visitor)
        return visitor


class ReplicaGroup:
    """Replicas over one Redis in this process, which a test may stop and empty."""

    def __init__(self, count: int = 2, **limits: Any) -> None:
        self.clock = ManualClock()
        self.server = fakeredis.FakeServer()
        self.replicas = [
            ConversationReplica(fakeredis.FakeAsyncRedis(server=self.server), self.clock, **limits)
            for _ in range(count)
        ]
        self.client = fakeredis.FakeRedis(server=self.server)
        """Client of the test, for a look at what is stored."""

    def stop_redis(self) -> None:
        """Refuse all requests from now on."""
        self.server.connected = False

    def start_redis(self, *, is_empty: bool = False) -> None:
        """Answer again, once the replicas ask again."""
        self.server.connected = True
        self.clock.now += BREAKER_S
        if is_empty:
            self.client.flushall()

    def contents(self) -> dict[bytes, dict[bytes, bytes]]:
        """Return the fields of all stored conversations that hold any, by key, without the plain ones."""
        found: dict[bytes, dict[bytes, bytes]] = {}
        for key in self.client.keys("*:conversation:*"):
            fields: Any = self.client.hgetall(key)
            sealed = {name: value for name, value in fields.items() if b":" in name or name in (b"header", b"page")}
            if sealed:
                found[key] = sealed
        return found
