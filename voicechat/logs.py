"""Logging: set-up, session ids, error locations without messages, and level floors of other packages' loggers."""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from contextvars import ContextVar
from typing import Any

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SESSION_ID_BYTES = 4
"""Random bytes of a session id: enough to find one session in a log, and nothing about its visitor."""

_session_id: ContextVar[str] = ContextVar("session_id", default="")


class SessionFormatter(logging.Formatter):
    """Formatter that ends each record with `session=<id>` when it was logged inside a session."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record. It is formatted in the context in which it was logged."""
        message = super().formatMessage(record)
        session_id = _session_id.get()
        return f"{message} session={session_id}" if session_id else message


def bind_session_id(session_id: str = "") -> str:
    """Give the current context, and all tasks it creates, this session id or a new one. Return the id."""
    session_id = session_id or secrets.token_hex(SESSION_ID_BYTES)
    _session_id.set(session_id)
    return session_id


def configure_logging(*, debug: bool) -> None:
    """Log to stderr with session ids, and restrain the loggers of other packages."""
    handler = logging.StreamHandler()
    handler.setFormatter(SessionFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    quiet_loggers()


def error_location(error: BaseException) -> str:
    """Return the kind and source line of an error. Never its message, which may quote a visitor."""
    frames = traceback.extract_tb(error.__traceback__)
    location = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {location}"


def quiet_loggers() -> None:
    """Raise the level floors of other packages' loggers, also under DEBUG.

    At DEBUG fastrtc logs every argument and message, and websockets every header and frame. Visitors' words and the API
    key must not reach a log. aiortc logs a traceback at every hang-up, because fastrtc's track then has no frame. The
    other loggers only drown ours.
    """
    for name in ("fastrtc", "websockets", "httpcore", "httpx", "urllib3", "asyncio", "numba"):
        _raise_level(logging.INFO, name)
    _raise_level(logging.WARNING, "aioice")
    _raise_level(logging.ERROR, "aiortc")


def _raise_level(level: int, name: str) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(max(level, logger.level))


def silence_hangup_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Ignore send errors of aiortc's data channel in this loop; log all other errors as before.

    After a hang-up the data channel keeps sending for a moment, in tasks whose errors are never retrieved.
    """
    loop.set_exception_handler(_ignore_send_after_hangup)


def _ignore_send_after_hangup(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    task = context.get("future")
    sender = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
    if isinstance(context.get("exception"), ConnectionError) and sender.startswith("RTCSctpTransport."):
        return
    loop.default_exception_handler(context)
