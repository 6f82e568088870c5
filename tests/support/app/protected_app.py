"""Protected app: the ASGI app with security settings, and its HTTP and WebSocket clients."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

import app
from voicechat.config.groups.security_settings import SecuritySettings
from voicechat.config.settings import Settings
from voicechat.server.application import build_asgi_app

PASSWORD, TOKEN = "correct horse battery", "token-of-a-program-01"
SOCKET_PATHS = ["/realtime-voice", "/text-chat", "/v1/realtime"]
REMOTE_ADDRESS = "203.0.113.7"


class ProtectedApp:
    """The app with these security settings, and its clients."""

    def __init__(self, **security: Any) -> None:
        self.application = app.create_application(
            Settings(realtime_url="ws://127.0.0.1:9", security=SecuritySettings(**security))
        )
        self.app: FastAPI = build_asgi_app(self.application)
        self.access_policy = self.application.access_policy

    def browser_client(self, address: str = REMOTE_ADDRESS, base: str = "http://voice.localhost") -> httpx.AsyncClient:
        """Return an HTTP client with this address; `base` is the page's origin."""
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=base)

    def api_client(self, address: str = REMOTE_ADDRESS) -> TestClient:
        """Return a WebSocket client with this address."""
        return TestClient(self.app, base_url="http://voice.localhost", client=(address, 4711))


def handshake_denial(protected: ProtectedApp, path: str, **options: Any) -> dict[str, Any]:
    """Return status and error of a WebSocket handshake that is denied with an HTTP answer."""
    with pytest.raises(WebSocketDenialResponse) as denied, open_socket(protected, path, **options):
        pass
    return {"status": denied.value.status_code, **denied.value.json()["error"]}


def open_socket(protected: ProtectedApp, path: str, **options: Any) -> Any:
    """Open a WebSocket at the app."""
    headers = {"Host": "voice.localhost", **options.pop("headers", {})}
    return protected.api_client().websocket_connect(path, headers=headers, **options)


def assert_accepted(protected: ProtectedApp, path: str, **options: Any) -> None:
    """Check that the gateway accepts the socket. It then reports that its server cannot be reached."""
    with open_socket(protected, path, **options) as socket:
        assert json.loads(socket.receive_text())["error"]["code"] == "server_unreachable"
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
