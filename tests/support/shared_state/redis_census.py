"""Census of a Redis process: its keys by pattern, and who is connected to it."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import redis

from .redis_process import RedisProcess

HASHED_NAME = re.compile(r"[0-9a-f]{16,}")
"""Name of a visitor, a page, a browser or a replica."""


class RedisCensus:
    """Reads what a server holds, with a connection for each look."""

    def __init__(self, server: RedisProcess) -> None:
        self._port = server.port

    def _ask(self, *command: str) -> Any:
        with redis.Redis(port=self._port, socket_timeout=5, decode_responses=True) as client:
            return client.execute_command(*command)

    def count_keys(self) -> Counter[str]:
        """Return how many keys there are of each pattern: `*` stands for a hashed name."""
        return Counter(HASHED_NAME.sub("*", key) for key in self._ask("KEYS", "*"))

    def count_replicas(self) -> int:
        """Return how many replicas count as alive, or have not been silent for long."""
        return int(self._ask("ZCARD", "{voice}:admission:replicas"))

    def admission_entries(self) -> int:
        """Return how many sessions hold a slot or wait for one."""
        return int(self._ask("HLEN", "{voice}:admission:entries"))

    def spent_usd(self) -> float:
        """Return what all replicas have spent, on all days."""
        keys = self._ask("KEYS", "{voice}:usd:*")
        return sum(int(part) for key in keys for part in self._ask("HVALS", key)) / 1e6

    def stored_revisions(self) -> dict[str, tuple[int, int]]:
        """Return fields and number of the newest write of each conversation."""
        keys = self._ask("KEYS", "{voice}:conversation:*")
        return {key: (int(self._ask("HLEN", key)), int(self._ask("HGET", key, "revision") or 0)) for key in keys}

    def count_connections(self) -> int:
        """Return the connections of all others."""
        return len(self._ask("CLIENT LIST")) - 1
