"""Apps with a guard around them, and those who come to them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

import app
from voicechat.config.security_settings import SecuritySettings
from voicechat.config.settings import Settings
from voicechat.server.application import build_asgi_app

PASSWORD, TOKEN = "correct horse battery", "token-of-a-program-01"
SOCKET_PATHS = ["/realtime-voice", "/text-chat", "/v1/realtime"]
REMOTE_ADDRESS = "203.0.113.7"


class ProtectedApp:
    """The app with these settings, and those who come to it."""

    def __init__(self, **guard: Any) -> None:
        self.application = app.create_application(
            Settings(realtime_url="ws://127.0.0.1:9", security=SecuritySettings(**guard))
        )
        self.app: FastAPI = build_asgi_app(self.application)
        self.access_policy = self.application.access_policy

    def browser_client(self, address: str = REMOTE_ADDRESS, base: str = "http://voice.localhost") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=base)

    def api_client(self, address: str = REMOTE_ADDRESS) -> TestClient:
        return TestClient(self.app, base_url="http://voice.localhost", client=(address, 4711))


def handshake_denial(home: ProtectedApp, path: str, **options: Any) -> dict[str, Any]:
    """What a program reads whose handshake is answered with HTTP."""
    with pytest.raises(WebSocketDenialResponse) as denied, open_socket(home, path, **options):
        pass
    return {"status": denied.value.status_code, **denied.value.json()["error"]}


def open_socket(home: ProtectedApp, path: str, **options: Any) -> Any:
    headers = {"Host": "voice.localhost", **options.pop("headers", {})}
    return home.api_client().websocket_connect(path, headers=headers, **options)


def assert_accepted(home: ProtectedApp, path: str, **options: Any) -> None:
    """The relay takes the socket; that there is no server behind it is another story."""
    with open_socket(home, path, **options) as socket:
        assert json.loads(socket.receive_text())["error"]["code"] == "server_unreachable"
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
