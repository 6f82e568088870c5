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

from tests.browser.conftest import App

from . import webrtc_call
from .canaries import (
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
from .upstream import Upstream, Way
from .visitor import Ear, Visitor, converse

CORES = {
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
KEYS = [name for name in CORES if "key" in name or "token" in name or "id" in name.split()]
WORDS = [name for name in CORES if name not in KEYS]


def spellings(core: str) -> set[bytes]:
    """The ways in which this could be written."""
    raw = core.encode()
    found = {raw, raw[::-1], raw.hex().encode(), urllib.parse.quote("".join(f"%{byte:02X}" for byte in raw)).encode()}
    found.add("".join(f"%{byte:02X}" for byte in raw).encode())
    found.add("".join(f"\\u{byte:04x}" for byte in raw).encode())
    for before in range(3):  # base64 of something in which it stands, wherever it begins
        text = base64.b64encode(bytes(before) + raw + bytes(3))
        found.add(text[-(-before * 4 // 3) : (before + len(raw)) * 4 // 3])
    return {spelling.lower() for spelling in found}


def found_in(text: bytes, names: list[str]) -> list[str]:
    low = bytes(text).lower()
    return [name for name in names if any(spelling in low for spelling in spellings(CORES[name]))]


def test_the_search_finds_what_it_is_for() -> None:
    text = b"....." + OPERATOR.encode() + b"?"
    for spelt in (text, base64.b64encode(text), base64.b64encode(text[1:]), base64.b64encode(text[2:]), text.hex()):
        assert found_in(spelt.encode() if isinstance(spelt, str) else spelt, KEYS) == ["the operator's key"]
    assert found_in(urllib.parse.quote(VISITOR).encode(), KEYS) == ["a visitor's key"]
    assert found_in(json.dumps([TYPED]).encode(), WORDS) == ["typed words"]
    assert not found_in(b"Canary", list(CORES))


def settle(app: App) -> None:
    app.wait(lambda health: (health["calls"], health["chats"]) == (0, 0), 15)


CREATE = json.dumps({"type": "response.create"})
SAY = json.dumps(
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TYPED}]},
    }
)


async def call_and_chat(visitor: Visitor, call: AbstractAsyncContextManager[None]) -> None:
    async with call:
        await visitor.told(lambda said: SPOKEN in said and REPLY in said)
        await visitor.event("voice-send", voice_input=TYPED)
        await visitor.told(lambda said: TYPED in said)
    await visitor.event("text-send", text_input=WRITTEN)
    await visitor.told(lambda said: WRITTEN in said)
    await visitor.event("text-connect")


async def failing(visitor: Visitor, upstream: Upstream, way: Way) -> None:
    """A call and a chat with a server that fails, until the page says so or they are left."""
    upstream.way = way
    mark = len(visitor.said)
    async with visitor.calling():
        await visitor.told(lambda said: "data-notice" in said[mark:] or REPLY in said[mark:])
    mark = len(visitor.said)
    await visitor.event("text-send", text_input=WRITTEN)
    await visitor.told(lambda said: "data-notice" in said[mark:] or REPLY in said[mark:])
    if '"Disconnect"' in visitor.said[mark:].rpartition("process_generating")[2]:
        await visitor.event("text-connect")


@pytest.mark.timeout(60)
async def test_no_secret_leaves_the_process(app: App, upstream: Upstream) -> None:
    ear = Ear()
    ws = app.url.replace("http", "ws")
    async with httpx.AsyncClient(timeout=10) as client:
        first, second, third = (Visitor(app.url, client, ear, name) for name in ("first", "second", "third"))
        for visitor in (first, second, third):
            await visitor.opens()
        await call_and_chat(first, first.calling())
        await call_and_chat(third, webrtc_call.calling(third))
        await second.event("own-key-use", own_key_input=VISITOR)
        for way in Way:
            await failing(second, upstream, way)
            for path in ("/realtime-voice", "/text-chat", "/v1/realtime"):
                await converse(ws + path, ear, f"{path} {way.name}", [SAY, CREATE], "response.done")
        for one in second.config["dependencies"]:
            too_little = [TYPED, VISITOR][: max(0, len(one["inputs"]) - 1)]
            nonsense = {"fn_index": one["id"], "data": too_little, "session_hash": "none"}
            for more in ({}, {"trigger_id": WRITTEN}):
                await second.get("/gradio_api/queue/join", "POST", json={**nonsense, **more})
        upstream.way = Way.GOOD
        shown = {"additional_headers": {"Authorization": f"Bearer {PROGRAM}", "api-key": PROGRAM}}
        offered = {"subprotocols": ["realtime", f"openai-insecure-api-key.{PROGRAM}"]}
        address = f"{ws}/v1/realtime?api_key={PROGRAM}&model={PROGRAM}"
        await converse(address, ear, "that shows a key", [SAY, "{", CREATE], "response.done", **shown, **offered)
        for path in PATHS:
            with suppress(httpx.HTTPError):  # a route of Gradio's that fails is another test's business
                await second.get(path)
        for visitor in (first, second, third):
            await visitor.leaves()
    await asyncio.to_thread(settle, app)

    log = app.log.read_bytes()
    process = psutil.Process(app.process.pid)
    for each in (process, *process.children(recursive=True)):
        ear.hear("process list", " ".join([each.name(), *each.cmdline()]))
    ear.hear("log", log)
    assert {"first: voice socket", "third: data channel"} <= ear.heard.keys()
    assert CORES["the operator's key"] in "".join(upstream.shown) and CORES["a visitor's key"] in "".join(
        upstream.shown
    )
    leaks = {where: found for where, text in ear.heard.items() if (found := found_in(text, KEYS))}
    assert not leaks
    assert not found_in("".join(upstream.shown).encode(), ["a program's key"]), "what a program shows is not sent on"
    assert not found_in(log, WORDS)
    assert not found_in(ear.heard["process list"], WORDS)
    # What one visitor said, nobody else is told; what is for all tells of nobody.
    private = {"spoken words", "typed words", "written words", "a reply"}
    for where, text in ear.heard.items():
        mine = where.endswith((": events", "queue/join")) or where.startswith("program")  # one's own
        assert mine or not private & set(found_in(text, WORDS)), where


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
