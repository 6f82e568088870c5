"""Cuttable connection: a replica's way to Redis that a test cuts, or on which the answers of admission are lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import redis.asyncio as redis

from voicechat.shared_state.redis_connection import Argument, RedisConnection, SharedStateUnavailable
from voicechat.shared_state.shared_admission import SCRIPT

T = TypeVar("T")


class CuttableConnection(RedisConnection):
    """Connection that a test can cut, or let lose the answers of admission."""

    is_cut = False
    loses_answers = False
    """Redis carries out what this replica asks, and the replica does not know."""

    async def run_script(self, source: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        answer = await super().run_script(source, keys, arguments)
        if source == SCRIPT and self.loses_answers and keys[0] == self.key("admission", "entries"):
            raise SharedStateUnavailable
        return answer

    async def request(self, ask: Callable[[redis.Redis], Awaitable[T]]) -> T:
        if self.is_cut:
            raise SharedStateUnavailable
        return await super().request(ask)
