"""Who is being served: how many calls there are, and whether there is room for one more."""

from __future__ import annotations


class CallBook:
    """The calls, or the chats, of this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._live: set[int] = set()

    @property
    def live(self) -> int:
        """Those under way."""
        return len(self._live)

    def enter(self, call: object) -> bool:
        """Take a place; False when there is none."""
        if id(call) in self._live:
            return True
        if len(self._live) >= self.most:
            return False
        self._live.add(id(call))
        return True

    def leave(self, call: object) -> None:
        """Give the place back; harmless when there is none to give."""
        self._live.discard(id(call))
