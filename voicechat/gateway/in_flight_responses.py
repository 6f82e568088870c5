"""In-flight responses: counts and bounds the responses that a server makes for one client. Pure; time is injected."""

from __future__ import annotations

from collections import deque

from voicechat.protocol.event_dispatcher import EventHandlers
from voicechat.protocol.event_fields import RawEvent, get_string
from voicechat.protocol.server_events import ResponseCreated, ResponseDone, ServerError, ServerEvent

from .client_event_errors import ClientEventRejected

MAX_IN_FLIGHT_RESPONSES = 4
"""Responses in flight for one client. Each is billed when it is done, so each can exceed a spending limit. A
conversation has one at a time, and few programs request more than two or three beside it."""
RESPONSE_EXPIRY_S = 120.0
"""Seconds without an event of a response after which it is no longer counted. Some servers never end an interrupted
response, or never report that they create none."""
MAX_TRACKED_RESPONSES = 256
"""Responses begun and not ended. The oldest beyond that are no longer counted."""


class InFlightResponses:
    """The responses of one client from `response.create` to `response.done`. Times are seconds on any one clock."""

    def __init__(self) -> None:
        self._requested: deque[tuple[str, float]] = deque()
        """`event_id` ("" without one) and time of each unanswered `response.create`, in order."""
        self._last_event_at: dict[str, float] = {}
        """Response id -> time of its newest server event."""

    def register_request(self, event: RawEvent, now: float) -> None:
        """Count a `response.create` about to be sent. Raises `ClientEventRejected` when too many are in flight."""
        if self.count_in_flight(now) >= MAX_IN_FLIGHT_RESPONSES:
            message = f"{MAX_IN_FLIGHT_RESPONSES} responses are in progress already; wait until one of them is done."
            raise ClientEventRejected("too_many_responses", message)
        self._requested.append((get_string(event, "event_id"), now))

    def event_handlers(self) -> EventHandlers:
        """Return the handlers for `EventDispatcher`."""
        return {ServerEvent: self._on_event}

    def _on_event(self, event: ServerEvent, now: float) -> None:
        match event:
            case ResponseCreated():
                # Also one that the server creates by itself: a request counts again when its response is created.
                self._pop_request()
                self._last_event_at[event.response_id] = now
                if len(self._last_event_at) > MAX_TRACKED_RESPONSES:
                    del self._last_event_at[next(iter(self._last_event_at))]
            case ResponseDone():
                if self._last_event_at.pop(event.response_id, None) is None:
                    self._pop_request()  # not every server sends `response.created`
            case ServerError():
                self._drop_failed_request(event.event_id)
            case _ if event.response_id in self._last_event_at:
                self._last_event_at[event.response_id] = now

    def count_in_flight(self, now: float) -> int:
        """Return the number of responses requested or active."""
        while self._requested and now - self._requested[0][1] >= RESPONSE_EXPIRY_S:
            self._requested.popleft()
        for response_id in [each for each, at in self._last_event_at.items() if now - at >= RESPONSE_EXPIRY_S]:
            del self._last_event_at[response_id]
        return len(self._requested) + len(self._last_event_at)

    @property
    def active_ids(self) -> list[str]:
        """Return the ids of active responses; "" for one without an id."""
        return list(self._last_event_at)

    def _pop_request(self) -> None:
        if self._requested:
            self._requested.popleft()

    def _drop_failed_request(self, event_id: str) -> None:
        """Drop the request that an error is about; `event_id` is "" when the server does not name it."""
        # A server answers in order. If another event failed, the response counts again when it is created.
        found = next((request for request in self._requested if not event_id or request[0] == event_id), None)
        if found is not None:
            self._requested.remove(found)
