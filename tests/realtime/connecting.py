"""What the tests of connecting share."""

from __future__ import annotations

import pytest

from realtime.connection import ConnectionFailed, Failure, RealtimeConnection
from realtime.session import session_update
from realtime.settings import Endpoint, ServerKind, Settings

KEY = "sk-test-secret"
UPDATE = session_update(Settings())


def endpoint(url: str) -> Endpoint:
    return Endpoint(ServerKind.CUSTOM, url, {"Authorization": f"Bearer {KEY}"}, "m")


def connect(url: str, ready_seconds: float = 5.0) -> RealtimeConnection:
    return RealtimeConnection(endpoint(url), UPDATE, connect_seconds=5.0, ready_seconds=ready_seconds)


async def failure_of(url: str, ready_seconds: float = 5.0) -> Failure:
    """How a connection to `url` ends, on the way in or later."""
    with pytest.raises(ConnectionFailed) as caught:
        async with connect(url, ready_seconds) as connection:
            async for _ in connection.events():
                pass
    assert KEY not in str(caught.value)
    return caught.value.failure
