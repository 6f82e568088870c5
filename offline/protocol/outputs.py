"""Outputs of a session: events to send, work to submit, connection to close; and protocol errors."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from typing import Any

from .worker_messages import Work

Json = dict[str, Any]

ID_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Send this server event, complete with `type` and `event_id`."""

    event: Json


@dataclass(frozen=True, slots=True)
class SubmitWork:
    """Submit this work to the session worker."""

    work: Work


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the socket after all earlier events."""

    code: int
    reason: str


Output = SendEvent | SubmitWork | CloseConnection


class ProtocolError(Exception):
    """Invalid client event. It is reported as an `error` event, and the session continues.

    The client sees the message, which must not contain anything of the conversation.
    """

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def invalid_type(path: str, expected: str) -> ProtocolError:
    """Return the error for a value of the wrong JSON type. `expected` is like "a string"."""
    return ProtocolError("invalid_type", f"Invalid type for '{path}': expected {expected}.", path)


def invalid_value(path: str, why: str) -> ProtocolError:
    """Return the error for an unacceptable value of the right type. `why` is a sentence."""
    return ProtocolError("invalid_value", f"Invalid value for '{path}'. {why}", path)


def missing_parameter(path: str) -> ProtocolError:
    """Return the error for a missing field."""
    return ProtocolError("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def unknown_parameter(path: str) -> ProtocolError:
    """Return the error for an unknown field."""
    return ProtocolError("unknown_parameter", f"Unknown parameter: '{path}'.", path)


class IdGenerator:
    """Random ids in the service's format: a prefix, then letters and digits."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def new(self, prefix: str) -> str:
        """Return a new id. The prefix is "event", "sess", "conv", "item" or "resp" (21 characters follow), or "call"
        (16)."""
        return f"{prefix}_{''.join(self._source.choices(ID_ALPHABET, k=16 if prefix == 'call' else 21))}"


class Outbox:
    """Collects the outputs of a session in order."""

    def __init__(self, ids: IdGenerator) -> None:
        self.ids = ids
        self._outputs: list[Output] = []

    def send(self, kind: str, **fields: Any) -> None:
        """Add the server event of type `kind` with a new event id."""
        self._outputs.append(SendEvent({"type": kind, "event_id": self.ids.new("event"), **fields}))

    def submit(self, work: Work) -> None:
        """Add work for the session worker."""
        self._outputs.append(SubmitWork(work))

    def close(self, code: int, reason: str) -> None:
        """Add the close of the connection."""
        self._outputs.append(CloseConnection(code, reason))

    def send_error(
        self, error: ProtocolError, event_id: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        """Add an `error` event. `event_id` is that of the client event, if it had one."""
        detail = {"type": kind, "code": error.code, "message": error.message, "param": error.param}
        self.send("error", error={**detail, "event_id": event_id})

    def drain(self) -> list[Output]:
        """Return and clear the outputs collected since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs
