"""Comparing connection: each exchange of admission runs twice from the same contents, by the index and without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.support.shared_state.cuttable_connection import CuttableConnection
from voicechat.shared_state.redis_connection import Argument
from voicechat.shared_state.shared_admission import SCRIPT

REPEATED = ("settle", "seq", "last", "queued", "call", "chat", "program", "offline", "indexed")
"""Fields of `meta` that both ways must leave the same."""


class ComparingConnection(CuttableConnection):
    """Connection that reads all entries of a copy beside each exchange, and compares answers and contents."""

    async def run_script(self, source: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        if source != SCRIPT or self.is_cut:
            return await super().run_script(source, keys, arguments)
        copies = [f"{key}:copy" for key in keys]
        await self.request(lambda _: self._copy(keys, copies))
        expected = await super().run_script(source, copies, [arguments[0], "no channel"])
        answer = await super().run_script(source, keys, arguments)
        assert json.loads(answer) == json.loads(expected)
        if json.loads(answer)["known"]:  # else nothing is written
            assert await self._contents(keys) == await self._contents(copies)
        return answer

    async def _copy(self, keys: Sequence[str], copies: Sequence[str]) -> None:
        for key, copy in zip(keys, copies, strict=True):
            await self._client.delete(copy)
            await self._client.copy(key, copy)
        await self._client.hdel(copies[2], "indexed")

    async def _contents(self, keys: Sequence[str]) -> tuple[Any, ...]:
        """Return entries, leases, numbers and the index."""
        entries, replicas, meta, index = keys
        stored = await self._client.hgetall(entries)
        return (
            {name: json.loads(entry) for name, entry in stored.items()},
            await self._client.zrange(replicas, 0, -1, withscores=True),
            await self._client.hmget(meta, *REPEATED),
            await self._client.zrange(index, 0, -1),
        )
