"""Apps with a guard around them, and those who come to them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

import app as front_door
from realtime.guard_settings import GuardSettings
from realtime.settings import Settings

PASSWORD, TOKEN = "correct horse battery", "token-of-a-program-01"
SOCKETS = ["/realtime-voice", "/text-chat", "/v1/realtime"]
FAR = "203.0.113.7"


class Home:
    """The app with these settings, and those who come to it."""

    def __init__(self, **guard: Any) -> None:
        self.house = front_door.House(Settings(realtime_url="ws://127.0.0.1:9", guard=GuardSettings(**guard)))
        self.app: FastAPI = front_door.build(self.house)
        self.porter = self.house.porter

    def browser(self, address: str = FAR, base: str = "http://voice.localhost") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=base)

    def program(self, address: str = FAR) -> TestClient:
        return TestClient(self.app, base_url="http://voice.localhost", client=(address, 4711))


def refused(home: Home, path: str, **options: Any) -> dict[str, Any]:
    """What a program reads whose handshake is answered with HTTP."""
    with pytest.raises(WebSocketDenialResponse) as denied, connect(home, path, **options):
        pass
    return {"status": denied.value.status_code, **denied.value.json()["error"]}


def connect(home: Home, path: str, **options: Any) -> Any:
    headers = {"Host": "voice.localhost", **options.pop("headers", {})}
    return home.program().websocket_connect(path, headers=headers, **options)


def let_in(home: Home, path: str, **options: Any) -> None:
    """The relay takes the socket; that there is no server behind it is another story."""
    with connect(home, path, **options) as socket:
        assert json.loads(socket.receive_text())["error"]["code"] == "server_unreachable"
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()
