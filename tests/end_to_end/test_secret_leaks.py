"""Secret leaks: canaries are planted in the real app, and all of its output is searched for them.

The app logs at debug level, and the server quotes the received key wherever it can. A key may appear only in the
handshake with that server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.parse
from contextlib import AbstractAsyncContextManager, suppress

import httpx
import psutil
import pytest

from tests.support.app import webrtc_call_client
from tests.support.app.app_process import AppProcess
from tests.support.app.canaries import (
    HUGGING_FACE,
    IN_ADDRESS,
    OPERATOR,
    PROGRAM,
    PROMPT,
    REPLY,
    SPOKEN,
    TURN_ID,
    TURN_TOKEN,
    TWILIO_ID,
    TWILIO_TOKEN,
    TYPED,
    VISITOR,
    WRITTEN,
)
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder, run_api_client
from tests.support.realtime.fake_threaded_server import ServerBehaviour, ThreadedRealtimeServer

SECRET_CORES = {
    name: next(word.strip("+k/&<=.") for word in text.split() if "Canary" in word)
    for name, text in {
        "the operator's key": OPERATOR,
        "a visitor's key": VISITOR,
        "a program's key": PROGRAM,
        "Cloudflare's id": TURN_ID,
        "Cloudflare's token": TURN_TOKEN,
        "Twilio's id": TWILIO_ID,
        "Twilio's token": TWILIO_TOKEN,
        "Hugging Face's token": HUGGING_FACE,
        "the key in the address": IN_ADDRESS,
        "the prompt": PROMPT,
        "spoken words": SPOKEN,
        "typed words": TYPED,
        "written words": WRITTEN,
        "a reply": REPLY,
    }.items()
}
KEY_NAMES = [name for name in SECRET_CORES if "key" in name or "token" in name or "id" in name.split()]
CONTENT_NAMES = [name for name in SECRET_CORES if name not in KEY_NAMES]


def encoded_variants(core: str) -> set[bytes]:
    """Return the encodings of a secret that the search knows, in lower case."""
    raw = core.encode()
    found = {raw, raw[::-1], raw.hex().encode(), urllib.parse.quote("".join(f"%{byte:02X}" for byte in raw)).encode()}
    found.add("".join(f"%{byte:02X}" for byte in raw).encode())
    found.add("".join(f"\\u{byte:04x}" for byte in raw).encode())
    for before in range(3):  # base64 of a text that contains it, at each of three offsets
        text = base64.b64encode(bytes(before) + raw + bytes(3))
        found.add(text[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3])
    return {spelling.lower() for spelling in found}


def find_secrets(text: bytes, names: list[str]) -> list[str]:
    """Return the names of the secrets in `text`."""
    low = bytes(text).lower()
    return [name for name in names if any(spelling in low for spelling in encoded_variants(SECRET_CORES[name]))]


def test_find_secrets_knows_each_encoding() -> None:
    text = b"....." + OPERATOR.encode() + b"?"
    for encoded in (text, base64.b64encode(text), base64.b64encode(text[1:]), base64.b64encode(text[2:]), text.hex()):
        assert find_secrets(encoded.encode() if isinstance(encoded, str) else encoded, KEY_NAMES) == [
            "the operator's key"
        ]
    assert find_secrets(urllib.parse.quote(VISITOR).encode(), KEY_NAMES) == ["a visitor's key"]
    assert find_secrets(json.dumps([TYPED]).encode(), CONTENT_NAMES) == ["typed words"]
    assert not find_secrets(b"Canary", list(SECRET_CORES))


def wait_until_idle(app: AppProcess) -> None:
    app.wait_for_health(lambda health: (health["calls"], health["chats"]) == (0, 0), 15)


CREATE_RESPONSE = json.dumps({"type": "response.create"})
CREATE_MESSAGE = json.dumps(
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TYPED}]},
    }
)


async def call_and_chat(visitor: GradioPageClient, call: AbstractAsyncContextManager[None]) -> None:
    """Speak, type and chat once."""
    async with call:
        await visitor.wait_for_text(lambda text: SPOKEN in text and REPLY in text)
        await visitor.trigger_event("voice-send", voice_input=TYPED)
        await visitor.wait_for_text(lambda text: TYPED in text)
    await visitor.trigger_event("text-send", text_input=WRITTEN)
    await visitor.wait_for_text(lambda text: WRITTEN in text)
    await visitor.trigger_event("text-connect")


async def provoke_server_failure(
    visitor: GradioPageClient, upstream: ThreadedRealtimeServer, behaviour: ServerBehaviour
) -> None:
    """Hold a call and a chat with a failing server, until the page shows a notice or a reply."""
    upstream.behaviour = behaviour
    mark = len(visitor.received_text)
    async with visitor.websocket_call():
        await visitor.wait_for_text(lambda text: "data-notice" in text[mark:] or REPLY in text[mark:])
    mark = len(visitor.received_text)
    await visitor.trigger_event("text-send", text_input=WRITTEN)
    await visitor.wait_for_text(lambda text: "data-notice" in text[mark:] or REPLY in text[mark:])
    if '"Disconnect"' in visitor.received_text[mark:].rpartition("process_generating")[2]:
        await visitor.trigger_event("text-connect")


@pytest.mark.timeout(60)
async def test_no_secret_leaves_the_process(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    recorder = TrafficRecorder()
    ws = canary_app.url.replace("http", "ws")
    async with httpx.AsyncClient(timeout=10) as client:
        first, second, third = (
            GradioPageClient(canary_app.url, client, recorder, name) for name in ("first", "second", "third")
        )
        for visitor in (first, second, third):
            await visitor.open()
        await call_and_chat(first, first.websocket_call())
        await call_and_chat(third, webrtc_call_client.webrtc_call(third))
        await second.trigger_event("own-key-use", own_key_input=VISITOR)
        for behaviour in ServerBehaviour:
            await provoke_server_failure(second, upstream, behaviour)
            for path in ("/realtime-voice", "/text-chat", "/v1/realtime"):
                await run_api_client(
                    ws + path, recorder, f"{path} {behaviour.name}", [CREATE_MESSAGE, CREATE_RESPONSE], "response.done"
                )
        for one in second.config["dependencies"]:
            too_few = [TYPED, VISITOR][: max(0, len(one["inputs"]) - 1)]
            nonsense = {"fn_index": one["id"], "data": too_few, "session_hash": "none"}
            for more in ({}, {"trigger_id": WRITTEN}):
                await second.request("/gradio_api/queue/join", "POST", json={**nonsense, **more})
        upstream.behaviour = ServerBehaviour.NORMAL
        headers = {"additional_headers": {"Authorization": f"Bearer {PROGRAM}", "api-key": PROGRAM}}
        subprotocols = {"subprotocols": ["realtime", f"openai-insecure-api-key.{PROGRAM}"]}
        address = f"{ws}/v1/realtime?api_key={PROGRAM}&model={PROGRAM}"
        await run_api_client(
            address,
            recorder,
            "with a key",
            [CREATE_MESSAGE, "{", CREATE_RESPONSE],
            "response.done",
            **headers,
            **subprotocols,
        )
        for path in PATHS:
            with suppress(httpx.HTTPError):  # failures of Gradio's routes are tested elsewhere
                await second.request(path)
        for visitor in (first, second, third):
            await visitor.close()
    await asyncio.to_thread(wait_until_idle, canary_app)

    log = canary_app.log_path.read_bytes()
    process = psutil.Process(canary_app.process.pid)
    for each in (process, *process.children(recursive=True)):
        recorder.record("process list", " ".join([each.name(), *each.cmdline()]))
    recorder.record("log", log)
    assert {"first: voice socket", "third: data channel"} <= recorder.traffic.keys()
    assert SECRET_CORES["the operator's key"] in "".join(upstream.handshakes) and SECRET_CORES[
        "a visitor's key"
    ] in "".join(upstream.handshakes)
    leaks = {where: found for where, text in recorder.traffic.items() if (found := find_secrets(text, KEY_NAMES))}
    assert not leaks
    assert not find_secrets("".join(upstream.handshakes).encode(), ["a program's key"]), (
        "a client's key is not forwarded"
    )
    assert not find_secrets(log, CONTENT_NAMES)
    assert not find_secrets(recorder.traffic["process list"], CONTENT_NAMES)
    assert not [
        where
        for where, text in recorder.traffic.items()
        if where.endswith(": events") and find_secrets(text, ["the prompt"])
    ], "a server that refuses with the prompt in its words does not show it on the page"
    # The words of a visitor reach this visitor only. Public routes contain no words.
    private = {"spoken words", "typed words", "written words", "a reply"}
    for where, text in recorder.traffic.items():
        is_own = where.endswith((": events", "queue/join")) or where.startswith("program")
        assert is_own or not private & set(find_secrets(text, CONTENT_NAMES)), where


PATHS = [
    "/",
    "/health",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/config",
    "/udp-check",
    "/theme.css",
    "/manifest.json",
    "/robots.txt",
    "/monitoring",
    "/monitoring/summary",
    "/gradio_api/info",
    "/gradio_api/openapi.json",
    "/gradio_api/app_id",
    "/gradio_api/startup-events",
    "/gradio_api/queue/status",
    "/gradio_api/user",
    "/gradio_api/token",
    "/gradio_api/vibe-code",
    "/gradio_api/file=.env",
    "/gradio_api/file=app.py",
    "/gradio_api/file=/proc/self/environ",
    "/gradio_api/file=/proc/self/cmdline",
    "/static/../../.env",
    "/assets/..%2f..%2f.env",
    "/nowhere",
]
