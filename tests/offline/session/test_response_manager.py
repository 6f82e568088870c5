"""Responses: concurrency, cancellation, token limits, failures, out-of-band responses, usage and tools."""

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
from tests.support.offline.session_scenarios import SPOKEN_ENDING, WEATHER


def test_second_response_of_the_default_conversation_is_rejected() -> None:
    driver = SessionDriver()
    driver.create_message("Hello")
    active = driver.send_event("response.create")[0]["response"]["id"]
    error = single_error(driver.send_event("response.create", event_id="second"))
    assert error["code"] == "conversation_already_has_active_response" and active in error["message"]
    assert error["event_id"] == "second"
    driver.finish_reply()
    assert event_types(driver.send_event("response.create")) == ["response.created"]


def test_cancel_of_an_active_response_closes_its_items() -> None:
    driver = SessionDriver()
    driver.create_message("Hello")
    name = driver.send_event("response.create")[0]["response"]["id"]
    driver.deliver_speech("One.")
    error = single_error(driver.send_event("response.cancel", response_id="resp_other"))
    assert error["code"] == "response_cancel_not_active"
    events = driver.send_event("response.cancel")
    assert event_types(events) == SPOKEN_ENDING and driver.last_work(StopGeneration).response_id == name
    done = single_event(events, "response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["usage"]["output_token_details"]["audio_tokens"] == 20
    late = driver.deliver(ReplySpeech(name, " Two.", tone(50))) + driver.deliver(ReplyDone(name, "stopped"))
    assert late == []
    assert single_error(driver.send_event("response.cancel"))["code"] == "response_cancel_not_active"


def test_cancel_before_the_transcript_submits_no_work() -> None:
    driver = SessionDriver()
    driver.speak_turn(None)
    done = single_event(driver.send_event("response.cancel"), "response.done")["response"]
    assert done["status"] == "cancelled" and done["usage"]["total_tokens"] == 0
    driver.deliver(FinalTranscript(driver.last_work(Recognize).item_id, "Hello.", "en", 1))
    assert not driver.all_work(Generate) and not driver.all_work(StopGeneration)


def test_response_at_its_token_limit_is_incomplete() -> None:
    driver = SessionDriver(max_output_tokens=7)
    driver.create_message("Count")
    driver.send_event("response.create")
    assert driver.last_work(Generate).request.max_tokens == 7
    driver.deliver_speech("One,")
    done = single_event(driver.finish_reply("max_tokens", output_tokens=7), "response.done")["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["status"] == "incomplete" and done["output"][0]["status"] == "incomplete"
    assert done["max_output_tokens"] == 7


def test_failed_response_reports_the_message() -> None:
    driver = SessionDriver()
    driver.create_message("Hello")
    driver.send_event("response.create")
    done = single_event(driver.finish_reply("failed", message="The model ran out of memory."), "response.done")[
        "response"
    ]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "The model ran out of memory."
    assert event_types(driver.send_event("response.create")) == ["response.created"]


def test_usage_counts_audio_tokens() -> None:
    driver = SessionDriver()
    driver.speak_turn("Hello.", ms=1000)
    ms = len(driver.last_work(Recognize).audio) / 48
    driver.deliver_speech("Hi.", ms=1000)
    usage = single_event(driver.finish_reply(input_tokens=20, output_tokens=2), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100)
    assert usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 20}
    driver.create_message("And now?")
    driver.send_event("response.create")
    usage = single_event(driver.finish_reply(input_tokens=30), "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == -(-ms // 100) + 20


def test_response_settings_apply_to_one_response() -> None:
    driver = SessionDriver(instructions="Be brief.", tools=[WEATHER])
    driver.create_message("Hello")
    settings = {
        "instructions": "Be long.",
        "output_modalities": ["text"],
        "max_output_tokens": 50,
        "tools": [],
        "tool_choice": "none",
        "metadata": {"topic": "greeting"},
    }
    created = driver.send_event("response.create", response=settings)[0]["response"]
    assert created["metadata"] == {"topic": "greeting"} and created["output_modalities"] == ["text"]
    request = driver.last_work(Generate).request
    assert request.messages[0] == LlmMessage("system", "Be long.")
    assert (request.speak, request.max_tokens, request.tools, request.tool_choice) == (False, 50, (), "none")
    driver.finish_reply()
    driver.send_event("response.create")
    request = driver.last_work(Generate).request
    assert request.messages[0] == LlmMessage("system", "Be brief.") and request.speak and len(request.tools) == 1


def test_out_of_band_response_does_not_change_the_conversation() -> None:
    driver = SessionDriver()
    item = driver.create_message("My name is Ada.")
    driver.send_event("response.create")
    default = driver.last_work(Generate).response_id
    settings = {
        "conversation": "none",
        "output_modalities": ["text"],
        "metadata": {"kind": "title"},
        "input": [
            {"type": "item_reference", "id": item["id"]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Who am I?"}]},
        ],
    }
    created = driver.send_event("response.create", response=settings)[0]["response"]
    assert created["conversation_id"] is None and created["metadata"] == {"kind": "title"}
    assert driver.model_context() == [("user", "My name is Ada."), ("user", "Who am I?")]
    events = driver.deliver_text("Ada.") + driver.finish_reply()
    assert not [kind for kind in event_types(events) if kind.startswith("conversation.")]
    assert single_event(events, "response.done")["response"]["metadata"] == {"kind": "title"}
    assert driver.item_ids == [item["id"]]
    assert event_types(driver.deliver(ReplySpeech(default, "Hello.", tone(20))))[0] == "response.output_item.added"
    third = driver.send_event("response.create", response={"conversation": "none", "input": []})[0]["response"]["id"]
    assert event_types(driver.send_event("response.cancel"))[-2:] == ["response.done", "rate_limits.updated"]
    assert single_error(driver.send_event("response.cancel"))["code"] == "response_cancel_not_active"
    assert event_types(driver.send_event("response.cancel", response_id=third))[0] == "response.done"


def test_fifth_out_of_band_response_is_rejected_and_audio_input_recognised() -> None:
    driver = SessionDriver()
    sound = {"type": "input_audio", "audio": base64.b64encode(tone(300)).decode()}
    settings = {"conversation": "none", "input": [{"type": "message", "role": "user", "content": [sound]}]}
    for _ in range(4):
        assert event_types(driver.send_event("response.create", response=settings)) == ["response.created"]
    assert single_error(driver.send_event("response.create", response=settings))["param"] == "response.conversation"
    assert not driver.all_work(Generate)
    driver.deliver(FinalTranscript(driver.all_work(Recognize)[0].item_id, "Hello.", "en", 0.3))
    assert driver.model_context() == [("user", "Hello.")]


def test_response_input_with_an_unknown_reference_reports_its_path() -> None:
    settings = {"conversation": "none", "input": [{"type": "item_reference", "id": "item_x"}]}
    error = single_error(SessionDriver().send_event("response.create", response=settings))
    assert (error["code"], error["param"]) == ("item_not_found", "response.input[0].id")


def test_first_event_and_changed_instructions_submit_a_prefill() -> None:
    driver = SessionDriver()
    assert driver.submitted_work == []
    driver.update(output_modalities=["text"])
    assert driver.all_work(Prefill) == [Prefill(driver.last_work(Prefill).request)]
    assert driver.last_work(Prefill).request.messages[0].text == driver.created["session"]["instructions"]
    driver.update(output_modalities=["audio"])
    driver.append_audio(silence(20))
    assert len(driver.all_work(Prefill)) == 1
    driver.update(instructions="Be brief.")
    assert driver.last_work(Prefill).request.messages == (LlmMessage("system", "Be brief."),)
    assert len(driver.all_work(Prefill)) == 2
    eager = SessionDriver()
    eager.append_audio(silence(20))
    eager.append_audio(silence(20))
    assert [work.request.messages for work in eager.all_work(Prefill)] == [driver.all_work(Prefill)[0].request.messages]


def test_completed_reply_submits_a_prefill_of_the_conversation() -> None:
    driver = SessionDriver(instructions="Be brief.")
    assert driver.last_work(Prefill).request.messages == (LlmMessage("system", "Be brief."),)
    driver.speak_turn("Hello.")
    driver.deliver_speech("Hi!")
    driver.finish_reply()
    assert [message.text for message in driver.last_work(Prefill).request.messages] == ["Be brief.", "Hello.", "Hi!"]


def test_tool_call_and_output_are_in_the_next_request() -> None:
    driver = SessionDriver(
        output_modalities=["text"], tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}
    )
    driver.create_message("Weather in London?")
    driver.send_event("response.create")
    request = driver.last_work(Generate).request
    assert request.tool_choice == "function:get_weather"
    assert request.tools[0].startswith('{"description":"Look up the weather for a city.","name":"get_weather"')
    events = driver.deliver_tool_call("get_weather", '{"city": "London"}') + driver.finish_reply()
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
    added = driver.send_event("conversation.item.create", item=output)[0]["item"]
    assert added == {"id": added["id"], **output}
    driver.send_event("response.create")
    assert driver.last_work(Generate).request.messages[1:] == (
        LlmMessage("user", "Weather in London?"),
        LlmMessage("assistant", "", (ToolCall(call["call_id"], "get_weather", '{"city": "London"}'),)),
        LlmMessage("tool", "Foggy.", call_id=call["call_id"]),
    )


def test_speech_before_a_tool_call_is_a_separate_item() -> None:
    driver = SessionDriver(tools=[WEATHER])
    driver.create_message("Weather?")
    driver.send_event("response.create")
    events = (
        driver.deliver_speech("One moment.") + driver.deliver_tool_call("get_weather", "{}") + driver.finish_reply()
    )
    output = single_event(events, "response.done")["response"]["output"]
    assert [(item["type"], item["status"]) for item in output] == [
        ("message", "completed"),
        ("function_call", "completed"),
    ]


def test_faults_of_the_speech_endpoints_are_in_the_events_only_where_they_occurred() -> None:
    driver = SessionDriver(audio={"input": {"transcription": {"model": "whisper-1"}}})
    for fault in ("", "timeout"):
        driver.speak_turn(None)
        item_id = driver.last_work(Recognize).item_id
        events = driver.deliver(FinalTranscript(item_id, "Hello.", "en", 1, endpoint_fault=fault))
        transcript = single_event(events, "conversation.item.input_audio_transcription.completed")
        response_id = driver.last_work(Generate).response_id
        done = single_event(driver.deliver(ReplyDone(response_id, "stop", speech_fault=fault)), "response.done")
        assert (transcript.get("endpoint_fault", ""), done["response"].get("speech_fault", "")) == (fault, fault)
        assert ("endpoint_fault" in transcript, "speech_fault" in done["response"]) == (bool(fault),) * 2
