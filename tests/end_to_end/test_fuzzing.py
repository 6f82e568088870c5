"""Fuzzing of every endpoint of the real app: no input causes an internal error or leaves a session behind.

The regular suite sends a few hundred inputs; `LONG=1 pytest tests/end_to_end/test_fuzzing.py` sends tens of thousands.
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
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.app.app_process import AppProcess
from tests.support.app.canaries import REPLY, SPOKEN
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder
from tests.support.app.webrtc_call_client import webrtc_call
from tests.support.realtime.fake_threaded_server import ThreadedRealtimeServer
from tests.support.webrtc import hostile_offers
from voicechat.security.sdp_limits import MAX_SDP_CHARS

LONG = bool(os.environ.get("LONG"))
FUZZ_SETTINGS = settings(
    max_examples=400 if LONG else 5,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking takes too long: each example runs in real time
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = pytest.mark.timeout(3600 if LONG else 120)
sent_inputs = 0
"""Number of inputs so far, printed in the long mode."""


@pytest.fixture(autouse=True)
def app_is_left_clean(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> Iterator[None]:
    """After each test: no session, no connection to the server, no traceback."""
    before = len(canary_app.log_path.read_bytes())
    yield
    canary_app.wait_for_health(
        lambda health: (health["calls"], health["chats"], upstream.open_connections) == (0, 0, 0), 20
    )
    if LONG:
        asyncio.run(good_conversation(canary_app))
    log = canary_app.log_path.read_bytes()[before:].decode()
    assert "Traceback" not in log, log[-4000:]
    if LONG:
        print(f"{sent_inputs} bad inputs")  # noqa: T201


async def good_conversation(app: AppProcess) -> None:
    """Hold a call and a chat, and check their texts."""
    async with httpx.AsyncClient(timeout=10) as client:
        visitor = GradioPageClient(app.url, client, TrafficRecorder())
        await visitor.open()
        async with visitor.websocket_call():
            await visitor.wait_for_text(lambda text: SPOKEN in text and REPLY in text)
        mark = len(visitor.received_text)
        await visitor.trigger_event("text-send", text_input="written")
        await visitor.wait_for_text(lambda text: "written" in text[mark:] and REPLY in text[mark:])
        await visitor.trigger_event("text-connect")
        await visitor.close()


def count_inputs(more: int) -> None:
    global sent_inputs
    sent_inputs += more


# -------------------------------------------------------------------- inputs

ODD_VALUES = st.recursive(
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


def json_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += json_paths(each, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn, valid: list[dict[str, Any]]) -> str:
    """Draw one of the valid values and change it in one to three places."""
    value = json.loads(json.dumps(draw(st.sampled_from(valid))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(json_paths(value) or [("type",)]))
        inside = value
        for key in way:
            inside = inside[key]
        if draw(st.booleans()):
            inside[last] = draw(ODD_VALUES)
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=8))] = inside.pop(last) if draw(st.booleans()) else draw(ODD_VALUES)
    return json.dumps(value)


BROKEN_MESSAGES = (
    st.sampled_from(["", "{", "[" * 3000, '{"type":NaN}', "null", "7", '"', "\ufeff{}", '{"type":"x"}' * 3]) | st.text()
)
MESSAGES = st.lists(
    mutated(CLIENT_EVENTS) | BROKEN_MESSAGES | ODD_VALUES.map(json.dumps) | st.binary(max_size=200),
    min_size=5,
    max_size=20,
)
ACCEPTABLE_CLOSE_CODES = {1000, 1001, 1003, 1007, 1008, 1009, 1013, 3000, 4000}
"""Close codes that blame the client, a limit or the end of a session."""


# -------------------------------------------------------------------- WebSockets


@pytest.mark.parametrize("path", ["/realtime-voice", "/text-chat", "/v1/realtime?dialect=beta"])
@FUZZ_SETTINGS
@given(MESSAGES)
def test_gateway_answers_bad_events_with_errors_or_a_close_code(
    canary_app: AppProcess, path: str, messages: list[str | bytes]
) -> None:
    count_inputs(len(messages))
    with connect(canary_app.url.replace("http", "ws") + path, close_timeout=1, max_size=None) as program:
        try:
            for message in messages:
                program.send(message)
            program.send(json.dumps({"type": "no.such.type", "event_id": "the last"}))
            while "the last" not in (text := str(program.recv(timeout=10))) or '"error"' not in text:
                pass
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code in ACCEPTABLE_CLOSE_CODES, closed


TAKEN_MESSAGES = [{"type": "taken", "frames": 1}, {"type": "something"}]
FRAMES = st.lists(
    st.binary(max_size=2000) | st.just(bytes(960)) | mutated(TAKEN_MESSAGES) | BROKEN_MESSAGES | st.just("x" * 2000),
    min_size=3,
    max_size=12,
)


@FUZZ_SETTINGS
@given(FRAMES)
def test_audio_socket_closes_with_a_known_code(canary_app: AppProcess, messages: list[str | bytes]) -> None:
    count_inputs(len(messages))

    async def call() -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            visitor = GradioPageClient(canary_app.url, client, TrafficRecorder())
            visitor.config = config_of(canary_app)
            path = (await visitor.trigger_event("voice-fallback"))[0]
            with connect(f"{canary_app.url.replace('http', 'ws')}/{path}", close_timeout=1) as call:
                try:
                    for message in messages:
                        call.send(message)
                    call.recv(timeout=30)
                except ConnectionClosed as closed:
                    assert closed.rcvd is not None and closed.rcvd.code in ACCEPTABLE_CLOSE_CODES, closed
            await visitor.close()

    asyncio.run(call())


_configs: dict[str, Any] = {}


def config_of(app: AppProcess) -> Any:
    if app.url not in _configs:
        _configs[app.url] = httpx.get(app.url + "/config").json()
    return _configs[app.url]


GATEWAY_ADDRESSES = ("/v1/realtime?model=", "/text-chat?dialect=")
"""Beginnings of addresses whose end the gateway ignores."""
UNKNOWN_ADDRESSES = ("/voice-socket/", "/realtime-voice/")
"""Beginnings of addresses that lead to no WebSocket without a valid ticket."""


@FUZZ_SETTINGS
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60), st.binary(max_size=60))
def test_handshakes_with_odd_addresses_and_headers_are_served_or_denied(
    canary_app: AppProcess, word: str, header: bytes
) -> None:
    count_inputs(len(GATEWAY_ADDRESSES) + len(UNKNOWN_ADDRESSES))
    # h11, uvicorn's parser, rejects control characters and leaves the close to the client.
    authorization = "".join(chr(byte) for byte in header if byte >= 32 and byte != 127)
    options: dict[str, Any] = {
        "additional_headers": {"Authorization": authorization},
        "subprotocols": ["realtime", "x"],
        "close_timeout": 1,
    }
    url = canary_app.url.replace("http", "ws")
    word = word.replace("#", "")
    for path in GATEWAY_ADDRESSES:
        with connect(url + path + word, **options) as program:
            assert program.subprotocol == "realtime"
            assert json.loads(program.recv(timeout=30))["type"] == "session.created"
    for path in UNKNOWN_ADDRESSES:
        with pytest.raises(InvalidStatus) as denied, connect(url + path + word, **options):
            pass
        assert denied.value.response.status_code in (403, 404)


@FUZZ_SETTINGS
@given(st.integers(0, 2**32))
def test_random_bytes_on_the_port_cause_no_server_error(canary_app: AppProcess, seed: int) -> None:
    rng = random.Random(seed)
    port = int(canary_app.url.rpartition(":")[2])
    starts = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST /udp-check HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n",
        b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    ]
    for start in starts:
        count_inputs(1)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(start + rng.randbytes(rng.choice([1, 20, 300, 5000])))
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


def call_offer(app: AppProcess) -> dict[str, Any]:
    """Return an offer in the form of fastrtc's component; it leads to no connection."""
    component = next(part["id"] for part in config_of(app)["components"] if part["type"] == "webrtc")
    offer = {**OFFER, "webrtc_id": "fuzz"}
    return {"component_id": component, "fn_name": "offer", "session_hash": "fuzz", "data": offer}


