"""Fixtures of the tests of audio endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.endpoints.scripted_audio_server import ScriptedAudioServer, running_audio_server


@pytest.fixture
async def server() -> AsyncIterator[ScriptedAudioServer]:
    async with running_audio_server() as running:
        yield running
