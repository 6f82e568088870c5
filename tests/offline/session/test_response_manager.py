"""Responses: one at a time, cancelled, bounded, failed, out of band; usage and tools."""

from __future__ import annotations

import base64

from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    LlmMessage,
    Prefill,
    Recognize,
    ReplyDone,
    ReplySpeech,
    StopGeneration,
    ToolCall,
)
from tests.support.offline.scripted_models import silence, tone
from tests.support.offline.session_driver import SessionDriver, event_types, single_error, single_event

from .test_input_turns import SPOKEN_ENDING
from .test_session_config import WEATHER


def test_one_active_response_at_a_time() -> None:
    bench = SessionDriver()
    bench.create_message("Hello")
    active = bench.send_event("response.create")[0]["response"]["id"]
    error = single_error(bench.send_event("response.create", event_id="second"))
    assert error["code"] == "conversation_already_has_active_response" and active in error["message"]
    assert error["event_id"] == "second"
    bench.finish_reply()
    assert event_types(bench.send_event("response.create")) == ["response.created"]


def test_cancel() -> None:
    bench = SessionDriver()
    bench.create_message("Hello")
    name = bench.send_event("response.create")[0]["response"]["id"]
    bench.deliver_speech("One.")
    error = single_error(bench.send_event("response.cancel", response_id="resp_other"))
    assert error["code"] == "response_cancel_not_active"
    events = bench.send_event("response.cancel")
    assert event_types(events) == SPOKEN_ENDING and bench.last_work(StopGeneration).response_id == name
    done = single_event(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] == 20
    late = bench.deliver(ReplySpeech(name, " Two.", tone(50))) + bench.deliver(ReplyDone(name, "stopped"))
    assert late == []
    assert single_error(bench.send_event("response.cancel"))["code"] == "response_cancel_not_active"


def test_a_response_can_be_cancelled_before_the_words_are_known() -> None:
    bench = SessionDriver()
    bench.speak_turn(None)
    done = single_event(bench.send_event("response.cancel"), "response.done")["response"]
    assert done["status"] == "cancelled" and done["usage"]["total_tokens"] == 0
    bench.deliver(FinalTranscript(bench.last_work(Recognize).item_id, "Hello.", "en", 1))
    assert not bench.all_work(Generate) and not bench.all_work(StopGeneration)


def test_the_token_bound_makes_a_response_incomplete() -> None:
    bench = SessionDriver(max_output_tokens=7)
    bench.create_message("Count")
    bench.send_event("response.create")
    assert bench.last_work(Generate).request.max_tokens == 7
    bench.deliver_speech("One,")
    done = single_event(bench.finish_reply("max_tokens", output_tokens=7), "response.done")["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["status"] == "incomplete" and done["output"][0]["status"] == "incomplete"
    assert done["max_output_tokens"] == 7


def test_a_failed_response_says_why() -> None:
    bench = SessionDriver()
    bench.create_message("Hello")
    bench.send_event("response.create")
    done = single_event(bench.finish_reply("failed", message="The model ran out of memory."), "response.done")[
        "response"
    ]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "The model ran out of memory."
    assert event_types(bench.send_event("response.create")) == ["response.created"]


def test_usage_counts_sound() -> None:
    bench = SessionDriver()
    bench.speak_turn("Hello.", ms=1000)
    ms = len(bench.last_work(Recognize).audio) / 48
    bench.deliver_speech("Hi.", ms=1000)
    usage = single_event(bench.finish_reply(input_tokens=20, output_tokens=2), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100)
    assert usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 20}
    bench.create_message("And now?")
    bench.send_event("response.create")
    usage = single_event(bench.finish_reply(input_tokens=30), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100) + 20


def test_one_response_may_have_its_own_settings() -> None:
    bench = SessionDriver(instructions="Be brief.", tools=[WEATHER])
    bench.create_message("Hello")
    settings = {
        "instructions": "Be long.",
        "output_modalities": ["text"],
        "max_output_tokens": 50,
        "tools": [],
        "tool_choice": "none",
        "metadata": {"topic": "greeting"},
    }
    created = bench.send_event("response.create", response=settings)[0]["response"]
    assert created["metadata"] == {"topic": "greeting"} and created["output_modalities"] == ["text"]
    request = bench.last_work(Generate).request
    assert request.messages[0] == LlmMessage("system", "Be long.")
    assert (request.speak, request.max_tokens, request.tools, request.tool_choice) == (False, 50, (), "none")
    bench.finish_reply()
    bench.send_event("response.create")
    request = bench.last_work(Generate).request
    assert request.messages[0] == LlmMessage("system", "Be brief.") and request.speak and len(request.tools) == 1


