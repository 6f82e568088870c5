"""Where a call is, since when, and what the visitor is told of it. Pure."""

from __future__ import annotations

from .conversation import Conversation
from .failures import Failure
from .settings import Settings
from .snapshot import CONNECTED, OVER, Notice, Snapshot, Stage

AT_WORK = frozenset({Stage.HEARING, Stage.THINKING, Stage.SPEAKING})
"""Somebody speaks or is about to: no idleness, however long it lasts."""
TOLD_S = 2.0
"""So long the visitor can read that the call is about to end, however quiet it is."""


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
        self._place = 0
        self._closing_s = 0.0
        self._closing_at: float | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Differs whenever `snapshot()` may differ."""
        return self._changes, self.conversation.version

    def snapshot(self) -> Snapshot:
        notice, seconds = self.notice, 0
        if notice is None and self._closing_at is not None and self.stage not in OVER:
            notice, seconds = Notice.CLOSING_SOON, round(self._closing_s)
        return Snapshot(self.conversation.captions(), self.stage, notice, place=self._place, seconds=seconds)

    def tell(self, notice: str | None) -> None:
        """Show a notice, or none."""
        if notice != self.notice:
            self.notice = notice
            self._changes += 1

    def waits(self, place: int, now: float) -> None:
        """In line for a place; 1: next."""
        self._go(Stage.WAITING, now)
        if place != self._place:
            self._place = place
            self._changes += 1

    def goes_in(self, now: float) -> None:
        """There is a place: only from now on time counts."""
        self._place = 0
        self._began = self._active_at = now
        self._go(Stage.CONNECTING, now)
        self.conversation.clock.start(now)

    def closing(self, seconds: float, now: float) -> None:
        """The app ends, and in so many seconds at the latest this call."""
        self._closing_s, self._closing_at = seconds, now + seconds
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
        if self.stage is Stage.WAITING:
            return None
        if self._closing_at is not None and self._may_close(now):
            return Notice.CLOSING
        if now - self._began > self._settings.max_call_seconds:
            return Notice.TIME_LIMIT
        if self.stage not in AT_WORK and self._quiet_s(now) > self._settings.idle_seconds:
            return Notice.IDLE
        return None

    @property
    def quiet(self) -> bool:
        """Nobody speaks, and nobody waits for an answer."""
        return self.stage is Stage.LISTENING

    def _may_close(self, now: float) -> bool:
        assert self._closing_at is not None
        left = self._closing_at - now
        told = self._closing_s - left >= TOLD_S
        return left <= 0 or (told and (self.quiet or not self.connected))

    def _go(self, stage: Stage, now: float) -> None:
        if stage is not self.stage and self.stage not in OVER:
            self.stage = stage
            self._stage_since = now
            self._changes += 1

    def _quiet_s(self, now: float) -> float:
        """Seconds since anything happened."""
        return now - max(self._stage_since, self._active_at)
