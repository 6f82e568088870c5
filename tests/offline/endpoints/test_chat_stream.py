"""Reader of chat answers: chunks as the servers send them, tool calls, token counts, and broken answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from offline.endpoints import chat_stream
from offline.endpoints.chat_stream import ChatEnd, ChatEvent, ChatStreamReader, ChatText, ChatThinking, ChatToolCall
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.llm.errors import LlmUsage
from tests.support.endpoints.scripted_chat_server import chunk, usage_chunk


def read(payloads: Sequence[Any], *, is_done: bool = True, opened_in_prompt: bool = False) -> list[ChatEvent]:
    reader = ChatStreamReader("a.example", opened_in_prompt=opened_in_prompt, prompt_tokens=33)
    return [event for payload in payloads for event in reader.read(payload)] + reader.finish(is_done=is_done)


def text_of(events: Sequence[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ChatText))


def end_of(events: Sequence[ChatEvent]) -> ChatEnd:
    assert isinstance(events[-1], ChatEnd)
    return events[-1]


def piece(index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    """Return a chunk with one piece of a tool call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"index": index, "id": call_id, "function": function}
    return chunk(tool_calls=[{key: value for key, value in call.items() if value is not None}])


ROLE = chunk("", role="assistant")
STOP = chunk(finish="stop")


@pytest.mark.parametrize(
    ("payloads", "thinking"),
    [
        pytest.param([ROLE, chunk("Hello"), chunk(" there!"), STOP, usage_chunk(9, 4, 5)], 0, id="openai"),
        pytest.param(
            [chunk("", reasoning="I "), chunk("", reasoning="greet."), chunk("Hello there!"), STOP], 2, id="ollama"
        ),
        pytest.param(
            [chunk(None, role="assistant"), chunk(reasoning_content="I"), chunk("Hello there!"), STOP],
            1,
            id="llama.cpp",
        ),
        pytest.param(
            [chunk("<think>"), chunk("I greet"), chunk("</think>"), chunk("\n\n"), chunk("Hello there!"), STOP],
            2,
            id="lm-studio-text",
        ),
        pytest.param([ROLE, chunk(reasoning="I greet."), chunk("Hello there!", finish="stop")], 1, id="vllm"),
        pytest.param(
            [ROLE, chunk(reasoning_content="I greet.", content=None), chunk("Hello there!"), STOP], 1, id="sglang"
        ),
        pytest.param(
            [
                chunk("", reasoning="I", reasoning_details=[{"type": "reasoning.text", "text": "I"}]),
                chunk("", reasoning_details=[{"type": "reasoning.encrypted"}]),
                chunk("Hello there!"),
                STOP,
            ],
            2,
            id="openrouter",
        ),
        pytest.param([ROLE, chunk("<think>\nI greet.\n</think>Hello"), chunk(" there!"), STOP], 0, id="groq-raw"),
        pytest.param(
            [
                chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "I"}]}]),  # type: ignore[arg-type]
                chunk([{"type": "text", "text": "Hello there!"}]),  # type: ignore[arg-type]
                STOP,
            ],
            1,
            id="mistral",
        ),
        pytest.param(
            [{"choices": [{"message": {"content": "<think>I</think>Hello there!"}, "finish_reason": "stop"}]}],
            0,
            id="not-streamed",
        ),
    ],
)
def test_answers_of_the_servers(payloads: list[Any], thinking: int) -> None:
    events = read(payloads)
    assert text_of(events) == "Hello there!"
    assert events.count(ChatThinking()) == thinking
    assert end_of(events).finish_reason == "stop"


def test_token_counts_of_the_server_are_used() -> None:
    events = read([chunk("Hi"), STOP, usage_chunk(9, 4, cached=5)])
    assert end_of(events).usage == LlmUsage(9, 5, 4, "stop")


def test_missing_token_counts_are_estimated() -> None:
    usage = end_of(read([chunk("你好"), chunk("嗎", finish="length"), {"choices": [], "usage": None}])).usage
    assert usage == LlmUsage(33, 0, 5, "length")


def test_last_of_several_token_counts_is_used() -> None:
    payloads = [{**chunk("Hi"), "usage": {"prompt_tokens": 9, "completion_tokens": n}} for n in (1, 2)]
    assert end_of(read([*payloads, STOP])).usage.output_tokens == 2


