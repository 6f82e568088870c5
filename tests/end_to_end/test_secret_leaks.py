"""Nothing that is secret leaves the process: keys are planted, everything that comes out is kept, and all is searched.

The real app, with the log at its most talkative; a server that quotes the key it was shown wherever it can. The
handshake with that server is the one place where a key may be.
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
from tests.support.app.gradio_page_client import GradioPageClient, TrafficRecorder, run_api_client
from tests.support.app.planted_secrets import (
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
    """The ways in which this could be written."""
    raw = core.encode()
    found = {raw, raw[::-1], raw.hex().encode(), urllib.parse.quote("".join(f"%{byte:02X}" for byte in raw)).encode()}
    found.add("".join(f"%{byte:02X}" for byte in raw).encode())
    found.add("".join(f"\\u{byte:04x}" for byte in raw).encode())
    for before in range(3):  # base64 of something in which it stands, wherever it begins
        text = base64.b64encode(bytes(before) + raw + bytes(3))
        found.add(text[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3])
    return {spelling.lower() for spelling in found}


def find_secrets(text: bytes, names: list[str]) -> list[str]:
    low = bytes(text).lower()
    return [name for name in names if any(spelling in low for spelling in encoded_variants(SECRET_CORES[name]))]


def test_the_search_finds_what_it_is_for() -> None:
    text = b"....." + OPERATOR.encode() + b"?"
    for spelt in (text, base64.b64encode(text), base64.b64encode(text[1:]), base64.b64encode(text[2:]), text.hex()):
        assert find_secrets(spelt.encode() if isinstance(spelt, str) else spelt, KEY_NAMES) == ["the operator's key"]
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
    async with call:
        await visitor.wait_for_text(lambda said: SPOKEN in said and REPLY in said)
        await visitor.trigger_event("voice-send", voice_input=TYPED)
        await visitor.wait_for_text(lambda said: TYPED in said)
    await visitor.trigger_event("text-send", text_input=WRITTEN)
    await visitor.wait_for_text(lambda said: WRITTEN in said)
    await visitor.trigger_event("text-connect")


async def provoke_server_failure(
    visitor: GradioPageClient, upstream: ThreadedRealtimeServer, way: ServerBehaviour
) -> None:
    """A call and a chat with a server that fails, until the page says so or they are left."""
    upstream.behaviour = way
    mark = len(visitor.received_text)
    async with visitor.websocket_call():
        await visitor.wait_for_text(lambda said: "data-notice" in said[mark:] or REPLY in said[mark:])
    mark = len(visitor.received_text)
    await visitor.trigger_event("text-send", text_input=WRITTEN)
    await visitor.wait_for_text(lambda said: "data-notice" in said[mark:] or REPLY in said[mark:])
    if '"Disconnect"' in visitor.received_text[mark:].rpartition("process_generating")[2]:
        await visitor.trigger_event("text-connect")


@pytest.mark.timeout(60)
async def test_no_secret_leaves_the_process(canary_app: AppProcess, upstream: ThreadedRealtimeServer) -> None:
    ear = TrafficRecorder()
    ws = canary_app.url.replace("http", "ws")
    async with httpx.AsyncClient(timeout=10) as client:
        first, second, third = (
            GradioPageClient(canary_app.url, client, ear, name) for name in ("first", "second", "third")
        )
        for visitor in (first, second, third):
            await visitor.open()
        await call_and_chat(first, first.websocket_call())
        await call_and_chat(third, webrtc_call_client.webrtc_call(third))
        await second.trigger_event("own-key-use", own_key_input=VISITOR)
        for way in ServerBehaviour:
            await provoke_server_failure(second, upstream, way)
            for path in ("/realtime-voice", "/text-chat", "/v1/realtime"):
                await run_api_client(
                    ws + path, ear, f"{path} {way.name}", [CREATE_MESSAGE, CREATE_RESPONSE], "response.done"
                )
        for one in second.config["dependencies"]:
            too_little = [TYPED, VISITOR][: max(0, len(one["inputs"]) - 1)]
            nonsense = {"fn_index": one["id"], "data": too_little, "session_hash": "none"}
            for more in ({}, {"trigger_id": WRITTEN}):
                await second.request("/gradio_api/queue/join", "POST", json={**nonsense, **more})
        upstream.behaviour = ServerBehaviour.NORMAL
        shown = {"additional_headers": {"Authorization": f"Bearer {PROGRAM}", "api-key": PROGRAM}}
        offered = {"subprotocols": ["realtime", f"openai-insecure-api-key.{PROGRAM}"]}
        address = f"{ws}/v1/realtime?api_key={PROGRAM}&model={PROGRAM}"
        await run_api_client(
            address,
            ear,
            "that shows a key",
            [CREATE_MESSAGE, "{", CREATE_RESPONSE],
            "response.done",
            **shown,
            **offered,
        )
        for path in PATHS:
            with suppress(httpx.HTTPError):  # a route of Gradio's that fails is another test's business
                await second.request(path)
        for visitor in (first, second, third):
            await visitor.close()
    await asyncio.to_thread(wait_until_idle, canary_app)

    log = canary_app.log_path.read_bytes()
    process = psutil.Process(canary_app.process.pid)
    for each in (process, *process.children(recursive=True)):
        ear.record("process list", " ".join([each.name(), *each.cmdline()]))
    ear.record("log", log)
    assert {"first: voice socket", "third: data channel"} <= ear.traffic.keys()
    assert SECRET_CORES["the operator's key"] in "".join(upstream.handshakes) and SECRET_CORES[
        "a visitor's key"
    ] in "".join(upstream.handshakes)
    leaks = {where: found for where, text in ear.traffic.items() if (found := find_secrets(text, KEY_NAMES))}
    assert not leaks
    assert not find_secrets("".join(upstream.handshakes).encode(), ["a program's key"]), (
        "what a program shows is not sent on"
    )
    assert not find_secrets(log, CONTENT_NAMES)
    assert not find_secrets(ear.traffic["process list"], CONTENT_NAMES)
    # What one visitor said, nobody else is told; what is for all tells of nobody.
    private = {"spoken words", "typed words", "written words", "a reply"}
    for where, text in ear.traffic.items():
        mine = where.endswith((": events", "queue/join")) or where.startswith("program")  # one's own
        assert mine or not private & set(find_secrets(text, CONTENT_NAMES)), where


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
