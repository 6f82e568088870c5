"""Items and responses between beta and GA: content, announcements of items, and `response` objects."""

from __future__ import annotations

from typing import Any

import pytest

from voicechat.protocol.beta_dialect import client_to_beta, client_to_ga, server_to_beta, server_to_ga

Event = dict[str, Any]

PCM = {"type": "audio/pcm", "rate": 24000}

# ---------------------------------------------------------------- items


def message(role: str, kind: str, status: str | None = "completed", **content: Any) -> Event:
    item = {"id": "item_1", "type": "message", "role": role, "content": [{"type": kind, **content}]}
    return item if status is None else {**item, "status": status}


CONTENT = [
    (message("assistant", "text", text="Hi"), message("assistant", "output_text", text="Hi")),
    (message("assistant", "audio", transcript="Hi"), message("assistant", "output_audio", transcript="Hi")),
    (message("user", "input_text", text="Hi"), message("user", "input_text", text="Hi")),
    (message("user", "input_audio", transcript=None), message("user", "input_audio", transcript=None)),
    (message("user", "text", text="Hi"), message("user", "text", text="Hi")),
    (message("system", "input_text", text="Hi"), message("system", "input_text", text="Hi")),
    ({"type": "item_reference", "id": "item_1"}, {"type": "item_reference", "id": "item_1"}),
]


@pytest.mark.parametrize(("beta", "ga"), CONTENT)
def test_content_of_items(beta: Event, ga: Event) -> None:
    for name in ("conversation.item.retrieved", "response.output_item.added"):
        assert server_to_ga({"type": name, "item": beta}) == [{"type": name, "item": ga}]
        assert server_to_beta({"type": name, "item": ga}) == [{"type": name, "item": beta}]
    create = {"type": "conversation.item.create", "event_id": "mine", "previous_item_id": "root"}
    assert client_to_ga({**create, "item": beta}) == [{**create, "item": ga}]
    assert client_to_beta({**create, "item": ga}) == [{**create, "item": beta}]
    assert server_to_beta({"type": "response.output_item.done", "item": ga}) == [
        {"type": "response.output_item.done", "item": beta}
    ]


