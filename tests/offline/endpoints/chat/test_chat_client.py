"""Client of a chat endpoint against a scripted server: adaptation, cancellation, timeouts, broken answers."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import Any

import pytest

from offline.endpoints import chat_client
from offline.endpoints.chat_stream import ChatEnd, ChatText, ChatToolCall
from offline.endpoints.dialect import THOUGHT_TOKENS, ChatRequest
from offline.endpoints.errors import EndpointFault
from offline.llm.errors import LlmUsage
from tests.support.endpoints.chat_requests import (
    HELLO,
    KEY,
    REQUEST,
    WORDS,
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
    text_response,
    usage_chunk,
)


async def test_reply_is_streamed() -> None:
    with serving(HELLO) as server:
        async with opened(server) as endpoint:
            events = await collect(endpoint)
            assert (endpoint.host, endpoint.is_private, endpoint.model) == (server.url[7:-3], True, "m")
        assert events == [ChatText("Hello"), ChatText(" there!"), ChatEnd(LlmUsage(12, 0, 2, "stop"), "stop")]
        (request,) = server.chat_requests
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["accept-encoding"] == "identity"
        assert request.json["max_tokens"] == 50
        assert request.json["stream"] is True


async def test_words_arrive_before_the_end_of_the_reply() -> None:
    gate = threading.Event()
    rest = streamed(chunk(" there!"), chunk(finish="stop"), "[DONE]").steps
    with serving(ScriptedResponse((sse_block(chunk("Hello")), gate, *rest))) as server:
        async with opened(server) as endpoint, aclosing(endpoint.stream(REQUEST)) as events:
            assert await anext(events) == ChatText("Hello")
            gate.set()
            received = [event async for event in events]
        assert received[0] == ChatText(" there!")


async def test_one_connection_serves_all_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "DRAIN_TIMEOUT_S", 10.0)
    with serving(HELLO) as server:
        async with opened(server) as endpoint:
            for _ in range(3):
                assert await text_from(endpoint) == "Hello there!"
        assert len({request.client_port for request in server.chat_requests}) == 1


async def test_lone_surrogates_and_chinese_are_sent() -> None:
    request = ChatRequest(({"role": "user", "content": "你好 \ud800"},), 50)
    with serving(HELLO) as server:
        async with opened(server) as endpoint:
            await collect(endpoint, request)
        assert server.chat_requests[0].json["messages"][0]["content"] == "你好 ?"


async def test_tool_calls_are_read() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "look_up", "arguments": '{"a": 1}'}}
    tool = {"type": "function", "function": {"name": "look_up"}}
    with serving(streamed(chunk(tool_calls=[call]), chunk(finish="tool_calls"), "[DONE]")) as server:
        async with opened(server) as endpoint:
            (end,) = await collect(endpoint, ChatRequest(REQUEST.messages, 50, (tool,), "required"))
        assert isinstance(end, ChatEnd)
        assert end.tool_calls == (ChatToolCall("c", "look_up", '{"a": 1}'),)
        assert server.chat_requests[0].json["tools"] == [tool]
        assert server.chat_requests[0].json["tool_choice"] == "required"


async def test_only_model_is_asked_for_once() -> None:
    with serving(HELLO, models=models_response("only", owned_by="llamacpp")) as server:
        async with opened(server, "") as endpoint:
            await collect(endpoint)
            await collect(endpoint)
            assert endpoint.model == "only"
        assert len(server.requests_of(MODELS_PATH)) == 1
        assert server.chat_requests[0].json["model"] == "only"
        assert "chat_template_kwargs" in server.chat_requests[0].json


async def test_refused_fields_are_changed_and_remembered() -> None:
    refusals = (
        error_response("Use 'max_completion_tokens' instead.", param="max_tokens"),
        error_response("Extra inputs are not permitted: stream_options", 422),
        error_response("temperature has only the default", param="temperature"),
    )
    with serving(*refusals, HELLO) as server:
        async with opened(server) as endpoint:
            assert await text_from(endpoint) == "Hello there!"
            assert await text_from(endpoint) == "Hello there!"
        bodies = [request.json for request in server.chat_requests]
        assert len(bodies) == 5
        assert set(bodies[3]) == {"model", "messages", "stream", "max_completion_tokens"}
        assert bodies[4] == bodies[3]


async def test_adaptation_is_kept_only_if_it_helped() -> None:
    bad = error_response("The 'temperature' of messages[3] is missing.")
    with serving(bad, bad, HELLO) as server:
        async with opened(server) as endpoint:
            assert (await failure_of(endpoint)).fault is EndpointFault.REJECTED
            assert await text_from(endpoint) == "Hello there!"
        assert ["temperature" in request.json for request in server.chat_requests] == [True, False, True]


async def test_simultaneous_requests_learn_the_same() -> None:
    refused = threading.Barrier(2, timeout=10)

    def answer(request: Any) -> ScriptedResponse:
        if "max_tokens" not in request.json:
            return HELLO
        refused.wait()
        return error_response("Unsupported", param="max_tokens")

    with serving(answer) as server:
        async with opened(server) as endpoint:
            assert set(await asyncio.gather(text_from(endpoint), text_from(endpoint))) == {"Hello there!"}
            assert await text_from(endpoint) == "Hello there!"
        assert all(request.json["max_completion_tokens"] == 50 for request in server.chat_requests[2:])
        assert len(server.chat_requests) == 5


async def test_empty_pieces_do_not_extend_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "FIRST_WORD_TIMEOUT_S", 0.5)
    with serving(streamed(*[chunk("")] * 20, end=StreamEnd.HANG)) as server:
        async with opened(server) as endpoint:
            assert (await failure_of(endpoint)).fault is EndpointFault.TIMEOUT


async def test_refusals_that_name_always_another_field_end() -> None:
    def refuse_last(request: Any) -> ScriptedResponse:
        optional = sorted(set(request.json) - {"model", "messages", "stream"})
        return error_response("no", param=optional[-1] if optional else "messages")

    with serving(refuse_last) as server:
        async with opened(server) as endpoint:
            assert (await failure_of(endpoint)).fault is EndpointFault.REJECTED
        assert 1 < len(server.chat_requests) <= chat_client.MAX_ADAPTATIONS + 1


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (302, EndpointFault.NOT_FOUND),
        (400, EndpointFault.REJECTED),
        (401, EndpointFault.UNAUTHORIZED),
        (402, EndpointFault.NO_CREDIT),
        (404, EndpointFault.NOT_FOUND),
        (429, EndpointFault.RATE_LIMITED),
        (500, EndpointFault.SERVER_ERROR),
    ],
)
async def test_refusals_are_errors(status: int, fault: EndpointFault) -> None:
    refusal = error_response(f"{KEY} {WORDS}", status, Retry_After="9", Location="/elsewhere")
    with serving(refusal) as server:
        async with opened(server) as endpoint:
            error = await failure_of(endpoint)
        assert (error.fault, error.status, error.retry_after_s) == (fault, status, 9.0)
        assert len(server.requests) == 1


async def test_busy_server_is_asked_once_again() -> None:
    busy = error_response("slow down", 429, Retry_After="0")
    with serving(busy, HELLO) as server:
        async with opened(server) as endpoint:
            assert await text_from(endpoint) == "Hello there!"
    with serving(busy) as server:
        async with opened(server) as endpoint:
            assert (await failure_of(endpoint)).fault is EndpointFault.RATE_LIMITED
        assert len(server.chat_requests) == 2


async def test_closing_the_generator_closes_the_response() -> None:
    with serving(streamed(chunk("Hello"), end=StreamEnd.HANG)) as server:
        async with opened(server) as endpoint:
            async with aclosing(endpoint.stream(REQUEST)) as events:
                assert await anext(events) == ChatText("Hello")
            assert await asyncio.to_thread(server.chat_requests[0].client_closed.wait, 10)


async def test_cancelled_task_closes_the_response() -> None:
    with serving(ScriptedResponse((StreamEnd.HANG,))) as server:
        async with opened(server) as endpoint:
            task = asyncio.create_task(collect(endpoint))
            (request,) = await asyncio.to_thread(server.wait_for_requests, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(request.client_closed.wait, 10)


@pytest.mark.parametrize(
    ("response", "constant", "words"),
    [
        (ScriptedResponse((StreamEnd.HANG,)), "FIRST_EVENT_TIMEOUT_S", "did not answer in time"),
        (ScriptedResponse((b": alive\n\n", StreamEnd.HANG)), "FIRST_EVENT_TIMEOUT_S", "did not answer in time"),
        (streamed(chunk(""), end=StreamEnd.HANG), "FIRST_WORD_TIMEOUT_S", "did not answer in time"),
        (streamed(chunk("Hi"), end=StreamEnd.HANG), "BETWEEN_EVENTS_TIMEOUT_S", "did not answer in time"),
        (streamed(chunk(reasoning="x"), end=StreamEnd.HANG), "MAX_THINKING_S", "thinks for too long"),
    ],
)
async def test_waits_have_an_end(
    monkeypatch: pytest.MonkeyPatch, response: ScriptedResponse, constant: str, words: str
) -> None:
    monkeypatch.setattr(chat_client, constant, 0.5)
    with serving(response) as server:
        async with opened(server) as endpoint:
            error = await failure_of(endpoint)
            assert await asyncio.to_thread(server.chat_requests[0].client_closed.wait, 10)
        assert error.fault is EndpointFault.TIMEOUT
        assert words in str(error)


async def test_reply_ends_without_the_end_of_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_client, "USAGE_TIMEOUT_S", 0.1)
    with serving(
        streamed(chunk("Hi"), chunk(finish="stop"), end=StreamEnd.HANG),
        streamed(chunk("Hi"), chunk(finish="stop"), usage_chunk(1, 1), end=StreamEnd.HANG),
        streamed(chunk("Hi"), "[DONE]", end=StreamEnd.HANG),
        streamed(chunk("Hi"), chunk(finish="stop"), end=StreamEnd.CUT),
    ) as server:
        async with opened(server) as endpoint:
            for _ in range(4):
                assert await text_from(endpoint) == "Hi"


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (streamed(chunk("Hi"), end=StreamEnd.CUT), EndpointFault.BROKEN_OFF),
        (streamed(chunk("Hi")), EndpointFault.BROKEN_OFF),
        (ScriptedResponse((b'data: {"choices": [',)), EndpointFault.BROKEN_OFF),
        (ScriptedResponse(), EndpointFault.BROKEN_OFF),
        (ScriptedResponse((b"\x00\xffgarbage\n\n",), is_raw=True), EndpointFault.BROKEN_OFF),
        (ScriptedResponse((b"<html>sk-secret-key</html>",), content_type="text/html"), EndpointFault.MALFORMED),
        (ScriptedResponse((b"data: \xff garbage\n\n",)), EndpointFault.MALFORMED),
        (ScriptedResponse((b"data: 5\n\n",)), EndpointFault.MALFORMED),
        (ScriptedResponse((b"data: " + b"[" * 5000 + b"\n\n",)), EndpointFault.MALFORMED),
        (streamed("[DONE]"), EndpointFault.MALFORMED),
        (streamed(chunk("Hi"), {"error": {"code": 503, "message": WORDS}}), EndpointFault.SERVER_ERROR),
        (ScriptedResponse((b"event: error\ndata: sk-secret-key\n\n",)), EndpointFault.SERVER_ERROR),
        (ScriptedResponse((b'event: error\ndata: {"code": 429}\n\n',)), EndpointFault.RATE_LIMITED),
        (json_response({"error": {"code": 401}}), EndpointFault.UNAUTHORIZED),
        (streamed(chunk(""), chunk(finish="stop"), "[DONE]"), EndpointFault.EMPTY),
    ],
)
async def test_broken_answers_are_errors(response: ScriptedResponse, fault: EndpointFault) -> None:
    with serving(response) as server:
        async with opened(server) as endpoint:
            assert (await failure_of(endpoint)).fault is fault


async def test_answer_that_is_not_streamed_is_read() -> None:
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}
    with serving(json_response(answer)) as server:
        async with opened(server) as endpoint:
            assert await collect(endpoint) == [ChatText("Hi"), ChatEnd(LlmUsage(3, 0, 1, "stop"), "stop")]


async def test_server_that_is_not_there_is_unreachable() -> None:
    with serving() as server:
        pass
    async with opened(server) as endpoint:
        assert (await failure_of(endpoint)).fault is EndpointFault.UNREACHABLE


async def test_thoughts_are_switched_off_from_the_next_request_on() -> None:
    thinking = streamed(chunk("<think>x</think>"), chunk("Hi"), chunk(finish="stop"), "[DONE]")
    with serving(thinking, HELLO) as server:
        async with opened(server) as endpoint:
            assert await text_from(endpoint) == "Hi"
            assert endpoint.thinks
            await collect(endpoint)
            assert not endpoint.thinks
            await collect(endpoint)
        first, second, third = (request.json for request in server.chat_requests)
        assert "reasoning_effort" not in first
        assert (second["reasoning_effort"], second["max_tokens"]) == ("none", 50 + THOUGHT_TOKENS)
        assert (third["reasoning_effort"], third["max_tokens"]) == ("none", 50)


async def test_limit_spent_on_thoughts_is_raised_for_the_next_request() -> None:
    spent = streamed(chunk(reasoning="x"), chunk(finish="length"), usage_chunk(9, 50), "[DONE]")
    with serving(spent, HELLO) as server:
        async with opened(server) as endpoint:
            assert (await failure_of(endpoint)).fault is EndpointFault.EMPTY
            assert await text_from(endpoint) == "Hello there!"
        assert server.chat_requests[1].json["max_tokens"] == 50 + THOUGHT_TOKENS


async def test_server_is_recognized_by_its_header() -> None:
    with serving(text_response("Hi", headers={"Server": "llama.cpp"})) as server:
        async with opened(server) as endpoint:
            await collect(endpoint)
            await collect(endpoint)
        assert "chat_template_kwargs" not in server.chat_requests[0].json
        assert "chat_template_kwargs" in server.chat_requests[1].json
