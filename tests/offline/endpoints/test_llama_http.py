"""Chat endpoint against llama.cpp's own HTTP server with a real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from offline.endpoints.chat_client import ChatEndpoint
from offline.endpoints.chat_stream import ChatEnd, ChatEvent, ChatText
from offline.endpoints.dialect import ChatRequest, ChatServer
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.settings import EndpointSettings
from tests.support.endpoints.llama_http_server import LlamaHttpServer, running_llama_server

pytestmark = pytest.mark.models

RULES = {"role": "system", "content": "You answer in one whole sentence. " * 8}
REQUEST = ChatRequest(
    (RULES, {"role": "user", "content": "Say this sentence again: The capital of France is the city of Paris."}),
    40,
    temperature=0.0,
)
LONG_REPLY_TOKENS = 1500


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaHttpServer]:
    with running_llama_server() as server:
        yield server


@asynccontextmanager
async def opened(server: LlamaHttpServer, model: str = "", key: str | None = None) -> AsyncIterator[ChatEndpoint]:
    endpoint = ChatEndpoint(EndpointSettings(server.url, model, server.key if key is None else key))
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def collect(endpoint: ChatEndpoint, request: ChatRequest = REQUEST) -> list[ChatEvent]:
    async with aclosing(endpoint.stream(request)) as events:
        return [event async for event in events]


async def failure_of(endpoint: ChatEndpoint, request: ChatRequest = REQUEST) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        await collect(endpoint, request)
    return caught.value


async def test_reply_is_streamed_and_its_prompt_is_kept(llama: LlamaHttpServer) -> None:
    async with opened(llama) as endpoint:
        *texts, end = await collect(endpoint)
        assert len(texts) > 1 and all(isinstance(event, ChatText) for event in texts)
        assert "Paris" in "".join(event.text for event in texts if isinstance(event, ChatText))
        assert isinstance(end, ChatEnd) and end.finish_reason == "stop"
        assert end.usage.input_tokens > 60 and end.usage.output_tokens >= len(texts)
        again = (await collect(endpoint))[-1]
    assert isinstance(again, ChatEnd)
    assert end.usage.input_tokens > again.usage.cached_tokens > end.usage.input_tokens * 0.8


async def test_limit_ends_a_reply(llama: LlamaHttpServer) -> None:
    async with opened(llama) as endpoint:
        end = (await collect(endpoint, replace(REQUEST, max_tokens=3)))[-1]
    assert isinstance(end, ChatEnd)
    assert (end.finish_reason, end.usage.finish_reason, end.usage.output_tokens) == ("length", "length", 3)


async def test_only_model_and_the_kind_of_server_are_found(llama: LlamaHttpServer) -> None:
    async with opened(llama) as endpoint:
        await endpoint.warm_up(REQUEST)
        assert endpoint.model == "carried-model"
        assert endpoint._dialect.server is ChatServer.LLAMA_CPP
        assert endpoint._dialect.build_body(REQUEST)["chat_template_kwargs"]["enable_thinking"] is False
        assert endpoint.is_private and not endpoint.thinks


async def test_warm_up_processes_the_prompt_of_the_first_reply(llama: LlamaHttpServer) -> None:
    rules = {"role": "system", "content": "You are a lighthouse keeper who speaks of the sea and of ships. " * 6}
    async with opened(llama) as endpoint:
        await endpoint.warm_up(replace(REQUEST, messages=(rules,)))
        end = (await collect(endpoint, replace(REQUEST, messages=(rules, *REQUEST.messages[1:]))))[-1]
    assert isinstance(end, ChatEnd)
    assert end.usage.cached_tokens > end.usage.input_tokens * 0.6


async def test_closing_the_stream_stops_the_server(llama: LlamaHttpServer) -> None:
    counting = {"role": "user", "content": "Count from one to one thousand in words, without leaving out any number."}
    request = replace(REQUEST, messages=(counting,), max_tokens=LONG_REPLY_TOKENS)
    async with opened(llama) as endpoint:
        async with aclosing(endpoint.stream(request)) as events:
            assert isinstance(await anext(events), ChatText)
            assert (await slot(llama))["is_processing"]
        async with asyncio.timeout(60):
            while (stopped := await slot(llama))["is_processing"]:
                pass
        # The only slot is free for the next request.
        assert isinstance((await collect(endpoint))[-1], ChatEnd)
    assert stopped["next_token"][0]["n_decoded"] < LONG_REPLY_TOKENS / 2


async def slot(server: LlamaHttpServer) -> dict[str, Any]:
    """Return the state of the server's only slot."""
    (state,) = await asyncio.to_thread(server.get, "/slots")
    return dict(state)


@pytest.mark.parametrize("key", ["", "sk-wrong"])
async def test_wrong_key_is_refused(llama: LlamaHttpServer, key: str) -> None:
    async with opened(llama, "carried-model", key) as endpoint:
        error = await failure_of(endpoint)
    assert (error.fault, error.status) == (EndpointFault.UNAUTHORIZED, 401)
    assert "sk-" not in str(error)


async def test_long_conversation_is_refused_as_too_long(llama: LlamaHttpServer) -> None:
    long = {"role": "user", "content": "secret words " * 3000}
    async with opened(llama) as endpoint:
        error = await failure_of(endpoint, replace(REQUEST, messages=(RULES, long)))
        assert error.fault is EndpointFault.CONTEXT_LENGTH
        assert "secret" not in f"{error!r} {error.__cause__!r}"
        assert isinstance((await collect(endpoint))[-1], ChatEnd), "the next request succeeds"


async def test_killed_server_breaks_off_the_reply_and_is_unreachable_then() -> None:
    with running_llama_server() as server:
        async with opened(server) as endpoint:
            async with aclosing(endpoint.stream(replace(REQUEST, max_tokens=LONG_REPLY_TOKENS))) as events:
                assert isinstance(await anext(events), ChatText)
                server.kill()
                with pytest.raises(EndpointError) as caught:
                    async for _ in events:
                        pass
            assert caught.value.fault is EndpointFault.BROKEN_OFF
            assert (await failure_of(endpoint)).fault is EndpointFault.UNREACHABLE
