"""Responses of one connection and the status of each: the only answer to "is this response stale?". Pure.

The conversation, the playback buffer and turn-taking ask the one registry. Turn-taking moves a response from status to
status; the conversation and the playback buffer cancel what they cut. A stale response never comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

MAX_RESPONSES = 256
"""Responses remembered. Events of older ones no longer arrive."""


class ResponseStatus(Enum):
    """Life of one response."""

    REQUESTED = "requested"
    """Asked for or mentioned, and not announced by the server."""
    ACTIVE = "active"
    """The server is making it."""
    FINISHED = "finished"
    """The server has sent all of it."""
    CANCELLED = "cancelled"
    """Interrupted: what still arrives is neither played nor shown. Its heard part stays."""
    IGNORED = "ignored"
    """Unwanted from the start or cleared: as cancelled, and its items are deleted at the server too."""


class ResponseTransition(Enum):
    """Everything that changes the status of a response."""

    ANNOUNCE = "announce"
    """`response.created`, or the first audio or text of a server that does not announce."""
    FINISH = "finish"
    """`response.done`."""
    CANCEL = "cancel"
    """The visitor interrupts it."""
    IGNORE = "ignore"
    """It answers what was cleared or was no turn."""


_S, _T = ResponseStatus, ResponseTransition
RESPONSE_TRANSITIONS: Mapping[ResponseStatus, Mapping[ResponseTransition, ResponseStatus]] = {
    _S.REQUESTED: {_T.ANNOUNCE: _S.ACTIVE, _T.FINISH: _S.FINISHED, _T.CANCEL: _S.CANCELLED, _T.IGNORE: _S.IGNORED},
    _S.ACTIVE: {_T.FINISH: _S.FINISHED, _T.CANCEL: _S.CANCELLED, _T.IGNORE: _S.IGNORED},
    _S.FINISHED: {_T.CANCEL: _S.CANCELLED, _T.IGNORE: _S.IGNORED},
    _S.CANCELLED: {_T.IGNORE: _S.IGNORED},
    _S.IGNORED: {},
}
"""Next status by status and transition. A transition that is not listed changes nothing."""
STALE_STATUSES = frozenset({ResponseStatus.CANCELLED, ResponseStatus.IGNORED})


@dataclass(slots=True)
class Response:
    """One response. `id` is "" while the server has not named it."""

    id: str
    status: ResponseStatus = ResponseStatus.REQUESTED

    def apply(self, transition: ResponseTransition) -> None:
        """Change the status by the table."""
        self.status = RESPONSE_TRANSITIONS[self.status].get(transition, self.status)


class ResponseRegistry:
    """Responses by id, and the one that keeps the server busy. Emptied by `reset()` for another connection.

    A response without an id is known by the id of its item, as far as its audio is concerned.
    """

    def __init__(self) -> None:
        self._responses: dict[str, Response] = {}
        self._current: Response | None = None
        """Requested, being made, or given up and still to be ended by the server."""

    # ---------------------------------------------------------------- any response

    def is_stale(self, response_id: str, item_id: str = "") -> bool:
        """Return whether audio and text of this response are refused."""
        response = self._responses.get(response_id or item_id)
        return response is not None and response.status in STALE_STATUSES

    def is_given_up(self, response_id: str) -> bool:
        """Return whether a response is stale, or is the current one that was cancelled before the server named it."""
        is_current = self.current_id == response_id and self.is_busy
        return self.is_stale(response_id) or (is_current and not self.is_active)

    def is_ignored(self, response_id: str) -> bool:
        """Return whether items of this response are deleted at the server."""
        response = self._responses.get(response_id)
        return response is not None and response.status is ResponseStatus.IGNORED

    def cancel(self, response_id: str, item_id: str = "") -> None:
        """Mark a response as interrupted. Without any id the current one is meant."""
        self._apply(response_id or item_id, ResponseTransition.CANCEL)

    def ignore(self, response_id: str) -> None:
        """Mark a response as unwanted."""
        self._apply(response_id, ResponseTransition.IGNORE)

    def _apply(self, key: str, transition: ResponseTransition) -> None:
        response = self._get_or_add(key) if key else self._current
        if response is not None:
            response.apply(transition)

    def _get_or_add(self, key: str) -> Response:
        response = self._responses.get(key)
        return self._add(Response(key)) if response is None else response

    def _add(self, response: Response) -> Response:
        self._responses[response.id] = response
        while len(self._responses) > MAX_RESPONSES:
            oldest = self._responses.pop(next(iter(self._responses)))
            if oldest is self._current:
                self._responses[oldest.id] = oldest
        return response

    # ---------------------------------------------------------------- the current one

    @property
    def current_id(self) -> str:
        """Id of the current response; "" without a current response or without an id."""
        return self._current.id if self._current is not None else ""

    @property
    def is_free(self) -> bool:
        """No response is requested or being made: another one may be requested."""
        return self._current is None

    @property
    def is_requested(self) -> bool:
        """A response was requested and is not announced."""
        return self._current is not None and self._current.status is ResponseStatus.REQUESTED

    @property
    def is_busy(self) -> bool:
        """The server is making a response, perhaps one that was given up."""
        return self._current is not None and self._current.status is not ResponseStatus.REQUESTED

    @property
    def is_active(self) -> bool:
        """The server is making a response that is wanted."""
        return self._current is not None and self._current.status is ResponseStatus.ACTIVE

    def is_wanted(self, response_id: str) -> bool:
        """Return whether this is the response that the server is making, and it is wanted."""
        current = self._current
        return current is not None and current.id == response_id != "" and current.status is ResponseStatus.ACTIVE

    def request(self) -> None:
        """Note that a response was requested."""
        self._current = Response("")

    def announce(self, response_id: str) -> None:
        """Note that the server makes this response. A finished one whose id comes again is another response."""
        response = self._get_or_add(response_id) if response_id else Response("")
        if response.status is ResponseStatus.FINISHED:
            response = self._add(Response(response_id))
        response.apply(ResponseTransition.ANNOUNCE)
        self._current = response

    def reject(self, response_id: str) -> None:
        """Note that the server makes a response that is unwanted. It is the current one unless another is busy."""
        self.ignore(response_id)
        if not self.is_busy:
            self._current = self._get_or_add(response_id)

    def finish(self, response_id: str) -> bool:
        """Note the end of a response; without an id, of the current one. Return whether that was the current one."""
        is_current = not response_id or self.current_id in ("", response_id)
        response = self._responses.get(response_id) if response_id else self._current
        if response is not None:
            response.apply(ResponseTransition.FINISH)
        if is_current:
            self._current = None
        return is_current

    def release(self) -> None:
        """Note that the server makes no response: it refused to, or it does not come."""
        self._current = None

    def reset(self) -> None:
        """Forget all: another connection."""
        self._responses.clear()
        self._current = None
