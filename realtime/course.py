"""Where a call is, since when, and what the visitor is told of it. Pure."""

from __future__ import annotations

from .conversation import Conversation
from .failures import Failure
from .settings import Settings
from .snapshot import CONNECTED, OVER, Notice, Snapshot, Stage

AT_WORK = frozenset({Stage.HEARING, Stage.THINKING, Stage.SPEAKING})
"""Somebody speaks or is about to: no idleness, however long it lasts."""


class Course:
    """The stage of one call, with its notice and its times."""

    def __init__(self, conversation: Conversation, settings: Settings, now: float) -> None:
        self.conversation = conversation
        self.stage = Stage.CONNECTING
        self.notice: str | None = None
        self._settings = settings
        self._began = now
        self._active_at = now
        self._stage_since = now
        self._changes = 0
        self._fatal: Failure | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Differs whenever `snapshot()` may differ."""
        return self._changes, self.conversation.version

    def snapshot(self) -> Snapshot:
        return Snapshot(self.conversation.captions(), self.stage, self.notice)

    def tell(self, notice: str | None) -> None:
        """Show a notice, or none."""
        if notice != self.notice:
            self.notice = notice
            self._changes += 1

    @property
    def connected(self) -> bool:
        return self.stage in CONNECTED

    @property
    def fatal(self) -> Failure | None:
        """A failure said inside the session (no money left) after which going on makes no sense."""
        return self._fatal

    def time_up(self, now: float) -> Notice | None:
        """Why the call must end now, or None."""
        if now - self._began > self._settings.max_call_seconds:
            return Notice.TIME_LIMIT
        if self.stage not in AT_WORK and self._quiet_s(now) > self._settings.idle_seconds:
            return Notice.IDLE
        return None

    def _go(self, stage: Stage, now: float) -> None:
        if stage is not self.stage and self.stage not in OVER:
            self.stage = stage
            self._stage_since = now
            self._changes += 1

    def _quiet_s(self, now: float) -> float:
        """Seconds since anything happened."""
        return now - max(self._stage_since, self._active_at)
