"""Fixtures of the integration tests: checks that hold for every failure of a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.realtime import fake_server_variants
from voicechat.logs import quiet_loggers


@pytest.fixture
def no_secrets_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that no canary is in the log."""
    quiet_loggers()
    caplog.set_level(logging.DEBUG)
    yield
    logged = caplog.text.lower()
    for secret in fake_server_variants.SECRETS:
        assert secret.lower() not in logged


@pytest.fixture
async def no_tasks_left() -> AsyncIterator[None]:
    """Check that no task outlives the test."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=2)
    assert not [task for task in left if not task.done()]
