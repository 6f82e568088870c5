"""The app as a process behind a proxy: it reaches this computer directly, and the outside through the proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.app.app_process import NO_SERVER_SETTINGS, AppProcess, free_port, running_app
from tests.support.network.fake_proxy import FakeProxy, ProxyBehaviour, running_proxy, set_proxies
from tests.support.paths import ROOT
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer

HOST = "realtime.example"
ENCODED, PASSWORD = "hush%40hush%2F4711", "hush@hush/4711"
REPLY = "There is a way out."


@pytest.fixture
def server() -> Iterator[ThreadedRealtimeServer]:
    with ThreadedRealtimeServer("Is there a way?", REPLY).running() as running:
        yield running


@pytest.fixture
def proxy(server: ThreadedRealtimeServer) -> Iterator[FakeProxy]:
    with running_proxy({HOST: int(server.url.split(":")[2].split("/")[0])}, f"user:{PASSWORD}") as running:
        yield running


def talk(app: AppProcess) -> str:
    """Hold a text chat over the app's own WebSocket. Return the reply, or the code of an error."""
    with connect(app.url.replace("http", "ws") + "/text-chat", proxy=None) as socket:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Is there a way?"}]}
        with suppress(ConnectionClosed):  # a refusal may come before the second event is sent; it is read below
            socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
            socket.send(json.dumps({"type": "response.create"}))
        while True:
            event = json.loads(socket.recv(timeout=30))
            if event["type"] == "error":
                return str(event["error"]["code"])
            if event["type"] == "response.output_text.done":
                return str(event["text"])


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["app.py"], id="python app.py"),
        pytest.param(["-m", "uvicorn", "app:app"], id="uvicorn", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize(
    ("variables", "scheme"),
    [
        (["http_proxy", "https_proxy"], "http://"),
        (["HTTP_PROXY"], ""),
        (["ALL_PROXY"], "socks5://"),
        (["all_proxy"], "socks://"),
    ],
)
def test_app_with_a_proxy_that_is_down_starts_and_reaches_this_computer(
    command: list[str],
    variables: list[str],
    scheme: str,
    server: ThreadedRealtimeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_proxies(monkeypatch, **dict.fromkeys(variables, f"{scheme}user:{ENCODED}@127.0.0.1:{free_port()}/"))
    with running_app(tmp_path / "log.txt", command, REALTIME_URL=server.url) as app:
        app.wait_for_health(lambda answer: answer["http"] == 200)
        assert "Realtime Voice Chat" in app.fetch_text("/")
        assert talk(app) == REPLY
        log = app.log_path.read_text()
    assert "Traceback" not in log and PASSWORD not in log and ENCODED not in log


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks"])
def test_app_reaches_the_outside_through_the_proxy_and_nothing_else(
    scheme: str, proxy: FakeProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxies(monkeypatch, all_proxy=f"{scheme}://user:{ENCODED}@{proxy.address}")
    address = f"ws://{HOST}/v1/realtime"
    with running_app(tmp_path / "log.txt", HOST="0.0.0.0", DEBUG="1", REALTIME_URL=address) as app:
        app.wait_for_health(lambda answer: answer["http"] == 200)
        assert talk(app) == REPLY
        assert set(proxy.hosts) == {HOST}
        proxy.behaviour = ProxyBehaviour.REFUSE
        assert talk(app) == "server_unreachable"
        log = app.log_path.read_text()
    assert "failure=proxy_refused" in log
    assert "Traceback" not in log and PASSWORD not in log and ENCODED not in log


@pytest.mark.long
@pytest.mark.models
def test_app_with_a_proxy_that_is_down_reaches_the_embedded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    set_proxies(monkeypatch, http_proxy=address, https_proxy=address, all_proxy=address)
    with running_app(tmp_path / "log.txt", MAX_OUTPUT_TOKENS="8") as app:
        app.wait_for_health(lambda answer: answer["http"] == 200, timeout=120)
        assert talk(app)
        assert "Traceback" not in app.log_path.read_text()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("http_proxy", f"ftp://user:{ENCODED}@h:1"),
        ("HTTPS_PROXY", f"http://user:{ENCODED}@a b:1"),
        ("all_proxy", "socks4://h:1"),
    ],
)
def test_unusable_proxy_ends_the_start_with_one_sentence(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxies(monkeypatch, **{variable: value})
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, **NO_SERVER_SETTINGS},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"{variable} ") and done.stderr.endswith(".\n")
    assert value not in done.stderr and ENCODED not in done.stderr
