"""Parameter schemas and the check of arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from voicechat.tools.calls.schema import MAX_SCHEMA_CHARS, SchemaRefused, find_misfit, normalise_schema


class Address(BaseModel):
    """Nested model, which pydantic writes as a reference."""

    street: str
    zip_code: int | None = None


class Letter(BaseModel):
    """Model of all parameters."""

    to: list[Address] = Field(description="Recipients", max_length=3)
    main: Address = Field(description="Main recipient")
    priority: float = 1.0


def test_schema_of_pydantic_has_its_references_inlined() -> None:
    schema = normalise_schema(Letter.model_json_schema())
    assert "$" not in json.dumps(schema)
    assert schema["properties"]["to"]["items"]["properties"]["street"]["type"] == "string"
    assert schema["properties"]["main"]["description"] == "Main recipient"
    assert schema["required"] == ["to", "main"]


def test_schema_without_parameters_is_an_empty_object() -> None:
    assert normalise_schema({}) == {"type": "object", "properties": {}}


def test_schema_with_keywords_that_grammars_refuse_drops_them() -> None:
    schema = {
        "$schema": "x",
        "type": "object",
        "title": "t",
        "properties": {"a": {"type": "string", "pattern": "^(a+)+$", "format": "uri", "examples": ["x"]}},
        "required": ["a", "missing"],
        "patternProperties": {".*": {}},
    }
    expected = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert normalise_schema(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {}},
        {"$ref": "https://example.org/schema"},
        {"$ref": "#/$defs/missing"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"properties": {"a": {"type": "text"}}},
        {"properties": {"a": {"type": ["string", {}]}}},
        {"properties": {"a": {"allOf": [{}, {}]}}},
        {"properties": {"a": {"enum": ["x" * MAX_SCHEMA_CHARS]}}},
        {"properties": ["a"]},
        {"properties": {"a": {"anyOf": {}}}},
        {"properties": {"a": {"enum": 1}}},
        {"properties": {"a": {"default": float("nan")}}},
    ],
    ids=str,
)
def test_schema_that_cannot_be_declared_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused):
        normalise_schema(schema)


def test_schema_that_is_too_deep_or_doubles_its_size_is_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(12):
        deep = {"type": "object", "properties": {"a": deep}}
    bomb = {f"d{index}": {"anyOf": [{"$ref": f"#/$defs/d{index + 1}"}] * 4} for index in range(7)}
    for schema in (deep, {"$defs": {**bomb, "d7": {}}, "properties": {"a": {"$ref": "#/$defs/d0"}}}):
        with pytest.raises(SchemaRefused):
            normalise_schema(schema)


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "unit": {"enum": ["m", 1]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "when": {"anyOf": [{"type": "null"}, {"type": "number"}]},
        "inner": {"type": "object", "properties": {"a": {"const": True}}, "required": ["a"]},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "a"},
        {"name": "a", "count": 2.0, "unit": "m", "tags": ["x"], "when": None, "inner": {"a": True}},
        {"name": "", "when": 1.5, "unit": 1},
    ],
)
def test_arguments_that_fit_have_no_misfit(arguments: dict[str, Any]) -> None:
    assert find_misfit(arguments, SCHEMA) == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "arguments.name is missing."),
        ([], "arguments must be of type object."),
        ({"name": 1}, "arguments.name must be of type string."),
        ({"name": "secret-canary"}, "arguments.name is out of bounds."),
        ({"name": "a", "secret-canary": 1}, "arguments has an unknown member."),
        ({"name": "a", "count": True}, "arguments.count must be of type integer."),
        ({"name": "a", "count": 1.5}, "arguments.count must be of type integer."),
        ({"name": "a", "count": 10**400}, "arguments.count is out of bounds."),
        ({"name": "a", "unit": True}, "arguments.unit is not one of the allowed values."),
        ({"name": "a", "tags": ["x", 1]}, "arguments.tags[1] must be of type string."),
        ({"name": "a", "tags": ["x"] * 3}, "arguments.tags is out of bounds."),
        ({"name": "a", "when": "now"}, "arguments.when fits none of the allowed forms."),
        ({"name": "a", "inner": {"a": 1}}, "arguments.inner.a is not the allowed value."),
    ],
)
def test_arguments_that_do_not_fit_are_described_without_values(arguments: object, expected: str) -> None:
    assert find_misfit(arguments, SCHEMA) == expected


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "anyOf", "allOf", "$ref", "$defs", "enum", "required", "additionalProperties"]
)


@given(schema=st.dictionaries(KEYWORDS, JSON_VALUES, max_size=4), arguments=JSON_VALUES)
def test_any_schema_is_refused_or_checks_any_arguments(schema: dict[str, Any], arguments: object) -> None:
    try:
        normal = normalise_schema(schema)
    except SchemaRefused:
        return
    assert isinstance(find_misfit(arguments, normal), str)
