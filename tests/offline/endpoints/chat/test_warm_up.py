"""Warm-up of a chat endpoint: what it asks for, and what it shows of the model's thoughts."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from offline.endpoints import chat_client
from offline.endpoints.chat_stream import ChatText, ChatThinking
from offline.endpoints.dialect import THOUGHT_TOKENS
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.settings import EndpointSettings
from tests.support.endpoints.chat_requests import (
    HELLO,
    REQUEST,
    collect,
    failure_of,
    opened,
    serving,
    streamed,
    text_from,
)
from tests.support.endpoints.scripted_chat_server import (
    MODELS_PATH,
    ScriptedResponse,
    StreamEnd,
    chunk,
    error_response,
    json_response,
    models_response,
    sse_block,
)

OPENED_IN_PROMPT = streamed(chunk("I greet"), chunk("</think>"), chunk("Hi"), chunk(finish="stop"), "[DONE]")
"""Answer to a template that opens the tag of thoughts in the prompt."""


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the server for one where requests cost money."""
    monkeypatch.setattr(EndpointSettings, "is_private", False)


async def test_warm_up_asks_for_one_token_and_learns() -> None:
    refusal = error_response("no", param="stream_options")
    first = streamed(chunk("<think>"), chunk(finish="length"), "[DONE]")
    with serving(refusal, first, HELLO, models=models_response("m", "n", owned_by="llamacpp")) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert endpoint.thinks
            assert await text_from(endpoint) == "Hello there!"
        refused, warm_up, reply = (request.json for request in server.chat_requests)
        assert (warm_up["max_tokens"], reply["max_tokens"]) == (1, 50 + THOUGHT_TOKENS)
        assert "stream_options" in refused and "stream_options" not in reply
        assert "chat_template_kwargs" in warm_up and "reasoning_effort" in reply
        assert warm_up["messages"] == reply["messages"]


async def test_warm_up_waits_for_a_model_that_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "FIRST_EVENT_TIMEOUT_S", 0.0)
    with serving(HELLO) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert (await failure_of(endpoint)).fault is EndpointFault.TIMEOUT


async def test_warm_up_stops_at_thoughts() -> None:
    with serving(streamed(chunk(reasoning="x"), end=StreamEnd.HANG)) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert endpoint.thinks
            assert await asyncio.to_thread(server.chat_requests[0].client_closed.wait, 10)


@pytest.mark.usefixtures("public")
async def test_warm_up_takes_no_room_for_thoughts() -> None:
    spent = error_response("Could not finish the message because max_tokens or model output limit was reached.")
    with serving(spent) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert endpoint.thinks
        assert {request.json["max_tokens"] for request in server.chat_requests} == {1}


async def test_warm_up_reports_failures() -> None:
    with serving(error_response("no", 401)) as server:
        async with opened(server) as endpoint:
            with pytest.raises(EndpointError) as caught:
                await endpoint.warm_up(REQUEST)
    assert caught.value.fault is EndpointFault.UNAUTHORIZED


async def test_first_warm_up_shows_that_the_prompt_opens_thoughts() -> None:
    with serving(OPENED_IN_PROMPT) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert endpoint._probe is not None
            await endpoint._probe
            events = await collect(endpoint)
            await endpoint.warm_up(REQUEST)
        assert events[:-1] == [ChatThinking(), ChatText("Hi")]
        probe, reply, again = (request.json for request in server.chat_requests)
        assert (probe["max_tokens"], again["max_tokens"]) == (chat_client.PROBE_TOKENS, 1)
        assert probe["messages"][0]["content"].startswith(reply["messages"][0]["content"])
        assert again["messages"] == reply["messages"]


