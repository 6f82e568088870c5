"""Endpoints, status and queue workers of one application."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

import app
from tests.support.app.prometheus_samples import parse_metrics
from tests.support.shared_state.redis_process import running_redis
from voicechat.config.groups.scale_settings import ScaleSettings
from voicechat.config.settings import Endpoint, ServerKind, Settings
from voicechat.limits.admission import AdmissionKind
from voicechat.server.application import build_asgi_app
from voicechat.server.embedded_server import EmbeddedServerPhase
from voicechat.server.offline_pool.pool import OfflinePool
from voicechat.server.replica_status import SlotUse
from voicechat.ui.i18n.status_texts import CALL_NOTICE_TEXTS
from voicechat.upstream.connection import Failure

KEY = "sk-visitor-canary"


class UnnotifiedCall:
    """Holds a slot, and ignores every change."""

    def on_admission_changed(self) -> None:
        pass

    def on_shutdown(self, grace_s: float) -> None:
        pass


def test_endpoint_without_a_key_waits_for_the_embedded_server() -> None:
    application = app.create_application(Settings())
    assert application.resolve_endpoint() is Failure.LOADING
    assert application.server_status() == ("loading", None, "offline")


@pytest.mark.parametrize("settings", [Settings(), Settings(openai_api_key="sk-operator")], ids=["offline", "openai"])
def test_endpoint_with_a_visitors_key_is_openai(settings: Settings) -> None:
    application = app.create_application(settings)
    endpoint = application.resolve_endpoint(KEY)
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.kind, endpoint.host) == (ServerKind.OPENAI, "api.openai.com")
    assert endpoint.headers == {"Authorization": f"Bearer {KEY}"}
    assert application.server_status(KEY) == ("idle", None, "openai_own_key")


def test_endpoint_ignores_visitors_keys_where_they_are_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    application = app.create_application(Settings(allow_own_key=False))
    assert application.resolve_endpoint(KEY) is Failure.LOADING
    assert application.embedded_server is not None
    monkeypatch.setattr(application.embedded_server, "_url", "ws://127.0.0.1:1/v1/realtime")
    monkeypatch.setattr(application.embedded_server, "_phase", EmbeddedServerPhase.READY)
    endpoint = application.resolve_endpoint(KEY)
    assert isinstance(endpoint, Endpoint)
    assert endpoint.kind is ServerKind.OFFLINE
    assert endpoint.headers == {"Authorization": f"Bearer {application.embedded_server.key}"}
    assert application.server_status(KEY)[2] == "offline"


async def test_health_and_metrics_show_the_slots_of_this_replica_and_of_all(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        settings = Settings.from_env({"REDIS_URL": server.url, "MAX_CALLS": "2"})
        one, two = app.create_application(settings), app.create_application(settings)
        async with asyncio.timeout(60), one.run_in_background():
            async with two.run_in_background():
                ticket = one.admission.request_admission(UnnotifiedCall(), AdmissionKind.CALL)
                await ticket.decided()
                while two.admission.count_everywhere().admitted[AdmissionKind.CALL] == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # it looks regularly
                health = await two.health()
                assert (health.shared_state, health.replicas, health.replica) == ("ok", 2, two.replica_id)
                assert health.slots[AdmissionKind.CALL] == SlotUse(here=0, everywhere=1, limit=2)
                found = parse_metrics(two.render_metrics().decode())
                assert found[("voice_chat_slots_taken", "call")] == 0
                assert found[("voice_chat_slots_taken_everywhere", "call")] == 1
                assert found[("voice_chat_shared_state", "ok")] == 1
            server.kill()
            refused = one.admission.request_admission(UnnotifiedCall(), AdmissionKind.CALL)
            await refused.decided()
            while (await one.health()).shared_state == "ok":  # noqa: ASYNC110  one failure may be a closed connection
                await asyncio.sleep(0.05)
            assert (await one.health()).shared_state == "unreachable"
            assert parse_metrics(one.render_metrics().decode())[("voice_chat_shared_state", "unreachable")] == 1


class HangingServer:
    """Realtime server whose computer answers nothing: the probe's own limit ends each attempt."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def probe(self, host: str, port: int) -> None:
        self.asked.set()
        await asyncio.Event().wait()


