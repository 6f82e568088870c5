"""Replicas: which processes of a deployment are alive, by leases in Redis."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from .redis_connection import RedisConnection, SharedStateUnavailable, cancel_tasks

BEAT_INTERVAL_S = 3.0
"""Seconds between two renewals of the lease."""
LEASE_S = 10.0
"""Seconds after its last renewal in which a replica counts as alive."""
BEATS_PER_LEASE = 4
"""Newest counts of which the greatest holds: a Redis restarted empty knows a replica only after its next beat."""

BEAT_SCRIPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""
"""Renew a lease, by the time of Redis, and return how many replicas have one."""


class Replicas:
    """Lease of this replica, and the number of all."""

    def __init__(
        self,
        connection: RedisConnection,
        replica_id: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`replica_id`: random, for the life of the process."""
        self._connection = connection
        self._replica_id = replica_id
        self._sleep = sleep
        self._counts: deque[int] = deque(maxlen=BEATS_PER_LEASE)
        connection.on_return(self.beat)

    @property
    def count(self) -> int:
        """Live replicas as last seen, this one included."""
        return max(self._counts, default=1)

    async def beat(self) -> None:
        """Renew the lease and count the others. Raises `SharedStateUnavailable`."""
        lease_ms = round(LEASE_S * 1000)
        self._counts.append(await self._connection.run_script(BEAT_SCRIPT, [self._key], [self._replica_id, lease_ms]))

    @property
    def _key(self) -> str:
        return self._connection.key("replicas")

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Renew the lease in this event loop. On exit, give it up."""
        task = asyncio.create_task(self._run(), name="replica lease")
        try:
            yield
        finally:
            await cancel_tasks(task)
            with suppress(SharedStateUnavailable):
                await self._connection.request(lambda client: client.zrem(self._key, self._replica_id))

    async def _run(self) -> None:
        while True:
            with suppress(SharedStateUnavailable):
                await self.beat()
            await self._sleep(BEAT_INTERVAL_S)
