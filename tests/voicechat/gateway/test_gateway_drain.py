"""New programs at a gateway that drains: another replica takes them where there is one."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from voicechat.config.settings import Settings
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.gateway.gateway_client import REPLICAS_HEADER
from voicechat.limits.admission import ConcurrencyLimits
from voicechat.limits.waiting_queue import AdmissionController
from voicechat.server.routes import WEBSOCKET_ROUTES, Health, build_router


def draining_app() -> FastAPI:
    """Return an app that has begun to shut down."""
    settings = Settings.from_env({"REALTIME_URL": "ws://127.0.0.1:9/v1/realtime"})
    admission = AdmissionController(ConcurrencyLimits.from_settings(settings))
    admission.begin_shutdown(5.0)

    async def health() -> Health:
        return Health("draining", settings.server_kind, "", 0, 0, 0.0, "1")

    app = FastAPI()
    app.include_router(build_router(health, RealtimeGateway(settings, settings.endpoint, admission=admission)))
    return app


@pytest.mark.parametrize("path", WEBSOCKET_ROUTES)
def test_program_gets_503_where_a_proxy_knows_another_replica(path: str) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        TestClient(draining_app()).websocket_connect(path, headers={REPLICAS_HEADER: "2"}),
    ):
        pass
    assert denied.value.status_code == 503


@pytest.mark.parametrize("count", [None, "1", "0", "", "-2", "²", "two", "9" * 30 + "x"])
def test_program_gets_the_reason_where_there_is_no_other_replica(count: str | None) -> None:
    headers = {} if count is None else {REPLICAS_HEADER: count.encode("latin-1")}
    with TestClient(draining_app()).websocket_connect("/v1/realtime", headers=headers) as program:
        assert program.receive_json()["error"]["code"] == "server_closing"
        with pytest.raises(WebSocketDisconnect) as closed:
            program.receive_json()
    assert closed.value.code == 1012