def test_unusable_token_counts_are_estimated() -> None:
    usage = {"prompt_tokens": "9", "completion_tokens": -1, "prompt_tokens_details": []}
    assert end_of(read([chunk("Hi"), STOP, {"choices": [], "usage": usage}])).usage == LlmUsage(33, 0, 1, "stop")


CALLS = (ChatToolCall("c1", "look_up", '{"a": 1}'), ChatToolCall("c2", "send", '{"b": 2}'))


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param(
            [
                *(piece(0, "c1", "look_up", ""), piece(1, "c2", "send", "")),
                *(piece(0, arguments='{"a"'), piece(1, arguments='{"b": 2}'), piece(0, arguments=": 1}")),
            ],
            id="interleaved",
        ),
        pytest.param(
            [piece(0, "c1", "look_up", '{"a": 1}'), piece(0, "c2", "send", '{"b": 2}')], id="whole-and-numbered-0"
        ),
        pytest.param(
            [
                *(piece(None, "c1", "look_up", '{"a"'), piece(None, arguments=": 1}")),
                *(piece(None, "c2", "send"), piece(None, "c2", arguments='{"b": 2}')),
            ],
            id="no-index",
        ),
        pytest.param(
            [piece(0, "c1", "look_up", '{"a": 1'), piece(0, "c1", "look_up", "}"), piece(1, "c2", "send", {"b": 2})],
            id="repeated-id",
        ),
    ],
)
@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
def test_tool_calls_are_collected(payloads: list[Any], finish: str) -> None:
    end = end_of(read([ROLE, *payloads, chunk(finish=finish)]))
    assert end.tool_calls == CALLS
    assert end.finish_reason == "tool_calls"
    assert end.usage.finish_reason == "stop"


def test_missing_ids_are_made_up_and_differ() -> None:
    whole = [{"function": {"name": name, "arguments": "{}"}} for name in ("a", "b")]
    calls = end_of(read([chunk(tool_calls=whole), STOP])).tool_calls
    assert [(call.name, call.arguments) for call in calls] == [("a", "{}"), ("b", "{}")]
    assert len({call.id for call in calls if call.id}) == 2


def test_legacy_function_call_is_read() -> None:
    payloads = [chunk(function_call={"name": "a", "arguments": ""}), chunk(function_call={"arguments": '{"b":1}'})]
    (call,) = end_of(read([*payloads, chunk(finish="function_call")])).tool_calls
    assert (call.name, call.arguments) == ("a", '{"b":1}')


def test_call_without_arguments_gets_an_empty_object() -> None:
    assert end_of(read([piece(0, "c", "a"), STOP])).tool_calls == (ChatToolCall("c", "a", "{}"),)


def test_text_before_a_tool_call_is_delivered() -> None:
    events = read([chunk("One moment."), piece(0, "c", "a", "{}"), STOP])
    assert text_of(events) == "One moment."
    assert len(end_of(events).tool_calls) == 1


@pytest.mark.parametrize(
    ("finish", "expected"), [("length", "length"), ("content_filter", "content_filter"), ("eos", "stop")]
)
def test_reasons_of_the_end(finish: str, expected: str) -> None:
    assert end_of(read([chunk("Hi"), chunk(finish=finish)])).finish_reason == expected


@pytest.mark.parametrize(
    ("payload", "fault", "status"),
    [
        ({"error": {"message": "secret", "code": 502}, "choices": []}, EndpointFault.SERVER_ERROR, 502),
        ({"error": {"message": "secret", "code": "429"}}, EndpointFault.RATE_LIMITED, 429),
        ({"error": {"message": "secret", "code": 402}}, EndpointFault.NO_CREDIT, 402),
        ({"error": {"message": "secret", "code": "server_error"}}, EndpointFault.SERVER_ERROR, None),
        ({"error": {"type": "exceed_context_size_error", "message": "secret"}}, EndpointFault.CONTEXT_LENGTH, 400),
        ({"error": "secret"}, EndpointFault.SERVER_ERROR, None),
        ({"object": "error", "message": "secret", "code": 400}, EndpointFault.REJECTED, 400),
        ("secret", EndpointFault.MALFORMED, None),
        (["secret"], EndpointFault.MALFORMED, None),
        (None, EndpointFault.MALFORMED, None),
    ],
)
def test_error_within_a_stream(payload: Any, fault: EndpointFault, status: int | None) -> None:
    reader = ChatStreamReader("a.example")
    assert reader.read(chunk("Hi")) == [ChatText("Hi")]
    with pytest.raises(EndpointError) as caught:
        reader.read(payload)
    assert (caught.value.fault, caught.value.status) == (fault, status)
    assert "a.example" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("payloads", "is_done", "fault"),
    [
        ([chunk("Hi")], False, EndpointFault.BROKEN_OFF),
        ([], False, EndpointFault.BROKEN_OFF),
        ([], True, EndpointFault.MALFORMED),
        ([ROLE, STOP], True, EndpointFault.EMPTY),
        ([chunk(" \n"), STOP], True, EndpointFault.EMPTY),
        ([chunk("<think>I greet"), STOP], True, EndpointFault.EMPTY),
        ([chunk(reasoning="I greet"), chunk(finish="length")], True, EndpointFault.EMPTY),
        ([chunk("Hi"), chunk(finish="error")], True, EndpointFault.SERVER_ERROR),
        ([{"choices": [{"index": 0}]}, {"choices": [5]}, {}], True, EndpointFault.EMPTY),
    ],
)
def test_answer_without_an_end_or_words(payloads: list[Any], is_done: bool, fault: EndpointFault) -> None:
    with pytest.raises(EndpointError) as caught:
        read(payloads, is_done=is_done)
    assert caught.value.fault is fault


