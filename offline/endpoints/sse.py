"""Server-sent events: parser without I/O, after the HTML standard (9.2.6, "Interpreting an event stream")."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from .errors import EndpointError, EndpointFault

MAX_EVENT_CHARS = 1 << 20
"""Characters of one event. Chunks of a chat answer have some hundred, whole answers some thousand."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """Event of a stream."""

    data: str
    """Lines of the event's data, joined by line feeds."""
    event: str = ""
    """Type of the event; "" for an ordinary message."""


class SseParser:
    """Parser of one stream. Comments, ids and reconnection times are skipped."""

    def __init__(self, host: str) -> None:
        """Start at the beginning of a stream. `host` is named in errors."""
        self._host = host
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._is_first = True
        self._ended_with_cr = False
        self._partial_line: list[str] = []
        self._data: list[str] = []
        self._event = ""
        self._size = 0
        """Characters of the partial line and of the data kept."""

    def feed(self, block: bytes | str) -> list[ServerSentEvent]:
        """Return the events that `block` completes; it may be cut anywhere. Raises `EndpointError` for a long event."""
        text = block if isinstance(block, str) else self._decoder.decode(block)
        if not text:
            return []
        if self._is_first:
            text, self._is_first = text.removeprefix(_BYTE_ORDER_MARK), False
        if self._ended_with_cr:
            text = text.removeprefix("\n")
        self._ended_with_cr = text.endswith("\r")
        pieces = _LINE_END.split(text)
        events = []
        for piece in pieces[:-1]:
            self._keep(piece)
            line = "".join(self._partial_line)
            self._partial_line.clear()
            event = self._read_line(line)
            if event is not None:
                events.append(event)
        self._keep(pieces[-1])
        return events

    def flush(self) -> list[ServerSentEvent]:
        """Return the last event of a stream that ends without a blank line. A partial line is left out."""
        event = self._read_line("")
        return [] if event is None else [event]

    def _keep(self, piece: str) -> None:
        self._size += len(piece)
        if self._size > MAX_EVENT_CHARS:
            raise EndpointError(EndpointFault.MALFORMED, f"{self._host} sent an event that is too long.")
        if piece:
            self._partial_line.append(piece)

    def _read_line(self, line: str) -> ServerSentEvent | None:
        if not line:
            event = ServerSentEvent("\n".join(self._data), self._event) if self._data else None
            self._data, self._event, self._size = [], "", 0
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        else:
            self._size -= len(line)
            if name == "event":
                self._event = value
        return None
