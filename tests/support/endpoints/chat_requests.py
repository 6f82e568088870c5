"""Requests of a chat endpoint's client to the scripted server."""

from __future__ import annotations

import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import pytest

from offline.endpoints.chat_client import ChatEndpoint
from offline.endpoints.chat_stream import ChatEvent, ChatText
from offline.endpoints.dialect import ChatRequest
from offline.endpoints.errors import EndpointError
from offline.endpoints.settings import EndpointSettings

from .scripted_chat_server import (
    Answer,
    ScriptedChatServer,
    ScriptedResponse,
    StreamEnd,
    sse_block,
    text_response,
)

KEY, WORDS = "sk-secret-key", "secret words"
REQUEST = ChatRequest(({"role": "user", "content": WORDS},), 50)
HELLO = text_response("Hello", " there!")


@contextmanager
def serving(*answers: Answer, models: ScriptedResponse | None = None) -> Iterator[ScriptedChatServer]:
    """Serve the answers of the chat path in turn."""
    with ScriptedChatServer(*answers, models=models).running() as server:
        yield server


@asynccontextmanager
async def opened(server: ScriptedChatServer, model: str = "m") -> AsyncIterator[ChatEndpoint]:
    """Open the client of `server`."""
    endpoint = ChatEndpoint(EndpointSettings(server.url, model, KEY))
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def collect(endpoint: ChatEndpoint, request: ChatRequest = REQUEST) -> list[ChatEvent]:
    """Return the events of a reply."""
    async with aclosing(endpoint.stream(request)) as events:
        return [event async for event in events]


async def text_from(endpoint: ChatEndpoint, request: ChatRequest = REQUEST) -> str:
    """Return the words of a reply."""
    return "".join(event.text for event in await collect(endpoint, request) if isinstance(event, ChatText))


async def failure_of(endpoint: ChatEndpoint, request: ChatRequest = REQUEST) -> EndpointError:
    """Return the error of a reply, which holds nothing private: neither its sentence nor its causes."""
    with pytest.raises(EndpointError) as caught:
        await collect(endpoint, request)
    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__cause__)
    assert KEY not in shown and WORDS not in shown and "/v1" not in shown
    assert endpoint.host in str(caught.value)
    return caught.value


def streamed(*payloads: Any, end: StreamEnd | threading.Event | None = None) -> ScriptedResponse:
    """Return a streamed answer of any payloads, with an unusual end if one is given."""
    steps = tuple(map(sse_block, payloads))
    return ScriptedResponse(steps if end is None else (*steps, end))
