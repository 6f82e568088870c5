"""Log of the WebSocket library: each problem as one line, without a traceback and without the client's own words.

The library logs a traceback for every request that is not a handshake. Any program of this computer can send those, and
the error's text repeats what it sent.
"""

from __future__ import annotations

import logging

from websockets.exceptions import ConnectionClosed

HANDSHAKE_FAILURE = "opening handshake failed"
"""Message of the library."""


def shorten(record: logging.LogRecord) -> bool:
    """Replace the traceback of a record by the type of the error. Return whether the record is kept.

    A client may close its connection before the answer, as a health check with a time limit does. That is not logged.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ConnectionClosed) and record.msg == HANDSHAKE_FAILURE:
        return False
    if error is not None:
        record.msg, record.args = "server: %s error=%s", (record.getMessage(), type(error).__name__)
        record.exc_info = record.exc_text = None
    return True


def create_logger() -> logging.Logger:
    """Return the logger for `websockets`. Every connection's opening and end (INFO) is left out."""
    logger = logging.getLogger("offline.websockets")
    logger.setLevel(logging.WARNING)
    logger.addFilter(shorten)
    return logger
