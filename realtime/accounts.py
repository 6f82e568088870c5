"""The money of one process: what its conversations spend, whether they may go on, and where the figures go.

Nothing here changes a conversation: an `Account` watches the events that pass, and who owns the conversation asks it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .allowance import POLITE_S, Allowance
from .endpoint import Endpoint, ServerKind
from .session import Mode
from .settings import Settings
from .transcription import transcription
from .usage import NO_TOKENS, TELLING, Budget, Caps, Ledger, Meter, Tokens

log = logging.getLogger(__name__)


class Figures(Protocol):
    """Where what happens is counted, for whoever runs the app (`web.metrics.Metrics`)."""

    def call_began(self, mode: Mode) -> None:
        """A conversation began."""

    def call_ended(self, outcome: str, mode: Mode) -> None:
        """It ended; `outcome` is a code."""

    def turn(self, latency_s: float | None) -> None:
        """An answer was heard so long after the last word; None: that word was typed."""

    def tokens(self, more: Tokens) -> None:
        """More was used."""

    def money(self, usd: float | None) -> None:
        """More was spent."""

    def reconnected(self) -> None:
        """A conversation goes on over another connection."""


class Uncounted:
    """`Figures` that nobody reads."""

    def call_began(self, mode: Mode) -> None:
        pass

    def call_ended(self, outcome: str, mode: Mode) -> None:
        pass

    def turn(self, latency_s: float | None) -> None:
        pass

    def tokens(self, more: Tokens) -> None:
        pass

    def money(self, usd: float | None) -> None:
        pass

    def reconnected(self) -> None:
        pass


class Accounts:
    """What all conversations of this process share: the caps, the day's ledger, visitors' days and the figures."""

    def __init__(
        self,
        caps: Caps | None = None,
        figures: Figures | None = None,
        *,
        visitor_day_s: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`visitor_day_s`: seconds of calls that one visitor has in a day; 0: no limit. `clock`: seconds since 1970."""
        self.caps = caps or Caps()
        self.figures: Figures = figures or Uncounted()
        self.ledger = Ledger(clock)
        self.allowance = Allowance(visitor_day_s, clock)
        self._warned = False

    @property
    def day_spent(self) -> bool:
        """No more of the operator's money may be spent today (UTC)."""
        return self.caps.judge(0.0, self.ledger.today) is Budget.DAY_SPENT

    def price_unknown(self) -> None:
        """A conversation spends money whose amount nobody knows. Said once, to whoever set a cap."""
        if not self._warned and (self.caps.call or self.caps.day):
            self._warned = True
            log.warning("The price of the model in use is not known: MAX_CALL_COST and MAX_DAY_COST cannot hold.")


@dataclass(frozen=True, slots=True)
class Money:
    """What the page shows of the money of one conversation."""

    usd: float | None = 0.0
    """So far; None: the price is not known."""
    tokens: Tokens = NO_TOKENS
    free: bool = False
    """The embedded server: nobody is paid."""
    budget: Budget = Budget.FINE


class Account:
    """One call or chat: what the server says it used is booked as it happens."""

    def __init__(self, accounts: Accounts, settings: Settings, mode: Mode) -> None:
        self._accounts = accounts
        self._settings = settings
        self._mode = mode
        self._open = False
        self._endpoint: Endpoint | None = None
        self._meter = Meter("", "", free=True)
        self._before: float | None = 0.0
        """USD on earlier meters of this conversation."""
        self._before_tokens = NO_TOKENS
        self._operators_usd = 0.0
        """Of the operator's money, as far as prices are known: what a visitor paid with their own key is not in it."""
        self._spent_at: float | None = None
        """Since when no more may be spent."""
        self.own_cap = 0.0
        """USD that the visitor lets this conversation cost, with whosever key; 0: no cap of theirs."""
        self.version = 0
        """Grows whenever `money` may have changed."""

    # ---------------------------------------------------------------- life

    def open(self) -> None:
        """The conversation begins."""
        self._open = True
        self._accounts.figures.call_began(self._mode)

    def close(self, outcome: str) -> None:
        """It is over; `outcome` is a code. Harmless when it was not open."""
        if self._open:
            self._open = False
            self._accounts.figures.call_ended(outcome, self._mode)

    # ---------------------------------------------------------------- what passes

    def connected(self, endpoint: Endpoint, now: float) -> None:
        """A connection to this server is ready. A conversation may move, and a visitor's key may come in between."""
        if self._endpoint is not None:
            self._accounts.figures.reconnected()
        if endpoint != self._endpoint:
            self._before = _sum(self._before, self._meter.cost)
            self._before_tokens += self._meter.tokens
            self._meter = self._meter_for(endpoint)
        self._meter.reconnected()
        self._endpoint = endpoint
        self.version += 1

    def _meter_for(self, endpoint: Endpoint) -> Meter:
        hearing: dict[str, Any] = {}
        if self._mode is Mode.VOICE:
            hearing = transcription(self._settings, endpoint.kind, self._settings.language)
        free = endpoint.kind is ServerKind.OFFLINE
        return Meter(endpoint.model, str(hearing.get("model", "")), free=free)

    def receive(self, event: Mapping[str, Any], now: float) -> None:
        """A server event. Never raises for what a server may send."""
        if event.get("type") not in TELLING:
            return
        meter, figures = self._meter, self._accounts.figures
        tokens, cost = meter.tokens, meter.cost
        meter.receive(event)
        if meter.tokens == tokens:
            return
        self.version += 1
        figures.tokens(meter.tokens.since(tokens))
        if meter.cost is None:
            self._accounts.price_unknown()
        elif not self._own_key:
            spent = meter.cost - (cost or 0.0)
            figures.money(spent)
            self._operators_usd += max(0.0, spent)
            self._accounts.ledger.add(spent)

    @property
    def _own_key(self) -> bool:
        return self._endpoint is not None and self._endpoint.own_key

    # ---------------------------------------------------------------- what came of it

    @property
    def server(self) -> str:
        """`Endpoint.name` of the newest connection; "" before the first."""
        return self._endpoint.name if self._endpoint is not None else ""

    @property
    def kind(self) -> ServerKind | None:
        """Of the newest connection; None before the first."""
        return self._endpoint.kind if self._endpoint is not None else None

    @property
    def budget(self) -> Budget:
        """How the operator's money stands. A visitor's own is their own affair, and the embedded server takes none."""
        if self._free:
            return Budget.FINE
        operators = Caps() if self._own_key else self._accounts.caps
        found = operators.judge(self._operators_usd, self._accounts.ledger.today)
        return max(found, Caps(call=self.own_cap).judge(self._usd, 0.0), key=list(Budget).index)

    def must_end(self, quiet: bool, now: float) -> Budget | None:
        """Why the conversation has to end now, or None. Unless all is `quiet`, what is being said may finish first."""
        budget = self.budget
        if not budget.spent:
            self._spent_at = None
            return None
        if self._spent_at is None:
            self._spent_at = now
        return budget if quiet or now - self._spent_at >= POLITE_S else None

    @property
    def _free(self) -> bool:
        return self._endpoint is None or self._endpoint.kind is ServerKind.OFFLINE

    @property
    def _usd(self) -> float | None:
        return _sum(self._before, self._meter.cost)

    @property
    def money(self) -> Money | None:
        """For the page; None before the first connection."""
        if self._endpoint is None:
            return None
        return Money(self._usd, self._before_tokens + self._meter.tokens, self._free, self.budget)


def _sum(one: float | None, other: float | None) -> float | None:
    """What is not known stays unknown."""
    return None if one is None or other is None else one + other
