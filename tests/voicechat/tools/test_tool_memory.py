"""Memory of tools: one thing for each key, closed once, bounded."""

from __future__ import annotations

import pytest

from tests.support.tools.closed_counter import ClosedCounter
from voicechat.tools.memory import MAX_KEPT, ToolMemory


def test_memory_with_the_same_key_returns_the_same_thing() -> None:
    memory = ToolMemory()
    assert memory.keep("a", ClosedCounter) is memory.keep("a", ClosedCounter)
    assert memory.keep("a", ClosedCounter) is not memory.keep("b", ClosedCounter)


def test_memory_when_closed_closes_each_thing_once_and_refuses_more() -> None:
    memory = ToolMemory()
    thing = memory.keep("a", ClosedCounter)
    memory.close()
    memory.close()
    assert thing.closed == 1
    with pytest.raises(RuntimeError):
        memory.keep("a", ClosedCounter)


def test_memory_when_full_refuses_another_key() -> None:
    memory = ToolMemory()
    for number in range(MAX_KEPT):
        memory.keep(str(number), ClosedCounter)
    memory.keep("0", ClosedCounter)
    with pytest.raises(RuntimeError):
        memory.keep("one more", ClosedCounter)
