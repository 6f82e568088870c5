"""Embedded backend: what the application uses of the embedded server, be it a child process or a pool of others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from voicechat.server.embedded_server import EmbeddedAddress, EmbeddedServerPhase
from voicechat.upstream.model_news import EmbeddedPart, ModelNews


class EmbeddedBackend(Protocol):
    """Embedded server of the application. `EmbeddedServer` and `OfflinePool` implement it."""

    @property
    def phase(self) -> EmbeddedServerPhase:
        """Phase of the server, or the best one of several."""

    @property
    def detail(self) -> str:
        """One sentence for the operator; "" without one."""

    @property
    def capacity(self) -> int | None:
        """Sessions at a time; None while the server has not told it."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that every session has."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Ids of the voices that every session can choose from."""

    @property
    def model(self) -> str:
        """Name of the language model; "" before it is loaded."""

    @property
    def news(self) -> tuple[ModelNews, ...]:
        """News of better models."""

    @property
    def fallbacks(self) -> frozenset[EmbeddedPart]:
        """Parts that the server does itself at present, because their endpoints fail."""

    def find_address(self) -> EmbeddedAddress | None:
        """Return where a session that starts now connects; None while no server takes one."""

    def start(self) -> None:
        """Start what the application owns of it."""

    def stop(self) -> None:
        """Stop what the application owns of it."""

    def run_in_background(self, on_capacity: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Follow the server while the context lasts. Call `on_capacity` in this loop when `capacity` changes."""
