"""Turn plan: spoken results, forced calls with the last message alone, and words without functions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.support.tools.router_requests import NOW, read_declarations
from offline.protocol.worker_messages import LlmMessage, ReplyRequest, ToolCall
from offline.tools.turn_plan import plan_turn, read_speech, speech_of

TOOLS = tuple(json.dumps(tool) for tool in read_declarations())
CALL = LlmMessage("assistant", "", (ToolCall("c", "timer", '{"seconds": 5}'),))
HISTORY = (
    LlmMessage("system", "Be kind."),
    LlmMessage("user", "Hi"),
    CALL,
    LlmMessage("tool", "{}", call_id="c"),
    LlmMessage("assistant", "Hello."),
)


def request_for(text: str, tool_choice: str = "auto") -> ReplyRequest:
    return ReplyRequest((*HISTORY, LlmMessage("user", text)), speak=True, tools=TOOLS, tool_choice=tool_choice)


def test_call_is_asked_for_with_the_last_message_and_one_function() -> None:
    plan = plan_turn(request_for("Text Anna that I am late"), NOW)
    assert plan.call is not None
    asked = plan.call.request
    assert [message.role for message in asked.messages] == ["system", "user"]
    assert asked.tool_choice == "function:send_message" and len(asked.tools) == 1 and "Keywords" not in asked.tools[0]


def test_small_talk_is_answered_without_functions_and_earlier_calls() -> None:
    plan = plan_turn(request_for("How are you?"), NOW)
    assert plan.call is None and plan.words.tools == ()
    assert [message.role for message in plan.words.messages] == ["system", "user", "assistant", "user"]


def test_weak_evidence_asks_the_model_about_the_likely_functions_alone() -> None:
    plan = plan_turn(request_for("I wonder, will it be dark and cold outside at the cabin?"), NOW)
    assert plan.call is not None and not plan.call.is_certain and plan.call.ready is None
    assert "get_weather" in plan.call.candidates and len(plan.call.candidates) <= 3
    asked = plan.call.request
    assert [message.role for message in asked.messages] == ["system", "user"] and asked.tool_choice == "auto"
    assert len(asked.tools) == len(plan.call.candidates)


@pytest.mark.parametrize(
    ("text", "is_call"),
    [
        ('{"name": "get_weather", "arguments": {"city": "cabin"}}', True),
        ('{"name": "get_weather", "arguments": {}}', True),
        ('{"name": "get_weather", "arguments": {"city": "Oslo"}}', True),
        ('{"name": "forecast", "arguments": {"city": "Oslo"}}', False),
        ('{"name": "send_message", "arguments": {"recipient": "cabin", "text": "cold"}}', False),
        ('{"name": "get_weather", "arg', False),
        ("It is cold.", False),
    ],
)
def test_call_of_a_likely_function_needs_its_name_and_shown_arguments(text: str, is_call: bool) -> None:
    plan = plan_turn(request_for("I wonder, will it be dark and cold outside at the cabin?"), NOW)
    assert plan.call is not None
    assert (plan.call.finish(text) is not None) is is_call


def test_made_up_name_means_the_only_likely_function_that_has_its_arguments() -> None:
    weather = next(tool for tool in TOOLS if "get_weather" in tool)
    plan = plan_turn(replace(request_for("Will it be cold at the cabin, I wonder?"), tools=(weather,)), NOW)
    assert plan.call is not None and not plan.call.is_certain
    assert plan.call.finish('{"name": "forecast", "arguments": {"city": "cabin"}}') is not None
    assert plan.call.finish('{"name": "forecast", "arguments": {"place": "cabin"}}') is None
    assert plan.call.finish('{"name": "forecast", "arguments": {"city": "Oslo"}}') is None


@pytest.mark.parametrize("choice", ["none", "required", "function:timer"])
def test_choice_of_the_client_is_left_as_it_is(choice: str) -> None:
    request = request_for("Set a timer for ten minutes", choice)
    plan = plan_turn(request, NOW)
    assert (plan.request, plan.call, plan.speech) == (request, None, "")


def test_result_without_a_sentence_is_given_to_the_model_without_the_history() -> None:
    last = (LlmMessage("user", "And now?"), CALL, LlmMessage("tool", '{"left": 3}', call_id="c"))
    plan = plan_turn(replace(request_for(""), messages=(*HISTORY, *last)), NOW)
    assert plan.speech == "" and plan.words.messages == (HISTORY[0], *last)


@pytest.mark.parametrize(
    ("output", "speech"),
    [
        ('{"speech": "It is ten."}', "It is ten."),
        (' {"speech": " It  is\\nten. ", "time": "10:00"}', "It is ten."),
        ('{"speech": 5}', ""),
        ('{"speech": ""}', ""),
        ('["speech"]', ""),
        ("It is ten.", ""),
        ('{"speech": "It', ""),
        ("{" * 5000, ""),
    ],
)
def test_sentence_of_a_result_is_read(output: str, speech: str) -> None:
    assert speech_of(output) == speech


def test_results_of_one_round_are_said_in_order() -> None:
    results = [LlmMessage("tool", json.dumps({"speech": text}), call_id=text) for text in ("One.", "Two.")]
    assert read_speech([CALL, *results]) == "One. Two."
    assert read_speech([*results, LlmMessage("tool", "plain", call_id="x")]) == ""
    assert read_speech([*results, LlmMessage("user", "Thanks")]) == ""
