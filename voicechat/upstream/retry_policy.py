"""Retry policy: decides after each connection whether to retry, to renew or to give up.

Pure: time and randomness are injected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from voicechat.protocol.failures import RETRYABLE, Failure

MAX_INITIAL_RETRIES = 2
"""Retries while no connection has ever been ready. A wrong address is reported soon."""
MAX_CAPACITY_RETRIES = 4
"""The same while the server is full: about 22 s in all. People prefer to wait for it over calling again."""
FIRST_CAPACITY_STEP = 2
"""Number of the first of these pauses among the doubling ones: 2 s. A slot of others does not become free at once."""
STABLE_CONNECTION_S = 10.0
"""Seconds after which a connection counts as stable. The next loss starts with the shortest pause again."""
MODEL_LOADING_TIMEOUT_S = 90.0
"""Seconds to wait for the embedded server to load its models, or to answer."""
MODEL_LOADING_POLL_S = 0.5
"""Seconds between two attempts meanwhile."""
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 8.0
"""Seconds of the first and of the longest nominal pause; each pause doubles the one before."""
JITTER_SHARE = 0.5
"""Share of a nominal pause by which the pause varies in both directions. It spreads the calls that a restarted server
lost at one instant, and keeps the mean."""
AWAITED = frozenset({Failure.LOADING, Failure.EMBEDDED_UNREACHABLE})
"""Failures of embedded servers that are waited for."""

RandomSource = Callable[[], float]
"""Returns a number from 0 up to 1, as `random.random` does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """End of one connection. Times are seconds on any one clock."""

    failure: Failure
    started_at: float
    ended_at: float
    was_ready: bool = False
    """The connection had become ready for the conversation."""
    is_renewal: bool = False
    """The client closed the connection itself, to open a new one at once."""
    is_embedded_server: bool = False
    server_words: str = ""
    """See `ConnectionFailed.server_words`."""


@dataclass(frozen=True, slots=True)
class RetryHistory:
    """Summary of a call's outcomes so far."""

    loading_deadline: float
    """Time until which an embedded server that is not ready is waited for."""
    was_ready: bool = False
    """Any connection has been ready."""
    failures: int = 0
    """Failures since the last stable connection. Renewals and waits for the embedded server do not count."""

    @classmethod
    def start(cls, now: float) -> RetryHistory:
        """Return the history of a call that has not connected yet."""
        return cls(now + MODEL_LOADING_TIMEOUT_S)

    def record(self, outcome: Outcome) -> RetryHistory:
        """Return the history with this outcome in it."""
        new = self
        if outcome.was_ready:
            stable = outcome.ended_at - outcome.started_at > STABLE_CONNECTION_S
            new = RetryHistory(
                outcome.ended_at + MODEL_LOADING_TIMEOUT_S, was_ready=True, failures=0 if stable else self.failures
            )
        uncounted = outcome.is_renewal or new.awaits_embedded(outcome)
        return new if uncounted else replace(new, failures=new.failures + 1)

    def awaits_embedded(self, outcome: Outcome) -> bool:
        """Return whether the outcome says that no embedded server is ready, within the time for it."""
        return outcome.failure in AWAITED and outcome.ended_at < self.loading_deadline


@dataclass(frozen=True, slots=True)
class Retry:
    """Connect again after a pause; 0.0 for none."""

    delay_s: float
    awaits_models: bool = False
    """The pause waits for the embedded server's models."""
    awaits_server: bool = False
    """The pause waits for any of the embedded servers to answer."""
    awaits_slot: bool = False
    """The pause waits for a free connection of a full server."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Connect again at once: the session was renewed before its end."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not connect again."""

    failure: Failure
    server_words: str = ""
    """See `ConnectionFailed.server_words`."""


def next_action(
    outcome: Outcome, history: RetryHistory, max_reconnects: int, random_source: RandomSource
) -> Retry | Renew | GiveUp:
    """Return the next action after `outcome`, which `history` has recorded already."""
    if outcome.is_renewal:
        return Renew()
    if history.awaits_embedded(outcome):
        is_loading = outcome.failure is Failure.LOADING
        return Retry(MODEL_LOADING_POLL_S, awaits_models=is_loading, awaits_server=not is_loading)
    retries = history.failures - 1
    waits_for_others = _waits_for_others(outcome, history)
    most = max_reconnects if history.was_ready else MAX_CAPACITY_RETRIES if waits_for_others else MAX_INITIAL_RETRIES
    if outcome.failure not in RETRYABLE or retries >= most:
        is_away = outcome.failure is Failure.EMBEDDED_UNREACHABLE  # its sentence promises to wait
        return GiveUp(Failure.UNREACHABLE if is_away else outcome.failure, outcome.server_words)
    if outcome.failure in (Failure.EXPIRED, Failure.INACTIVE) and not retries:
        return Retry(0.0)  # the server ended the session by its own rules, and is reachable
    step = retries + FIRST_CAPACITY_STEP if waits_for_others else retries
    return Retry(pause_seconds(step, random_source), awaits_slot=outcome.failure is Failure.SERVER_FULL)


def _waits_for_others(outcome: Outcome, history: RetryHistory) -> bool:
    """Return whether the server is full of the conversations of others.

    Otherwise a slot is about to become free: our own of the lost connection, or at the embedded server, whose slots are
    counted here, that of the call before.
    """
    return outcome.failure is Failure.SERVER_FULL and not (history.was_ready or outcome.is_embedded_server)


def pause_seconds(retries: int, random_source: RandomSource) -> float:
    """Return the pause after `retries` retries: about 0.5, 1, 2, 4, then 8 s, with jitter."""
    nominal = min(FIRST_PAUSE_S * 2.0 ** min(retries, 30), MAX_PAUSE_S)
    return nominal * (1.0 - JITTER_SHARE + 2.0 * JITTER_SHARE * random_source())
