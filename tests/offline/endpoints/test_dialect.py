"""Dialects of the servers: the body of a request, and what refusals and answers change."""

from __future__ import annotations

from typing import Any

import pytest

from offline.endpoints.dialect import (
    THOUGHT_TOKENS,
    ChatDialect,
    ChatRequest,
    ChatServer,
    ThoughtEvidence,
    recognize_server,
)

REQUEST = ChatRequest(({"role": "user", "content": "Hi"},), 100, temperature=0.5)
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
BOTH_NAMES = {"enable_thinking": False, "thinking": False}
SEEN = ThoughtEvidence(has_thoughts=True, has_words=True)
NOT_SEEN = ThoughtEvidence(has_words=True)


def fields(dialect: ChatDialect, request: ChatRequest = REQUEST) -> dict[str, Any]:
    """Return the fields of the body that differ between dialects."""
    body = dialect.build_body(request)
    common = {"model", "messages", "stream", "stream_options", "temperature", "tools"}
    return {name: value for name, value in body.items() if name not in common}


def refuse(dialect: ChatDialect, message: str, param: str | None = None, request: ChatRequest = REQUEST) -> bool:
    return dialect.adapt({"message": message, "param": param}, dialect.build_body(request))


@pytest.mark.parametrize(
    ("host", "owned_by", "header", "expected"),
    [
        ("api.openai.com", "", "", ChatServer.OPENAI),
        ("mine.openai.azure.com", "", "", ChatServer.OPENAI),
        ("openrouter.ai", "", "", ChatServer.OPENROUTER),
        ("api.groq.com", "", "", ChatServer.GROQ),
        ("127.0.0.1:11434", "", "", ChatServer.OLLAMA),
        ("[::1]:11434", "", "", ChatServer.OLLAMA),
        ("nas.lan:5000", "library", "", ChatServer.OLLAMA),
        ("127.0.0.1:8080", "", "llama.cpp", ChatServer.LLAMA_CPP),
        ("127.0.0.1:8080", "llamacpp", "", ChatServer.LLAMA_CPP),
        ("localhost:1234", "", "", ChatServer.LM_STUDIO),
        ("localhost:9", "organization_owner", "", ChatServer.LM_STUDIO),
        ("gpu:8000", "vllm", "uvicorn", ChatServer.VLLM),
        ("gpu:1234", "vllm", "", ChatServer.VLLM),
        ("gpu:9", "sglang", "", ChatServer.SGLANG),
        ("gpu:30000", "", "", ChatServer.SGLANG),
        ("gpu:8000", "me", "uvicorn", ChatServer.UNKNOWN),
        ("notopenai.com", "openai", "", ChatServer.UNKNOWN),
    ],
)
def test_server_is_recognized(host: str, owned_by: str, header: str, expected: ChatServer) -> None:
    assert recognize_server(host, owned_by, header) is expected


@pytest.mark.parametrize(
    ("server", "model", "at_once", "after_thoughts"),
    [
        (ChatServer.OLLAMA, "qwen3:4b", {"reasoning_effort": "none"}, {}),
        (ChatServer.OLLAMA, "gpt-oss:20b", {"reasoning_effort": "low"}, {}),
        (ChatServer.LLAMA_CPP, "m", {"chat_template_kwargs": BOTH_NAMES}, {"reasoning_effort": "none"}),
        (ChatServer.LM_STUDIO, "m", {"reasoning_effort": "none"}, {"chat_template_kwargs": BOTH_NAMES}),
        (ChatServer.VLLM, "m", {"chat_template_kwargs": BOTH_NAMES}, {"reasoning_effort": "none"}),
        (ChatServer.SGLANG, "m", {"reasoning_effort": "none"}, {"chat_template_kwargs": BOTH_NAMES}),
        (ChatServer.OPENROUTER, "qwen/qwen3", {"reasoning": {"effort": "none"}}, {}),
        (ChatServer.GROQ, "qwen/qwen3-32b", {"reasoning_effort": "none"}, {}),
        (ChatServer.GROQ, "openai/gpt-oss-20b", {"reasoning_effort": "low"}, {}),
        (ChatServer.GROQ, "llama-3.3-70b-versatile", {}, {}),
        (ChatServer.OPENAI, "gpt-5.1", {"reasoning_effort": "none"}, {}),
        (ChatServer.OPENAI, "o4-mini", {"reasoning_effort": "low"}, {}),
        (ChatServer.OPENAI, "gpt-4o", {}, {}),
        (ChatServer.UNKNOWN, "m", {}, {"reasoning_effort": "none", "chat_template_kwargs": BOTH_NAMES}),
    ],
)
def test_switch_against_thoughts_by_server(
    server: ChatServer, model: str, at_once: dict[str, Any], after_thoughts: dict[str, Any]
) -> None:
    dialect = ChatDialect(model, server)
    limit = "max_completion_tokens" if server in (ChatServer.OPENAI, ChatServer.GROQ) else "max_tokens"
    extra = THOUGHT_TOKENS if at_once.get("reasoning_effort") == "low" else 0
    assert fields(dialect) == {limit: 100 + extra, **at_once}
    dialect.learn(SEEN)
    assert fields(dialect) == {limit: 100 + THOUGHT_TOKENS, **at_once, **after_thoughts}


