"""What to do when a server refuses the session's settings: find the field, leave it out, remember it. Pure.

One field that a server does not know makes it refuse all of them. Which fields those are differs from server to server
and from month to month, so they are learned from the refusals instead of being listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .event_fields import RawEvent

FieldPath = tuple[str, ...]
"""Where a field is within `session`, for example ("audio", "input", "turn_detection")."""

MAX_REMEMBERED_FIELDS = 32
"""Fields remembered of one server; the oldest go first. A session has fewer."""

_CONTAINERS: frozenset[FieldPath] = frozenset({(), ("audio",), ("audio", "input"), ("audio", "output")})
"""Objects that only hold others: leaving one out would leave out what was not refused."""
_ESSENTIAL_FIELDS: tuple[FieldPath, ...] = (
    ("type",),
    ("instructions",),
    ("output_modalities",),
    ("audio", "input", "format"),
    ("audio", "input", "turn_detection"),
    ("audio", "output", "format"),
)
_DEFINING_FIELDS = frozenset({"type", "model", "effort"})
"""Fields without which the object around them says nothing."""
_GA_ONLY_FIELDS: frozenset[FieldPath] = frozenset({("type",), ("output_modalities",), *_CONTAINERS} - {()})
"""What a server that only knows the beta shapes refuses."""
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+|\[\d+\])*")
_QUOTED_NAME = re.compile(r"['\"`]([^'\"`\s]{1,120})['\"`]")


class UnsupportedFields:
    """What one server refused before, so that it is not sent again. Held by whoever knows the server."""

    def __init__(self) -> None:
        self.confirms_updates = True
        """False once it took settings without a word: not every server answers with `session.updated`."""
        self._fields: dict[tuple[FieldPath, str], None] = {}

    def copy(self) -> UnsupportedFields:
        """The same, for what is to be learned beside it."""
        copied = UnsupportedFields()
        copied.confirms_updates, copied._fields = self.confirms_updates, dict(self._fields)
        return copied

    def add(self, path: FieldPath, value: object) -> None:
        """This value of the field was refused."""
        self._fields[path, json.dumps(value, sort_keys=True)] = None
        while len(self._fields) > MAX_REMEMBERED_FIELDS:
            del self._fields[next(iter(self._fields))]

    def filter_update(self, update: RawEvent) -> RawEvent:
        """The `session.update` without what was refused before. Another value of the same field is tried again."""
        for path, value in list(self._fields):
            found, now = look_up(update.get("session"), path)
            if found and json.dumps(now, sort_keys=True) == value:
                update = without_field(update, path)
        return update


def named_fields(error: Mapping[str, Any]) -> Iterator[str]:
    """The fields an `error` names: in `param`, else quoted in its message."""
    param = error.get("param")
    if isinstance(param, str) and _FIELD_NAME.fullmatch(param):
        yield param
    message = error.get("message")
    for quoted in _QUOTED_NAME.findall(message[:2000] if isinstance(message, str) else ""):
        if _FIELD_NAME.fullmatch(quoted):
            yield quoted


def rejects_ga(error: Mapping[str, Any]) -> bool:
    """Whether a server says with this refusal that it only knows the beta shapes."""
    for name in named_fields(error):
        path = _parse_path(name)
        if path in _GA_ONLY_FIELDS or path == ("modalities",):
            return error.get("code") != "invalid_value"  # a value can only be wrong in a field that is known
    return False


def find_rejected_field(name: str, update: RawEvent) -> FieldPath | None:
    """The field of `update` to leave out when a server refuses `name`; None when there is none of that name.

    The whole object where one of its fields makes no sense without the other: `{"type": ...}`, `{"model": ...}`.
    """
    session, path = update.get("session"), _parse_path(name)
    if len(path) == 1 and path[0] not in (session or {}):  # a server that names only the last part
        places = [place for place in _walk_paths(session, ()) if place[-1] == path[0]]
        path = places[0] if len(places) == 1 else ()
    while path and not look_up(session, path)[0]:
        path = path[:-1]  # it misses something in an object that we sent, or refuses something deep in it
    if path[-1:] and path[-1] in _DEFINING_FIELDS and path[:-1] not in _CONTAINERS:
        path = path[:-1]
    return None if path in _CONTAINERS else path


def is_required(path: FieldPath, update: RawEvent) -> bool:
    """Whether the session cannot be what it is for without this field.

    The formats are none: where they cannot be chosen they are what we ask for, PCM16 at 24 kHz.
    """
    written = look_up(update.get("session"), ("output_modalities",))[1] == ["text"]
    return path == ("type",) or (written and path == ("output_modalities",))


def keep_essential_fields(update: RawEvent) -> RawEvent:
    """The `session.update` with only what every server knows: for a refusal that does not say what it is about."""
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
    """A copy of the `session.update` that lacks a field."""

    def cut(table: Mapping[str, Any], rest: FieldPath) -> RawEvent:
        kept = {key: value for key, value in table.items() if key != rest[0] or len(rest) > 1}
        if len(rest) > 1 and isinstance(kept.get(rest[0]), Mapping):
            kept[rest[0]] = cut(kept[rest[0]], rest[1:])
        return kept

    return {**update, "session": cut(update["session"], path)}


def look_up(session: object, path: FieldPath) -> tuple[bool, Any]:
    """(whether the field is there, its value)."""
    for step in path:
        if not isinstance(session, Mapping) or step not in session:
            return False, None
        session = session[step]
    return True, session


def _parse_path(name: str) -> FieldPath:
    parts = tuple(re.sub(r"\[\d+\]", "", name).split("."))
    return parts[1:] if parts[0] == "session" else parts


def _walk_paths(session: object, base: FieldPath) -> Iterator[FieldPath]:
    """Every field there is, with those inside it."""
    if isinstance(session, Mapping):
        for key, value in session.items():
            yield (*base, key)
            yield from _walk_paths(value, (*base, key))
