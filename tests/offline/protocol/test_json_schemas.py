"""Schemas of functions: inlined references, refused ones, and the part that a grammar follows."""

from __future__ import annotations

from typing import Any

import pytest

from offline.protocol.json_schemas import InvalidSchema, grammar_schema, inline_references
from offline.protocol.worker_messages import Generate
from tests.support.offline.session_driver import SessionDriver, event_types, single_error

PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WITH_REFERENCE = {
    "type": "object",
    "properties": {"place": {"$ref": "#/$defs/Place", "description": "Where"}, "$ref": {"type": "string"}},
    "$defs": {"Place": PLACE},
}
INLINED = {"type": "object", "properties": {"place": {**PLACE, "description": "Where"}, "$ref": {"type": "string"}}}
NODE = {"properties": {"next": {"$ref": "#/$defs/Node"}}}
DOUBLING = {
    str(n): {"properties": {"a": {"$ref": f"#/$defs/{n + 1}"}, "b": {"$ref": f"#/$defs/{n + 1}"}}} for n in range(20)
}


def test_reference_is_replaced_by_its_definition() -> None:
    assert inline_references(WITH_REFERENCE) == INLINED


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"$ref": "#"}, "$ref"),
        ({"properties": {"a": {"$ref": "https://example.com/a.json"}}}, "properties.a.$ref"),
        ({"properties": {"a": {"$ref": "#/$defs/Missing"}}}, "properties.a.$ref"),
        ({"properties": {"a": {"$ref": 5}}}, "properties.a.$ref"),
        ({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}, "properties.next.$ref"),
        ({"items": {"type": "date"}}, "items.type"),
        ({"anyOf": [{"type": ["string", "any"]}]}, "anyOf[0].type"),
        ({"$dynamicRef": "#a"}, "$dynamicRef"),
        ({"$ref": "#/$defs/0", "$defs": {**DOUBLING, "20": {}}}, ""),
    ],
)
def test_schema_that_cannot_be_followed_is_refused(schema: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSchema) as refused:
        inline_references(schema)
    assert refused.value.path == path


def test_session_update_inlines_for_the_model_and_repeats_what_was_sent() -> None:
    driver = SessionDriver()
    tool = {"type": "function", "name": "f", "parameters": WITH_REFERENCE}
    (updated,) = driver.update(tools=[tool])
    assert updated["session"]["tools"] == [tool]
    driver.create_message("Hi")
    driver.send_event("response.create")
    assert "$defs" not in driver.last_work(Generate).request.tools[0]


def test_session_update_with_an_unknown_type_names_its_path() -> None:
    schema = {"type": "object", "properties": {"day": {"type": "date"}}}
    error = single_error(SessionDriver().update(tools=[{"type": "function", "name": "f", "parameters": schema}]))
    assert (error["code"], error["param"]) == ("invalid_value", "session.tools[0].parameters.properties.day.type")


def test_grammar_follows_types_and_choices_only() -> None:
    schema = {
        "properties": {"a": {"type": "string", "pattern": "x+", "format": "date"}, "b": True, "c": {"not": {}}},
        "required": ["a", "z"],
        "additionalProperties": False,
    }
    read = grammar_schema(schema)
    assert read["properties"]["a"] == {"type": "string"} and read["required"] == ["a"] and read["type"] == "object"
    assert "null" in read["properties"]["b"]["type"] and "null" in read["properties"]["c"]["type"]


def test_tool_output_needs_a_call_and_is_accepted_once() -> None:
    driver = SessionDriver()
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    assert single_error(driver.send_event("conversation.item.create", item=output))["code"] == "invalid_tool_call_id"
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    for item in (call, output):
        sent = driver.send_event("conversation.item.create", item=item)
        assert event_types(sent) == ["conversation.item.added", "conversation.item.done"]
    error = single_error(driver.send_event("conversation.item.create", item=output))
    assert (error["code"], error["param"]) == ("invalid_tool_call_id", "item.call_id")
