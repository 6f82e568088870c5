"""The settings of who gets a place, for how long, and how it ends when the app does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .env_values import integer, number

T = TypeVar("T")

BURST_S = 5.0
"""A web socket may send what it might in so many seconds at once: sound that the network held back, a recording."""


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Bounds beside MAX_CALLS, MAX_CHATS and MAX_SOCKETS."""

    offline_sessions: int = 2
    """OFFLINE_SESSIONS, conversations that the embedded server holds at the same time: calls, chats and programs share
    them. Each more makes all of them slower; two is what two processors carry."""
    max_waiting: int = 8
    """MAX_WAITING, 0-1000 visitors of the page who wait in line when all places are taken; the next one is sent away.
    Who waits for a call takes as much of a core as a call does. 0: nobody waits."""
    max_calls_per_visitor: int = 2
    """MAX_CALLS_PER_VISITOR, calls of one visitor at the same time, those waiting in line included, and so many of
    their text chats may wait; 0: no limit. Visitors who cannot be told apart are not counted."""
    max_visitor_seconds_per_day: int = 0
    """MAX_VISITOR_SECONDS_PER_DAY that one visitor may be in calls, and their programs in spoken sessions; 0: no limit.
    With a public link (SHARE) 3600 unless set. A day is UTC's; kept in memory: a restart forgets it."""
    max_messages_per_second: float = 200.0
    """MAX_MESSAGES_PER_SECOND, 1-100000, that are taken from one web socket, after five seconds' worth at once. Sound
    in pieces of 10 ms makes 100. More is not lost: it is read later."""
    max_message_bytes: int = 24 * 2**20
    """MAX_MESSAGE_BYTES, 65536-268435456, of one message over a web socket; a larger one ends it with 1009. The default
    holds the protocol's 15 MiB of sound, in base64, and some room."""
    drain_seconds: float = 10.0
    """DRAIN_SECONDS, 0-3600, that calls may still last when the app is told to end; then they are cut."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> LimitSettings:
        """From any mapping. Empty values count as not set. Raises SettingsError."""
        default = cls()

        def read(name: str, convert: Callable[[str, str], T], otherwise: T) -> T:
            value = environ.get(name, "").strip()
            return convert(name, value) if value else otherwise

        return cls(
            offline_sessions=read("OFFLINE_SESSIONS", integer(1, 1000), default.offline_sessions),
            max_waiting=read("MAX_WAITING", integer(0, 1000), default.max_waiting),
            max_calls_per_visitor=read("MAX_CALLS_PER_VISITOR", integer(0, 10_000), default.max_calls_per_visitor),
            max_visitor_seconds_per_day=read(
                "MAX_VISITOR_SECONDS_PER_DAY", integer(0, 86_400), default.max_visitor_seconds_per_day
            ),
            max_messages_per_second=read(
                "MAX_MESSAGES_PER_SECOND", number(1, 100_000), default.max_messages_per_second
            ),
            max_message_bytes=read("MAX_MESSAGE_BYTES", integer(2**16, 2**28), default.max_message_bytes),
            drain_seconds=read("DRAIN_SECONDS", number(0, 3600), default.drain_seconds),
        )
