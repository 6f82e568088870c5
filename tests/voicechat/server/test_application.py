"""Where calls and chats of one process go."""

from __future__ import annotations

import pytest

import app
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.server.offline_process import EmbeddedServerPhase
from voicechat.upstream.connection import Failure

KEY = "sk-visitor-canary"


def test_with_no_key_a_call_waits_for_the_embedded_server() -> None:
    house = app.create_application(Settings())
    assert house.resolve_endpoint() is Failure.LOADING
    assert house.server_status() == ("loading", None, "offline")


@pytest.mark.parametrize("settings", [Settings(), Settings(openai_api_key="sk-operator")], ids=["offline", "openai"])
def test_a_visitors_own_key_goes_to_openai(settings: Settings) -> None:
    house = app.create_application(settings)
    endpoint = house.resolve_endpoint(KEY)
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.kind, endpoint.host) == (ServerKind.OPENAI, "api.openai.com")
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}
    assert house.server_status(KEY) == ("idle", None, "openai_own_key")


def test_where_visitors_keys_are_not_taken_they_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = app.create_application(Settings(allow_own_key=False))
    assert house.resolve_endpoint(KEY) is Failure.LOADING
    assert house.embedded_server is not None
    monkeypatch.setattr(house.embedded_server, "_url", "ws://127.0.0.1:1/v1/realtime")
    monkeypatch.setattr(house.embedded_server, "_phase", EmbeddedServerPhase.READY)
    endpoint = house.resolve_endpoint(KEY)
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.kind, endpoint.headers) == (ServerKind.OFFLINE, {})
    assert house.server_status(KEY)[2] == "offline"


def test_all_calls_taken_leaves_gradio_workers_for_everything_else() -> None:
    """Each call may have two endless generators, and each chat one; they hold their workers to their end."""
    settings = Settings(max_calls=8, max_chats=32)
    page = app.create_application(settings).page
    assert page.max_threads == page._queue.max_thread_count >= 2 * 8 + 32 + 10
