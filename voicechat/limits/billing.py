"""Budget of the process: spending of its sessions, the limits that end them, and the metrics sink.

Nothing here changes a session: `SessionBilling` observes its events, and the session asks whether it must end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from voicechat.config.session_update import SessionMode
from voicechat.config.settings import Settings
from voicechat.config.transcription import build_transcription
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.protocol.endpoint import Endpoint, ServerKind
from voicechat.protocol.event_dispatcher import EventHandlers
from voicechat.protocol.server_events import ServerEvent

from .daily_quota import OVERRUN_GRACE_S, DailyQuota, DailyQuotaLedger
from .pricing import (
    NO_TOKENS,
    USAGE_EVENTS,
    DailySpend,
    DailySpendLedger,
    SpendLimits,
    SpendStatus,
    TokenUsage,
    UsageMeter,
)

log = logging.getLogger(__name__)


class MetricsSink(Protocol):
    """Sink of metrics for the operator (`voicechat.server.prometheus.Metrics`)."""

    def record_call_started(self, mode: SessionMode) -> None:
        """Count the start of a session."""

    def record_call_ended(self, outcome: str, mode: SessionMode) -> None:
        """Count the end of a session; `outcome` is a code."""

    def record_turn(self, latency_s: float | None) -> None:
        """Count a turn and its latency; None for a typed turn."""

    def record_tokens(self, added: TokenUsage) -> None:
        """Add used tokens."""

    def record_cost(self, usd: float | None) -> None:
        """Add spent money."""

    def record_reconnect(self) -> None:
        """Count a session that continues over another connection."""

    def record_incomplete(self, reason: IncompleteReason) -> None:
        """Count a reply or transcript whose rest is missing."""

    def record_tool_call(self, tool: str, outcome: str, seconds: float | None) -> None:
        """Count a call of a tool and its time; `outcome` is a `ToolCallState`, None a call that never ran."""


class NullMetrics:
    """Sink that discards everything."""

    def record_call_started(self, mode: SessionMode) -> None:
        pass

    def record_call_ended(self, outcome: str, mode: SessionMode) -> None:
        pass

    def record_turn(self, latency_s: float | None) -> None:
        pass

    def record_tokens(self, added: TokenUsage) -> None:
        pass

    def record_cost(self, usd: float | None) -> None:
        pass

    def record_reconnect(self) -> None:
        pass

    def record_incomplete(self, reason: IncompleteReason) -> None:
        pass

    def record_tool_call(self, tool: str, outcome: str, seconds: float | None) -> None:
        pass


class BillingService:
    """State that all sessions share: spend limits, daily spend, daily quota and metrics."""

    def __init__(
        self,
        limits: SpendLimits | None = None,
        metrics: MetricsSink | None = None,
        *,
        visitor_quota_s: float = 0.0,
        daily_spend: DailySpendLedger | None = None,
        daily_quota: DailyQuotaLedger | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`visitor_quota_s`: seconds of calls of one visitor in a day; 0: no limit. `clock`: seconds since 1970.

        `daily_spend`, `daily_quota`: those of all replicas; None: those of this process alone.
        """
        self.limits = limits or SpendLimits()
        self.metrics: MetricsSink = metrics or NullMetrics()
        self.daily_spend: DailySpendLedger = daily_spend or DailySpend(clock)
        self.daily_quota: DailyQuotaLedger = daily_quota or DailyQuota(visitor_quota_s, clock)
        self._has_warned = False

    @property
    def is_day_exceeded(self) -> bool:
        """The operator's limit for today (UTC) is reached."""
        return self.limits.evaluate(0.0, self.daily_spend.today_usd) is SpendStatus.DAY_EXCEEDED

    def warn_price_unknown(self) -> None:
        """Warn the operator, once and only if a limit is set, that a session spends an unknown amount."""
        if not self._has_warned and (self.limits.call_usd or self.limits.day_usd):
            self._has_warned = True
            log.warning("billing: the price of the model in use is unknown, MAX_CALL_COST and MAX_DAY_COST cannot hold")


@dataclass(frozen=True, slots=True)
class CostSummary:
    """Cost of one session, for the page."""

    usd: float | None = 0.0
    """USD so far; None: the price is unknown."""
    tokens: TokenUsage = NO_TOKENS
    is_free: bool = False
    """The offline server costs nothing."""
    status: SpendStatus = SpendStatus.OK


