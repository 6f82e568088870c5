"""Faulty connection: loses requests or answers, and delivers requests late, as a test asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from functools import cache
from typing import Any, TypeVar

import fakeredis
import redis.asyncio as redis

from voicechat.shared_state.redis_connection import Argument, RedisConnection, SharedStateUnavailable

T = TypeVar("T")


class Fault(Enum):
    """What happens to a request."""

    NONE = auto()
    REQUEST_LOST = auto()
    ANSWER_LOST = auto()
    """Redis did it, and the replica does not know."""
    REQUEST_LATE = auto()
    """The replica has given up. Redis does it at `deliver_late`, perhaps after newer requests."""


class SumStore:
    """Stands for a Redis that knows one script, `EXCHANGE_SCRIPT`. Thousands of orders need something fast."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[str, int]] = {}
        self._mark: Argument | None = None

    async def exchange(self, keys: Sequence[str], arguments: Sequence[Argument]) -> list[Any]:
        """Do what the script does, and answer as Redis does."""
        rest = iter(arguments)
        mark, _time_to_live = next(rest), next(rest)
        self._mark = self._mark or mark
        answers: list[Any] = [str(self._mark).encode()]
        for key in keys[1:]:
            parts = self.sums.get(key, {})
            for _ in range(int(next(rest))):
                part, units = str(next(rest)), int(next(rest))
                self.sums.setdefault(key, parts)[part] = max(units, parts.get(part, -1))
            answers.append([word for part, units in parts.items() for word in (part.encode(), str(units).encode())])
        return answers

    def restart_empty(self) -> None:
        """Erase everything."""
        self.sums.clear()
        self._mark = None


@cache
def _unused_client() -> redis.Redis:
    """Return a client for connections to a `SumStore`; making one takes longer than an exchange."""
    return fakeredis.FakeAsyncRedis()


class FaultyConnection(RedisConnection):
    """Connection of one replica to a Redis in this process, without a circuit breaker."""

    def __init__(self, server: fakeredis.FakeServer | SumStore) -> None:
        self._store = server if isinstance(server, SumStore) else None
        super().__init__(_unused_client() if isinstance(server, SumStore) else fakeredis.FakeAsyncRedis(server=server))
        self.fault = Fault.NONE
        """Fault of the next requests."""
        self._late: list[Callable[[redis.Redis], Awaitable[object]]] = []

    async def run_script(self, source: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        store = self._store
        if store is None:
            return await super().run_script(source, keys, arguments)
        return await self.request(lambda _: store.exchange(keys, arguments))

    async def request(self, ask: Callable[[redis.Redis], Awaitable[T]]) -> T:
        if self.fault is Fault.REQUEST_LATE:
            self._late.append(ask)
        if self.fault not in (Fault.NONE, Fault.ANSWER_LOST):
            raise SharedStateUnavailable
        result = await ask(self._client)
        if self.fault is Fault.ANSWER_LOST:
            raise SharedStateUnavailable
        return result

    async def deliver_late(self) -> None:
        """Let Redis do what it has not done yet."""
        late, self._late = self._late, []
        for ask in late:
            await ask(self._client)


async def restart_empty(server: fakeredis.FakeServer | SumStore) -> None:
    """Erase everything in Redis, known scripts included."""
    if isinstance(server, SumStore):
        server.restart_empty()
        return
    client = fakeredis.FakeAsyncRedis(server=server)
    await client.flushall()
    await client.script_flush()
