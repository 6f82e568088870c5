"""Nonsense at every door of the real app: none is answered by a fault of ours, and afterwards all is as before.

A few hundred inputs in the regular suite; `LONG=1 pytest tests/outside/test_fuzz.py` sends tens of thousands.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from tests.browser.conftest import App

from .canaries import REPLY, SPOKEN
from .upstream import Upstream
from .visitor import Ear, Visitor

LONG = bool(os.environ.get("LONG"))
FEW = settings(
    max_examples=400 if LONG else 5,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # each try takes real time: a case as it was found must do
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(3600 if LONG else 120)
sent = 0
"""Bad inputs so far, for whoever runs the long mode."""


@pytest.fixture(autouse=True)
def as_before(app: App, upstream: Upstream) -> Iterator[None]:
    """All places are free again, nothing is open at the server, and nothing was amiss."""
    before = len(app.log.read_bytes())
    yield
    app.wait(lambda health: (health["calls"], health["chats"], upstream.live) == (0, 0, 0), 20)
    if LONG:
        asyncio.run(good_conversation(app))
    said = app.log.read_bytes()[before:].decode()
    assert "Traceback" not in said, said[-4000:]
    if LONG:
        print(f"{sent} bad inputs")  # noqa: T201


async def good_conversation(app: App) -> None:
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = Visitor(app.url, client, Ear())
        await visitor.opens()
        async with visitor.calling():
            await visitor.told(lambda said: SPOKEN in said and REPLY in said)
        mark = len(visitor.said)
        await visitor.event("text-send", text_input="written")
        await visitor.told(lambda said: "written" in said[mark:] and REPLY in said[mark:])
        await visitor.event("text-connect")
        await visitor.leaves()


def count(more: int) -> None:
    global sent
    sent += more


# -------------------------------------------------------------------- what is sent

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**400, 1e308, -0.0])
    | st.text(max_size=20)
    | st.sampled_from(
        ["\x00", "\ud800", "\u202e", "x" * 5000, "../../etc/passwd", "<script>", "{{7*7}}", "%00", "AAAA"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
PCM = {"type": "audio/pcm", "rate": 24000}
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
CLIENT_EVENTS: list[dict[str, Any]] = [
    {
        "type": "session.update",
        "event_id": "e1",
        "session": {
            "type": "realtime",
            "instructions": "be brief",
            "output_modalities": ["text"],
            "audio": {"input": {"format": PCM, "turn_detection": None}, "output": {"voice": "marin", "speed": 1.0}},
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "max_output_tokens": 100,
        },
    },
    {"type": "input_audio_buffer.append", "audio": "AAAA" * 40},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "previous_item_id": "root", "item": MESSAGE},
    {"type": "conversation.item.truncate", "item_id": "a1", "content_index": 0, "audio_end_ms": 10},
    {"type": "conversation.item.delete", "item_id": "a1"},
    {"type": "conversation.item.retrieve", "item_id": "a1"},
    {"type": "response.create", "response": {"instructions": "x", "input": [MESSAGE], "metadata": {"k": "v"}}},
    {"type": "response.cancel", "response_id": "r1"},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += places(each, (*path, key))
    return found


@st.composite
def bent(draw: st.DrawFn, whole: list[dict[str, Any]]) -> str:
    """Something good with one to three places bent."""
    value = json.loads(json.dumps(draw(st.sampled_from(whole))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(places(value) or [("type",)]))
        inside = value
        for key in way:
            inside = inside[key]
        if draw(st.booleans()):
            inside[last] = draw(ODD)
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=8))] = inside.pop(last) if draw(st.booleans()) else draw(ODD)
    return json.dumps(value)


BROKEN = (
    st.sampled_from(["", "{", "[" * 3000, '{"type":NaN}', "null", "7", '"', "\ufeff{}", '{"type":"x"}' * 3]) | st.text()
)
MESSAGES = st.lists(
    bent(CLIENT_EVENTS) | BROKEN | ODD.map(json.dumps) | st.binary(max_size=200), min_size=5, max_size=20
)
REFUSING = {1000, 1001, 1003, 1007, 1008, 1009, 1013, 3000, 4000}
"""Close codes that say that it is the other side's fault, or the hour's."""


# -------------------------------------------------------------------- the sockets


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat", "/v1/realtime?dialect=beta"])
@FEW
@given(MESSAGES)
def test_programs(app: App, path: str, messages: list[str | bytes]) -> None:
    count(len(messages))
    with connect(app.url.replace("http", "ws") + path, close_timeout=1, max_size=None) as program:
        try:
            for message in messages:
                program.send(message)
            program.send(json.dumps({"type": "no.such.type", "event_id": "the last"}))
            while "the last" not in (said := str(program.recv(timeout=10))) or '"error"' not in said:
                pass
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code in REFUSING, closed


TAKEN = [{"type": "taken", "frames": 1}, {"type": "something"}]
FRAMES = st.lists(
    st.binary(max_size=2000) | st.just(bytes(960)) | bent(TAKEN) | BROKEN | st.just("x" * 2000), min_size=3, max_size=12
)


@FEW
@given(FRAMES)
def test_the_socket_of_a_call(app: App, messages: list[str | bytes]) -> None:
    count(len(messages))

    async def call() -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            visitor = Visitor(app.url, client, Ear())
            visitor.config = config_of(app)
            where = (await visitor.event("voice-fallback"))[0]
            with connect(f"{app.url.replace('http', 'ws')}/{where}", close_timeout=1) as call:
                try:
                    for message in messages:
                        call.send(message)
                    call.recv(timeout=5)
                except ConnectionClosed as closed:
                    assert closed.rcvd is not None and closed.rcvd.code in REFUSING, closed
            await visitor.leaves()

    asyncio.run(call())


_configs: dict[str, Any] = {}


def config_of(app: App) -> Any:
    if app.url not in _configs:
        _configs[app.url] = httpx.get(app.url + "/config").json()
    return _configs[app.url]


@FEW
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60), st.binary(max_size=60))
def test_handshakes(app: App, word: str, header: bytes) -> None:
    """Addresses, subprotocols and headers that mean nothing."""
    count(4)
    # Control characters would not get past h11, uvicorn's parser, which leaves the connection to its client to close.
    shown = {"Authorization": "".join(chr(byte) for byte in header if byte >= 32 and byte != 127)}
    for path in ("/voice-socket/", "/v1/realtime?model=", "/text-chat?dialect=", "/realtime-voice/"):
        address = app.url.replace("http", "ws") + path + word.replace("#", "").replace(" ", "")
        try:
            with connect(address, additional_headers=shown, subprotocols=["realtime", "x"], close_timeout=1) as program:
                program.recv(timeout=5)
        except InvalidHandshake as refused:
            status = getattr(getattr(refused, "response", None), "status_code", 400)
            assert status < 500, status
        except (ConnectionClosed, UnicodeError, ValueError):
            pass


@FEW
@given(st.integers(0, 2**32))
def test_bytes(app: App, seed: int) -> None:
    """Not even HTTP."""
    chance = random.Random(seed)
    port = int(app.url.rpartition(":")[2])
    starts = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST /udp-check HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",
        b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    ]
    for start in starts:
        count(1)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(start + chance.randbytes(chance.choice([1, 20, 300, 5000])))
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while more := raw.recv(65536):
                    answer += more
            except ConnectionResetError:
                pass
            assert not answer.startswith(b"HTTP/1.1 5"), (seed, answer[:200])


# -------------------------------------------------------------------- HTTP

OFFER = {
    "type": "offer",
    "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP x\r\n",
}
JOIN = {"fn_index": 0, "data": [None], "session_hash": "fuzz", "event_data": None, "trigger_id": None}


def call_offer(app: App) -> dict[str, Any]:
    """As fastrtc's component makes it, though nothing can come of it."""
    place = next(part["id"] for part in config_of(app)["components"] if part["type"] == "webrtc")
    offer = {**OFFER, "webrtc_id": "fuzz"}
    return {"component_id": place, "fn_name": "offer", "session_hash": "fuzz", "data": offer}


