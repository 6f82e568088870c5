"""Sum exchange: sends the own parts of shared sums to Redis, and fetches those of other replicas.

One task of the process does it, once a second. A call never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from voicechat.logs import error_location

from .redis_connection import Argument, RedisConnection, SharedStateUnavailable, cancel_tasks
from .shared_sum import SharedSum

log = logging.getLogger(__name__)

EXCHANGE_INTERVAL_S = 1.0
"""Seconds between two exchanges: other replicas learn of an amount within this time."""
SUM_TTL_S = 48 * 3600
"""Seconds for which Redis keeps the sums of a day after their last change."""
ANSWERS_TO_BE_CURRENT = 4
"""Answered exchanges in succession after which the others have sent what Redis missed while it was away or empty.

They may ask it some seconds later than this replica: `BREAKER_S`, a request that hangs, and `EXCHANGE_INTERVAL_S`.
"""
MAX_SUMS_PER_REQUEST = 200
"""Sums in one request, so that Redis is not busy with it for long."""

EXCHANGE_SCRIPT = """
redis.call('PERSIST', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'NX')
local answers = {redis.call('GET', KEYS[1])}
local at = 3
for index = 2, #KEYS do
  local parts = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, parts do
    local kept = tonumber(redis.call('HGET', KEYS[index], ARGV[at]) or '-1')
    if tonumber(ARGV[at + 1]) > kept then
      redis.call('HSET', KEYS[index], ARGV[at], ARGV[at + 1])
      redis.call('EXPIRE', KEYS[index], ARGV[2])
    end
    at = at + 2
  end
  answers[index] = redis.call('HGETALL', KEYS[index])
end
return answers
"""
"""Raise the given parts of some sums, never lower them, and return all parts of these sums.

The first key holds a random id of the contents: another id means that Redis has lost everything since. PERSIST changes
nothing, but after such a command a full Redis takes the rest of a script: sums are small.
"""

KeyedSum = tuple[str, SharedSum]
"""A sum and its key in Redis."""


class SumSource(Protocol):
    """Owner of shared sums."""

    async def list_due_sums(self) -> Sequence[KeyedSum]:
        """Return the sums to exchange now. Raises `SharedStateUnavailable`."""

    def restore_all(self) -> None:
        """Call `restore` of all sums."""


class SumExchange:
    """Exchange of one replica."""

    def __init__(
        self, connection: RedisConnection, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._connection = connection
        self._sleep = sleep
        self._sources: list[SumSource] = []
        self._contents_id: bytes | None = None
        self._answers = 0
        """Answered exchanges in succession."""

    @property
    def is_current(self) -> bool:
        """Whether the parts of other replicas are those of a second ago."""
        return self._answers >= ANSWERS_TO_BE_CURRENT

    def add_source(self, source: SumSource) -> None:
        """Exchange the sums of `source` from now on."""
        self._sources.append(source)

    async def exchange_due(self) -> None:
        """Exchange the due sums of all sources. Without an answer they stay due."""
        try:
            for source in self._sources:
                due = await source.list_due_sums()
                for start in range(0, len(due), MAX_SUMS_PER_REQUEST):
                    await self.exchange(due[start : start + MAX_SUMS_PER_REQUEST])
        except SharedStateUnavailable:
            self._answers = 0
        except Exception as error:  # a key with other contents: the limits of this replica must go on
            self._answers = 0
            log.error("shared state: sums cannot be exchanged error=%s", error_location(error))
        else:
            self._answers += 1

    async def exchange(self, sums: Sequence[KeyedSum]) -> None:
        """Exchange these sums now. Raises `SharedStateUnavailable`."""
        arguments: list[Argument] = [secrets.token_hex(8), SUM_TTL_S]
        for _, each in sums:
            parts = each.parts_to_send
            arguments.append(len(parts))
            for part, units in parts.items():
                arguments += (part, units)
        keys = [self._connection.key("contents"), *(key for key, _ in sums)]
        contents_id, *answers = await self._connection.run_script(EXCHANGE_SCRIPT, keys, arguments)
        has_lost_all = self._contents_id not in (None, contents_id)
        if has_lost_all:
            self._answers = 0
        for (_, each), answer in zip(sums, answers, strict=True):
            each.merge(_parse_parts(answer), is_complete=self._answers + 1 >= ANSWERS_TO_BE_CURRENT)
        if has_lost_all:
            log.warning("shared state: redis has lost its contents, sums are sent again")
            for source in self._sources:
                source.restore_all()
        self._contents_id = contents_id

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Exchange once a second in this event loop. On exit, exchange once more."""
        task = asyncio.create_task(self._run(), name="sum exchange")
        try:
            yield
        finally:
            await cancel_tasks(task)
            await self.exchange_due()

    async def _run(self) -> None:
        while True:
            await self.exchange_due()
            await self._sleep(EXCHANGE_INTERVAL_S)


def _parse_parts(answer: Sequence[Any]) -> dict[str, int]:
    """Return the parts of one sum; the answer has names and values in turn."""
    return {bytes(name).decode(): int(units) for name, units in zip(answer[::2], answer[1::2], strict=True)}
