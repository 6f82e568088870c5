"""Log hygiene: error locations without messages, level floors of other loggers, and known hang-up noise."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any


def error_location(error: BaseException) -> str:
    """Kind and place of an error. Never its message, which may quote what a visitor said."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}"


def quiet_loggers() -> None:
    """Bounds of other people's loggers, also under DEBUG.

    At DEBUG fastrtc logs every argument and message, and websockets every header and frame: what visitors say and the
    API key must not be in a log. aiortc warns with a traceback at every hang-up: fastrtc's track then has no frame to
    give. The others only drown ours.
    """
    for name in ("fastrtc", "websockets", "httpcore", "httpx", "urllib3", "asyncio", "numba"):
        _raise_level(logging.INFO, name)
    _raise_level(logging.WARNING, "aioice")
    _raise_level(logging.ERROR, "aiortc")


def _raise_level(level: int, name: str) -> None:
    logger = logging.getLogger(name)
    logger.setLevel(max(level, logger.level))


def silence_hangup_errors(loop: asyncio.AbstractEventLoop) -> None:
    """aiortc's data channel goes on sending for a moment after a page has gone, in tasks whose errors nobody takes: the
    loop would log a traceback each. All other errors are logged as ever."""
    loop.set_exception_handler(_ignore_send_after_hangup)


def _ignore_send_after_hangup(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    task = context.get("future")
    sender = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
    if isinstance(context.get("exception"), ConnectionError) and sender.startswith("RTCSctpTransport."):
        return
    loop.default_exception_handler(context)
