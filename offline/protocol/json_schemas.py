"""JSON schemas of functions: references are inlined, and what no grammar can follow is refused. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

JSON_TYPE_NAMES = ("string", "integer", "number", "boolean", "array", "object", "null")
MAX_SCHEMA_NODES = 2000
"""Schemas within one schema after its references are inlined."""
MAX_SCHEMA_LEVELS = 32
"""Levels of schemas within schemas after the references are inlined."""

_MAPS_OF_SCHEMAS = ("properties", "patternProperties", "dependentSchemas")
_SCHEMAS = ("additionalProperties", "items", "contains", "propertyNames", "not", "if", "then", "else")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_DEFINITIONS = ("$defs", "definitions")
_OTHER_REFERENCES = ("$dynamicRef", "$recursiveRef")


class InvalidSchema(ValueError):
    """Error for a schema that cannot be followed: where, and why in one sentence."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        """Dotted path below the root; "" for the root."""


def inline_references(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` with each local `$ref` replaced by its definition, and without the definitions.

    Raises `InvalidSchema` for a reference that is remote, unknown or recursive, an unknown type, and a schema that
    grows beyond the limits.
    """
    result: dict[str, Any] = _Inliner(schema).read(schema, "", (), 0)
    return result


class _Inliner:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def read(self, schema: Any, path: str, open_references: tuple[str, ...], level: int) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        self._nodes += 1
        if self._nodes > MAX_SCHEMA_NODES or level > MAX_SCHEMA_LEVELS:
            raise InvalidSchema("", "Its references make it too large.")
        for keyword in _OTHER_REFERENCES:
            if keyword in schema:
                raise InvalidSchema(_join(path, keyword), "Only '$ref' is followed.")
        if "$ref" in schema:
            schema, open_references = self._follow(schema, path, open_references)
            if "$ref" in schema:
                return self.read(schema, path, open_references, level + 1)
        _check_types(schema.get("type"), path)
        result: dict[str, Any] = {}
        for keyword, value in schema.items():
            if keyword in _DEFINITIONS:
                continue
            at, below = _join(path, keyword), (open_references, level + 1)
            if keyword in _MAPS_OF_SCHEMAS and isinstance(value, Mapping):
                value = {name: self.read(part, _join(at, str(name)), *below) for name, part in value.items()}
            elif keyword in _LISTS_OF_SCHEMAS and isinstance(value, list):
                value = [self.read(part, f"{at}[{index}]", *below) for index, part in enumerate(value)]
            elif keyword in _SCHEMAS:
                value = self.read(value, at, *below)
            result[keyword] = value
        return result

    def _follow(
        self, schema: Mapping[str, Any], path: str, open_references: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """Return the referenced schema with the other keywords of `schema`, and the references that are open now."""
        reference, at = schema["$ref"], _join(path, "$ref")
        if not isinstance(reference, str):
            raise InvalidSchema(at, "A reference is a string.")
        if reference in open_references:
            raise InvalidSchema(at, "A schema that contains itself cannot be followed.")
        found = self._resolve(reference, at)
        others = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        return {**found, **others}, (*open_references, reference)

    def _resolve(self, reference: str, at: str) -> Mapping[str, Any]:
        if reference != "#" and not reference.startswith("#/"):
            raise InvalidSchema(at, "Only references within the schema ('#/…') are followed.")
        value: Any = self._root
        for step in reference.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if not isinstance(value, Mapping) or name not in value:
                raise InvalidSchema(at, "It refers to a definition that is not there.")
            value = value[name]
        if value is True:
            return {}
        if not isinstance(value, Mapping):
            raise InvalidSchema(at, "It refers to something other than a schema.")
        return value


def _check_types(kinds: Any, path: str) -> None:
    names = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) else []
    if any(name not in JSON_TYPE_NAMES for name in names):
        raise InvalidSchema(_join(path, "type"), f"Known types are: {', '.join(map(repr, JSON_TYPE_NAMES))}.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name[:64]}" if path else name[:64]


_KEPT_BY_A_GRAMMAR = (
    *("type", "enum", "const", "required", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum"),
)
_ANY_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
"""Schema in place of one without a constraint, which llama.cpp reads as an object."""


def grammar_schema(schema: Any) -> dict[str, Any]:
    """Return the part of an inlined schema that llama.cpp turns into a grammar. The rest widens what may be written."""
    if not isinstance(schema, Mapping):
        return dict(_ANY_VALUE)
    result: dict[str, Any] = {key: schema[key] for key in _KEPT_BY_A_GRAMMAR if key in schema}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        result.setdefault("type", "object")
        result["properties"] = {name: grammar_schema(part) for name, part in properties.items()}
        if isinstance(result.get("required"), list):
            result["required"] = [name for name in result["required"] if name in properties]
    elif result.get("type") != "object":
        result.pop("required", None)
    if isinstance(schema.get("items"), Mapping):
        result["items"] = grammar_schema(schema["items"])
    for keyword in ("anyOf", "oneOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices and "properties" not in result:
            result = {"anyOf": [grammar_schema(choice) for choice in choices]}
    if not result:
        for part in schema.get("allOf") or ():
            result.update(grammar_schema(part))
    return result or dict(_ANY_VALUE)
