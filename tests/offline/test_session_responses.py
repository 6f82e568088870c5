"""Responses: one at a time, cancelled, bounded, failed, out of band; usage and tools."""

from __future__ import annotations

import base64

from offline.work import (
    Generate,
    Message,
    Prefill,
    Recognize,
    Recognized,
    ReplyDone,
    ReplySpeech,
    Stop,
    ToolCall,
)
from tests.offline.bench import Bench, error_of, kinds, only
from tests.offline.scripted import silence, tone
from tests.offline.test_session_settings import WEATHER
from tests.offline.test_session_turns import SPOKEN_END


def test_one_active_response_at_a_time() -> None:
    bench = Bench()
    bench.write("Hello")
    active = bench.client("response.create")[0]["response"]["id"]
    error = error_of(bench.client("response.create", event_id="second"))
    assert error["code"] == "conversation_already_has_active_response" and active in error["message"]
    assert error["event_id"] == "second"
    bench.finish()
    assert kinds(bench.client("response.create")) == ["response.created"]


def test_cancel() -> None:
    bench = Bench()
    bench.write("Hello")
    name = bench.client("response.create")[0]["response"]["id"]
    bench.speak("One.")
    error = error_of(bench.client("response.cancel", response_id="resp_other"))
    assert error["code"] == "response_cancel_not_active"
    events = bench.client("response.cancel")
    assert kinds(events) == SPOKEN_END and bench.last(Stop).response_id == name
    done = only(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] == 20
    late = bench.give(ReplySpeech(name, " Two.", tone(50))) + bench.give(ReplyDone(name, "stopped"))
    assert late == []
    assert error_of(bench.client("response.cancel"))["code"] == "response_cancel_not_active"


def test_a_response_can_be_cancelled_before_the_words_are_known() -> None:
    bench = Bench()
    bench.say(None)
    done = only(bench.client("response.cancel"), "response.done")["response"]
    assert done["status"] == "cancelled" and done["usage"]["total_tokens"] == 0
    bench.give(Recognized(bench.last(Recognize).item_id, "Hello.", "en", 1))
    assert not bench.all(Generate) and not bench.all(Stop)


