"""Log lines: the session they belong to, and nothing of its visitor."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re

from voicechat.logs import LOG_FORMAT, SessionFormatter, bind_session_id


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
