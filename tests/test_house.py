"""Where calls and chats of one process go."""

from __future__ import annotations

import pytest

import app
from realtime.connection import Failure
from realtime.settings import Endpoint, ServerKind, Settings
from web.embedded import Phase

KEY = "sk-visitor-canary"


def test_with_no_key_a_call_waits_for_the_embedded_server() -> None:
    house = app.House(Settings())
    assert house.endpoint() is Failure.LOADING
    assert house.server_line() == ("loading", None, "offline")


@pytest.mark.parametrize("settings", [Settings(), Settings(openai_api_key="sk-operator")], ids=["offline", "openai"])
def test_a_visitors_own_key_goes_to_openai(settings: Settings) -> None:
    house = app.House(settings)
    endpoint = house.endpoint(KEY)
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.kind, endpoint.host) == (ServerKind.OPENAI, "api.openai.com")
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}
    assert house.server_line(KEY) == ("idle", None, "openai_own_key")


def test_where_visitors_keys_are_not_taken_they_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = app.House(Settings(allow_own_key=False))
    assert house.endpoint(KEY) is Failure.LOADING
    assert house.embedded is not None
    monkeypatch.setattr(house.embedded, "_url", "ws://127.0.0.1:1/v1/realtime")
    monkeypatch.setattr(house.embedded, "_phase", Phase.READY)
    endpoint = house.endpoint(KEY)
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.kind, endpoint.headers) == (ServerKind.OFFLINE, {})
    assert house.server_line(KEY)[2] == "offline"


def test_a_full_house_leaves_gradio_workers_for_everything_else() -> None:
    """Each call may have two endless generators, and each chat one; they hold their workers to their end."""
    settings = Settings(max_calls=8, max_chats=32)
    page = app.House(settings).page
    assert page.max_threads == page._queue.max_thread_count >= 2 * 8 + 32 + 10