async def test_health_waits_neither_for_a_hanging_redis_nor_for_a_hanging_realtime_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = HangingServer()
    monkeypatch.setattr("voicechat.upstream.probe.CONNECT_TIMEOUT_S", 3600.0)
    with running_redis(tmp_path) as redis:
        settings = Settings.from_env({"REDIS_URL": redis.url, "REALTIME_URL": "ws://127.0.0.1:9/v1/realtime"})
        application = app.create_application(settings)
        assert application.upstream_probe is not None
        monkeypatch.setattr(application.upstream_probe, "_probe_tcp", hanging.probe)
        async with asyncio.timeout(60), application.run_in_background():
            assert (await application.health()).shared_state == "ok"
            redis.freeze()
            while (await application.health()).shared_state == "ok":
                pass  # it asks regularly, and notices it without a request that waits
            assert hanging.asked.is_set() and not (await application.health()).detail
            redis.thaw()


async def test_health_without_redis_says_memory() -> None:
    application = app.create_application(Settings.from_env({"MAX_CALLS": "2"}))
    application.admission.request_admission(UnnotifiedCall(), AdmissionKind.CALL)
    health = await application.health()
    assert (health.shared_state, health.replicas) == ("memory", 1)
    assert health.slots[AdmissionKind.CALL] == SlotUse(1, 1, 2)


@pytest.mark.parametrize(
    ("environ", "before", "after"),
    [({}, 2, 2), ({"OFFLINE_SESSIONS": "3"}, 3, 3), ({"OFFLINE_SESSIONS": "auto"}, 1, 5)],
    ids=["default", "number", "auto"],
)
async def test_sessions_of_the_embedded_server_are_those_that_it_tells(
    environ: dict[str, str], before: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = app.create_application(Settings.from_env(environ))
    assert application.admission.limits.offline_sessions == before
    monkeypatch.setattr(application.embedded_server, "_capacity", after)
    async with application.run_in_background():
        assert application.admission.limits.offline_sessions == after


def test_application_with_addresses_starts_no_embedded_server_of_its_own() -> None:
    application = app.create_application(Settings.from_env({"OFFLINE_URL": "ws://127.0.0.1:9", "FETCH_MODELS": "1"}))
    assert isinstance(application.embedded_server, OfflinePool)
    assert application.admission.limits.offline_sessions == 1
    assert application.resolve_endpoint() is Failure.LOADING
    endpoint = application.resolve_endpoint(KEY)
    assert isinstance(endpoint, Endpoint) and endpoint.kind is ServerKind.OPENAI


def test_queue_workers_suffice_while_all_calls_are_taken() -> None:
    """Each call may have two endless generators, and each chat one; they hold their workers to their end."""
    settings = Settings(max_calls=8, max_chats=32)
    page = app.create_application(settings).page
    assert page.max_threads == page._queue.max_thread_count >= 2 * 8 + 32 + 10


@pytest.mark.parametrize(
    ("languages", "notice"), [(("en", "zh"), None), (("en",), "english_only"), (("zh",), "mandarin_only")]
)
def test_page_says_which_language_is_missing(
    monkeypatch: pytest.MonkeyPatch, languages: tuple[str, ...], notice: str | None
) -> None:
    application = app.create_application(Settings())
    assert application.embedded_server is not None
    monkeypatch.setattr(application.embedded_server, "_languages", languages)
    monkeypatch.setattr(application.embedded_server, "_phase", EmbeddedServerPhase.READY)
    assert application.server_status() == ("idle", notice, "offline")
    if notice is not None:
        assert all(CALL_NOTICE_TEXTS[notice])


@pytest.mark.parametrize(
    ("frontend_host", "status"), [("", 421), ("127.0.0.1", 421), ("0.0.0.0", 200), ("voice.example", 200)]
)
async def test_host_names_are_those_of_the_proxy_before_a_replica(frontend_host: str, status: int) -> None:
    scale = ScaleSettings(frontend_host=frontend_host)
    application = app.create_application(Settings(realtime_url="ws://127.0.0.1:9", scale=scale))
    transport = httpx.ASGITransport(build_asgi_app(application), client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://voice.example") as browser:
        assert (await browser.get("/")).status_code == status
