"""Choice among embedded servers: a session goes to the one with the most free sessions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """Sessions of one server that is ready."""

    capacity: int
    sessions: int
    """Sessions at its last answer, those of other programs included."""
    pending: int = 0
    """Connections of this app that the last answer may not include yet."""

    @property
    def free(self) -> int:
        """Sessions that are probably free. Below 0 when more were begun than the server takes."""
        return self.capacity - self.sessions - self.pending


def choose_server(loads: Sequence[ServerLoad | None]) -> int | None:
    """Return the index of the server for the next session; None when none is ready, which is None in `loads`.

    The first of equals is chosen. When all seem full the choice is the same: a session may have ended since, and a
    server that is full says so by itself.
    """
    ready = [(load.free, -index) for index, load in enumerate(loads) if load is not None]
    return -max(ready)[1] if ready else None