@pytest.mark.parametrize(
    "path", ["/udp-check", "/voice-export/abc", "/gradio_api/queue/join", "/gradio_api/component_server/"]
)
@FUZZ_SETTINGS
@given(data=st.data())
def test_posted_bodies_cause_no_server_error(canary_app: AppProcess, path: str, data: st.DataObject) -> None:
    valid = JOIN if "join" in path else call_offer(canary_app) if "component" in path else OFFER
    with httpx.Client(base_url=canary_app.url, timeout=20) as client:
        for _ in range(5):
            count_inputs(1)
            body = data.draw(mutated([valid]) | BROKEN_MESSAGES | ODD_VALUES.map(json.dumps) | st.binary(max_size=300))
            content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
            answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500 or answer.status_code == 503, (path, body, answer.text[:300])


OFFER_KINDS = st.sampled_from(sorted(hostile_offers.AUDIO_KINDS))
CANDIDATE = {"candidate": "candidate:1 1 udp 2122194687 192.0.2.2 50076 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
ODD_CANDIDATES = st.lists(
    st.sampled_from(["candidate:1", "1", "udp", "x", "127.0.0.1", "::", "a.local", "99999", "9" * 30, "typ", "host"]),
    max_size=14,
).map(lambda words: {**CANDIDATE, "candidate": " ".join(words)})


@FUZZ_SETTINGS
@given(st.lists(st.tuples(OFFER_KINDS, st.integers(500, 31_000)), min_size=2, max_size=6), st.lists(ODD_CANDIDATES))
def test_hostile_offers_are_answered_or_refused_while_a_call_goes_on(
    canary_app: AppProcess, offers: list[tuple[str, int]], candidates: list[dict[str, Any]]
) -> None:
    """Every member of the kinds that cost the most, below and above the limits, at both entrances."""
    count_inputs(2 * len(offers) + len(candidates))
    asyncio.run(call_among_hostile_offers(canary_app, offers, candidates))


async def call_among_hostile_offers(
    app: AppProcess, offers: list[tuple[str, int]], candidates: list[dict[str, Any]]
) -> None:
    async with httpx.AsyncClient(timeout=20) as client, httpx.AsyncClient(base_url=app.url, timeout=20) as stranger:
        visitor = GradioPageClient(app.url, client, TrafficRecorder())
        await visitor.open()
        async with webrtc_call(visitor):
            for kind, size in offers:
                check = {"type": "offer", "sdp": hostile_offers.endless(kind, size, hostile_offers.check_offer)}
                answer = await stranger.post("/udp-check", json=check)
                assert answer.status_code in (200, 400, 413, 503), (kind, size, answer.status_code)
                call = call_offer(app)
                call["data"] |= {"sdp": hostile_offers.endless(kind, size), "webrtc_id": f"fuzz{kind}".replace(" ", "")}
                answer = await stranger.post("/gradio_api/component_server/", json=call)
                accepted = (200, 400, 413, 503) if size <= 2 * MAX_SDP_CHARS else (413,)
                assert answer.status_code in accepted, (kind, size, answer.status_code, answer.text[:300])
                for candidate in [CANDIDATE, *candidates]:
                    call["data"] = {**call["data"], "type": "ice-candidate", "candidate": candidate}
                    answer = await stranger.post("/gradio_api/component_server/", json=call)
                    assert answer.status_code in (200, 400, 413, 429), (candidate, answer.text[:300])
            await visitor.wait_for_text(lambda text: SPOKEN in text and REPLY in text)
        await visitor.close()


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=30)


@FUZZ_SETTINGS
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]),
    st.dictionaries(WORDS, WORDS, max_size=3),
    st.dictionaries(st.sampled_from(["Accept", "Range", "Cookie", "Content-Type", "X-Forwarded-For"]), WORDS),
)
def test_routes_with_any_method_cause_no_server_error(
    canary_app: AppProcess, method: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    own_routes = [
        *httpx.get(canary_app.url + "/openapi.json").json()["paths"],
        "/",
        "/udp-check",
        "/voice-export/x",
        "/voice-socket/x",
    ]
    with httpx.Client(base_url=canary_app.url, timeout=20) as client:
        for path in [*own_routes, "/v1/realtime", "/text-chat", "/nowhere"]:
            count_inputs(1)
            answer = client.request(method, path, params=query, headers=headers)
            is_busy = path == "/udp-check" and answer.status_code == 503  # checks of an earlier test are under way
            assert answer.status_code < 500 or is_busy, (method, path, query, headers, answer.text[:300])


def test_app_still_serves_after_fuzzing(canary_app: AppProcess) -> None:
    asyncio.run(good_conversation(canary_app))
