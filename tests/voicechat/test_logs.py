"""Logs: error locations without messages, quiet loggers of other packages, silenced errors of a hang-up."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from voicechat.logs import error_location, quiet_loggers, silence_hangup_errors


class RTCSctpTransport:
    """Stands in for aiortc's."""

    async def _transmit(self) -> None:
        raise ConnectionError("Cannot send encrypted data, not connected")


async def fail_with_own_error() -> None:
    raise ConnectionError("of our own")


async def test_hangup_errors_of_aiortc_are_silenced_and_others_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    silence_hangup_errors(loop)
    silence_hangup_errors(loop)
    for fails, logged in ((RTCSctpTransport()._transmit, 0), (fail_with_own_error, 1)):
        caplog.clear()
        task = loop.create_task(fails())
        await asyncio.wait([task])
        del task
        gc.collect()
        assert len(caplog.records) == logged
    assert "of our own" in caplog.text


@pytest.mark.parametrize("name", ["fastrtc", "websockets"])
def test_quiet_loggers_raise_level_at_debug(name: str) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        quiet_loggers()
        assert not logging.getLogger(f"{name}.client").isEnabledFor(logging.DEBUG)
    finally:
        logger.setLevel(before)


def test_error_location_has_place_without_message() -> None:
    try:
        raise ValueError("a secret")
    except ValueError as error:
        told = error_location(error)
    assert told.startswith("ValueError at test_logs.py:")