@pytest.mark.parametrize(
    ("answer", "opens"),
    [
        (streamed(chunk("OK."), chunk(finish="stop"), "[DONE]"), False),
        (streamed(chunk("<think>x</think>OK."), chunk(finish="stop"), "[DONE]"), False),
        (streamed(chunk(reasoning="x"), chunk("OK."), chunk(finish="stop"), "[DONE]"), False),
        (streamed(chunk("I think"), chunk(finish="length"), "[DONE]"), True),
        (streamed(chunk(""), chunk(finish="stop"), "[DONE]"), None),
    ],
)
async def test_what_the_answer_to_the_first_warm_up_shows(answer: ScriptedResponse, opens: bool | None) -> None:
    with serving(answer) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            if endpoint._probe is not None:
                await endpoint._probe
            assert endpoint._dialect.opens_in_prompt is opens


async def test_reply_does_not_wait_for_the_answer_to_the_warm_up() -> None:
    with serving(streamed(chunk("I greet"), end=StreamEnd.HANG), HELLO) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert await text_from(endpoint) == "Hello there!"
            assert await asyncio.to_thread(server.chat_requests[0].client_closed.wait, 10)


async def test_warm_up_that_a_reply_ends_returns() -> None:
    with serving(ScriptedResponse((StreamEnd.HANG,)), HELLO) as server:
        async with opened(server) as endpoint:
            warm_up = asyncio.create_task(endpoint.warm_up(REQUEST))
            await asyncio.to_thread(server.wait_for_requests, 1)
            assert await text_from(endpoint) == "Hello there!"
            await warm_up


async def test_cancelled_warm_up_closes_the_response() -> None:
    with serving(ScriptedResponse((StreamEnd.HANG,))) as server:
        async with opened(server) as endpoint:
            warm_up = asyncio.create_task(endpoint.warm_up(REQUEST))
            (request,) = await asyncio.to_thread(server.wait_for_requests, 1)
            warm_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await warm_up
            assert await asyncio.to_thread(request.client_closed.wait, 10)


@pytest.mark.usefixtures("public")
async def test_first_answer_of_an_endpoint_that_costs_money_is_held_back() -> None:
    one_token = streamed(chunk("I"), chunk(finish="length"), "[DONE]")
    with serving(one_token, OPENED_IN_PROMPT) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            assert await text_from(endpoint) == "Hi"
            assert [event for event in await collect(endpoint) if isinstance(event, ChatThinking)]
        assert server.chat_requests[0].json["max_tokens"] == 1


@pytest.mark.usefixtures("public")
async def test_second_answer_of_an_endpoint_that_costs_money_is_streamed() -> None:
    gate = threading.Event()
    rest = streamed(chunk(" there!"), chunk(finish="stop"), "[DONE]").steps
    with serving(HELLO, ScriptedResponse((sse_block(chunk("Hello")), gate, *rest))) as server:
        async with opened(server) as endpoint:
            assert await text_from(endpoint) == "Hello there!"
            async with aclosing(endpoint.stream(REQUEST)) as events:
                assert await anext(events) == ChatText("Hello")
                gate.set()
                assert await anext(events) == ChatText(" there!")


@pytest.mark.parametrize("models", [None, json_response({}, 401), json_response({"data": 5})])
async def test_server_without_a_list_of_models_is_asked_for_it_once(models: ScriptedResponse | None) -> None:
    with serving(HELLO, models=models) as server:
        async with opened(server) as endpoint:
            await endpoint.warm_up(REQUEST)
            await endpoint.warm_up(REQUEST)
        assert len(server.requests_of(MODELS_PATH)) == 1


async def test_list_of_models_has_the_time_of_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "FIRST_EVENT_TIMEOUT_S", 0.3)
    with serving(HELLO, models=ScriptedResponse((b"[", StreamEnd.HANG))) as server:
        async with opened(server, "") as endpoint:
            assert (await failure_of(endpoint)).fault is EndpointFault.TIMEOUT
            (request,) = server.requests_of(MODELS_PATH)
            assert await asyncio.to_thread(request.client_closed.wait, 10)