def test_body_has_the_least() -> None:
    assert ChatDialect("m").build_body(REQUEST) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 100,
    }


def test_room_for_thoughts_is_taken_back_when_a_new_switch_works() -> None:
    dialect = ChatDialect("m")
    dialect.learn(SEEN)
    dialect.learn(NOT_SEEN)
    assert not dialect.thinks
    assert fields(dialect)["max_tokens"] == 100
    assert "reasoning_effort" in fields(dialect)


def test_room_for_thoughts_stays_when_no_switch_works() -> None:
    dialect = ChatDialect("m")
    dialect.learn(SEEN)
    dialect.learn(SEEN)
    dialect.learn(NOT_SEEN)
    assert dialect.thinks


@pytest.mark.parametrize(
    ("server", "model", "message", "param", "expected"),
    [
        (
            ChatServer.UNKNOWN,
            "m",
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            "max_tokens",
            {"max_completion_tokens": 100},
        ),
        (
            ChatServer.OPENAI,
            "gpt-5",
            "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: "
            "'minimal', 'low', 'medium', and 'high'.",
            "reasoning_effort",
            {"max_completion_tokens": 100 + THOUGHT_TOKENS, "reasoning_effort": "minimal"},
        ),
        (
            ChatServer.OPENAI,
            "gpt-5-chat",
            "Unrecognized request argument supplied: reasoning_effort",
            None,
            {"max_completion_tokens": 100},
        ),
        (
            ChatServer.GROQ,
            "qwen3",
            "`reasoning_effort` is not supported with this model",
            None,
            {"max_completion_tokens": 100},
        ),
        (
            ChatServer.OLLAMA,
            "m",
            'invalid think value: "none" (must be "high", "medium", "low", true, or false)',
            None,
            {"max_tokens": 100 + THOUGHT_TOKENS, "reasoning_effort": "low"},
        ),
        (
            ChatServer.OPENROUTER,
            "m",
            "Reasoning is mandatory for this endpoint and cannot be disabled.",
            None,
            {"max_tokens": 100 + THOUGHT_TOKENS},
        ),
        (
            ChatServer.VLLM,
            "mistral",
            "chat_template_kwargs is not supported for Mistral tokenizers.",
            None,
            {"max_tokens": 100, "reasoning_effort": "none"},
        ),
        (
            ChatServer.SGLANG,
            "m",
            "[{'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), 'msg': 'Input should be ...'}]",
            None,
            {"max_tokens": 100, "chat_template_kwargs": BOTH_NAMES},
        ),
    ],
)
def test_refused_field_is_swapped_or_left_out(
    server: ChatServer, model: str, message: str, param: str | None, expected: dict[str, Any]
) -> None:
    dialect = ChatDialect(model, server)
    assert refuse(dialect, message, param)
    assert fields(dialect) == expected


@pytest.mark.parametrize(
    ("message", "param", "name"),
    [
        ("Unsupported value: 'temperature' does not support 0.5", "temperature", "temperature"),
        ("Unknown parameter", "stream_options.include_usage", "stream_options"),
        ("[{'loc': ['body', 'stream_options'], 'msg': 'Extra inputs are not permitted'}]", None, "stream_options"),
        ("unknown field include_usage", None, "stream_options"),
    ],
)
def test_refused_field_stays_out(message: str, param: str | None, name: str) -> None:
    dialect = ChatDialect("m")
    assert refuse(dialect, message, param)
    assert name not in dialect.build_body(REQUEST)
    assert not refuse(dialect, message, param)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Invalid schema for function 'look_up': temperature", "tools[0].function.parameters"),
        ("Invalid 'tools': array too long.", "tools"),
        ("Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant", None),
        ("Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.", None),
        ("An assistant message with 'tool_calls' must be followed by tool messages", None),
        ("[{'type': 'dict', 'loc': ('body', 'tools', 0, 'function'), 'msg': 'extra', 'input': 'temperature'}]", None),
        ("[{'type': 'x', 'loc': ('body', 'messages', 0), 'msg': 'm', 'input': 'does not support tools'}]", "None"),
    ],
)
def test_faults_of_one_request_change_nothing(message: str, param: str | None) -> None:
    request = ChatRequest(REQUEST.messages, 100, (TOOL,), "auto")
    dialect = ChatDialect("m")
    before = dialect.build_body(request)
    assert not refuse(dialect, message, param, request)
    assert dialect.build_body(request) == before


