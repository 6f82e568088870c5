"""HTTP routes beside the page, the probe of the server, and the sockets of the running app."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from websockets.asyncio.server import ServerConnection

from tests.support.app.app_process import running_app
from tests.support.realtime.fake_realtime_server import accept_session, running_server, send_events
from tests.support.sessions.running_gateway import connected_client
from voicechat.config.settings import Settings
from voicechat.gateway.gateway import RealtimeGateway
from voicechat.server.routes import WEBSOCKET_ROUTES, Health, build_router
from voicechat.upstream.probe import CACHE_TTL_S, CONNECT_TIMEOUT_S, UpstreamProbe, probe_target

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "no_proxy")
HEALTHY = Health("ok", "custom", "m", 1, 2, 3.5, "0")


def routes_client(health: Health) -> httpx.AsyncClient:
    settings = Settings()
    app = FastAPI(openapi_url=None)

    async def now() -> Health:
        return health

    app.include_router(build_router(now, RealtimeGateway(settings, settings.endpoint)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


# ---------------------------------------------------------------- HTTP


async def test_health() -> None:
    async with routes_client(HEALTHY) as http:
        answer = await http.get("/health")
        assert answer.status_code == 200
        fields = ["status", "server", "model", "calls", "chats", "uptime_s", "version", "detail"]
        found = answer.json()
        assert {name: found[name] for name in fields} == dict(
            zip(fields, ["ok", "custom", "m", 1, 2, 3.5, "0", ""], strict=True)
        )
        assert found["shared_state"] == "memory"


@pytest.mark.parametrize("status", ["loading", "failed", "unreachable"])
async def test_health_is_503_with_a_reason(status: str) -> None:
    async with routes_client(Health(status, "offline", "", 0, 0, 0.0, "0", "Not yet.")) as http:
        answer = await http.get("/health")
        assert (answer.status_code, answer.json()["detail"]) == (503, "Not yet.")


async def test_openapi_describes_our_routes_and_names_the_sockets() -> None:
    async with routes_client(HEALTHY) as http:
        described = (await http.get("/openapi.json")).json()
    assert set(described["paths"]) == {"/health", "/openapi.json", "/docs"}
    body = described["paths"]["/health"]["get"]["responses"]["503"]["content"]["application/json"]["schema"]["$ref"]
    assert set(described["components"]["schemas"][body.rsplit("/", 1)[1]]["properties"]) >= {
        "status",
        "calls",
        "detail",
    }
    assert all(path in described["info"]["description"] for path in WEBSOCKET_ROUTES)


async def test_docs_page_loads_nothing_from_other_hosts() -> None:
    async with routes_client(HEALTHY) as http:
        page = (await http.get("/docs")).text
    assert "/health" in page and "/realtime-voice" in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    links = re.findall(r'href="([^"]*)"', page)
    assert {"./", "health"} <= set(links)
    assert not any(link.startswith("/") for link in links), "the page may be shown under a path of its own"


# ---------------------------------------------------------------- reachability


def make_probe(url: str = "ws://server.example/v1/realtime", **how: object) -> UpstreamProbe:
    return UpstreamProbe(Settings.from_env({"REALTIME_URL": url}).endpoint(), **how)  # type: ignore[arg-type]


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_probe_tells_an_open_from_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"ws://127.0.0.1:{listening.getsockname()[1]}/v1/realtime?api_key=sk-secret"
        assert await make_probe(address).check() == ""
    assert await make_probe(address).check() == "The Realtime server at 127.0.0.1 cannot be reached."


async def test_probe_result_is_cached_and_shared(no_proxy: pytest.MonkeyPatch) -> None:
    now, knocks = 100.0, 0

    async def knock(host: str, port: int) -> None:
        nonlocal knocks
        assert (host, port) == ("server.example", 80)
        knocks += 1
        await asyncio.sleep(0)
        if knocks == 1:
            raise ConnectionRefusedError

    ours = make_probe(probe_tcp=knock, clock=lambda: now)
    answers = await asyncio.gather(*(ours.check() for _ in range(5)))
    assert set(answers) == {"The Realtime server at server.example cannot be reached."} and knocks == 1
    now += CACHE_TTL_S - 0.1
    assert await ours.check() and knocks == 1
    now += 0.2
    assert await ours.check() == "" and knocks == 2


async def test_probe_reports_a_server_that_does_not_answer(no_proxy: pytest.MonkeyPatch) -> None:
    async def knock(host: str, port: int) -> None:
        raise TimeoutError

    assert await make_probe(probe_tcp=knock).check() == "The Realtime server at server.example does not answer."
    assert CONNECT_TIMEOUT_S <= 2


async def test_probe_of_a_server_that_hangs_delays_no_answer_and_its_result_comes_later(
    no_proxy: pytest.MonkeyPatch,
) -> None:
    now, knocks = 100.0, 0
    is_open, ends = True, asyncio.Event()

    async def knock(host: str, port: int) -> None:
        nonlocal knocks
        knocks += 1
        if not is_open:
            await ends.wait()
            raise TimeoutError

    ours = make_probe(probe_tcp=knock, clock=lambda: now)
    assert await ours.check() == ""
    is_open, now = False, now + CACHE_TTL_S
    assert set(await asyncio.gather(*(ours.check() for _ in range(5)))) == {""}, "the last result"
    assert not ends.is_set() and knocks == 2
    ends.set()
    assert await ours.check() == "The Realtime server at server.example does not answer."
    assert knocks == 2


async def test_request_that_is_given_up_leaves_the_probe_to_the_others(no_proxy: pytest.MonkeyPatch) -> None:
    ends = asyncio.Event()

    async def knock(host: str, port: int) -> None:
        await ends.wait()
        raise ConnectionRefusedError

    ours = make_probe(probe_tcp=knock)
    given_up = asyncio.create_task(ours.check())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    ends.set()
    assert await ours.check() == "The Realtime server at server.example cannot be reached."


async def test_probe_asks_the_proxy_that_the_app_connects_to(no_proxy: pytest.MonkeyPatch) -> None:
    async def knock(host: str, port: int) -> None:
        assert (host, port) == ("proxy.example", 3128)
        raise OSError

    no_proxy.setenv("https_proxy", "http://proxy.example:3128")
    away = Settings.from_env({"REALTIME_URL": "wss://server.example/v1/realtime"}).endpoint()
    problem = await UpstreamProbe(away, probe_tcp=knock).check()
    assert problem == "The proxy at proxy.example port 3128 cannot be reached."
    no_proxy.setenv("no_proxy", "server.example")
    target = probe_target(away)
    assert target and (target.host, target.port) == ("server.example", 443)
    no_proxy.setenv("http_proxy", "http://proxy.example:3128")
    here = Settings.from_env({"REALTIME_URL": "ws://127.0.0.1:9/v1/realtime"}).endpoint()
    target = probe_target(here)
    assert target and (target.host, target.port) == ("127.0.0.1", 9), "a server on this computer is reached directly"


# ---------------------------------------------------------------- the running app


@pytest.mark.parametrize("command", [["app.py"], ["-m", "uvicorn", "app:app"]], ids=["python app.py", "uvicorn"])
async def test_running_app_serves_its_sockets(command: list[str], tmp_path: Path) -> None:
    sound: list[int] = []
    go_on = asyncio.Event()

    async def talk(behind: ServerConnection) -> None:
        behind.protocol.max_size = None  # type: ignore[attr-defined]
        await accept_session(behind)
        async for message in behind:
            event = json.loads(message)
            sound.append(len(event.get("audio", "")))
            if event.get("event_id") == "slow":
                await send_events(behind, {"type": "response.created", "response": {"id": "r1"}})
                await go_on.wait()
                await send_events(behind, {"type": "response.done", "response": {"id": "r1"}})
                continue
            await send_events(behind, {"type": "response.done", "response": {"asked": event["type"]}})

    async with running_server(talk) as url:
        with running_app(tmp_path / "log.txt", command, REALTIME_URL=url) as app:
            await asyncio.to_thread(app.wait_for_health, lambda health: health["http"] == 200)
            base = app.url.replace("http", "ws", 1)
            how = {"compression": "deflate", "max_size": None}
            async with (
                connected_client(f"{base}/v1/realtime?api_key=sk-of-a-visitor", **how) as voice,
                connected_client(f"{base}/text-chat", **how) as text,
            ):
                for one in (voice, text):
                    assert (await one.next_event())["type"] == "session.created"
                    assert one.socket.response is not None
                    assert "Sec-WebSocket-Extensions" not in one.socket.response.headers, "compression was offered"
                health = await asyncio.to_thread(app.health)
                assert (health["calls"], health["chats"]) == (1, 1)
                most = base64.b64encode(bytes(15 * 2**20)).decode()  # 20 MiB, more than uvicorn takes by itself
                await voice.send({"type": "input_audio_buffer.append", "audio": most})
                await voice.read_until("response.done")
                assert sound == [20 * 2**20]
                await text.send({"type": "response.create"})
                assert (await text.read_until("response.done"))["response"] == {"asked": "response.create"}
            await asyncio.to_thread(app.wait_for_health, lambda health: (health["calls"], health["chats"]) == (0, 0))
            described = json.loads(app.fetch_text("/openapi.json"))
            assert set(described["paths"]) == {"/health", "/openapi.json", "/docs", "/metrics"}
            assert "/text-chat" in app.fetch_text("/docs")

            # On SIGTERM it lets the reply finish, refuses new clients, and exits without an error.
            async with connected_client(f"{base}/v1/realtime") as last:
                await last.next_event()
                await last.send({"type": "response.create", "event_id": "slow"})
                await last.read_until("response.created")
                app.process.terminate()
                draining = await asyncio.to_thread(app.wait_for_health, lambda health: health["status"] == "draining")
                assert draining["http"] == 503
                async with connected_client(f"{base}/text-chat") as late:
                    assert await late.read_until_closed() == (1012, "server_error.server_closing")
                go_on.set()
                await last.read_until("response.done")
                assert await last.read_until_closed() == (1012, "server_error.server_closing")
            assert await asyncio.to_thread(app.process.wait, 10) == 0
            log = (tmp_path / "log.txt").read_text()
            assert "sk-of-a-visitor" not in log and "Traceback" not in log
