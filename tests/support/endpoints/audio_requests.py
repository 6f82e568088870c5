"""Requests of both audio endpoints in tests: their failures, and their cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest

from offline.endpoints.errors import EndpointError

from .scripted_audio_server import ScriptedAudioServer


async def failure_without(request: Awaitable[object], *secrets: str) -> EndpointError:
    """Return the error of a request, after checking that its sentence has none of `secrets`."""
    with pytest.raises(EndpointError) as caught:
        await request
    assert not [secret for secret in secrets if secret in str(caught.value)]
    return caught.value


async def cancel_sent_request(server: ScriptedAudioServer, request: Coroutine[Any, Any, object]) -> None:
    """Cancel a request once the server has it, and wait until its connection is closed."""
    task = asyncio.create_task(request)
    await server.wait_for(lambda each: each.requests)
    task.cancel()
    await server.wait_for(lambda each: each.clients_left == 1)
    await asyncio.wait([task])
    assert task.cancelled()
