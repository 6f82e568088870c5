"""Connections of tests to fake servers."""

from __future__ import annotations

import pytest

from voicechat.config.session_update import build_session_update
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.protocol.failures import ConnectionFailed, Failure
from voicechat.upstream.connection import RealtimeConnection

KEY = "sk-test-secret"
UPDATE = build_session_update(Settings())


def make_endpoint(url: str) -> Endpoint:
    """Return an endpoint with a key."""
    return Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"}, "m")


def make_connection(url: str, ready_seconds: float = 5.0) -> RealtimeConnection:
    """Return an unopened connection to `url`."""
    return RealtimeConnection(make_endpoint(url), UPDATE, connect_seconds=5.0, ready_seconds=ready_seconds)


async def failure_of(url: str, ready_seconds: float = 5.0) -> Failure:
    """Connect to `url` and return the failure that ends the connection."""
    with pytest.raises(ConnectionFailed) as caught:
        async with make_connection(url, ready_seconds) as connection:
            async for _ in connection.events():
                pass
    assert KEY not in str(caught.value)
    return caught.value.failure
