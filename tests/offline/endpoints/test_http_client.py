"""HTTP of the endpoints: refusals as errors, waits that a server asks for, and the choice of the model."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from offline.endpoints import http_client
from offline.endpoints.errors import (
    EndpointError,
    EndpointFault,
    parse_error_body,
    parse_retry_after,
    refused_path,
    status_error,
)
from offline.endpoints.http_client import (
    choose_model,
    create_client,
    endpoint_errors,
    list_models,
    send_request,
)
from offline.endpoints.settings import EndpointSettings
from tests.support.endpoints.scripted_chat_server import (
    CHAT_PATH,
    MODELS_PATH,
    ScriptedChatServer,
    ScriptedResponse,
    StreamEnd,
    json_response,
    models_response,
)


@pytest.mark.parametrize(
    ("status", "error", "fault"),
    [
        (307, {}, EndpointFault.NOT_FOUND),
        (400, {}, EndpointFault.REJECTED),
        (400, {"code": "context_length_exceeded"}, EndpointFault.CONTEXT_LENGTH),
        (400, {"type": "exceed_context_size_error", "code": 400}, EndpointFault.CONTEXT_LENGTH),
        (400, {"message": "This model's maximum context length is 10 tokens."}, EndpointFault.CONTEXT_LENGTH),
        (400, {"message": "The model output limit was reached."}, EndpointFault.EMPTY),
        (401, {}, EndpointFault.UNAUTHORIZED),
        (402, {}, EndpointFault.NO_CREDIT),
        (403, {}, EndpointFault.UNAUTHORIZED),
        (404, {}, EndpointFault.NOT_FOUND),
        (408, {}, EndpointFault.TIMEOUT),
        (418, {}, EndpointFault.REJECTED),
        (429, {}, EndpointFault.RATE_LIMITED),
        (429, {"code": "insufficient_quota"}, EndpointFault.NO_CREDIT),
        (500, {}, EndpointFault.SERVER_ERROR),
        (503, {}, EndpointFault.SERVER_ERROR),
    ],
)
def test_refusals_as_errors(status: int, error: dict[str, Any], fault: EndpointFault) -> None:
    found = status_error("a.example", status, {"retry-after": "3"}, {"param": "secret", **error})
    assert found.fault is fault
    assert str(found).endswith(".") and "a.example" in str(found) and "secret" not in str(found)


PYDANTIC_BODY = {"message": "[{'loc': ['body', 'x'], 'msg': 'm'}]"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"message": "m", "param": "p"}}', {"message": "m", "param": "p"}),
        (b'[{"error": {"message": "m"}}]', {"message": "m"}),
        (b'{"error": "m"}', {"message": "m"}),
        (b'{"detail": "m"}', {"message": "m"}),
        (b'{"detail": [{"loc": ["body", "x"]}]}', {"message": "[{'loc': ['body', 'x']}]"}),
        (b'{"detail": [{"loc": ["body", "x"], "msg": "m", "input": "secret", "ctx": {}}, 5]}', PYDANTIC_BODY),
        (b'{"object": "error", "message": "m"}', {"object": "error", "message": "m"}),
        (b"[]", {}),
        (b"5", {}),
        (b"<html>", {}),
        (b"[" * 50_000, {}),
        (b"\xff", {}),
    ],
)
def test_bodies_of_refusals(body: bytes, expected: dict[str, Any]) -> None:
    assert parse_error_body(body) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"n_ctx": 4096, "type": "exceed_context_size_error", "message": "exceeds size (8 tokens)"}, 4096),
        ({"type": "exceed_context_size_error"}, None),
        ({"type": "exceed_context_size_error", "n_ctx": 0}, None),
        ({"message": "This model's maximum context length is 4096 tokens. However, you requested 5000."}, 4096),
        ({"message": "exceeds the model's maximum context length of 8,192 tokens"}, 8192),
        ({"message": "request (900 tokens) exceeds the available context size (512 tokens)"}, 512),
        ({"message": "The input (90 tokens) is longer than the model's context length (64 tokens)."}, 64),
        ({"message": "the model is loaded with context length of only 4096 tokens"}, 4096),
        ({"message": "prompt is too long: 200001 tokens > 200000 maximum"}, 200_000),
        ({"message": "maximum context length is 99999999999999999999999 tokens"}, None),
        ({"message": "maximum context length is 0 tokens"}, None),
    ],
)
def test_size_of_the_context_window_is_read(error: dict[str, Any], expected: int | None) -> None:
    found = status_error("a.example", 400, {}, error)
    assert (found.fault, found.context_tokens) == (EndpointFault.CONTEXT_LENGTH, expected)


def test_other_refusals_name_no_context_window() -> None:
    assert status_error("a.example", 400, {}, {"n_ctx": 5}).context_tokens is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"param": "tools[0].function", "message": "temperature"}, "tools[0].function"),
        ({"message": "[{'type': 't', 'loc': ('body', 'tools', 0, 'function'), 'msg': 'm'}]"}, "tools.0.function"),
        ({"message": "[{'loc': ['body', 'x'], 'msg': 'm'}, {'loc': ['body', 'y']}]"}, "x"),
        ({"message": '[{"loc": ["body", "x"]}]'}, "x"),
        ({"message": "x", "param": None}, ""),
        ({}, ""),
    ],
)
def test_path_of_a_refused_field(error: dict[str, Any], expected: str) -> None:
    assert refused_path(error) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("nan", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_pause_that_a_server_asks_for(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value) == expected


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (TimeoutError(), EndpointFault.TIMEOUT),
        (httpx.ReadTimeout("x"), EndpointFault.TIMEOUT),
        (httpx.PoolTimeout("x"), EndpointFault.TIMEOUT),
        (httpx.ConnectTimeout("x"), EndpointFault.UNREACHABLE),
        (httpx.ConnectError("x"), EndpointFault.UNREACHABLE),
        (httpx.ProxyError("x"), EndpointFault.UNREACHABLE),
        (httpx.ReadError("x"), EndpointFault.BROKEN_OFF),
        (httpx.RemoteProtocolError("x"), EndpointFault.BROKEN_OFF),
    ],
)
def test_errors_of_the_connection(error: Exception, fault: EndpointFault) -> None:
    with pytest.raises(EndpointError) as caught, endpoint_errors("a.example"):
        raise error
    assert caught.value.fault is fault


def test_other_errors_are_not_those_of_the_connection() -> None:
    with pytest.raises(KeyError), endpoint_errors("a.example"):
        raise KeyError


async def test_model_that_is_set_is_not_asked_for() -> None:
    with ScriptedChatServer().running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            assert await choose_model(client, EndpointSettings(server.url, "mine"), 5) == "mine"
        assert not server.requests


async def test_only_model_is_chosen() -> None:
    with ScriptedChatServer(models=models_response("one", "one")).running() as server:
        settings = EndpointSettings(server.url, key="key")
        async with create_client(settings) as client:
            assert await choose_model(client, settings, 5) == "one"
        (request,) = server.requests_of(MODELS_PATH)
        assert request.headers["authorization"] == "Bearer key"


@pytest.mark.parametrize(
    ("models", "fault", "words"),
    [
        (models_response(), EndpointFault.NOT_CHOSEN, "offers none"),
        (models_response("a", "b"), EndpointFault.NOT_CHOSEN, "offers 2: a, b."),
        (models_response(*"abcdefg"), EndpointFault.NOT_CHOSEN, "offers 7: a, b, c, d, e, …."),
        (json_response({"data": 5}), EndpointFault.MALFORMED, "does not list"),
        (json_response([5]), EndpointFault.MALFORMED, "does not list"),
        (ScriptedResponse((b"<html>",)), EndpointFault.MALFORMED, "does not list"),
        (ScriptedResponse((b"[" * 50_000,)), EndpointFault.MALFORMED, "does not list"),
        (json_response({}, 401), EndpointFault.UNAUTHORIZED, "refuses the key"),
        (ScriptedResponse((b"{", StreamEnd.CUT)), EndpointFault.BROKEN_OFF, "closed the connection"),
        (None, EndpointFault.NOT_FOUND, "does not know"),
    ],
)
async def test_model_that_cannot_be_chosen(models: ScriptedResponse | None, fault: EndpointFault, words: str) -> None:
    with ScriptedChatServer(models=models).running() as server:
        settings = EndpointSettings(server.url)
        async with create_client(settings) as client:
            with pytest.raises(EndpointError) as caught:
                await choose_model(client, settings, 5)
        assert caught.value.fault is fault
        assert words in str(caught.value)


async def test_long_names_and_other_forms_of_the_list_are_read() -> None:
    with ScriptedChatServer(models=json_response({"models": [{"id": "m" * 999}]})).running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            (model,) = await list_models(client, EndpointSettings(server.url), 5)
        assert model.name == "m" * 200


CLOSED = ScriptedResponse(is_raw=True)
"""No answer: the server closes the connection."""


async def test_request_on_a_kept_connection_that_the_server_closes_is_sent_once_more() -> None:
    ok = json_response({"ok": True})
    with ScriptedChatServer(ok, CLOSED, ok).running() as server:
        client = create_client(EndpointSettings(server.url))
        async with client:
            for number in (1, 2):
                request = client.build_request("POST", "chat/completions", json={"a": number})
                response = await send_request(client, request)
                assert await response.aread() == b'{"ok": true}'
        assert [request.json["a"] for request in server.requests_of(CHAT_PATH)] == [1, 2, 2]


async def test_request_on_a_new_connection_that_the_server_closes_is_not_repeated() -> None:
    """The server may have begun: a second request could be paid twice."""
    with ScriptedChatServer(CLOSED).running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await send_request(client, client.build_request("POST", "chat/completions", json={}))
        assert len(server.requests_of(CHAT_PATH)) == 1


async def test_second_close_ends_the_request() -> None:
    with ScriptedChatServer(json_response({}), CLOSED).running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            await (await send_request(client, client.build_request("POST", "chat/completions", json={}))).aread()
            with pytest.raises(httpx.RemoteProtocolError):
                await send_request(client, client.build_request("POST", "chat/completions", json={}))
        assert len(server.requests_of(CHAT_PATH)) == 3


async def test_control_characters_of_a_name_are_not_shown() -> None:
    with ScriptedChatServer(models=models_response("a\r\n\x1b[31mb", "c\u202e")).running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            with pytest.raises(EndpointError, match=r"offers 2: a\[31mb, c\."):
                await choose_model(client, EndpointSettings(server.url), 5)


async def test_too_long_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_MODELS_BYTES", 10)
    with ScriptedChatServer(models=models_response("one")).running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            with pytest.raises(EndpointError, match="too long") as caught:
                await list_models(client, EndpointSettings(server.url), 5)
    assert caught.value.fault is EndpointFault.MALFORMED


async def test_list_that_never_ends_times_out() -> None:
    """It has begun in time."""
    with ScriptedChatServer(models=ScriptedResponse((b"[", StreamEnd.HANG))).running() as server:
        async with create_client(EndpointSettings(server.url)) as client:
            with pytest.raises(EndpointError) as caught:
                await list_models(client, EndpointSettings(server.url), 0.3)
        assert caught.value.fault is EndpointFault.TIMEOUT
        (request,) = server.requests_of(MODELS_PATH)
        assert await asyncio.to_thread(request.client_closed.wait, 10)
