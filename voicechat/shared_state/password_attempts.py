"""Password attempts of visitors at all replicas: token buckets in Redis, by its own clock."""

from __future__ import annotations

from contextlib import suppress

from voicechat.security.auth.password_attempts import (
    TOTAL_ATTEMPT_BURST,
    TOTAL_ATTEMPT_REFILL_S,
    VISITOR_ATTEMPT_BURST,
    VISITOR_ATTEMPT_REFILL_S,
    LocalPasswordAttempts,
    PasswordAttempts,
)

from .redis_connection import RedisConnection, SharedStateUnavailable
from .visitor_names import VisitorNames

_BUCKETS = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function left(index)
  local burst, refill_ms = tonumber(ARGV[2 * index - 1]), tonumber(ARGV[2 * index])
  local kept = redis.call('HMGET', KEYS[index], 'left', 'at')
  if not kept[1] then return burst end
  return math.min(burst, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) / refill_ms)
end
local function keep(index, count)
  redis.call('HSET', KEYS[index], 'left', string.format('%.6f', count), 'at', now)
  redis.call('PEXPIRE', KEYS[index], ARGV[2 * index - 1] * ARGV[2 * index])
end
"""
"""Attempts left in a bucket, and their time in ms. A bucket that would be full by then expires.

Keys: the bucket of the visitor, that of all. Arguments: burst and ms until one more attempt, of each.
"""
TAKE_SCRIPT = (
    _BUCKETS
    + """
local own, total = left(1), left(2)
if own < 1 or total < 1 then return 0 end
keep(1, own - 1)
keep(2, total - 1)
return 1
"""
)
FORGIVE_SCRIPT = (
    _BUCKETS
    + """
redis.call('DEL', KEYS[1])
keep(2, math.min(tonumber(ARGV[3]), left(2) + 1))
"""
)
LIMITS = (
    VISITOR_ATTEMPT_BURST,
    round(VISITOR_ATTEMPT_REFILL_S * 1000),
    TOTAL_ATTEMPT_BURST,
    round(TOTAL_ATTEMPT_REFILL_S * 1000),
)
"""Arguments of the scripts."""


class SharedPasswordAttempts:
    """Attempts at all replicas: `PasswordAttempts`. While Redis does not answer, those of this replica count."""

    def __init__(self, connection: RedisConnection, names: VisitorNames, local: PasswordAttempts | None = None) -> None:
        """`local`: attempts at this replica, counted all the time."""
        self._connection = connection
        self._names = names
        self._local = local or LocalPasswordAttempts()

    async def take(self, visitor: str) -> bool:
        """Count an attempt, as if it were wrong. Return False, and count nothing, after too many.

        An attempt whose answer is lost may be counted in Redis although it was refused here: the safe side.
        """
        is_allowed_here = await self._local.take(visitor)
        try:
            return bool(await self._connection.run_script(TAKE_SCRIPT, await self._keys(visitor), LIMITS))
        except SharedStateUnavailable:
            return is_allowed_here

    async def forgive(self, visitor: str) -> None:
        """Take an attempt out of the count, and forget the visitor's others: the password was correct."""
        await self._local.forgive(visitor)
        with suppress(SharedStateUnavailable):
            await self._connection.run_script(FORGIVE_SCRIPT, await self._keys(visitor), LIMITS)

    async def _keys(self, visitor: str) -> tuple[str, str]:
        await self._names.agree()
        name = self._names.name(visitor)
        return self._connection.key("guesses", "visitor", name), self._connection.key("guesses", "all")
