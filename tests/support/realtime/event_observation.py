"""Delivery of raw server events to one observer, as the connection to a server delivers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from voicechat.protocol.event_dispatcher import EventDispatcher, EventHandlers
from voicechat.protocol.server_events import parse_event


class Observer(Protocol):
    def event_handlers(self) -> EventHandlers: ...


def observe(observer: Observer, raw: Mapping[str, Any], now: float) -> None:
    """Parse an event and dispatch it to the observer."""
    EventDispatcher(observer.event_handlers()).dispatch(parse_event(raw), now)
