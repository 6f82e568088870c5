"""HTTP beside the page, reachability, and the front door's sockets, however the app was started."""

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

from realtime.settings import Settings
from tests.browser.conftest import running_app
from tests.realtime.servers import greet, send, server
from tests.web.programs import program
from web.reachability import CONNECT_S, KEPT_S, Reachability, address_of
from web.relay import Relay
from web.routes import SOCKETS, Health, routes

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "no_proxy")
WELL = Health("ok", "custom", "m", 1, 2, 3.5, "0")


def client(health: Health) -> httpx.AsyncClient:
    settings = Settings()
    app = FastAPI(openapi_url=None)

    async def now() -> Health:
        return health

    app.include_router(routes(now, Relay(settings, settings.endpoint)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


# ---------------------------------------------------------------- HTTP


async def test_health() -> None:
    async with client(WELL) as http:
        answer = await http.get("/health")
        assert answer.status_code == 200
        fields = ["status", "server", "model", "calls", "chats", "uptime_s", "version", "detail"]
        assert list(answer.json().items()) == list(zip(fields, ["ok", "custom", "m", 1, 2, 3.5, "0", ""], strict=True))


async def test_a_monitor_may_ask_for_the_head_of_health() -> None:
    async with client(WELL) as http:
        assert (await http.head("/health")).status_code == 200
    async with client(Health("loading", "offline", "", 0, 0, 0.0, "0", "Not yet.")) as http:
        assert (await http.head("/health")).status_code == 503


@pytest.mark.parametrize("status", ["loading", "failed", "unreachable"])
async def test_health_is_503_with_a_reason(status: str) -> None:
    async with client(Health(status, "offline", "", 0, 0, 0.0, "0", "Not yet.")) as http:
        answer = await http.get("/health")
        assert (answer.status_code, answer.json()["detail"]) == (503, "Not yet.")


async def test_openapi_describes_our_routes_and_names_the_sockets() -> None:
    async with client(WELL) as http:
        described = (await http.get("/openapi.json")).json()
    assert set(described["paths"]) == {"/health", "/openapi.json", "/docs"}
    body = described["paths"]["/health"]["get"]["responses"]["503"]["content"]["application/json"]["schema"]["$ref"]
    assert set(described["components"]["schemas"][body.rsplit("/", 1)[1]]["properties"]) >= {
        "status",
        "calls",
        "detail",
    }
    assert all(path in described["info"]["description"] for path in SOCKETS)


async def test_the_page_of_routes_needs_no_other_host() -> None:
    async with client(WELL) as http:
        page = (await http.get("/docs")).text
    assert "/health" in page and "/realtime-voice" in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    links = re.findall(r'href="([^"]*)"', page)
    assert {"./", "health"} <= set(links)
    assert not any(link.startswith("/") for link in links), "the page may be shown under a path of its own"


# ---------------------------------------------------------------- reachability


def reachability(url: str = "ws://server.example/v1/realtime", **how: object) -> Reachability:
    return Reachability(Settings.from_env({"REALTIME_URL": url}).endpoint(), **how)  # type: ignore[arg-type]


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_an_open_and_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"ws://127.0.0.1:{listening.getsockname()[1]}/v1/realtime?api_key=sk-secret"
        assert await reachability(address).problem() == ""
    assert await reachability(address).problem() == "The Realtime server at 127.0.0.1 cannot be reached."


async def test_an_answer_is_kept_for_a_while_and_shared(no_proxy: pytest.MonkeyPatch) -> None:
    now, knocks = 100.0, 0

    async def knock(host: str, port: int) -> None:
        nonlocal knocks
        assert (host, port) == ("server.example", 80)
        knocks += 1
        await asyncio.sleep(0)
        if knocks == 1:
            raise ConnectionRefusedError

    ours = reachability(knock=knock, clock=lambda: now)
    answers = await asyncio.gather(*(ours.problem() for _ in range(5)))
    assert set(answers) == {"The Realtime server at server.example cannot be reached."} and knocks == 1
    now += KEPT_S - 0.1
    assert await ours.problem() and knocks == 1
    now += 0.2
    assert await ours.problem() == "" and knocks == 2


async def test_a_server_that_does_not_answer(no_proxy: pytest.MonkeyPatch) -> None:
    async def knock(host: str, port: int) -> None:
        raise TimeoutError

    assert await reachability(knock=knock).problem() == "The Realtime server at server.example does not answer."
    assert CONNECT_S <= 2


async def test_behind_a_proxy_nobody_knocks(no_proxy: pytest.MonkeyPatch) -> None:
    async def knock(host: str, port: int) -> None:
        raise AssertionError("only the proxy knows the way")

    no_proxy.setenv("https_proxy", "http://proxy.example:3128")
    away = Settings.from_env({"REALTIME_URL": "wss://server.example/v1/realtime"}).endpoint()
    assert address_of(away) is None and await Reachability(away, knock=knock).problem() == ""
    no_proxy.setenv("no_proxy", "server.example")
    assert address_of(away) == ("server.example", 443)
    no_proxy.setenv("http_proxy", "http://proxy.example:3128")
    here = Settings.from_env({"REALTIME_URL": "ws://127.0.0.1:9/v1/realtime"}).endpoint()
    assert address_of(here) == ("127.0.0.1", 9), "a server on this computer is reached directly"


# ---------------------------------------------------------------- the front door


@pytest.mark.parametrize("command", [["app.py"], ["-m", "uvicorn", "app:app"]], ids=["python app.py", "uvicorn"])
async def test_the_sockets_of_the_running_app(command: list[str], tmp_path: Path) -> None:
    sound: list[int] = []
    go_on = asyncio.Event()

    async def talk(behind: ServerConnection) -> None:
        behind.protocol.max_size = None  # type: ignore[attr-defined]
        await greet(behind)
        async for message in behind:
            event = json.loads(message)
            sound.append(len(event.get("audio", "")))
            if event.get("event_id") == "slow":
                await send(behind, {"type": "response.created", "response": {"id": "r1"}})
                await go_on.wait()
                await send(behind, {"type": "response.done", "response": {"id": "r1"}})
                continue
            await send(behind, {"type": "response.done", "response": {"asked": event["type"]}})

    async with server(talk) as url:
        with running_app(tmp_path / "log.txt", command, REALTIME_URL=url) as app:
            await asyncio.to_thread(app.wait, lambda health: health["http"] == 200)
            base = app.url.replace("http", "ws", 1)
            how = {"compression": "deflate", "max_size": None}
            async with (
                program(f"{base}/v1/realtime?api_key=sk-of-a-visitor", **how) as voice,
                program(f"{base}/text-chat", **how) as text,
            ):
                for one in (voice, text):
                    assert (await one.next())["type"] == "session.created"
                    assert one.socket.response is not None
                    assert "Sec-WebSocket-Extensions" not in one.socket.response.headers, "compression was offered"
                health = await asyncio.to_thread(app.health)
                assert (health["calls"], health["chats"]) == (1, 1)
                most = base64.b64encode(bytes(15 * 2**20)).decode()  # 20 MiB, more than uvicorn takes by itself
                await voice.send({"type": "input_audio_buffer.append", "audio": most})
                await voice.until("response.done")
                assert sound == [20 * 2**20]
                await text.send({"type": "response.create"})
                assert (await text.until("response.done"))["response"] == {"asked": "response.create"}
            await asyncio.to_thread(app.wait, lambda health: (health["calls"], health["chats"]) == (0, 0))
            described = json.loads(app.get("/openapi.json"))
            assert set(described["paths"]) == {"/health", "/openapi.json", "/docs", "/metrics"}
            assert "/text-chat" in app.get("/docs")

            # Told to end, it lets the reply be finished, takes nobody any more, and is gone without an error.
            async with program(f"{base}/v1/realtime") as last:
                await last.next()
                await last.send({"type": "response.create", "event_id": "slow"})
                await last.until("response.created")
                app.process.terminate()
                draining = await asyncio.to_thread(app.wait, lambda health: health["status"] == "draining")
                assert draining["http"] == 503
                async with program(f"{base}/text-chat") as late:
                    assert await late.end() == (1012, "server_error.server_closing")
                go_on.set()
                await last.until("response.done")
                assert await last.end() == (1012, "server_error.server_closing")
            assert await asyncio.to_thread(app.process.wait, 10) == 0
            log = (tmp_path / "log.txt").read_text()
            assert "sk-of-a-visitor" not in log and "Traceback" not in log
