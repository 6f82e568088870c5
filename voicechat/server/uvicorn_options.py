"""Options of every uvicorn server in this process: WebSocket limits and pings, proxies, shutdown.

Gradio's `launch()` passes no such options on, and under `uvicorn app:app` the app is imported after the command line
was read. Both create their sockets in `Server.startup()`, so the options are set there.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from voicechat.config.groups.limit_settings import LimitSettings
from voicechat.dependency_checks import DependencyChanged, find_target, require_names

from .uvicorn_read_ahead import RECEIVE_EVENT, ReadAheadProtocol

DEFAULT_MAX_MESSAGE_BYTES = LimitSettings().max_message_bytes
UVICORN_DEFAULT_MAX_MESSAGE_BYTES = 16 * 2**20
"""Bytes, uvicorn's own default."""
STARTUP = "uvicorn.server:Server.startup"
GRACEFUL_SHUTDOWN_S = 1
"""Seconds for open requests when the server stops. Every open page holds one."""
SHUTDOWN_WORDS = "timeout graceful shutdown exceeded"
"""Words of uvicorn's messages about requests that it cuts after `GRACEFUL_SHUTDOWN_S`."""
PING_INTERVAL_S = 2.5
"""Seconds between two pings. TCP then has data to acknowledge, also on a silent connection. A slow reader may answer
late, after the messages before the ping."""
UVICORN_DEFAULT_PING_INTERVAL_S = 20.0
_MARK = "_voicechat_options"
"""Attribute of the function that sets the options. `functools.wraps` copies it to wrappers."""
TCP_USER_TIMEOUT_MS = 6500
"""Milliseconds without any acknowledgement by the client's kernel, or without room for data, before a connection is
closed. Linux only; elsewhere it takes TCP's own minutes."""


class ShutdownLogFilter(logging.Filter):
    """Leaves out what uvicorn logs about requests that it cuts at its own end: every open page holds one.

    It logs an error with their number, and a traceback for each.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        is_cut = isinstance(error, asyncio.CancelledError) and SHUTDOWN_WORDS in str(error)
        return not is_cut and SHUTDOWN_WORDS not in str(record.msg)


_SHUTDOWN_LOG_FILTER = ShutdownLogFilter()


def set_options(config: Config, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
    """Set the options. A message size or ping interval from the command line is kept.

    Compression is off: base64 audio hardly shrinks, and it costs 100 kB of memory for each connection. uvicorn's DEBUG
    log of headers and messages is off: visitors' words and keys must not reach a log. X-Forwarded-For is left to
    `voicechat.security`: uvicorn would overwrite the peer's address, and trusts proxies that were not configured.
    """
    config.ws_per_message_deflate = False
    if not config.loaded and config.ws == "auto":
        config.ws = ReadAheadProtocol
    elif config.loaded and config.ws_protocol_class is WebSocketsSansIOProtocol:
        config.ws_protocol_class = ReadAheadProtocol
    if config.ws_ping_interval == UVICORN_DEFAULT_PING_INTERVAL_S:
        config.ws_ping_interval = PING_INTERVAL_S
    config.proxy_headers = False
    if config.loaded and isinstance(config.loaded_app, ProxyHeadersMiddleware):  # already loaded: unwrap it
        config.loaded_app = config.loaded_app.app
    if config.ws_max_size == UVICORN_DEFAULT_MAX_MESSAGE_BYTES:
        config.ws_max_size = max_message_bytes
    if config.timeout_graceful_shutdown is None:
        config.timeout_graceful_shutdown = GRACEFUL_SHUTDOWN_S
    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(_SHUTDOWN_LOG_FILTER)
    if logger.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.INFO)


def set_tcp_user_timeout(sockets: Iterable[Any]) -> None:
    """Close connections that these sockets accept when their clients vanish silently."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    for each in sockets:
        if option is not None and each.family in (socket.AF_INET, socket.AF_INET6):
            each.setsockopt(socket.IPPROTO_TCP, option, TCP_USER_TIMEOUT_MS)


def install(
    on_server_start: Callable[[uvicorn.Server], None] = lambda _: None,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> None:
    """Start every uvicorn server of this process with these options from now on, and call `on_server_start` then.

    A second call does nothing. Raise DependencyChanged, with nothing replaced, when uvicorn is not as expected. A
    monitoring tool may have wrapped `Server.startup`, with or without `functools.wraps`.
    """
    startup = find_target(STARTUP)
    if hasattr(startup, _MARK):
        return
    try:
        inspect.signature(startup).bind("self", "sockets")
    except (TypeError, ValueError) as error:
        raise DependencyChanged(STARTUP, "parameters") from error
    require_names("uvicorn.config:Config", {"loaded_app", "ws_protocol_class"})
    require_names(RECEIVE_EVENT, {"frames", "queue", "read_paused"})

    @functools.wraps(startup)
    async def with_options(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        set_options(self.config, max_message_bytes)
        await startup(self, sockets)
        for each in getattr(self, "servers", ()):  # missing when the port is not available
            set_tcp_user_timeout(each.sockets)
        on_server_start(self)

    vars(with_options)[_MARK] = True
    uvicorn.Server.startup = with_options  # type: ignore[method-assign]
