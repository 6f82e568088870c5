"""Shared sum: an amount of one day to which all replicas add. Pure.

Each replica has a part of its own, which only grows and is sent as a whole. So a request whose answer was lost is sent
again without being counted twice, and a late one changes nothing. A replica remembers the parts of the others. After a
restart of Redis, which is empty then, each replica sends all that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from voicechat.limits.pricing import DAY_S


def day_name(day: int) -> str:
    """Return a day as YYYY-MM-DD. `day`: days since 1970."""
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()


class SharedSum:
    """Sum as one replica knows it, in whole units: micro-dollars or milliseconds."""

    def __init__(self, part: str) -> None:
        """`part`: name of this replica's own part."""
        self._part = part
        self._exact = 0.0
        """Own part with its fraction of a unit."""
        self._confirmed = 0
        """Own part that Redis has for certain."""
        self._others: dict[str, int] = {}
        """Parts of other replicas, of ended ones too."""
        self._must_restore = False
        self._seen = self._seen_own = 0
        """Sum, and own part in it, when the others were last known for certain."""

    def add(self, units: float) -> None:
        """Add to the own part; an amount below 0 is ignored."""
        self._exact += max(0.0, units)

    def restore(self) -> None:
        """Send all known parts next time: Redis may have lost them."""
        self._must_restore = True

    @property
    def is_sent(self) -> bool:
        """Redis has all that this replica knows, as far as it has answered."""
        return self._own <= self._confirmed and not self._must_restore

    @property
    def parts_to_send(self) -> Mapping[str, int]:
        """Parts that Redis may not have."""
        if self._must_restore:
            return {part: units for part, units in {**self._others, self._part: self._own}.items() if units}
        return {} if self.is_sent else {self._part: self._own}

    def merge(self, answer: Mapping[str, int], *, is_complete: bool = True) -> None:
        """Take over the parts that Redis has. A part that is greater here was lost there.

        `is_complete`: no replica has spent anything of which Redis does not know, but for the last second.
        """
        self._confirmed = answer.get(self._part, 0)
        for part, units in answer.items():
            if part != self._part:
                self._others[part] = max(units, self._others.get(part, 0))
        self._must_restore = any(answer.get(part, 0) < units for part, units in self._others.items())
        if is_complete:
            self._seen_own = max(self._seen_own, self._confirmed)
            self._seen = sum(self._others.values()) + self._seen_own

    @property
    def known(self) -> int:
        """Units of all replicas, as far as they are known here."""
        return sum(self._others.values()) + self._own

    def estimate(self, replicas: int) -> int:
        """Return the units if each of these replicas has added as much as this one since the others were known."""
        return max(self.known, self._seen + (self._own - self._seen_own) * replicas)

    @property
    def _own(self) -> int:
        return round(self._exact)
