"""Client event errors: the reasons for which the gateway rejects an event, as `error` events of the protocol. Pure."""

from __future__ import annotations

from voicechat.protocol.event_fields import RawEvent


class ClientEventRejected(Exception):
    """A client event that is not forwarded. `code` and `param` are the protocol's; `message` quotes no content."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param
        self.event_id: str | None = None
        """Id of the client event, where it had a valid one."""

    def to_event(self, event_id: str) -> RawEvent:
        """Return the `error` event, in GA, with this id of its own."""
        error = {
            "type": "invalid_request_error",
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": self.event_id,
        }
        return {"type": "error", "event_id": event_id, "error": error}


def invalid_value(message: str, param: str) -> ClientEventRejected:
    """Return the rejection of a value that is not allowed."""
    return ClientEventRejected("invalid_value", message, param)


def wrong_type(param: str, expected: str) -> ClientEventRejected:
    """Return the rejection of a value of the wrong type."""
    return ClientEventRejected("invalid_type", f"Invalid type for '{param}': expected {expected}.", param)


def missing_param(param: str) -> ClientEventRejected:
    """Return the rejection of an event without a required parameter."""
    return ClientEventRejected("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def invalid_json() -> ClientEventRejected:
    """Return the rejection of a message that is not JSON, or holds a number that JSON cannot."""
    return ClientEventRejected("invalid_json", "The message is not valid JSON.")


FUNCTIONS_ONLY_MESSAGE = (
    "Only functions can be offered here: connectors and MCP servers act for this server's operator."
)
