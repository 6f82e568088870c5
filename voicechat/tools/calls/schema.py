"""Parameter schemas: the part of JSON Schema that Realtime servers and grammars take. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .result_text import clean_text

MAX_DEPTH = 8
"""Levels of nested schemas."""
MAX_SCHEMA_CHARS = 8000
"""Characters of one schema as JSON: about 2,000 tokens, read with every reply."""
MAX_DESCRIPTION_CHARS = 300
"""Characters of the description of one parameter."""
MAX_NODES = 400
"""Schemas inside one schema, after each `$ref` is inlined."""
_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_ANNOTATIONS = ("description", "enum", "const", "default")
_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
_UNIONS = {"anyOf": "anyOf", "oneOf": "anyOf"}
"""Unions that are kept, and what servers call them."""
_DEFINITIONS = ("$defs", "definitions")


class SchemaRefused(ValueError):
    """A schema that cannot be declared. Its text names the reason and no content."""


def normalise_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with `$ref` inlined, unsupported keywords dropped, and bounded; else raise `SchemaRefused`."""
    normal = _Normaliser(schema).convert(schema, depth=0, refs=())
    normal.setdefault("type", "object")
    if normal["type"] != "object":
        raise SchemaRefused("the parameters are not an object")
    normal.setdefault("properties", {})
    try:
        size = len(json.dumps(normal, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise SchemaRefused("the schema has a value that is not JSON") from None
    if size > MAX_SCHEMA_CHARS:
        raise SchemaRefused(f"the schema has more than {MAX_SCHEMA_CHARS} characters")
    return normal


class _Normaliser:
    """Converts the schemas inside one document, whose definitions it knows."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._nodes = 0

    def convert(self, schema: object, *, depth: int, refs: tuple[str, ...]) -> dict[str, Any]:
        """Return one schema. `refs`: references that are being inlined around it."""
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise SchemaRefused("the schema is nested too deeply or is too large")
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            raise SchemaRefused("a part of the schema is not an object")
        if "$ref" in schema:
            ref = schema["$ref"]
            if ref in refs:
                raise SchemaRefused("the schema refers to itself")
            target = {**self._resolve(ref), **{key: value for key, value in schema.items() if key != "$ref"}}
            return self.convert(target, depth=depth, refs=(*refs, ref))
        return self._convert_plain(self._merge_all_of(schema, refs), depth, refs)

    def _resolve(self, ref: object) -> Mapping[str, Any]:
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise SchemaRefused("the schema refers to another document")
        found: object = self._document
        for step in ref[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise SchemaRefused("the schema refers to a missing definition")
            found = found[name]
        if not isinstance(found, Mapping):
            raise SchemaRefused("a part of the schema is not an object")
        return found

    def _merge_all_of(self, schema: Mapping[str, Any], refs: tuple[str, ...]) -> Mapping[str, Any]:
        """Return a schema with the one member of its `allOf` merged in; pydantic writes that for described fields."""
        members = schema.get("allOf")
        if members is None:
            return schema
        if not isinstance(members, Sequence) or len(members) != 1 or not isinstance(members[0], Mapping):
            raise SchemaRefused("the schema uses allOf")
        member = members[0]
        if "$ref" in member:
            if member["$ref"] in refs:
                raise SchemaRefused("the schema refers to itself")
            member = self._resolve(member["$ref"])
        return {**member, **{key: value for key, value in schema.items() if key != "allOf"}}

    def _convert_plain(self, schema: Mapping[str, Any], depth: int, refs: tuple[str, ...]) -> dict[str, Any]:
        if "$ref" in schema or "allOf" in schema:  # a member of allOf was itself a reference
            return self.convert(schema, depth=depth + 1, refs=refs)
        normal = {key: schema[key] for key in (*_ANNOTATIONS, *_BOUNDS) if key in schema}
        if "description" in normal:
            normal["description"] = clean_text(str(normal["description"]), MAX_DESCRIPTION_CHARS)
        if "enum" in normal:
            normal["enum"] = list(_list(normal["enum"]))
        kind = schema.get("type")
        if kind is not None:
            normal["type"] = _check_type(kind)
        elif "properties" in schema:
            normal["type"] = "object"
        for union, name in _UNIONS.items():
            if union in schema:
                normal[name] = [self.convert(member, depth=depth + 1, refs=refs) for member in _list(schema[union])]
        if "properties" in schema:
            normal["properties"] = {
                str(name): self.convert(member, depth=depth + 1, refs=refs)
                for name, member in _mapping(schema["properties"]).items()
            }
            known = normal["properties"]
            required = [name for name in _list(schema.get("required", ())) if isinstance(name, str) and name in known]
            if required:
                normal["required"] = required
        if "items" in schema:
            normal["items"] = self.convert(schema["items"], depth=depth + 1, refs=refs)
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            normal["additionalProperties"] = self.convert(more, depth=depth + 1, refs=refs)
        elif isinstance(more, bool):
            normal["additionalProperties"] = more
        return normal


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaRefused("a part of the schema is not an object")
    return value


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise SchemaRefused("a part of the schema is not a list")
    return value


def _check_type(kind: object) -> Any:
    kinds = kind if isinstance(kind, list) else [kind]
    if not kinds or not all(isinstance(one, str) and one in _TYPES for one in kinds):
        raise SchemaRefused("the schema has an unknown type")
    return kind


# -------------------------------------------------------------------- arguments


def find_misfit(arguments: object, schema: Mapping[str, Any]) -> str:
    """Return why `arguments` do not fit, as a sentence without their values; "" if they fit."""
    return _misfit(arguments, schema, "arguments")


def _is_number(value: object) -> bool:
    """Return whether a value is a JSON number; Python also reads `NaN` and `Infinity`."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


_TYPE_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list | tuple),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and value % 1 == 0,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _equal(left: object, right: object) -> bool:
    """Return whether two JSON values are the same; `true` is not 1."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _misfit(value: Any, schema: Mapping[str, Any], path: str) -> str:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind] if kind is not None else []
    if kinds and not any(_TYPE_CHECKS[one](value) for one in kinds if one in _TYPE_CHECKS):
        return f"{path} must be of type {' or '.join(map(str, kinds))}."
    if "enum" in schema and not any(_equal(value, one) for one in schema["enum"]):
        return f"{path} is not one of the allowed values."
    if "const" in schema and not _equal(value, schema["const"]):
        return f"{path} is not the allowed value."
    members = schema.get("anyOf")
    if members and all(_misfit(value, member, path) for member in members):
        return f"{path} fits none of the allowed forms."
    if isinstance(value, Mapping):
        return _misfit_of_object(value, schema, path)
    if isinstance(value, list | tuple):
        items = schema.get("items", {})
        found = (_misfit(item, items, f"{path}[{index}]") for index, item in enumerate(value))
        return next(filter(None, found), "") or _out_of_bounds(len(value), schema, path, "Items")
    if isinstance(value, str):
        return _out_of_bounds(len(value), schema, path, "Length")
    return _out_of_bounds(value, schema, path, "imum") if _is_number(value) else ""


def _out_of_bounds(size: float, schema: Mapping[str, Any], path: str, suffix: str) -> str:
    low, high = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if (_is_number(low) and size < low) or (_is_number(high) and size > high):  # type: ignore[operator]
        return f"{path} is out of bounds."
    return ""


def _misfit_of_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> str:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path}.{name} is missing."
    more = schema.get("additionalProperties", True)
    for name, member in value.items():
        inner = properties.get(name, more)
        if inner is False:
            return f"{path} has an unknown member."
        found = _misfit(member, inner, f"{path}.{name}" if name in properties else path) if inner is not True else ""
        if found:
            return found
    return ""
