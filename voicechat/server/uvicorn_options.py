"""How uvicorn is to treat WebSockets, and its own end, whoever starts it: `python app.py` through Gradio, or
`uvicorn app:app`.

Gradio's `launch()` passes none of these options on, and under `uvicorn app:app` the app is imported after the command
line was read. Both make their sockets in `Server.startup()`, so that is where the options are set.
"""

from __future__ import annotations

import functools
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from voicechat.config.limit_settings import LimitSettings
from voicechat.dependency_checks import require_function, require_names

from .uvicorn_read_ahead import RECEIVE_EVENT, ReadAheadProtocol

DEFAULT_MAX_MESSAGE_BYTES = LimitSettings().max_message_bytes
UVICORN_DEFAULT_MAX_MESSAGE_BYTES = 16 * 2**20
"""What uvicorn takes unless told otherwise."""
GRACEFUL_SHUTDOWN_S = 1
"""For requests that are being answered when the server ends. A page keeps one open as long as it is there."""
PING_INTERVAL_S = 2.5
"""Between two pings: something to be acknowledged, also where nobody says a word. The answer may take its time, for it
waits behind what a slow reader has still to read."""
UVICORN_DEFAULT_PING_INTERVAL_S = 20.0
TCP_USER_TIMEOUT_MS = 6500
"""Who acknowledges nothing of what was sent, not even in its kernel, for so long is gone, and so is who has no room for
more. Where the system can be told so (Linux); elsewhere it takes the minutes that TCP takes."""


def set_options(config: Config, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
    """No compression: sound in base64 hardly gets smaller, and each message would wait for it, at some 100 kB of memory
    for each connection. A message size or pings that someone chose on the command line stay. No log of headers and
    messages, which uvicorn writes at DEBUG: what is said and the keys that clients send must not be in a log.

    X-Forwarded-For is for the guard to judge: uvicorn would have written it over the true peer's address, and believes
    whom it was not told to (under Gradio, in a container)."""
    config.ws_per_message_deflate = False
    if not config.loaded and config.ws == "auto":
        config.ws = ReadAheadProtocol
    elif config.loaded and config.ws_protocol_class is WebSocketsSansIOProtocol:
        config.ws_protocol_class = ReadAheadProtocol
    if config.ws_ping_interval == UVICORN_DEFAULT_PING_INTERVAL_S:
        config.ws_ping_interval = PING_INTERVAL_S
    config.proxy_headers = False
    if config.loaded and isinstance(config.loaded_app, ProxyHeadersMiddleware):  # too late to be told
        config.loaded_app = config.loaded_app.app
    if config.ws_max_size == UVICORN_DEFAULT_MAX_MESSAGE_BYTES:
        config.ws_max_size = max_message_bytes
    if config.timeout_graceful_shutdown is None:
        config.timeout_graceful_shutdown = GRACEFUL_SHUTDOWN_S
    logger = logging.getLogger("uvicorn.error")
    if logger.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.INFO)


def set_tcp_user_timeout(sockets: Iterable[Any]) -> None:
    """Connections that these sockets accept end when the other side has vanished without a word."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    for each in sockets:
        if option is not None and each.family in (socket.AF_INET, socket.AF_INET6):
            each.setsockopt(socket.IPPROTO_TCP, option, TCP_USER_TIMEOUT_MS)


def install(
    on_server_start: Callable[[uvicorn.Server], None] = lambda _: None,
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> None:
    """Start every uvicorn server of this process with these options from now on, and call `on_server_start` then.

    Raise DependencyChanged, with nothing replaced, when uvicorn is not as expected.
    """
    startup = require_function("uvicorn.server:Server.startup", ("self", "sockets"))
    require_names("uvicorn.server:Server.startup", {"servers"})
    require_names("uvicorn.config:Config", {"loaded_app", "ws_protocol_class"})
    require_names(RECEIVE_EVENT, {"frames", "queue", "read_paused"})

    @functools.wraps(startup)
    async def with_options(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        set_options(self.config, max_message_bytes)
        await startup(self, sockets)
        for each in getattr(self, "servers", ()):  # none where the port could not be had
            set_tcp_user_timeout(each.sockets)
        on_server_start(self)

    uvicorn.Server.startup = with_options  # type: ignore[method-assign]