class SessionBilling:
    """Billing of one session: books usage as the server reports it."""

    def __init__(self, billing: BillingService, settings: Settings, mode: SessionMode) -> None:
        self._billing = billing
        self._settings = settings
        self._mode = mode
        self._is_open = False
        self._endpoint: Endpoint | None = None
        self._meter = UsageMeter("", "", free=True)
        self._earlier_usd: float | None = 0.0
        """USD on earlier meters of this session."""
        self._earlier_tokens = NO_TOKENS
        self._operator_usd = 0.0
        """USD of the operator, as far as prices are known. Usage under a visitor's own key is not included."""
        self._exceeded_at: float | None = None
        """Time at which the budget was exceeded."""
        self.visitor_limit_usd = 0.0
        """USD that the visitor lets this session cost, under any key; 0: no limit."""
        self.version = 0
        """Grows whenever `cost` may have changed."""

    # ---------------------------------------------------------------- life

    def open(self) -> None:
        """Start billing."""
        self._is_open = True
        self._billing.metrics.record_call_started(self._mode)

    def close(self, outcome: str) -> None:
        """End billing; `outcome` is a code. Do nothing if it was not open."""
        if self._is_open:
            self._is_open = False
            self._billing.metrics.record_call_ended(outcome, self._mode)

    # ---------------------------------------------------------------- events

    def on_connected(self, endpoint: Endpoint, now: float) -> None:
        """Start metering a connection. A session may move to another server, or to a key of the visitor."""
        if self._endpoint is not None:
            self._billing.metrics.record_reconnect()
        if endpoint != self._endpoint:
            self._earlier_usd = _add_known(self._earlier_usd, self._meter.cost_usd)
            self._earlier_tokens += self._meter.tokens
            self._meter = self._new_meter(endpoint)
        self._meter.forget_counted()
        self._endpoint = endpoint
        self.version += 1

    def _new_meter(self, endpoint: Endpoint) -> UsageMeter:
        transcription: dict[str, Any] = {}
        if self._mode is SessionMode.VOICE:
            transcription = build_transcription(self._settings, endpoint.kind, self._settings.language)
        is_free = self._is_free_endpoint(endpoint)
        return UsageMeter(endpoint.model, str(transcription.get("model", "")), free=is_free)

    def event_handlers(self) -> EventHandlers:
        """Return the handlers for `EventDispatcher`. They never raise."""
        return dict.fromkeys(USAGE_EVENTS, self._on_usage)

    def _on_usage(self, event: ServerEvent, now: float) -> None:
        """Book the usage that an event reports."""
        meter, metrics = self._meter, self._billing.metrics
        before, before_usd = meter.tokens, meter.cost_usd
        meter.apply(event)
        if meter.tokens == before:
            return
        self.version += 1
        metrics.record_tokens(meter.tokens.since(before))
        if meter.cost_usd is None:
            self._billing.warn_price_unknown()
        elif not self._uses_own_key:
            spent = meter.cost_usd - (before_usd or 0.0)
            metrics.record_cost(spent)
            self._operator_usd += max(0.0, spent)
            self._billing.daily_spend.add(spent)

    @property
    def _uses_own_key(self) -> bool:
        return self._endpoint is not None and self._endpoint.has_own_key

    # ---------------------------------------------------------------- results

    @property
    def server_name(self) -> str:
        """`Endpoint.name` of the newest connection; "" before the first."""
        return self._endpoint.name if self._endpoint is not None else ""

    @property
    def status(self) -> SpendStatus:
        """Worse of the operator's status and that of the visitor's own limit. The offline server costs nothing."""
        if self._is_free:
            return SpendStatus.OK
        operators = SpendLimits() if self._uses_own_key else self._billing.limits
        found = operators.evaluate(self._operator_usd, self._billing.daily_spend.today_usd)
        return max(
            found,
            SpendLimits(call_usd=self.visitor_limit_usd).evaluate(self._total_usd, 0.0),
            key=list(SpendStatus).index,
        )

    def must_end(self, idle: bool, now: float) -> SpendStatus | None:
        """Return why the session has to end now, or None. Unless it is idle, a reply may finish first."""
        budget = self.status
        if not budget.is_exceeded:
            self._exceeded_at = None
            return None
        if self._exceeded_at is None:
            self._exceeded_at = now
        return budget if idle or now - self._exceeded_at >= OVERRUN_GRACE_S else None

    @property
    def _is_free(self) -> bool:
        return self._endpoint is None or self._is_free_endpoint(self._endpoint)

    def _is_free_endpoint(self, endpoint: Endpoint) -> bool:
        """Return whether the embedded server answers, and no endpoint of its own that may cost money."""
        return endpoint.kind is ServerKind.OFFLINE and self._settings.embedded.is_free

    @property
    def _total_usd(self) -> float | None:
        return _add_known(self._earlier_usd, self._meter.cost_usd)

    @property
    def cost(self) -> CostSummary | None:
        """For the page; None before the first connection."""
        if self._endpoint is None:
            return None
        return CostSummary(self._total_usd, self._earlier_tokens + self._meter.tokens, self._is_free, self.status)


def _add_known(one: float | None, other: float | None) -> float | None:
    """Add two amounts; None, unknown, stays unknown."""
    return None if one is None or other is None else one + other