@pytest.mark.parametrize(
    ("message", "param", "name"),
    [
        ("Unsupported parameter: 'tools'", "tools", "tools"),
        ("Unsupported value: 'tool_choice'", "tool_choice", "tool_choice"),
        ("Function calling is not enabled for this model.", None, "tool_choice"),
        ("`tool calling` is not supported with this model", None, "tool_choice"),
        ("tools param requires --jinja flag", None, "tools"),
        ("[{'type': 'x', 'loc': ('body', 'tools'), 'msg': 'Extra inputs are not permitted'}]", None, "tools"),
    ],
)
def test_refused_functions_are_left_out(message: str, param: str | None, name: str) -> None:
    request = ChatRequest(REQUEST.messages, 100, (TOOL,), "auto")
    dialect = ChatDialect("m")
    assert refuse(dialect, message, param, request)
    assert name not in dialect.build_body(request)


@pytest.mark.parametrize(
    ("server", "model", "message", "param"),
    [
        (ChatServer.UNKNOWN, "m", "Unsupported parameter", "max_tokens"),
        (
            ChatServer.OPENAI,
            "gpt-5",
            "'none' is unsupported. Supported: 'minimal' and 'low'",
            "reasoning_effort",
        ),
        (ChatServer.VLLM, "m", "chat_template_kwargs is not supported", None),
    ],
)
def test_second_refusal_of_a_simultaneous_request_changes_nothing(
    server: ChatServer, model: str, message: str, param: str | None
) -> None:
    dialect = ChatDialect(model, server)
    body, error = dialect.build_body(REQUEST), {"message": message, "param": param}
    dialect.adapt(error, body)
    adapted = dialect.build_body(REQUEST)
    dialect.adapt(error, body)
    assert dialect.build_body(REQUEST) == adapted != body


def test_copy_does_not_change_the_dialect() -> None:
    dialect = ChatDialect("m", ChatServer.VLLM)
    body = dialect.build_body(REQUEST)
    other = dialect.copy()
    for name in ("max_tokens", "temperature", "chat_template_kwargs"):
        assert refuse(other, f"no {name}", name)
    assert dialect.build_body(REQUEST) == body != other.build_body(REQUEST)


def test_limit_has_at_most_one_field() -> None:
    dialect = ChatDialect("m")
    assert refuse(dialect, "max_tokens: extra field")
    assert refuse(dialect, "max_completion_tokens: extra field")
    assert fields(dialect) == {}
    assert not refuse(dialect, "max_tokens: extra field")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("This model's maximum context length is 1024 tokens; 'max_tokens' is too large.", "max_tokens"),
        ("max_tokens is too large: 9000. This model supports at most 4096.", "max_tokens"),
        ("Invalid type for 'messages[0].content'; temperature was fine", "messages[0].content"),
        ("Bad request", None),
        ("", None),
    ],
)
def test_other_refusals_change_nothing(message: str, param: str | None) -> None:
    dialect = ChatDialect("m")
    before = dialect.build_body(REQUEST)
    assert not refuse(dialect, message, param)
    assert dialect.build_body(REQUEST) == before


def test_limit_that_was_spent_on_thoughts_is_raised_once() -> None:
    dialect = ChatDialect("gpt-5", ChatServer.OPENAI)
    message = "Could not finish the message because max_tokens or model output limit was reached."
    assert refuse(dialect, message)
    assert fields(dialect)["max_completion_tokens"] == 100 + THOUGHT_TOKENS
    assert not refuse(dialect, message)


@pytest.mark.parametrize(
    ("message", "refusals"),
    [
        ("registry.ollama.ai/library/m does not support tools", 1),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', 2),
    ],
)
def test_functions_are_left_out_where_the_model_takes_none(message: str, refusals: int) -> None:
    request = ChatRequest(REQUEST.messages, 100, (TOOL,), "auto")
    dialect = ChatDialect("m")
    assert dialect.build_body(request)["tools"] == [TOOL]
    assert fields(dialect, request)["tool_choice"] == "auto"
    for _ in range(refusals):
        assert refuse(dialect, message, request=request)
    assert not {"tools", "tool_choice"} & set(dialect.build_body(request))
    assert not refuse(dialect, message, request=request)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("deepseek-r1:7b", True), ("Qwen/QwQ-32B", True), ("qwen3-4b-thinking-2507", True), ("qwen3:4b", None)],
)
@pytest.mark.parametrize("learned", [False, True])
def test_names_tell_which_models_open_thoughts_in_the_prompt(model: str, expected: bool | None, learned: bool) -> None:
    dialect = ChatDialect(model)
    assert dialect.opens_in_prompt is expected
    dialect.learn(ThoughtEvidence(opened_in_prompt=learned))
    assert dialect.opens_in_prompt is learned
    dialect.learn(NOT_SEEN)
    assert dialect.opens_in_prompt is learned


@pytest.mark.parametrize(
    ("server", "expected"), [(ChatServer.LLAMA_CPP, False), (ChatServer.OPENAI, False), (ChatServer.VLLM, None)]
)
def test_some_servers_always_separate_thoughts(server: ChatServer, expected: bool | None) -> None:
    assert ChatDialect("m", server).opens_in_prompt is expected
    assert ChatDialect("deepseek-r1", server).opens_in_prompt is True
