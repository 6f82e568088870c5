"""Request bodies: read within a size and a time limit, and replayed for the app."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import Message, Receive

BODY_TIMEOUT_S = 20.0
"""Seconds to receive a whole body. A phone on a slow network needs one or two for the largest."""


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """Return the whole body, or None when it is too large.

    Return b"" when the client disconnects, or exceeds `BODY_TIMEOUT_S`.
    """
    body = bytearray()
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                body += message.get("body", b"")
                if len(body) > max_bytes:
                    return None
                if not message.get("more_body"):
                    return bytes(body)
    return b""


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that delivers this body once, then the client's further messages."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
