"""Function calls in server events, of servers that leave things out."""

from __future__ import annotations

from typing import Any

import pytest

from voicechat.protocol.objects.function_call import MAX_CALL_ID_CHARS, FunctionCall
from voicechat.protocol.server_events import FunctionCallDone, OutputItem, ResponseDone, parse_event

CALL = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "look", "arguments": "{}", "status": "completed"}


def test_each_event_gives_the_same_call() -> None:
    done = parse_event({**CALL, "type": "response.function_call_arguments.done", "response_id": "r1"})
    item = parse_event({"type": "response.output_item.done", "response_id": "r1", "item": CALL})
    response = parse_event({"type": "response.done", "response": {"id": "r1", "output": [CALL]}})
    assert isinstance(done, FunctionCallDone) and isinstance(item, OutputItem) and isinstance(response, ResponseDone)
    assert done.call == item.item.call == response.output[0].call == FunctionCall("c1", "look", "{}", True)


def test_call_in_its_beginning_is_incomplete() -> None:
    event = parse_event({"type": "response.output_item.added", "item": {**CALL, "status": "in_progress"}})
    assert isinstance(event, OutputItem) and event.item.call is not None and not event.item.call.is_complete


@pytest.mark.parametrize("call_id", [None, 7, "", "x" * (MAX_CALL_ID_CHARS + 1)])
def test_call_without_a_usable_id_is_none(call_id: Any) -> None:
    event = parse_event({**CALL, "type": "response.function_call_arguments.done", "call_id": call_id})
    assert isinstance(event, FunctionCallDone) and event.call is None


def test_arguments_are_not_quoted_in_the_repr() -> None:
    assert "secret" not in repr(FunctionCall("c1", "look", '{"a": "secret"}', True))
