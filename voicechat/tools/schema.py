"""Parameter schemas: the part of JSON Schema that Realtime servers and grammars take. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SchemaRefused(ValueError):
    """A schema that cannot be declared. Its text names the reason and no content."""


def normalise_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with `$ref` inlined, unsupported keywords dropped, and bounded; else raise `SchemaRefused`."""
    raise NotImplementedError


def find_misfit(arguments: object, schema: Mapping[str, Any]) -> str:
    """Return why `arguments` do not fit, as a sentence without their values; "" if they fit."""
    raise NotImplementedError