CALL = {"id": "item_1", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": ""}
FINAL = [
    message("user", "input_text", text="Hi"),
    message("user", "input_audio", transcript=None),
    message("user", "input_text", None, text="Hi"),
    message("system", "input_text", text="Hi"),
    message("assistant", "text", text="Hi"),
    message("assistant", "text", None, text="Hi"),
    {"id": "item_1", "type": "function_call_output", "call_id": "call_1", "output": ""},
    {**CALL, "arguments": "{}"},
    {**CALL, "status": "completed"},
]
BEGUN = [
    {**message("assistant", "text", "in_progress"), "content": []},
    {**message("assistant", "text", "incomplete"), "content": []},  # speaches
    message("assistant", "audio", "incomplete", transcript="Hi", audio=""),  # speaches, sent a little late
    {"id": "item_1", "role": "assistant"},
    {**CALL, "status": "in_progress"},
    {**CALL, "status": "incomplete"},
    {"id": "item_1", "type": "mcp_list_tools", "status": "completed"},
]


@pytest.mark.parametrize("item", FINAL)
def test_a_created_item_that_is_final_is_added_and_done(item: Event) -> None:
    old = {"type": "conversation.item.created", "event_id": "event_1", "previous_item_id": "item_0", "item": item}
    added, done = server_to_ga(old)
    assert (added["type"], added["event_id"]) == ("conversation.item.added", "event_1")
    assert done == {**added, "type": "conversation.item.done", "event_id": "event_1_done"}
    assert [event for new in (added, done) for event in server_to_beta(new)] == [old]


@pytest.mark.parametrize("item", BEGUN)
def test_a_created_item_that_is_begun_is_only_added(item: Event) -> None:
    old = {"type": "conversation.item.created", "event_id": "event_1", "previous_item_id": "item_0", "item": item}
    [added] = server_to_ga(old)
    assert added["type"] == "conversation.item.added"
    assert added["item"].get("status") == item.get("status")
    assert server_to_beta(added) == [old]


def test_a_visitors_item_is_done_whatever_its_status() -> None:
    item = message("user", "input_audio", "in_progress", transcript=None)
    _, done = server_to_ga({"type": "conversation.item.created", "item": item})
    assert done["item"]["status"] == "completed"


@pytest.mark.parametrize("status", ["completed", "incomplete"])
@pytest.mark.parametrize("item", [message("assistant", "audio", transcript="Hi"), {**CALL, "arguments": "{}"}])
def test_an_output_item_is_done_in_the_conversation_first(item: Event, status: str) -> None:
    """GA tells of the end of a reply's item twice, beta once."""
    item = {**item, "status": status}
    old = {"type": "response.output_item.done", "event_id": "event_1", "response_id": "resp_1", "item": item}
    done, output_done = server_to_ga(old)
    assert (done["type"], done["event_id"]) == ("conversation.item.done", "event_1_done")
    assert done["item"] == output_done["item"]
    assert done["item"]["status"] == status
    assert output_done["event_id"] == "event_1"
    assert [event for new in (done, output_done) for event in server_to_beta(new)] == [old]


def test_item_done_of_a_beta_server_is_dropped() -> None:
    for item in FINAL:
        assert server_to_ga({"type": "conversation.item.done", "item": item}) == []
        assert server_to_beta({"type": "conversation.item.done", "item": item}) == []


@pytest.mark.parametrize("name", ["conversation.item.done", "response.output_item.done"])
def test_items_younger_than_beta_keep_their_events(name: str) -> None:
    event = {"type": name, "item": {"id": "mcp_1", "type": "mcp_call", "name": "look", "arguments": "{}"}}
    assert server_to_beta(event) == [event]
    assert server_to_ga(event) == [event]


def test_a_ga_server_may_say_created() -> None:
    event = {"type": "conversation.item.created", "item": message("assistant", "output_text", text="Hi")}
    assert server_to_beta(event) == [{**event, "item": message("assistant", "text", text="Hi")}]


# ---------------------------------------------------------------- responses

ANSWER_BETA, ANSWER_GA = CONTENT[1]
OVERRIDES = [
    ({"modalities": ["text", "audio"]}, {"output_modalities": ["audio"]}),
    ({"voice": "sage"}, {"audio": {"output": {"voice": "sage"}}}),
    ({"output_audio_format": "g711_ulaw"}, {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}),
    ({"max_response_output_tokens": 5}, {"max_output_tokens": 5}),
    (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "function", "name": "f"}},
    ),
    (
        {"input": [ANSWER_BETA, {"type": "item_reference", "id": "i"}]},
        {"input": [ANSWER_GA, {"type": "item_reference", "id": "i"}]},
    ),
    (
        {"instructions": "", "conversation": "none", "metadata": None},
        {"instructions": "", "conversation": "none", "metadata": None},
    ),
    ({}, {}),
]


@pytest.mark.parametrize(("beta", "ga"), OVERRIDES)
def test_overrides_of_a_response(beta: Event, ga: Event) -> None:
    create = {"type": "response.create", "event_id": "mine"}
    assert client_to_ga({**create, "response": beta}) == [{**create, "response": ga}]
    assert client_to_beta({**create, "response": ga}) == [{**create, "response": beta}]


def test_response_create_without_overrides() -> None:
    assert (
        client_to_ga({"type": "response.create"})
        == client_to_beta({"type": "response.create"})
        == [{"type": "response.create"}]
    )
    assert client_to_ga({"type": "response.create", "response": {"temperature": 1}})[0]["response"] == {}


def test_max_output_tokens_of_old_clients() -> None:
    """Early beta had GA's name in `response.create`; OpenAI took both."""
    event = {"type": "response.create", "response": {"max_output_tokens": 7}}
    assert client_to_ga(event) == [event]


@pytest.mark.parametrize("name", ["response.created", "response.done"])
def test_responses(name: str) -> None:
    shared = {
        "id": "resp_1",
        "status": "cancelled",
        "status_details": {"type": "cancelled"},
        "max_output_tokens": "inf",
        "usage": None,
    }
    beta = {
        **shared,
        "modalities": ["text", "audio"],
        "voice": "sage",
        "output_audio_format": "pcm16",
        "output": [ANSWER_BETA, CALL],
    }
    audio = {"output": {"voice": "sage", "format": PCM}}
    ga = {**shared, "output_modalities": ["audio"], "audio": audio, "output": [ANSWER_GA, CALL]}
    assert server_to_ga({"type": name, "response": {**beta, "temperature": 0.8}}) == [{"type": name, "response": ga}]
    assert server_to_beta({"type": name, "response": ga}) == [{"type": name, "response": beta}]
