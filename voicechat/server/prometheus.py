"""Metrics of this process for Prometheus. No metric is about a single visitor.

Each replica has metrics of its own, and Prometheus adds them up: a label of the replica is not needed.

Names follow Prometheus' conventions: base units (seconds, USD) and `_total` for counters. Labels have few values; an
unknown or malformed value counts as "other".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from voicechat.config.session_update import SessionMode
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.limits.admission import AdmissionKind
from voicechat.limits.pricing import TokenUsage

from .embedded_server import EmbeddedServerPhase
from .replica_status import SharedStateStatus, SlotUse

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
LATENCY_BUCKETS_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Seconds. The steps are fine where people notice a difference."""
LABEL_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}")
TOOL_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""Seconds of one call of a tool."""
TOOL_NAME_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_LABEL_VALUES = 40
"""Values of one label, whatever codes a server sends."""
OTHER_LABEL = "other"


class _BoundedLabelValues:
    """Values of one label, bounded in form and number."""

    def __init__(self, pattern: re.Pattern[str] = LABEL_PATTERN) -> None:
        self._pattern = pattern
        self._known: set[str] = set()

    def normalize(self, value: str) -> str:
        """Return the value, or "other"."""
        if value in self._known:
            return value
        if not self._pattern.fullmatch(value) or len(self._known) >= MAX_LABEL_VALUES:
            return OTHER_LABEL
        self._known.add(value)
        return value


class Metrics:
    """Metrics of one process. Each object has its own registry; all methods are thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"namespace": "voice_chat", "registry": self.registry}
        self._open = Gauge("conversations_open", "Conversations under way.", ["mode"], **made)
        self._started = Counter("conversations", "Conversations begun.", ["mode"], **made)
        self._ended = Counter("conversations_ended", "Conversations ended, by how.", ["mode", "outcome"], **made)
        self._latency = Histogram(
            "turn_latency_seconds",
            "From the end of a visitor's speech to the first sound of the answer at their ear.",
            buckets=LATENCY_BUCKETS_S,
            **made,
        )
        self._turns = Counter("turns", "Answers given, by how they were asked for.", ["asked"], **made)
        self._tokens = Counter(
            "tokens", "Tokens used, by kind; input tokens do not include cached ones.", ["kind"], **made
        )
        self._transcribed = Counter("transcription_seconds", "Seconds of speech transcribed.", **made)
        self._spent = Counter("spent_usd", "Money spent, in US dollars, by list prices.", **made)
        self._reconnects = Counter(
            "reconnects", "Connections to the Realtime server renewed in a conversation.", **made
        )
        self._incomplete = Counter(
            "messages_incomplete", "Answers, and texts of spoken turns, whose rest is missing.", ["reason"], **made
        )
        self._waiting = Gauge("visitors_waiting", "Visitors in the waiting queue.", **made)
        self._slots = Gauge("slots_taken", "Slots taken at this replica, by kind of session.", ["kind"], **made)
        self._slots_everywhere = Gauge(
            "slots_taken_everywhere", "Slots taken at all replicas together, as this one knows them.", ["kind"], **made
        )
        self._slot_limit = Gauge("slots_limit", "Slots that all replicas together have.", ["kind"], **made)
        self._replica = Info("replica", "Random name of this process.", **made)
        self._shared_state = Enum(
            "shared_state",
            "Whether Redis answers; memory without it.",
            states=[status.value for status in SharedStateStatus],
            **made,
        )
        self._tool_calls = Counter("tool_calls", "Calls of tools, by how they ended.", ["tool", "outcome"], **made)
        self._tool_seconds = Histogram(
            "tool_seconds", "Running time of tools.", ["tool"], buckets=TOOL_BUCKETS_S, **made
        )
        self._tools = _BoundedLabelValues(TOOL_NAME_PATTERN)
        self._embedded_phase: Enum | None = None
        ProcessCollector(registry=self.registry)  # CPU time and memory: a replica is full at one core
        self._outcomes = _BoundedLabelValues()
        for mode in SessionMode:  # exported from the start, with 0
            self._open.labels(mode.value)
            self._started.labels(mode.value)
        for asked in ("spoken", "typed"):
            self._turns.labels(asked)
        for reason in IncompleteReason:
            self._incomplete.labels(reason.value)

    def record_call_started(self, mode: SessionMode = SessionMode.VOICE) -> None:
        """Count the start of a call or, with `SessionMode.TEXT`, a chat."""
        self._open.labels(mode.value).inc()
        self._started.labels(mode.value).inc()

    def record_call_ended(self, outcome: str, mode: SessionMode = SessionMode.VOICE) -> None:
        """Count its end. `outcome`: a code such as "hung_up", "time_limit" or "lost"."""
        self._open.labels(mode.value).dec()
        self._ended.labels(mode.value, self._outcomes.normalize(outcome)).inc()

    def record_turn(self, latency_s: float | None) -> None:
        """Count an answer, `latency_s` after the end of the visitor's speech; None after typed text."""
        self._turns.labels("typed" if latency_s is None else "spoken").inc()
        if latency_s is not None and math.isfinite(latency_s):
            self._latency.observe(max(0.0, latency_s))

    def record_tokens(self, added: TokenUsage) -> None:
        """Add the tokens used since the last call: `meter.tokens.since(before)`."""
        counts = asdict(added)
        for kind in ("text", "audio", "image"):
            counts[f"{kind}_in"] = max(0, counts[f"{kind}_in"] - counts[f"{kind}_cached"])
        self._transcribed.inc(max(0.0, counts.pop("transcription_seconds")))
        for kind, count in counts.items():
            if count > 0:
                self._tokens.labels(kind).inc(count)

    def record_cost(self, usd: float | None) -> None:
        """Add the cost since the last call; None when it is unknown."""
        if usd is not None and math.isfinite(usd) and usd > 0:
            self._spent.inc(usd)

    def record_reconnect(self) -> None:
        """Count a renewed upstream connection."""
        self._reconnects.inc()

    def record_incomplete(self, reason: IncompleteReason) -> None:
        """Count a reply or transcript whose rest is missing. The reasons are a fixed set, whatever a server says."""
        self._incomplete.labels(reason.value).inc()

    def record_tool_call(self, tool: str, outcome: str, seconds: float | None) -> None:
        """Count a call of a tool, and `seconds` that it ran; None: it never ran."""
        name = self._tools.normalize(tool)
        self._tool_calls.labels(name, outcome).inc()
        if seconds is not None and math.isfinite(seconds):
            self._tool_seconds.labels(name).observe(max(0.0, seconds))

    def set_queue_length(self, visitors: int) -> None:
        """Set the number of visitors in the waiting queue."""
        self._waiting.set(visitors)

    def set_shared_state(
        self, replica_id: str, status: SharedStateStatus, slots: Mapping[AdmissionKind, SlotUse]
    ) -> None:
        """Set the name of this process, whether Redis answers, and the slots taken here and at all replicas."""
        self._replica.info({"id": replica_id})
        self._shared_state.state(status.value)
        for kind, use in slots.items():
            self._slots.labels(kind.value).set(use.here)
            self._slots_everywhere.labels(kind.value).set(use.everywhere)
            self._slot_limit.labels(kind.value).set(use.limit)

    def set_embedded_phase(self, phase: EmbeddedServerPhase) -> None:
        """Set the phase of the embedded server. Without one it is never called, and the metric does not exist."""
        if self._embedded_phase is None:
            self._embedded_phase = Enum(
                "embedded_server",
                "Phase of the embedded Realtime server.",
                namespace="voice_chat",
                registry=self.registry,
                states=[phase.value for phase in EmbeddedServerPhase],
            )
        self._embedded_phase.state(phase.value)

    def render(self) -> bytes:
        """Return all metrics in the text format of type `METRICS_CONTENT_TYPE`."""
        return generate_latest(self.registry)
