"""The app on a computer that lacks packages of the embedded server: with a key it works, without one it says so."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from offline.engines import ENGINES
from tests.support.app.app_process import running_app
from tests.support.app.canaries import REPLY, SPOKEN
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.webrtc_call_client import webrtc_call
from tests.support.missing_packages import environment_without
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from voicechat.ui.i18n import CALL_NOTICE_TEXTS, Locale, get_message


@pytest.mark.timeout(180)
async def test_app_without_engines_and_with_a_key_holds_a_call(
    upstream: ThreadedRealtimeServer, tmp_path: Path
) -> None:
    blocked = environment_without(tmp_path, ENGINES)
    with running_app(tmp_path / "log.txt", REALTIME_URL=upstream.url, REALTIME_API_KEY="sk-x", **blocked) as app:
        app.wait_for_health(lambda health: health["http"] == 200)
        async with httpx.AsyncClient(timeout=10) as client:
            visitor = GradioPageClient(app.url, client, TrafficRecorder())
            await visitor.open()
            async with webrtc_call(visitor):
                await visitor.wait_for_text(lambda text: SPOKEN in text and REPLY in text)
            await visitor.close()
        assert "Traceback" not in app.log_path.read_text()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("language", ["en", "zh-TW"])
async def test_app_without_engines_and_without_a_key_asks_for_one(language: Locale, tmp_path: Path) -> None:
    sentence = get_message(CALL_NOTICE_TEXTS, "key_needed", language)
    with running_app(tmp_path / "log.txt", **environment_without(tmp_path, ENGINES)) as app:
        health = app.wait_for_health(lambda health: health["status"] == "failed")
        assert health["http"] == 503 and str(health["detail"]).endswith(".")
        assert all(name in str(health["detail"]) for name in ENGINES)
        async with httpx.AsyncClient(timeout=10, headers={"Accept-Language": language}) as client:
            visitor = GradioPageClient(app.url, client, TrafficRecorder())
            await visitor.open()
            await visitor.trigger_event(None, "load")
            await visitor.wait_for_text(lambda text: sentence in text)
            seen = len(visitor.received_text)
            async with webrtc_call(visitor):  # a call ends with it too, at once
                await visitor.wait_for_text(lambda text: sentence in text[seen:])
            await visitor.close()
        with connect(f"{app.url.replace('http', 'ws')}/v1/realtime") as program:
            error = json.loads(program.recv(10))
            assert (error["type"], error["error"]["code"]) == ("error", "embedded_server_unavailable")
        assert "Traceback" not in app.log_path.read_text()
