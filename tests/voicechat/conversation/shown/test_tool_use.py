"""Tool calls in a conversation: their place, their record, their export and their replay."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.tools.shown_uses import shown_uses
from tests.support.tools.tool_events import CallingDialect, calling_response
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.export import to_json, to_markdown, to_srt
from voicechat.conversation.record import ConversationRecord
from voicechat.conversation.shown.tool_use import DATA_NOTE, MAX_REPLAYED_CHARS, ToolUse, seed_call_id
from voicechat.protocol.server_events import parse_event

DONE = ToolUse("call_1", "look", '{"at": "sky"}', "done", "*blue*", 0.25, "all", (("zh", "看"),))
NAMES: Any = {"user": "You", "assistant": "AI"}


def conversation_with_a_call(use: ToolUse = DONE) -> Conversation:
    conversation = Conversation()
    conversation.add_user_message("Look")
    for event in calling_response("r1", [("call_1", "look", {"at": "sky"})]):
        conversation.apply(parse_event(event))
    conversation.set_tool_use(use, "r1")
    conversation.add_user_message("Thanks")
    return conversation


@pytest.mark.parametrize("dialect", CallingDialect)
def test_tool_call_keeps_its_place_in_each_dialect(dialect: CallingDialect) -> None:
    conversation = Conversation()
    conversation.add_user_message("Look")
    for event in calling_response("r1", [("call_1", "look", {})], dialect):
        conversation.apply(parse_event(event))
    assert [bubble.role for bubble in conversation.bubbles()] == ["user"], "shown once the tracker knows it"
    assert conversation.has_tool_call("r1") and conversation.awaits_reply
    conversation.set_tool_use(DONE, "r1")
    conversation.add_user_message("Thanks")
    assert [bubble.role for bubble in conversation.captions()] == ["user", "tool", "user"]


def test_tool_call_of_a_server_without_items_is_put_at_the_end() -> None:
    conversation = Conversation()
    conversation.add_user_message("Look")
    conversation.set_tool_use(DONE, "r1")
    assert shown_uses(conversation) == [DONE]


def test_record_keeps_tool_calls_and_closes_open_ones() -> None:
    running = ToolUse("call_1", "look", "{}", "running")
    record = conversation_with_a_call(running).to_record(0.0)
    assert record.items[1].tool_use == ToolUse("call_1", "look", "{}", "cancelled")
    dumped = json.loads(json.dumps(conversation_with_a_call().to_record(0.0).to_json()))
    restored = Conversation()
    restored.restore(ConversationRecord.from_json(dumped))
    assert [bubble.role for bubble in restored.bubbles()] == ["user", "tool", "user"]
    assert shown_uses(restored) == [DONE]


def test_older_record_may_hold_text_of_strangers() -> None:
    older = {key: value for key, value in DONE.to_json().items() if key != "open_world"}
    assert ToolUse.from_json(older).open_world and not ToolUse.from_json(DONE.to_json()).open_world


@pytest.mark.parametrize("result", ["plain", '"' * 600, "x" * 2000, "\x00" * 500, ""])
def test_replayed_result_is_bounded_json_that_calls_it_data(result: str) -> None:
    output = ToolUse("call_1", "look", "{}", "done", result).replayed_output()
    assert len(output) <= MAX_REPLAYED_CHARS and json.loads(output)["note"] == DATA_NOTE
    assert result.startswith(json.loads(output)["result"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", "running"),
        ("heard", 1),
        ("seconds", -1),
        ("result", "x" * 3000),
        ("titles", [["zh"]]),
        ("name", None),
        ("open_world", 1),
    ],
)
def test_record_with_a_malformed_tool_call_is_refused(key: str, value: object) -> None:
    dumped = conversation_with_a_call().to_record(0.0).to_json()
    dumped["items"][1]["tool_use"][key] = value
    with pytest.raises(ValueError, match="tool"):
        ConversationRecord.from_json(dumped)


def test_replay_seeds_the_pair_with_a_bounded_output() -> None:
    conversation = conversation_with_a_call(ToolUse("call_1", "look", "{}", "done", "x" * 2000))
    conversation.reset_connection()
    items = [event["item"] for event in conversation.replay()]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output", "message"]
    assert items[1]["call_id"] == items[2]["call_id"] == "call_1" and len(items[2]["output"]) == 500
    conversation.reset_connection()
    assert conversation.replay(outputs={"call_1": "known"})[2]["item"]["output"] == "known"


def test_replayed_ids_have_the_form_that_every_server_takes() -> None:
    assert seed_call_id("call_ab-1") == "call_ab-1"
    for call_id in ("fc:1", "x" * 100, "call_" + "y" * 60):
        assert len(seed_call_id(call_id)) <= 32 and seed_call_id(call_id).startswith("call_")


def test_exports_have_tool_calls_beside_the_messages() -> None:
    utterances = conversation_with_a_call().utterances()
    exported = json.loads(to_json(utterances, datetime(2026, 11, 27, tzinfo=UTC)))
    assert [message["text"] for message in exported["messages"]] == ["Look", "Thanks"]
    (call,) = exported["tool_calls"]
    assert (call["name"], call["result"], call["state"], call["after_message"]) == ("look", "*blue*", "done", 1)
    lines = [line for line in to_markdown(utterances, "Talk", NAMES, {}).splitlines() if "look" in line]
    assert lines == ['🔧 look {"at": "sky"} → \\*blue\\* (0.2 s)']
    assert "blue" not in to_srt(utterances, NAMES)


def test_tool_use_is_not_quoted_in_its_repr() -> None:
    assert "blue" not in repr(DONE) and "sky" not in repr(DONE)
