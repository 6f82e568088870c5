"""Logs: session ids, error locations without messages, quiet loggers of other packages, silenced hang-up errors."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import re

import pytest

from voicechat.logs import (
    LOG_FORMAT,
    SessionFormatter,
    bind_session_id,
    error_location,
    quiet_loggers,
    silence_hangup_errors,
)


def format_record() -> str:
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "upstream: connected host=%s", ("a",), None)
    return SessionFormatter(LOG_FORMAT).format(record)


def test_record_outside_a_session_has_no_id() -> None:
    assert contextvars.Context().run(format_record).endswith("INFO app: upstream: connected host=a")


def test_record_inside_a_session_ends_with_its_random_id() -> None:
    def start_session() -> str:
        bind_session_id()
        return format_record()

    lines = {contextvars.Context().run(start_session) for _ in range(5)}
    assert len(lines) == 5
    assert all(re.search(r" host=a session=[0-9a-f]{8}$", line) for line in lines)


async def test_tasks_of_a_session_inherit_its_id_and_others_do_not() -> None:
    async def log_twice() -> list[str]:
        bind_session_id()
        lines = [format_record(), await asyncio.create_task(asyncio.to_thread(format_record))]
        return [line.partition(" session=")[2] for line in lines]

    first, second = await asyncio.gather(log_twice(), log_twice())
    assert first[0] == first[1] != second[0] == second[1]
    assert len(first[0]) == len(second[0]) == 8
    assert "session=" not in format_record()


def test_a_known_id_can_be_bound_again() -> None:
    assert contextvars.Context().run(lambda: [bind_session_id("ab12"), format_record()])[1].endswith("session=ab12")


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
        location = error_location(error)
    assert location.startswith("ValueError at test_logs.py:")
