"""Memory of tools: what they keep between the calls of one conversation. Pure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

MAX_KEPT = 32
"""Things that the tools of one conversation may keep."""


class Closable(Protocol):
    """A thing that ends together with the conversation."""

    def close(self) -> None:
        """Stop whatever still runs. Callable from any thread."""
        ...


Kept = TypeVar("Kept", bound=Closable)


class ToolMemory:
    """Things that tools keep for one conversation, by key. Its owner closes it when the conversation ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Any] = {}
        self._is_closed = False

    def keep(self, key: str, make: Callable[[], Kept]) -> Kept:
        """Return the thing kept under `key`, made at the first request. Raise RuntimeError when closed or full."""
        with self._lock:
            if self._is_closed or (key not in self._kept and len(self._kept) >= MAX_KEPT):
                raise RuntimeError("The conversation keeps nothing more for its tools.")
            if key not in self._kept:
                self._kept[key] = make()
            thing: Kept = self._kept[key]
            return thing

    def close(self) -> None:
        """Close everything that was kept, once. Later requests are refused."""
        with self._lock:
            self._is_closed = True
            things = list(self._kept.values())
            self._kept.clear()
        for thing in things:
            thing.close()