def test_out_of_band_responses_leave_the_conversation_alone() -> None:
    bench = SessionDriver()
    item = bench.create_message("My name is Ada.")
    bench.send_event("response.create")
    default = bench.last_work(Generate).response_id
    settings = {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"kind": "title"},
        "input": [
            {"type": "item_reference", "id": item["id"]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who am I?"}]},
        ],
    }
    created = bench.send_event("response.create", response=settings)[0]["response"]
    assert created["conversation_id"] is None and created["metadata"] == {"kind": "title"}
    assert bench.model_context() == [("user", "My name is Ada."), ("user", "Who am I?")]
    events = bench.deliver_text("Ada.") + bench.finish_reply()
    assert not [kind for kind in event_types(events) if kind.startswith("conversation.")]
    assert single_event(events, "response.done")["response"]["metadata"] == {"kind": "title"}
    assert bench.item_ids == [item["id"]]
    assert event_types(bench.deliver(ReplySpeech(default, "Hello.", tone(20))))[0] == "response.output_item.added"
    third = bench.send_event("response.create", response={"conversation": "none", "input": []})[0]["response"]["id"]
    assert event_types(bench.send_event("response.cancel"))[-2:] == ["response.done", "rate_limits.updated"]
    assert single_error(bench.send_event("response.cancel"))["code"] == "response_cancel_not_active"
    assert event_types(bench.send_event("response.cancel", response_id=third))[0] == "response.done"


def test_out_of_band_responses_are_bounded_and_hear_sound() -> None:
    bench = SessionDriver()
    sound = {"type": "input_audio", "audio": base64.b64encode(tone(300)).decode()}
    settings = {"conversation": "none", "input": [{"type": "message", "role": "user", "content": [sound]}]}
    for _ in range(4):
        assert event_types(bench.send_event("response.create", response=settings)) == ["response.created"]
    assert single_error(bench.send_event("response.create", response=settings))["param"] == "response.conversation"
    assert not bench.all_work(Generate)
    bench.deliver(FinalTranscript(bench.all_work(Recognize)[0].item_id, "Hello.", "en", 0.3))
    assert bench.model_context() == [("user", "Hello.")]


def test_input_that_refers_to_nothing() -> None:
    settings = {"conversation": "none", "input": [{"type": "item_reference", "id": "item_x"}]}
    error = single_error(SessionDriver().send_event("response.create", response=settings))
    assert (error["code"], error["param"]) == ("item_not_found", "response.input[0].id")


def test_the_instructions_are_read_ahead_once_the_client_has_set_them_or_set_out_without() -> None:
    bench = SessionDriver()
    assert bench.submitted_work == []
    bench.update(output_modalities=["text"])
    assert bench.all_work(Prefill) == [Prefill(bench.last_work(Prefill).request)]
    assert bench.last_work(Prefill).request.messages[0].text == bench.created["session"]["instructions"]
    bench.update(output_modalities=["audio"])
    bench.append_audio(silence(20))
    assert len(bench.all_work(Prefill)) == 1
    bench.update(instructions="Be brief.")
    assert bench.last_work(Prefill).request.messages == (LlmMessage("system", "Be brief."),)
    assert len(bench.all_work(Prefill)) == 2
    eager = SessionDriver()
    eager.append_audio(silence(20))
    eager.append_audio(silence(20))
    assert [work.request.messages for work in eager.all_work(Prefill)] == [bench.all_work(Prefill)[0].request.messages]


def test_the_conversation_is_read_ahead_when_a_reply_is_done() -> None:
    bench = SessionDriver(instructions="Be brief.")
    assert bench.last_work(Prefill).request.messages == (LlmMessage("system", "Be brief."),)
    bench.speak_turn("Hello.")
    bench.deliver_speech("Hi!")
    bench.finish_reply()
    assert [message.text for message in bench.last_work(Prefill).request.messages] == ["Be brief.", "Hello.", "Hi!"]


def test_a_tool_round() -> None:
    bench = SessionDriver(
        output_modalities=["text"], tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}
    )
    bench.create_message("Weather in London?")
    bench.send_event("response.create")
    request = bench.last_work(Generate).request
    assert request.tool_choice == "function:get_weather"
    assert request.tools[0].startswith('{"description":"Look up the weather for a city.","name":"get_weather"')
    events = bench.deliver_tool_call("get_weather", '{"city": "London"}') + bench.finish_reply()
    assert event_types(events) == [
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
    assert events[4]["item"] == finished and single_event(events, "response.done")["response"]["output"] == [finished]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Foggy."}
    added = bench.send_event("conversation.item.create", item=output)[0]["item"]
    assert added == {"id": added["id"], **output}
    bench.send_event("response.create")
    assert bench.last_work(Generate).request.messages[1:] == (
        LlmMessage("user", "Weather in London?"),
        LlmMessage("assistant", "", (ToolCall(call["call_id"], "get_weather", '{"city": "London"}'),)),
        LlmMessage("tool", "Foggy.", call_id=call["call_id"]),
    )


def test_words_before_a_call_are_a_message_of_their_own() -> None:
    bench = SessionDriver(tools=[WEATHER])
    bench.create_message("Weather?")
    bench.send_event("response.create")
    events = bench.deliver_speech("One moment.") + bench.deliver_tool_call("get_weather", "{}") + bench.finish_reply()
    output = single_event(events, "response.done")["response"]["output"]
    assert [(item["type"], item["status"]) for item in output] == [
        ("message", "completed"),
        ("function_call", "completed"),
    ]
