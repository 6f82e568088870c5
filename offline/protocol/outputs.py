"""What leaves a session: events to send, work to do, the end of the connection; and how a refusal is told."""

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
    """Hand this work to the session's desk."""

    work: Work


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the socket, after everything sent before it."""

    code: int
    reason: str


Output = SendEvent | SubmitWork | CloseConnection


class ProtocolError(Exception):
    """A client event that cannot be carried out. It becomes an `error` event; the session lives on.

    The message is shown to the client and must not hold any of the conversation.
    """

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def invalid_type(path: str, expected: str) -> ProtocolError:
    """The error for a value of the wrong JSON type. `expected` reads like "a string"."""
    return ProtocolError("invalid_type", f"Invalid type for '{path}': expected {expected}.", path)


def invalid_value(path: str, why: str) -> ProtocolError:
    """The error for a value of the right type that cannot be accepted. `why` is a sentence."""
    return ProtocolError("invalid_value", f"Invalid value for '{path}'. {why}", path)


def missing_parameter(path: str) -> ProtocolError:
    """The error for a required field that is not there."""
    return ProtocolError("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def unknown_parameter(path: str) -> ProtocolError:
    """The error for a field that does not exist."""
    return ProtocolError("unknown_parameter", f"Unknown parameter: '{path}'.", path)


class IdGenerator:
    """A source of identifiers like the real service's: a prefix and random letters and digits."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def new(self, prefix: str) -> str:
        """A fresh id: `kind` is "event", "sess", "conv", "item" or "resp" (21 characters), or "call" (16)."""
        return f"{prefix}_{''.join(self._source.choices(ID_ALPHABET, k=16 if prefix == 'call' else 21))}"


class Outbox:
    """Collects what a session hands out, in order."""

    def __init__(self, ids: IdGenerator) -> None:
        self.ids = ids
        self._outputs: list[Output] = []

    def send(self, kind: str, **fields: Any) -> None:
        """Add the server event of type `kind` with a fresh event id."""
        self._outputs.append(SendEvent({"type": kind, "event_id": self.ids.new("event"), **fields}))

    def submit(self, work: Work) -> None:
        """Add work for the desk."""
        self._outputs.append(SubmitWork(work))

    def close(self, code: int, reason: str) -> None:
        """Add the end of the connection."""
        self._outputs.append(CloseConnection(code, reason))

    def send_error(
        self, error: ProtocolError, event_id: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        """Add an `error` event. `event_id`: of the client event it is about, where it had one."""
        detail = {"type": kind, "code": error.code, "message": error.message, "param": error.param}
        self.send("error", error={**detail, "event_id": event_id})

    def drain(self) -> list[Output]:
        """All outputs collected since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs
