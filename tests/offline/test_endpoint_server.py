"""Realtime server with a chat endpoint over HTTP: no thought of the model is spoken, shown or counted as an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from offline.endpoints.chat_client import PROBE_QUESTION
from offline.endpoints.settings import EndpointSettings
from tests.support.endpoints.scripted_chat_server import (
    RecordedRequest,
    ScriptedChatServer,
    ScriptedResponse,
    chunk,
    error_response,
    sse_block,
    usage_chunk,
)
from tests.support.offline.endpoint_server import endpoint_server

KEY, SECRET = "sk-chat-canary", "secret plan"
WORDS = "The kettle is on."
LOCAL_WORDS = "Good morning. How are you?"
MODALITIES = pytest.mark.parametrize("modality", ["audio", "text"])


def streamed(*deltas: dict[str, Any], finish: str = "stop") -> ScriptedResponse:
    """Return a streamed answer of these deltas, with token counts."""
    chunks = [chunk(**delta) for delta in deltas]
    payloads = [*chunks, chunk(finish=finish), usage_chunk(20, 40, reasoning=30), "[DONE]"]
    return ScriptedResponse(tuple(map(sse_block, payloads)))


ANSWERS = {
    "tags": streamed({"content": f"<think>{SECRET}"}, {"content": f" goes on.</think>\n\n{WORDS}"}),
    "tags in pieces": streamed(*({"content": letter} for letter in f"<think>{SECRET}</think>{WORDS}")),
    "tags within the words": streamed({"content": f"The kettle<think>{SECRET}</think> is on."}),
    "reasoning_content": streamed({"reasoning_content": SECRET}, {"content": WORDS}),
    "reasoning": streamed({"reasoning": SECRET, "content": ""}, {"content": WORDS}),
    "both fields": streamed({"reasoning": SECRET, "reasoning_content": SECRET}, {"content": WORDS}),
}
ONLY_THOUGHTS = {
    "tag never closes": streamed({"content": f"<think>{SECRET}. {SECRET}."}),
    "tag never closes within the limit": streamed({"content": f"<think>{SECRET}. {SECRET}."}, finish="length"),
    "reasoning_content alone": streamed({"reasoning_content": SECRET}, finish="length"),
}


def in_turns(*answers: ScriptedResponse) -> Callable[[RecordedRequest], ScriptedResponse]:
    """Answer with each of `answers` once, and to warm-ups with a word."""
    remaining = iter(answers)

    def answer(request: RecordedRequest) -> ScriptedResponse:
        asked = request.json["messages"][-1]["content"]
        is_warm_up = request.json["max_tokens"] == 1 or asked.endswith(PROBE_QUESTION["content"])
        return streamed({"content": "."}) if is_warm_up else next(remaining)

    return answer


async def reply_to_typed_message(connection: ClientConnection, modality: str) -> tuple[dict[str, Any], str]:
    """Send a typed message. Return the response as in `response.done`, and all that was received until then."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Is there tea?"}]}
    await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await connection.send(json.dumps({"type": "response.create", "response": {"output_modalities": [modality]}}))
    received = []
    while True:
        received.append(str(await connection.recv()))
        event = json.loads(received[-1])
        assert event["type"] != "error", event
        if event["type"] == "response.done":
            return event["response"], "".join(received)


def text_of(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] for part in item["content"]]
    return "".join(part.get("transcript") or part.get("text") or "" for part in parts).strip()


@MODALITIES
@pytest.mark.parametrize("name", ANSWERS)
async def test_thoughts_are_neither_spoken_nor_shown(name: str, modality: str) -> None:
    with ScriptedChatServer(ANSWERS[name]).running() as chat:
        async with endpoint_server(EndpointSettings(chat.url, "thinker", KEY)) as server:
            async with connect(server.url) as connection:
                response, received = await reply_to_typed_message(connection, modality)
                assert (response["status"], text_of(response)) == ("completed", WORDS)
                assert response["answered_by"] == {"model": "thinker", "is_endpoint": True, "fault": ""}
                second, received_second = await reply_to_typed_message(connection, modality)
                assert text_of(second) == WORDS
            spoken = " ".join(server.synthesizer.spoken_texts)
            assert server.language_model.prompts == []
        sent = b"".join(request.content for request in chat.chat_requests)
    assert SECRET not in received + received_second + spoken
    assert SECRET.encode() not in sent, "the next request is without the thoughts of the first answer"
    assert WORDS.encode() in sent
    assert bool(spoken) is (modality == "audio")


@MODALITIES
@pytest.mark.parametrize("name", ONLY_THOUGHTS)
async def test_thoughts_alone_are_no_answer(name: str, modality: str) -> None:
    """The model of this computer answers; the endpoint is asked again in the next turn."""
    with ScriptedChatServer(in_turns(ONLY_THOUGHTS[name], ANSWERS["tags"])).running() as chat:
        async with (
            endpoint_server(EndpointSettings(chat.url, "thinker", KEY)) as server,
            connect(server.url) as connection,
        ):
            response, received = await reply_to_typed_message(connection, modality)
            assert (response["status"], text_of(response)) == ("completed", LOCAL_WORDS)
            assert response["answered_by"] == {"model": "fake-model", "is_endpoint": False, "fault": "empty"}
            second, _ = await reply_to_typed_message(connection, modality)
            assert (text_of(second), second["answered_by"]["is_endpoint"]) == (WORDS, True)
            assert SECRET not in received + " ".join(server.synthesizer.spoken_texts)


async def test_key_stays_out_of_the_log_and_of_all_events(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    refusal = error_response(f"The key {KEY} is wrong: {SECRET}", 401)
    with ScriptedChatServer(refusal).running() as chat:
        async with (
            endpoint_server(EndpointSettings(chat.url, "thinker", KEY)) as server,
            connect(server.url) as connection,
        ):
            response, received = await reply_to_typed_message(connection, "audio")
            assert response["answered_by"] == {"model": "fake-model", "is_endpoint": False, "fault": "unauthorized"}
        assert KEY in chat.chat_requests[0].headers["authorization"]
    assert "fault=unauthorized" in caplog.text
    assert KEY not in caplog.text + received and SECRET not in caplog.text + received
