"""Usage drain: cancels once, waits for usage, and stops in time."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosedOK

from voicechat.protocol.failures import ConnectionFailed, Failure
from voicechat.upstream import usage_drain
from voicechat.upstream.usage_drain import drain_usage


class Responses:
    """Responses that end one after the other, an event each."""

    def __init__(self, *active: str, error: Exception | None = None, silent: bool = False) -> None:
        """`error`: raised instead of the first event. `silent`: no event ever comes."""
        self.active = list(active)
        self.cancelled: list[str] = []
        self._error = error
        self._silent = silent

    async def cancel(self, response_id: str) -> None:
        self.cancelled.append(response_id)

    async def handle_next_event(self) -> None:
        if self._error is not None:
            raise self._error
        if self._silent:
            await asyncio.Event().wait()
        self.active.pop(0)

    async def drain(self) -> None:
        await drain_usage(
            is_pending=lambda: bool(self.active),
            active_ids=lambda: list(self.active),
            cancel=self.cancel,
            handle_next_event=self.handle_next_event,
        )


async def test_drain_cancels_every_response_once_and_waits_for_all() -> None:
    responses = Responses("a", "b", "c")
    await responses.drain()
    assert (responses.cancelled, responses.active) == (["a", "b", "c"], [])


async def test_drain_without_responses_does_nothing() -> None:
    responses = Responses()
    await responses.drain()
    assert not responses.cancelled


@pytest.mark.parametrize(
    "error",
    [ConnectionFailed(Failure.LOST), ConnectionClosedOK(None, None), TimeoutError()],
    ids=lambda e: type(e).__name__,
)
async def test_drain_ends_with_the_connection(error: Exception) -> None:
    responses = Responses("a", error=error)
    await responses.drain()
    assert responses.cancelled == ["a"] and responses.active == ["a"]


async def test_drain_of_a_silent_server_ends_at_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_drain, "USAGE_DRAIN_TIMEOUT_S", 0.01)
    responses = Responses("a", silent=True)
    await responses.drain()
    assert responses.cancelled == ["a"]
