"""Replies of a chat endpoint: order of clauses, opener, tool calls, and the model here as the fallback."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest

from offline.endpoints.chat_stream import ChatEnd, ChatText, ChatThinking, ChatToolCall
from offline.endpoints.circuit_breaker import PAUSES_S
from offline.endpoints.errors import EndpointFault
from offline.protocol.worker_messages import (
    Generate,
    Prefill,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    SpeechPaused,
    StopGeneration,
)
from offline.remote import endpoint_model
from offline.remote.chat_prompt import build_chat_request
from tests.support.endpoints.endpoint_rig import (
    BASE_REQUEST,
    BY_ENDPOINT,
    LOCAL_TEXT,
    REQUEST,
    OpenRig,
    by_local_model,
    failure,
    has_length,
    spoken,
)
from tests.support.endpoints.fake_chat_client import USAGE, FakeChatClient, Step, answer
from tests.support.offline.fake_models import (
    wait_until,
)

WEATHER_TOOL_JSON = (
    '{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}'
)


async def test_reply_of_the_endpoint_is_spoken_clause_by_clause(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient(answer("It is ", "noon. ", "Time for lunch.")))
    results = await rig.reply_to(REQUEST)
    assert spoken(results) == ["It is noon.", " Time for lunch."]
    assert results[-1] == ReplyDone("r", "stop", 40, 8, 6, answered_by=BY_ENDPOINT)
    assert rig.worker.language_model.prompts == []


async def test_first_clause_is_delivered_before_the_second_has_come(open_rig: OpenRig) -> None:
    rest = asyncio.Event()
    rig = open_rig(FakeChatClient([ChatText("It is noon. "), rest, ChatText("Lunch."), ChatEnd(USAGE, "stop")]))
    rig.worker.worker.submit(Generate("r", REQUEST))
    first = await rig.worker.next_result()
    assert isinstance(first, ReplySpeech) and first.text == "It is noon."
    rest.set()
    assert spoken(await rig.worker.results_until_done()) == [" Lunch."]


@pytest.mark.parametrize("fault", [fault for fault in EndpointFault if fault is not EndpointFault.LOADING])
@pytest.mark.parametrize(
    ("before", "speak"),
    [([], True), ([], False), ([ChatThinking()], True), ([ChatThinking()], False), ([ChatText("It is")], True)],
    ids=["spoken", "written", "spoken after thoughts", "written after thoughts", "spoken within a clause"],
)
async def test_failure_before_the_first_clause_lets_the_local_model_answer(
    open_rig: OpenRig, fault: EndpointFault, before: list[Step], speak: bool
) -> None:
    rig = open_rig(FakeChatClient([*before, failure(fault)]))
    results = await rig.reply_to(replace(REQUEST, speak=speak))
    said = "".join(result.text for result in results if isinstance(result, (ReplySpeech, ReplyText)))
    assert said == LOCAL_TEXT
    assert results[-1] == ReplyDone("r", "stop", 5, 2, 3, answered_by=by_local_model(fault))


async def test_failure_after_a_clause_ends_the_reply_there_and_the_next_is_local(open_rig: OpenRig) -> None:
    broken: list[Step] = [ChatText("It is noon. Time "), failure(EndpointFault.BROKEN_OFF)]
    rig = open_rig(FakeChatClient(broken, answer("Not asked.")))
    results = await rig.reply_to(REQUEST)
    assert spoken(results) == ["It is noon."]
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.reason == "failed" and done.message
    assert done.answered_by == replace(BY_ENDPOINT, fault="broken_off")
    assert done.input_tokens > 0 and done.output_tokens > 0
    results = await rig.reply_to(REQUEST)
    assert "".join(spoken(results)) == LOCAL_TEXT
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == by_local_model(EndpointFault.BROKEN_OFF)
    assert len(rig.client.requests) == 1


async def test_endpoint_is_tried_again_after_a_pause(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient([failure(EndpointFault.SERVER_ERROR)], answer("Here again."), is_private=False))
    for _ in range(2):
        assert "".join(spoken(await rig.reply_to(REQUEST))) == LOCAL_TEXT
    await rig.clock.advance(PAUSES_S[0])
    results = await rig.reply_to(REQUEST)
    assert spoken(results) == ["Here again."]
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == BY_ENDPOINT


async def test_endpoint_that_names_a_pause_is_tried_after_it(open_rig: OpenRig) -> None:
    script = [failure(EndpointFault.RATE_LIMITED, 5.0)]
    rig = open_rig(FakeChatClient(script, answer("Here again."), is_private=False))
    await rig.reply_to(REQUEST)
    await rig.clock.advance(5.0)
    assert spoken(await rig.reply_to(REQUEST)) == ["Here again."]


async def test_prefill_tries_a_private_endpoint_again_so_that_no_caller_waits(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient([failure(EndpointFault.UNREACHABLE)], answer("Here again.")))
    rig.client.warm_up_script = [trial := asyncio.Event()]
    await rig.reply_to(REQUEST)
    await rig.clock.advance(PAUSES_S[0])
    assert "".join(spoken(await rig.reply_to(REQUEST))) == LOCAL_TEXT
    rig.worker.worker.submit(Prefill(REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    done = (await rig.reply_to(REQUEST))[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == by_local_model(EndpointFault.UNREACHABLE)
    trial.set()
    assert spoken(await rig.reply_to(REQUEST)) == ["Here again."]
    assert len(rig.client.requests) == 2


async def test_stopped_reply_closes_the_request(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient([ChatText("It is noon. "), asyncio.Event()]))
    rig.worker.worker.submit(Generate("r", REQUEST))
    await rig.worker.next_result()
    rig.worker.worker.submit(StopGeneration("r"))
    done = (await rig.worker.results_until_done())[-1]
    assert isinstance(done, ReplyDone) and done.reason == "stopped"
    assert done.answered_by == BY_ENDPOINT
    assert done.input_tokens > 0 and done.output_tokens > 0, "estimates, because the counts come at the end"
    await wait_until(lambda: rig.client.cancelled_count == 1)


async def test_stopped_trial_leaves_the_next_turn_to_the_endpoint(open_rig: OpenRig) -> None:
    scripts = [failure(EndpointFault.UNREACHABLE)], [asyncio.Event()], answer("Here again.")
    rig = open_rig(FakeChatClient(*scripts, is_private=False))
    await rig.reply_to(REQUEST)
    await rig.clock.advance(PAUSES_S[0])
    rig.worker.worker.submit(Generate("r", REQUEST))
    await wait_until(lambda: len(rig.client.requests) == 2)
    rig.worker.worker.submit(StopGeneration("r"))
    await wait_until(lambda: rig.client.cancelled_count == 1)
    await rig.worker.results_until_done()
    assert spoken(await rig.reply_to(REQUEST)) == ["Here again."]


# ------------------------------------------------------------------ tool calls


async def test_tool_calls_are_validated_and_delivered_after_the_text(open_rig: OpenRig) -> None:
    calls = tuple(
        ChatToolCall(f"call_{number}", name, arguments)
        for number, (name, arguments) in enumerate(
            [("weather", '{"city": "Taipei"}'), ("unknown", "{}"), ("weather", "{"), ("weather", '{"city": 5}')]
        )
    )
    rig = open_rig(FakeChatClient([ChatText("One moment."), ChatEnd(USAGE, "tool_calls", calls)]))
    results = await rig.reply_to(replace(REQUEST, tools=(WEATHER_TOOL_JSON,)))
    assert spoken(results) == ["One moment."]
    assert [result for result in results if isinstance(result, ReplyToolCall)] == [
        ReplyToolCall("r", "weather", '{"city": "Taipei"}')
    ]
    (sent,) = rig.client.requests
    assert sent.tools == ({"type": "function", "function": json.loads(WEATHER_TOOL_JSON)},)
    assert sent.tool_choice == "auto"


@pytest.mark.parametrize("cut", [1, 5, 100])
async def test_tool_call_written_as_text_is_not_spoken(open_rig: OpenRig, cut: int) -> None:
    text = '{"name": "weather", "arguments": {"city": "Taipei"}}'
    rig = open_rig(FakeChatClient(answer(text[:cut], text[cut:])))
    results = await rig.reply_to(replace(REQUEST, tools=(WEATHER_TOOL_JSON,)))
    assert results[:-1] == [ReplyToolCall("r", "weather", '{"city": "Taipei"}')]


@pytest.mark.parametrize("text", ["```\nprint(1)\n```", '{"weather": "rain"}', '{"name": "Bob"}', "{curly}", "```"])
@pytest.mark.parametrize("cut", [1, 4, 100])
async def test_answer_that_only_begins_like_a_call_is_delivered(open_rig: OpenRig, text: str, cut: int) -> None:
    rig = open_rig(FakeChatClient(answer(*filter(None, (text[:cut], text[cut:])))))
    results = await rig.reply_to(replace(REQUEST, speak=False, tools=(WEATHER_TOOL_JSON,)))
    assert "".join(result.text for result in results if isinstance(result, ReplyText)) == text
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == BY_ENDPOINT


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "unknown", "arguments": {}}',
        '{"name": "weather", "argu',
        '<tool_call>{"name": "weather"',
        '```json\n{"arguments": {}, "name": "unknown"}',
    ],
)
async def test_invalid_call_written_as_text_lets_the_local_model_answer(open_rig: OpenRig, text: str) -> None:
    rig = open_rig(FakeChatClient(answer(text)))
    results = await rig.reply_to(replace(REQUEST, tools=(WEATHER_TOOL_JSON,)))
    assert "".join(spoken(results)) == LOCAL_TEXT


async def test_text_before_an_invalid_call_is_an_answer(open_rig: OpenRig) -> None:
    calls = (ChatToolCall("c", "unknown", "{}"),)
    rig = open_rig(FakeChatClient([ChatText("It is noon"), ChatEnd(USAGE, "tool_calls", calls)]))
    results = await rig.reply_to(replace(REQUEST, tools=(WEATHER_TOOL_JSON,)))
    assert spoken(results) == ["It is noon"]


async def test_call_in_both_forms_is_delivered_once(open_rig: OpenRig) -> None:
    text = '{"name": "weather", "arguments": {"city":"Taipei"}}'
    calls = (ChatToolCall("c", "weather", '{"city": "Taipei"}'),)
    rig = open_rig(FakeChatClient([ChatText(text), ChatEnd(USAGE, "tool_calls", calls)]))
    results = await rig.reply_to(replace(REQUEST, tools=(WEATHER_TOOL_JSON,)))
    assert results[:-1] == [ReplyToolCall("r", "weather", '{"city": "Taipei"}')]


async def test_answer_of_invalid_calls_only_lets_the_local_model_answer(open_rig: OpenRig) -> None:
    calls = (ChatToolCall("c", "unknown", "{}"),)
    rig = open_rig(FakeChatClient([ChatEnd(USAGE, "tool_calls", calls)]))
    results = await rig.reply_to(replace(REQUEST, tools=(WEATHER_TOOL_JSON,)))
    assert "".join(spoken(results)) == LOCAL_TEXT


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("required", "required"),
        ("function:weather", {"type": "function", "function": {"name": "weather"}}),
        ("none", None),
    ],
)
def test_tool_choice_of_a_chat_request(choice: str, sent: object) -> None:
    request = build_chat_request(replace(REQUEST, tools=(WEATHER_TOOL_JSON,), tool_choice=choice), ("en",))
    assert request.tool_choice == sent
    assert bool(request.tools) is (choice != "none")


def test_chat_request_has_instructions_rules_and_history_without_examples() -> None:
    request = build_chat_request(REQUEST, ("en", "zh"))
    system, user = request.messages
    assert str(system["content"]).startswith("Be kind. ")
    assert user == {"role": "user", "content": "Hello there."}
    assert build_chat_request(replace(REQUEST, max_tokens=7), ("en",)).max_tokens == 7


# ------------------------------------------------------------------ warm-up and speculation


async def test_first_prefill_warms_the_endpoint_up_and_one_that_costs_money_only_once(open_rig: OpenRig) -> None:
    for is_private in (True, False):
        rig = open_rig(FakeChatClient(answer("Yes."), is_private=is_private))
        for number in range(3):
            rig.worker.worker.submit(Prefill(REQUEST))
            wanted = number + 1 if is_private else 1
            warm_ups = rig.client.warm_ups
            await wait_until(partial(has_length, warm_ups, wanted))
            await asyncio.sleep(0)
        assert len(rig.client.warm_ups) == (3 if is_private else 1)


@pytest.mark.parametrize(("host", "is_here"), [("127.0.0.1:11434", True), ("localhost:1234", True), ("gpu.lan", False)])
async def test_local_model_is_kept_ready_unless_the_endpoint_needs_the_same_processors(
    open_rig: OpenRig, host: str, is_here: bool
) -> None:
    rig = open_rig(FakeChatClient(answer("Yes.")))
    rig.client.host = host
    rig.worker.worker.submit(Prefill(REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    await rig.reply_to(REQUEST)
    rig.worker.worker.submit(Prefill(REQUEST))
    await wait_until(lambda: len(rig.client.warm_ups) == 2)
    if not is_here:
        await wait_until(lambda: rig.worker.language_model.prefilled_prompts)
    await rig.worker.worker.close()  # waits for the prefill
    assert bool(rig.worker.language_model.prefilled_prompts) is not is_here


async def test_reply_does_not_end_a_warm_up_and_none_starts_beside_one(open_rig: OpenRig) -> None:
    word = asyncio.Event()
    rig = open_rig(FakeChatClient(answer("Yes."), [word, *answer("No.")]))
    await rig.reply_to(REQUEST)
    rig.client.warm_up_script = [warm_up_may_end := asyncio.Event()]
    rig.worker.worker.submit(Prefill(REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    rig.worker.worker.submit(Generate("r", REQUEST))
    await wait_until(lambda: len(rig.client.requests) == 2)
    warm_up_may_end.set()
    endpoint = rig.runtime.endpoint
    assert endpoint is not None
    await wait_until(lambda: not endpoint._is_warming_up)
    rig.runtime.start_warm_up(REQUEST)
    await asyncio.sleep(0)
    word.set()
    assert spoken(await rig.worker.results_until_done()) == ["No."]
    assert (len(rig.client.warm_ups), rig.client.cancelled_count) == (1, 0)


async def test_turn_during_the_first_warm_up_is_answered_here(
    open_rig: OpenRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_model, "LOADING_WAIT_S", 0.0)
    loaded = asyncio.Event()
    rig = open_rig(FakeChatClient(answer("Ready.")))
    rig.client.warm_up_script = [loaded]
    rig.worker.worker.submit(Prefill(REQUEST))
    results = await rig.reply_to(REQUEST)
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == by_local_model(EndpointFault.LOADING)
    assert rig.client.cancelled_count == 0
    loaded.set()
    monkeypatch.setattr(endpoint_model, "LOADING_WAIT_S", 5.0)
    assert spoken(await rig.reply_to(REQUEST)) == ["Ready."]


async def test_failed_warm_up_leaves_turns_and_prefills_to_the_local_model(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient(answer("Not asked.")))
    rig.client.warm_up_script = [failure(EndpointFault.UNAUTHORIZED)]
    rig.worker.worker.submit(Prefill(REQUEST))
    results = await rig.reply_to(REQUEST)
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == by_local_model(EndpointFault.UNAUTHORIZED)
    rig.worker.language_model.prefilled_prompts.clear()
    rig.worker.worker.submit(Prefill(REQUEST))
    await wait_until(lambda: rig.worker.language_model.prefilled_prompts)
    assert rig.client.requests == []


@pytest.mark.parametrize("is_private", [True, False])
async def test_only_a_private_endpoint_is_asked_for_a_reply_that_may_be_discarded(
    open_rig: OpenRig, is_private: bool
) -> None:
    rig = open_rig(FakeChatClient(answer("It is noon."), is_private=is_private))
    rig.worker.worker.submit(SpeechPaused("i", b"\x01\x00" * 24_000, None, BASE_REQUEST))
    await wait_until(lambda: rig.worker.provisional)
    await asyncio.sleep(0)
    assert len(rig.client.requests) == int(is_private)
    results = await rig.reply_to(REQUEST)
    assert spoken(results) == ["It is noon."]
    assert len(rig.client.requests) == 1


async def test_endpoint_that_fails_in_speculation_is_replaced_before_anything_is_heard(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient([ChatText("It is noon. Time "), failure(EndpointFault.BROKEN_OFF)]))
    rig.worker.worker.submit(SpeechPaused("i", b"\x01\x00" * 24_000, None, BASE_REQUEST))
    await rig.worker.wait_for_clauses(2)
    results = await rig.reply_to(REQUEST)
    assert "".join(spoken(results)) == LOCAL_TEXT
    done = results[-1]
    assert isinstance(done, ReplyDone) and done.answered_by == by_local_model(EndpointFault.BROKEN_OFF)
