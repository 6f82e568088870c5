"""Readiness of a process: it accepts connections, or answers GET /health."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from .launch_plan import ListenAddress, ProcessSpec, ReadyCheck

CHECK_TIMEOUT_S = 5.0
"""Seconds for one check."""
CHECK_PAUSE_S = 0.1
"""Seconds between two checks of a process that is starting."""
HANG_CHECK_PAUSE_S = 5.0
"""Seconds between two checks of a process that is ready."""
HANG_LIMIT_S = 60.0
"""Seconds without an answer after which a process hangs. HAProxy sends it no visitors after 2 to 4 seconds."""
MAX_STATUS_LINE_BYTES = 1000
WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses of all interfaces, and an address at which this computer reaches their ports."""


async def wait_until_ready(spec: ProcessSpec) -> None:
    """Return when the process is ready. A process has no other way to report it: it is asked again and again."""
    while True:
        if await _answers(spec):
            return
        await asyncio.sleep(CHECK_PAUSE_S)


async def wait_until_hanging(spec: ProcessSpec) -> None:
    """Return when a process that was ready has given no answer for `HANG_LIMIT_S`."""
    clock = asyncio.get_running_loop().time
    answered_at = clock()
    while clock() - answered_at < HANG_LIMIT_S:
        await asyncio.sleep(HANG_CHECK_PAUSE_S)
        if await _answers(spec):
            answered_at = clock()


async def _answers(spec: ProcessSpec) -> bool:
    with suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await is_ready(spec.address, spec.check)
    return False


async def is_ready(address: ListenAddress, check: ReadyCheck) -> bool:
    """Return whether a process at this address is ready. Raise OSError while it accepts no connections."""
    if address.port:
        host = WILDCARD_HOSTS.get(address.host, address.host)
        reader, writer = await asyncio.open_connection(host, address.port, limit=MAX_STATUS_LINE_BYTES)
    else:
        reader, writer = await asyncio.open_unix_connection(address.host)
    try:
        if check is ReadyCheck.ACCEPTS:
            return True
        writer.write(f"GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return (await reader.readline()).startswith(b"HTTP/1.")
    finally:
        writer.close()
