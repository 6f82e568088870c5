"""Tool rounds: the calls of one response, the order of their outputs, and who heard the answer to them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_REMEMBERED = 512
"""Responses, and calls, that are remembered after their end for late events."""
WITH_REPLY = frozenset({"completed", "incomplete"})
"""Statuses of a response whose outputs want a reply. A cancelled or failed one was given up, by visitor or server."""


def remember(memory: dict[str, str], key: str, value: str = "") -> None:
    """Add a key to a memory of bounded size; the oldest is forgotten."""
    memory[key] = value
    while len(memory) > MAX_REMEMBERED:
        del memory[next(iter(memory))]


@dataclass(slots=True)
class ToolRound:
    """Calls of one response that are not all answered."""

    response_id: str
    status: str = ""
    """Status of the response; "" while it is being made."""
    spoke: bool = False
    """The response had audio or text of its own."""
    is_silent: bool = False
    """The visitor stopped: no reply is wanted."""
    call_ids: list[str] = field(default_factory=list)
    sent: int = 0
    """Outputs that were sent: those of the first calls."""

    @property
    def is_complete(self) -> bool:
        return bool(self.status) and self.sent == len(self.call_ids)

    @property
    def wants_reply(self) -> bool:
        return self.status in WITH_REPLY and not self.is_silent


class ToolRounds:
    """Rounds that are open, and the statuses of responses that are over."""

    def __init__(self) -> None:
        self._rounds: dict[str, ToolRound] = {}
        self._round_of: dict[str, ToolRound] = {}
        """Open round by call."""
        self._ready: dict[str, str] = {}
        """Outputs to be sent, by call."""
        self._statuses: dict[str, str] = {}
        self._calling: dict[str, str] = {}
        """Responses that called a tool."""

    def add(self, call_id: str, response_id: str) -> None:
        """Add a call to the round of its response. A late call begins another round."""
        round_ = self._rounds.setdefault(response_id, ToolRound(response_id, self.status(response_id)))
        round_.call_ids.append(call_id)
        self._round_of[call_id] = round_
        remember(self._calling, response_id)

    def status(self, response_id: str) -> str:
        """Return the status of a response; "" while it is being made."""
        return self._statuses.get(response_id, "")

    def call_status(self, call_id: str) -> str:
        """Return the status of the response of a call whose round is open."""
        round_ = self._round_of.get(call_id)
        return round_.status if round_ else ""

    def has_called(self, response_id: str) -> bool:
        """Return whether a response called a tool."""
        return response_id in self._calling

    def finish(self, response_id: str, status: str, *, spoke: bool) -> Sequence[str] | None:
        """Record the status of a response, the first one for good. Return its open calls; None if it had a status."""
        if self.status(response_id):
            return None
        if response_id:  # a server that names no responses: the next one is another
            remember(self._statuses, response_id, status)
        round_ = self._rounds.get(response_id)
        if round_ is None or round_.status:
            return ()
        round_.status, round_.spoke = status, spoke
        return tuple(round_.call_ids)

    def silence(self) -> None:
        """Want no reply for any open round; their responses are cancelled."""
        for round_ in self._rounds.values():
            round_.is_silent = True
            if not round_.status:
                self.finish(round_.response_id, "cancelled", spoke=False)

    @property
    def has_open_output(self) -> bool:
        return any(round_.sent < len(round_.call_ids) for round_ in self._rounds.values())

    @property
    def is_open(self) -> bool:
        """A round is not complete."""
        return bool(self._rounds)

    def is_in_open_round(self, call_id: str) -> bool:
        """Return whether the round of a call is open: its reply is still to be wanted."""
        return call_id in self._round_of

    def is_unsent(self, call_id: str) -> bool:
        """Return whether a call awaits its output."""
        round_ = self._round_of.get(call_id)
        return round_ is not None and call_id in round_.call_ids[round_.sent :]

    def is_ready(self, call_id: str) -> bool:
        """Return whether a call has an output that awaits its order."""
        return call_id in self._ready

    def set_output(self, call_id: str, text: str) -> bool:
        """Set the output of a call, in place of one that awaits its order. Return whether it can still be sent."""
        if not self.is_unsent(call_id):
            return False
        self._ready[call_id] = text
        return True

    def withdraw_output(self, call_id: str) -> None:
        """Take back an output that awaits its order."""
        self._ready.pop(call_id, None)

    def take_outputs(self) -> Iterable[tuple[str, str]]:
        """Yield outputs that are to be sent now: those before which none of their round is missing."""
        for round_ in tuple(self._rounds.values()):
            while round_.sent < len(round_.call_ids) and round_.call_ids[round_.sent] in self._ready:
                call_id = round_.call_ids[round_.sent]
                round_.sent += 1
                yield call_id, self._ready.pop(call_id)

    def take_all(self) -> Sequence[tuple[ToolRound, dict[str, str]]]:
        """Remove all rounds; return them with their outputs that await their order. Unfinished replies were lost."""
        for round_ in self._rounds.values():
            if not round_.status:
                self.finish(round_.response_id, "incomplete", spoke=False)
        taken, outputs = tuple(self._rounds.values()), self._ready
        self._rounds, self._round_of, self._ready = {}, {}, {}
        return [(round_, outputs) for round_ in taken]

    def close_complete(self) -> Sequence[ToolRound]:
        """Remove complete rounds and return them."""
        complete = [round_ for round_ in self._rounds.values() if round_.is_complete]
        for round_ in complete:
            del self._rounds[round_.response_id]
            for call_id in round_.call_ids:
                del self._round_of[call_id]
        return complete


class ResultAnswers:
    """Links results to the reply that says them."""

    def __init__(self) -> None:
        self._unanswered: list[str] = []
        """Calls whose result the server has, and no reply since."""
        self._answering: dict[str, list[str]] = {}
        """Calls by reply."""

    def add(self, call_id: str) -> None:
        """Add a call whose result the server has."""
        self._unanswered.append(call_id)

    def start_response(self, response_id: str, rounds: ToolRounds) -> None:
        """Link all results that await a reply. A reply that only called further tools passes its own on."""
        passed_on = [reply for reply in self._answering if rounds.has_called(reply)]
        call_ids = [call_id for reply in passed_on for call_id in self._answering.pop(reply)] + self._unanswered
        self._unanswered = []
        if call_ids:
            self._answering[response_id] = call_ids
        while len(self._answering) > MAX_REMEMBERED:
            del self._answering[next(iter(self._answering))]

    def take_heard(self, response_id: str, rounds: ToolRounds) -> Sequence[str]:
        """Return the calls that a reply answered, once; none for one that called further tools."""
        return () if rounds.has_called(response_id) else self._answering.pop(response_id, ())