@pytest.mark.parametrize(
    "path", ["/udp-check", "/voice-export/abc", "/gradio_api/queue/join", "/gradio_api/component_server/"]
)
@FEW
@given(data=st.data())
def test_posted(app: App, path: str, data: st.DataObject) -> None:
    whole = JOIN if "join" in path else call_offer(app) if "component" in path else OFFER
    with httpx.Client(base_url=app.url, timeout=20) as client:
        for _ in range(5):
            count(1)
            body = data.draw(bent([whole]) | BROKEN | ODD.map(json.dumps) | st.binary(max_size=300))
            content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
            answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500 or answer.status_code == 503, (path, body, answer.text[:300])


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=30)


@FEW
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]),
    st.dictionaries(WORDS, WORDS, max_size=3),
    st.dictionaries(st.sampled_from(["Accept", "Range", "Cookie", "Content-Type", "X-Forwarded-For"]), WORDS),
)
def test_routes(app: App, method: str, query: dict[str, str], headers: dict[str, str]) -> None:
    """Ours, in any way they may be asked for."""
    ours = [
        *httpx.get(app.url + "/openapi.json").json()["paths"],
        "/",
        "/udp-check",
        "/voice-export/x",
        "/voice-socket/x",
    ]
    with httpx.Client(base_url=app.url, timeout=20) as client:
        for path in [*ours, "/v1/realtime", "/text-chat", "/nowhere"]:
            count(1)
            answer = client.request(method, path, params=query, headers=headers)
            assert answer.status_code < 500, (method, path, query, headers, answer.text[:300])


def test_afterwards_whoever_comes_is_served(app: App) -> None:
    asyncio.run(good_conversation(app))
