"""Lifecycle of a call: its stage, its notice and its times. Pure."""

from __future__ import annotations

from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation, IncompleteReason
from voicechat.protocol.failures import QUOTES_SERVER, Failure
from voicechat.protocol.notices import Notice

from .reply_outcomes import ANSWER_NOTICES, FallbackNotices
from .snapshot import CONNECTED_STAGES, TERMINAL_STAGES, CallStage, Snapshot

ACTIVE_STAGES = frozenset({CallStage.USER_SPEAKING, CallStage.THINKING, CallStage.SPEAKING})
"""Stages in which a call never counts as idle."""
MIN_SHUTDOWN_NOTICE_S = 2.0
"""Seconds for which the visitor can read that the call is about to end, even an idle one."""


class CallLifecycle:
    """Stage, notice and times of a call. `CallStateMachine` adds the reasons why they change."""

    def __init__(self, conversation: Conversation, settings: Settings, now: float) -> None:
        self.conversation = conversation
        self.stage = CallStage.CONNECTING
        self.notice: str | None = None
        self._settings = settings
        self._started_at = now
        self._last_activity_at = now
        self._stage_since = now
        self._changes = 0
        self._fatal_failure: Failure | None = None
        self._deferred_notice: Notice | None = None
        """Notice about the reply that is being heard, for the time after it."""
        self._fallbacks = FallbackNotices()
        self._has_unexplained_silence = False
        """The last reply was complete and empty, and it is not known yet whether the turn had any words."""
        self._incomplete_reasons: list[IncompleteReason] = []
        self._queue_position = 0
        self._server_words = ""
        self._shutdown_grace_s = 0.0
        self._shutdown_deadline: float | None = None

    @property
    def version(self) -> tuple[int, int]:
        """Version of `snapshot()`: equal versions have equal snapshots."""
        return self._changes, self.conversation.version

    def snapshot(self) -> Snapshot:
        notice, seconds = self.notice, 0
        if notice is None and self._shutdown_deadline is not None and self.stage not in TERMINAL_STAGES:
            notice, seconds = Notice.CLOSING_SOON, round(self._shutdown_grace_s)
        return Snapshot(
            self.conversation.captions(),
            self.stage,
            notice,
            queue_position=self._queue_position,
            notice_seconds=seconds,
            server_words=self._server_words if notice in QUOTES_SERVER else "",
        )

    def set_notice(self, notice: str | None) -> None:
        """Show a notice, or none with None."""
        if notice != self.notice:
            self.notice = notice
            self._changes += 1

    def _report_reply(self, notice: Notice, *, after_reply: bool) -> None:
        """Show a notice about a reply, now or once the call listens again."""
        if after_reply:
            self._deferred_notice = notice
        else:
            self.set_notice(notice)

    def _clear_answer_notice(self) -> None:
        """Drop notices about a missing, failed or cut answer: the visitor goes on, or another answer comes."""
        self._deferred_notice, self._has_unexplained_silence = None, False
        if self.notice in ANSWER_NOTICES:
            self.set_notice(None)

    def clear_preference_notice(self) -> None:
        """Drop the notice about rejected preferences: others are tried."""
        if self.notice == Notice.PREFERENCE_REJECTED:
            self.set_notice(None)

    def take_incomplete_reasons(self) -> list[IncompleteReason]:
        """Return why messages have been incomplete since the last call of this method, one entry each."""
        taken, self._incomplete_reasons = self._incomplete_reasons, []
        return taken

    def quote_server(self, server_words: str) -> None:
        """Keep the server's scrubbed words about the end that follows."""
        self._server_words = server_words

    def queued(self, queue_position: int, now: float) -> None:
        """Wait in the queue; position 1 is next. The time in the queue does not count for the call."""
        self._enter_stage(CallStage.QUEUED, now)
        self.conversation.clock.stop(now)
        if queue_position != self._queue_position:
            self._queue_position = queue_position
            self._changes += 1

    def admitted(self, now: float) -> None:
        """Leave the queue: the times of the call start now."""
        self._queue_position = 0
        self._started_at = self._last_activity_at = now
        self._enter_stage(CallStage.CONNECTING, now)
        self.conversation.clock.start(now)

    def on_shutdown(self, grace_s: float, now: float) -> None:
        """Announce that the app ends this call after `grace_s` seconds at the latest."""
        self._shutdown_grace_s, self._shutdown_deadline = grace_s, now + grace_s
        self._changes += 1

    @property
    def is_connected(self) -> bool:
        return self.stage in CONNECTED_STAGES

    @property
    def fatal_failure(self) -> Failure | None:
        """Failure reported inside the session (no money left) after which the call must end."""
        return self._fatal_failure

    def expired(self, now: float) -> Notice | None:
        """Return why the call must end now, or None."""
        if self.stage is CallStage.QUEUED:
            return None
        if self._shutdown_deadline is not None and self._can_shut_down(now):
            return Notice.CLOSING
        if now - self._started_at > self._settings.max_call_seconds:
            return Notice.TIME_LIMIT
        if self.stage not in ACTIVE_STAGES and self._idle_s(now) > self._settings.idle_seconds:
            return Notice.IDLE
        return None

    @property
    def idle(self) -> bool:
        """The visitor is silent and awaits no reply."""
        return self.stage is CallStage.LISTENING

    def _can_shut_down(self, now: float) -> bool:
        assert self._shutdown_deadline is not None
        left_s = self._shutdown_deadline - now
        was_shown = self._shutdown_grace_s - left_s >= MIN_SHUTDOWN_NOTICE_S
        return left_s <= 0 or (was_shown and (self.idle or not self.is_connected))

    def _enter_stage(self, stage: CallStage, now: float) -> None:
        if stage is not self.stage and self.stage not in TERMINAL_STAGES:
            self.stage = stage
            self._stage_since = now
            self._changes += 1
            if stage is CallStage.LISTENING and self._deferred_notice is not None:
                self.set_notice(self._deferred_notice)
                self._deferred_notice = None

    def _touch(self, now: float) -> None:
        """Note activity: the call is not idle."""
        self._last_activity_at = now

    def _idle_s(self, now: float) -> float:
        """Return the seconds since the last activity or change of stage."""
        return now - max(self._stage_since, self._last_activity_at)
