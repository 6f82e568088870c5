"""Unsupported fields: finds the session setting that a server rejects, removes it and remembers it. Pure.

One unknown field makes a server reject all settings. Such fields differ from server to server and from month to month.
They are therefore learned from rejections instead of being listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .event_fields import RawEvent

FieldPath = tuple[str, ...]
"""Path of a field within `session`, for example ("audio", "input", "turn_detection")."""

MAX_REMEMBERED_FIELDS = 32
"""Fields remembered for one server; the oldest are dropped first. A session has fewer."""

_CONTAINERS: frozenset[FieldPath] = frozenset({(), ("audio",), ("audio", "input"), ("audio", "output")})
"""Objects that only hold others. Removing one would remove fields that were not rejected."""
_ESSENTIAL_FIELDS: tuple[FieldPath, ...] = (
    ("type",),
    ("instructions",),
    ("output_modalities",),
    ("audio", "input", "format"),
    ("audio", "input", "turn_detection"),
    ("audio", "output", "format"),
)
_DEFINING_FIELDS = frozenset({"type", "model", "effort"})
"""Fields without which the object around them has no meaning."""
_GA_ONLY_FIELDS: frozenset[FieldPath] = frozenset({("type",), ("output_modalities",), *_CONTAINERS} - {()})
"""Fields that a server rejects when it only knows the beta dialect."""
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+|\[\d+\])*")
_QUOTED_NAME = re.compile(r"['\"`]([^'\"`\s]{1,120})['\"`]")


class UnsupportedFields:
    """Fields that one server rejected before, so that they are not sent again."""

    def __init__(self) -> None:
        self.confirms_updates = True
        """False once the server took settings without answering: some never send `session.updated`."""
        self.takes_pictures = True
        """False once the server refused a picture, and where its model is known to take none."""
        self._fields: dict[tuple[FieldPath, str], None] = {}

    def copy(self) -> UnsupportedFields:
        """Return a copy that learns separately."""
        copied = UnsupportedFields()
        copied.confirms_updates, copied._fields = self.confirms_updates, dict(self._fields)
        copied.takes_pictures = self.takes_pictures
        return copied

    def add(self, path: FieldPath, value: object) -> None:
        """Remember that this value of the field was rejected."""
        self._fields[path, json.dumps(value, sort_keys=True)] = None
        while len(self._fields) > MAX_REMEMBERED_FIELDS:
            del self._fields[next(iter(self._fields))]

    def filter_update(self, update: RawEvent) -> RawEvent:
        """Return the `session.update` without rejected fields. Another value of such a field is tried again."""
        for path, value in list(self._fields):
            found, now = look_up(update.get("session"), path)
            if found and json.dumps(now, sort_keys=True) == value:
                update = without_field(update, path)
        return update


def named_fields(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that an `error` names: in `param`, then quoted in its message."""
    param = error.get("param")
    if isinstance(param, str) and _FIELD_NAME.fullmatch(param):
        yield param
    message = error.get("message")
    for quoted in _QUOTED_NAME.findall(message[:2000] if isinstance(message, str) else ""):
        if _FIELD_NAME.fullmatch(quoted):
            yield quoted


def rejects_ga(error: Mapping[str, Any]) -> bool:
    """Return whether this rejection shows that the server only knows the beta dialect."""
    for name in named_fields(error):
        path = _parse_path(name)
        if path in _GA_ONLY_FIELDS or path == ("modalities",):
            return error.get("code") != "invalid_value"  # a wrong value shows that the field is known
    return False


def find_rejected_field(name: str, update: RawEvent) -> FieldPath | None:
    """Return the field of `update` to remove when a server rejects `name`; None when it has none of that name.

    Return the whole object where the others need the field: `{"type": ...}`, `{"model": ...}`.
    """
    session, path = update.get("session"), _parse_path(name)
    if len(path) == 1 and path[0] not in (session or {}):  # some servers name the last part only
        matches = [each for each in _walk_paths(session, ()) if each[-1] == path[0]]
        path = matches[0] if len(matches) == 1 else ()
    while path and not look_up(session, path)[0]:
        path = path[:-1]  # the server misses a field in a sent object, or rejects one deep in it
    if path[-1:] and path[-1] in _DEFINING_FIELDS and path[:-1] not in _CONTAINERS:
        path = path[:-1]
    return None if path in _CONTAINERS else path


def is_required(path: FieldPath, update: RawEvent) -> bool:
    """Return whether the session cannot serve its purpose without this field.

    Audio formats are not required: a server without a choice of formats uses PCM16 at 24 kHz, as requested.
    """
    is_text_session = look_up(update.get("session"), ("output_modalities",))[1] == ["text"]
    return path == ("type",) or (is_text_session and path == ("output_modalities",))


def keep_essential_fields(update: RawEvent) -> RawEvent:
    """Return the `session.update` with the fields that every server knows, for a rejection that names no field."""
    session: RawEvent = {}
    for path in _ESSENTIAL_FIELDS:
        found, value = look_up(update["session"], path)
        if found:
            table = session
            for step in path[:-1]:
                table = table.setdefault(step, {})
            table[path[-1]] = value
    return {**update, "session": session}


def without_field(update: RawEvent, path: FieldPath) -> RawEvent:
    """Return a copy of the `session.update` without a field."""

    def cut(table: Mapping[str, Any], rest: FieldPath) -> RawEvent:
        kept = {key: value for key, value in table.items() if key != rest[0] or len(rest) > 1}
        if len(rest) > 1 and isinstance(kept.get(rest[0]), Mapping):
            kept[rest[0]] = cut(kept[rest[0]], rest[1:])
        return kept

    return {**update, "session": cut(update["session"], path)}


def look_up(session: object, path: FieldPath) -> tuple[bool, Any]:
    """Return (whether the field exists, its value)."""
    for step in path:
        if not isinstance(session, Mapping) or step not in session:
            return False, None
        session = session[step]
    return True, session


def _parse_path(name: str) -> FieldPath:
    parts = tuple(re.sub(r"\[\d+\]", "", name).split("."))
    return parts[1:] if parts[0] == "session" else parts


def _walk_paths(session: object, base: FieldPath) -> Iterator[FieldPath]:
    """Yield the paths of all fields, with those inside them."""
    if isinstance(session, Mapping):
        for key, value in session.items():
            yield (*base, key)
            yield from _walk_paths(value, (*base, key))