def test_end_mark_replaces_the_reason() -> None:
    assert end_of(read([chunk("Hi")], is_done=True)).finish_reason == "stop"


@pytest.mark.parametrize(
    ("payloads", "has_thoughts", "opened_in_prompt"),
    [
        ([chunk("Hi"), STOP], False, None),
        ([chunk(reasoning="x"), chunk("Hi"), STOP], True, None),
        ([chunk("<think>x</think>Hi"), STOP], True, False),
        ([chunk("x</think>Hi"), STOP], True, True),
        ([chunk("Hi"), STOP, usage_chunk(9, 40, reasoning=30)], True, None),
        ([chunk(""), chunk(finish="length"), usage_chunk(9, 100)], True, None),
        ([chunk(""), chunk(finish="length"), usage_chunk(9, 1)], False, None),
    ],
)
def test_evidence_of_thoughts(payloads: list[Any], has_thoughts: bool, opened_in_prompt: bool | None) -> None:
    reader = ChatStreamReader("a.example")
    for payload in payloads:
        reader.read(payload)
    try:
        reader.finish(is_done=True)
    except EndpointError as error:
        assert error.fault is EndpointFault.EMPTY
    evidence = reader.evidence
    assert (evidence.has_thoughts, evidence.opened_in_prompt) == (has_thoughts, opened_in_prompt)


@pytest.mark.parametrize(
    ("payload", "opened_in_prompt", "has_begun"),
    [
        (ROLE, False, False),
        (chunk(reasoning="x"), False, False),
        (chunk("<think>x"), False, False),
        (chunk("<thi"), False, False),
        (chunk("Hi"), False, True),
        (chunk("Hi"), None, True),
        (chunk("Hi"), True, False),
        (piece(0, "c", "look_up", "{"), False, True),
        (chunk(function_call={"name": "a"}), False, True),
    ],
)
def test_begin_of_an_answer(payload: Any, opened_in_prompt: bool | None, has_begun: bool) -> None:
    reader = ChatStreamReader("a.example", opened_in_prompt=opened_in_prompt)
    reader.read(payload)
    assert reader.has_begun is has_begun


def test_thoughts_opened_in_the_prompt_are_not_delivered() -> None:
    events = read([chunk("I greet"), chunk("</think>Hello"), STOP], opened_in_prompt=True)
    assert events[:2] == [ChatThinking(), ChatText("Hello")]


def test_text_is_not_held_back_where_the_server_separates_thoughts() -> None:
    reader = ChatStreamReader("a.example", opened_in_prompt=True)
    reader.read(chunk(reasoning="I greet"))
    assert reader.read(chunk("Hello")) == [ChatText("Hello")]


@pytest.mark.parametrize("delta", [{"content": "12345"}, {"reasoning": "12345"}, {"function_call": {"name": "12345"}}])
def test_endless_answer_is_an_error(monkeypatch: pytest.MonkeyPatch, delta: dict[str, Any]) -> None:
    monkeypatch.setattr(chat_stream, "MAX_ANSWER_CHARS", 100)
    reader = ChatStreamReader("a.example")
    with pytest.raises(EndpointError, match="too long") as caught:
        for _ in range(30):
            reader.read(chunk(**delta))
    assert caught.value.fault is EndpointFault.MALFORMED