def test_the_token_bound_makes_a_response_incomplete() -> None:
    bench = Bench(max_output_tokens=7)
    bench.write("Count")
    bench.client("response.create")
    assert bench.last(Generate).request.max_tokens == 7
    bench.speak("One,")
    done = only(bench.finish("max_tokens", output_tokens=7), "response.done")["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["status"] == "incomplete" and done["output"][0]["status"] == "incomplete"
    assert done["max_output_tokens"] == 7


def test_a_failed_response_says_why() -> None:
    bench = Bench()
    bench.write("Hello")
    bench.client("response.create")
    done = only(bench.finish("failed", message="The model ran out of memory."), "response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "The model ran out of memory."
    assert kinds(bench.client("response.create")) == ["response.created"]


def test_usage_counts_sound() -> None:
    bench = Bench()
    bench.say("Hello.", ms=1000)
    ms = len(bench.last(Recognize).audio) / 48
    bench.speak("Hi.", ms=1000)
    usage = only(bench.finish(input_tokens=20, output_tokens=2), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100)
    assert usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 20}
    bench.write("And now?")
    bench.client("response.create")
    usage = only(bench.finish(input_tokens=30), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100) + 20


def test_one_response_may_have_its_own_settings() -> None:
    bench = Bench(instructions="Be brief.", tools=[WEATHER])
    bench.write("Hello")
    settings = {
        "instructions": "Be long.",
        "output_modalities": ["text"],
        "max_output_tokens": 50,
        "tools": [],
        "tool_choice": "none",
        "metadata": {"topic": "greeting"},
    }
    created = bench.client("response.create", response=settings)[0]["response"]
    assert created["metadata"] == {"topic": "greeting"} and created["output_modalities"] == ["text"]
    request = bench.last(Generate).request
    assert request.messages[0] == Message("system", "Be long.")
    assert (request.speak, request.max_tokens, request.tools, request.tool_choice) == (False, 50, (), "none")
    bench.finish()
    bench.client("response.create")
    request = bench.last(Generate).request
    assert request.messages[0] == Message("system", "Be brief.") and request.speak and len(request.tools) == 1


def test_out_of_band_responses_leave_the_conversation_alone() -> None:
    bench = Bench()
    item = bench.write("My name is Ada.")
    bench.client("response.create")
    default = bench.last(Generate).response_id
    settings = {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"kind": "title"},
        "input": [
            {"type": "item_reference", "id": item["id"]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who am I?"}]},
        ],
    }
    created = bench.client("response.create", response=settings)[0]["response"]
    assert created["conversation_id"] is None and created["metadata"] == {"kind": "title"}
    assert bench.memory() == [("user", "My name is Ada."), ("user", "Who am I?")]
    events = bench.type_out("Ada.") + bench.finish()
    assert not [kind for kind in kinds(events) if kind.startswith("conversation.")]
    assert only(events, "response.done")["response"]["metadata"] == {"kind": "title"}
    assert bench.session.item_ids == [item["id"]]
    assert kinds(bench.give(ReplySpeech(default, "Hello.", tone(20))))[0] == "response.output_item.added"
    third = bench.client("response.create", response={"conversation": "none", "input": []})[0]["response"]["id"]
    assert kinds(bench.client("response.cancel"))[-2:] == ["response.done", "rate_limits.updated"]
    assert error_of(bench.client("response.cancel"))["code"] == "response_cancel_not_active"
    assert kinds(bench.client("response.cancel", response_id=third))[0] == "response.done"


def test_out_of_band_responses_are_bounded_and_hear_sound() -> None:
    bench = Bench()
    sound = {"type": "input_audio", "audio": base64.b64encode(tone(300)).decode()}
    settings = {"conversation": "none", "input": [{"type": "message", "role": "user", "content": [sound]}]}
    for _ in range(4):
        assert kinds(bench.client("response.create", response=settings)) == ["response.created"]
    assert error_of(bench.client("response.create", response=settings))["param"] == "response.conversation"
    assert not bench.all(Generate)
    bench.give(Recognized(bench.all(Recognize)[0].item_id, "Hello.", "en", 0.3))
    assert bench.memory() == [("user", "Hello.")]


def test_input_that_refers_to_nothing() -> None:
    settings = {"conversation": "none", "input": [{"type": "item_reference", "id": "item_x"}]}
    error = error_of(Bench().client("response.create", response=settings))
    assert (error["code"], error["param"]) == ("item_not_found", "response.input[0].id")


def test_the_instructions_are_read_ahead_once_the_client_has_set_them_or_set_out_without() -> None:
    bench = Bench()
    assert bench.work == []
    bench.update(output_modalities=["text"])
    assert bench.all(Prefill) == [Prefill(bench.last(Prefill).request)]
    assert bench.last(Prefill).request.messages[0].text == bench.created["session"]["instructions"]
    bench.update(output_modalities=["audio"])
    bench.append(silence(20))
    assert len(bench.all(Prefill)) == 1
    bench.update(instructions="Be brief.")
    assert bench.last(Prefill).request.messages == (Message("system", "Be brief."),)
    assert len(bench.all(Prefill)) == 2
    eager = Bench()
    eager.append(silence(20))
    eager.append(silence(20))
    assert [work.request.messages for work in eager.all(Prefill)] == [bench.all(Prefill)[0].request.messages]


def test_the_conversation_is_read_ahead_when_a_reply_is_done() -> None:
    bench = Bench(instructions="Be brief.")
    assert bench.last(Prefill).request.messages == (Message("system", "Be brief."),)
    bench.say("Hello.")
    bench.speak("Hi!")
    bench.finish()
    assert [message.text for message in bench.last(Prefill).request.messages] == ["Be brief.", "Hello.", "Hi!"]


def test_a_tool_round() -> None:
    bench = Bench(output_modalities=["text"], tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
    bench.write("Weather in London?")
    bench.client("response.create")
    request = bench.last(Generate).request
    assert request.tool_choice == "function:get_weather"
    assert request.tools[0].startswith('{"description":"Look up the weather for a city.","name":"get_weather"')
    events = bench.call("get_weather", '{"city": "London"}') + bench.finish()
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    call = events[0]["item"]
    assert call == {
        "id": call["id"],
        "type": "function_call",
        "status": "in_progress",
        "name": "get_weather",
        "call_id": call["call_id"],
        "arguments": "",
    }
    assert events[3]["name"] == "get_weather" and events[3]["arguments"] == '{"city": "London"}'
    finished = {**call, "status": "completed", "arguments": '{"city": "London"}'}
    assert events[4]["item"] == finished and only(events, "response.done")["response"]["output"] == [finished]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Foggy."}
    added = bench.client("conversation.item.create", item=output)[0]["item"]
    assert added == {"id": added["id"], **output}
    bench.client("response.create")
    assert bench.last(Generate).request.messages[1:] == (
        Message("user", "Weather in London?"),
        Message("assistant", "", (ToolCall(call["call_id"], "get_weather", '{"city": "London"}'),)),
        Message("tool", "Foggy.", call_id=call["call_id"]),
    )


def test_words_before_a_call_are_a_message_of_their_own() -> None:
    bench = Bench(tools=[WEATHER])
    bench.write("Weather?")
    bench.client("response.create")
    events = bench.speak("One moment.") + bench.call("get_weather", "{}") + bench.finish()
    output = only(events, "response.done")["response"]["output"]
    assert [(item["type"], item["status"]) for item in output] == [
        ("message", "completed"),
        ("function_call", "completed"),
    ]
