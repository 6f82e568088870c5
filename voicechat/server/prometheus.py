"""What happens in this process, as figures for Prometheus. None is about one visitor.

Names follow Prometheus' conventions: base units (seconds, USD), `_total` for what only grows. Labels take few values;
what does not look like one of our codes is counted as "other".
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Enum, Gauge, Histogram, generate_latest

from voicechat.config.session_update import SessionMode
from voicechat.limits.pricing import TokenUsage

from .offline_process import EmbeddedServerPhase

METRICS_CONTENT_TYPE = CONTENT_TYPE_LATEST
LATENCY_BUCKETS_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Fine where people feel a difference."""
LABEL_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_LABEL_VALUES = 40
"""Values of one label: a server's codes must not make it grow without end."""
OTHER_LABEL = "other"


class _BoundedLabelValues:
    """The values of one label, bounded in form and number."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def normalize(self, value: str) -> str:
        if value in self._known:
            return value
        if not LABEL_PATTERN.fullmatch(value) or len(self._known) >= MAX_LABEL_VALUES:
            return OTHER_LABEL
        self._known.add(value)
        return value


class Metrics:
    """The figures of one process; each object has a registry of its own. Methods may be called from any thread."""

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
            "tokens", "Tokens used, by kind; what was cached is not in what came in.", ["kind"], **made
        )
        self._transcribed = Counter("transcription_seconds", "Seconds of speech transcribed.", **made)
        self._spent = Counter("spent_usd", "Money spent, in US dollars, by list prices.", **made)
        self._reconnects = Counter(
            "reconnects", "Connections to the Realtime server renewed in a conversation.", **made
        )
        self._waiting = Gauge("visitors_waiting", "Visitors in line for a place.", **made)
        self._embedded_phase: Enum | None = None
        self._outcomes = _BoundedLabelValues()
        for mode in SessionMode:  # shown from the beginning, with 0
            self._open.labels(mode.value)
            self._started.labels(mode.value)
        for asked in ("spoken", "typed"):
            self._turns.labels(asked)

    def record_call_started(self, mode: SessionMode = SessionMode.VOICE) -> None:
        """A call (or, with `SessionMode.TEXT`, a chat) began."""
        self._open.labels(mode.value).inc()
        self._started.labels(mode.value).inc()

    def record_call_ended(self, outcome: str, mode: SessionMode = SessionMode.VOICE) -> None:
        """It ended; `outcome` is a code ("hung_up", "time_limit", "lost"), never a sentence."""
        self._open.labels(mode.value).dec()
        self._ended.labels(mode.value, self._outcomes.normalize(outcome)).inc()

    def record_turn(self, latency_s: float | None) -> None:
        """An answer was heard, so many seconds after the visitor's last word; None: they had typed."""
        self._turns.labels("typed" if latency_s is None else "spoken").inc()
        if latency_s is not None and math.isfinite(latency_s):
            self._latency.observe(max(0.0, latency_s))

    def record_tokens(self, added: TokenUsage) -> None:
        """What was used since the last time: `meter.tokens.since(before)`."""
        counts = asdict(added)
        for kind in ("text", "audio", "image"):
            counts[f"{kind}_in"] = max(0, counts[f"{kind}_in"] - counts[f"{kind}_cached"])
        self._transcribed.inc(max(0.0, counts.pop("transcription_seconds")))
        for kind, count in counts.items():
            if count > 0:
                self._tokens.labels(kind).inc(count)

    def record_cost(self, usd: float | None) -> None:
        """What was spent since the last time; None: not known."""
        if usd is not None and math.isfinite(usd) and usd > 0:
            self._spent.inc(usd)

    def record_reconnect(self) -> None:
        """A conversation's connection was renewed."""
        self._reconnects.inc()

    def set_queue_length(self, visitors: int) -> None:
        """So many are in line now."""
        self._waiting.set(visitors)

    def set_embedded_phase(self, phase: EmbeddedServerPhase) -> None:
        """Where the embedded server is in its life. Where there is none, never called: it is not among the figures."""
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
        """All figures, in the text format, of type `METRICS_CONTENT_TYPE`."""
        return generate_latest(self.registry)
