"""Fixtures of the end-to-end tests: one real app with planted secrets, on a server whose behaviour the tests choose."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.app.app_process import AppProcess, running_app
from tests.support.app.canaries import (
    HUGGING_FACE,
    IN_ADDRESS,
    OPERATOR,
    PROMPT,
    REPLY,
    SPOKEN,
    TURN_ID,
    TURN_TOKEN,
    TWILIO_ID,
    TWILIO_TOKEN,
)
from tests.support.realtime.fake_threaded_server import ServerBehaviour, ThreadedRealtimeServer


@pytest.fixture(scope="session")
def threaded_server() -> Iterator[ThreadedRealtimeServer]:
    with ThreadedRealtimeServer(SPOKEN, REPLY).running() as upstream:
        yield upstream


@pytest.fixture
def upstream(threaded_server: ThreadedRealtimeServer) -> ThreadedRealtimeServer:
    """Return the server, set to normal behaviour."""
    threaded_server.behaviour = ServerBehaviour.NORMAL
    return threaded_server


@pytest.fixture(scope="session")
def canary_app(
    threaded_server: ThreadedRealtimeServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppProcess]:
    secrets = {
        "REALTIME_URL": f"{threaded_server.url}?api_key={IN_ADDRESS}",
        "REALTIME_API_KEY": OPERATOR,
        "OPENAI_API_KEY": OPERATOR,
        "INSTRUCTIONS": PROMPT,
        "TEXT_INSTRUCTIONS": PROMPT,
        "CLOUDFLARE_TURN_KEY_ID": TURN_ID,
        "CLOUDFLARE_TURN_KEY_API_TOKEN": TURN_TOKEN,
        "TWILIO_ACCOUNT_SID": TWILIO_ID,
        "TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
        "TURN_HF_TOKEN": HUGGING_FACE,
    }
    limits = {"RECONNECT_ATTEMPTS": "1", "MAX_SOCKETS": "8", "MAX_CALLS": "4"}
    with running_app(tmp_path_factory.mktemp("outside") / "log.txt", DEBUG="true", **limits, **secrets) as app:
        app.wait_for_health(lambda health: health["http"] == 200)
        yield app
