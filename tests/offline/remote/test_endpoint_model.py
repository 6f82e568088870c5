"""Chat endpoint as a language model: breaker between sessions, loading, windows, unexpected errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import pytest

from offline.endpoints.chat_stream import ChatEvent, ChatText, ChatThinking
from offline.endpoints.circuit_breaker import PAUSES_S, Lease
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.protocol.worker_messages import LlmMessage
from offline.remote import endpoint_model
from offline.remote.endpoint_model import STAYS_WARM_S, EndpointModel
from tests.support.endpoints.endpoint_rig import REQUEST, failure
from tests.support.endpoints.fake_chat_client import FakeChatClient, answer
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import wait_until

LONG_REQUEST = replace(
    REQUEST, messages=(*REQUEST.messages, *(LlmMessage("user", f"Line {number}. " * 40) for number in range(80)))
)


def open_model(client: FakeChatClient) -> tuple[EndpointModel, ManualClock]:
    clock = ManualClock()
    return EndpointModel(client, ("en",), clock), clock


async def lease_of(model: EndpointModel) -> Lease:
    """Return the lease of a turn that has to go to the endpoint."""
    lease = await model.admit(REQUEST)
    assert isinstance(lease, Lease)
    return lease


def opened(model: EndpointModel, lease: Lease) -> aclosing[AsyncGenerator[ChatEvent, None]]:
    return aclosing(model.stream(REQUEST, lease))


async def reply(model: EndpointModel) -> str:
    """Return the text of one turn."""
    lease = await lease_of(model)
    try:
        async with opened(model, lease) as events:
            return "".join([event.text async for event in events if isinstance(event, ChatText)])
    finally:
        model.release(lease)


async def test_stream_of_another_session_does_not_end_a_pause() -> None:
    rest = asyncio.Event()
    model, _ = open_model(FakeChatClient([*answer("One. ")[:1], rest, *answer("Two.")], [failure_of_limit()]))
    first = await lease_of(model)
    async with opened(model, first) as events:
        assert await anext(events) == ChatText("One. ")
        with pytest.raises(EndpointError):
            await reply(model)
        rest.set()
        assert await anext(events) == ChatText("Two.")
    model.release(first)
    assert await model.admit(REQUEST) is EndpointFault.RATE_LIMITED


def failure_of_limit() -> EndpointError:
    return failure(EndpointFault.RATE_LIMITED, 300.0)


async def test_end_of_an_older_stream_does_not_end_the_trial_of_another_session() -> None:
    script = [*answer("One.")[:1], asyncio.Event()]
    model, clock = open_model(FakeChatClient(script, [failure_of_limit()], answer("Two."), is_private=False))
    old = await lease_of(model)
    async with opened(model, old) as events:
        await anext(events)
        with pytest.raises(EndpointError):
            await reply(model)
        await clock.advance(300.0)
        trial = await lease_of(model)
    model.release(old)
    assert await model.admit(REQUEST) is EndpointFault.RATE_LIMITED, "the trial goes on"
    model.release(trial)
    assert await reply(model) == "Two.", "a trial that was not iterated is repeated"


async def test_thoughts_without_a_word_are_no_success() -> None:
    model, clock = open_model(FakeChatClient([ChatThinking(), failure(EndpointFault.TIMEOUT)], is_private=False))
    for pause in PAUSES_S:
        with pytest.raises(EndpointError):
            await reply(model)
        await clock.advance(pause - 1.0)
        assert await model.admit(REQUEST) is EndpointFault.TIMEOUT
        await clock.advance(1.0)


async def test_turn_waits_once_for_a_model_that_may_have_been_unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeChatClient(answer("Yes."))
    model, clock = open_model(client)
    assert await reply(model) == "Yes."
    client.warm_up_script = [loaded := asyncio.Event()]
    await clock.advance(STAYS_WARM_S - 1.0)
    assert await reply(model) == "Yes." and client.warm_ups == []
    await clock.advance(STAYS_WARM_S)
    monkeypatch.setattr(endpoint_model, "LOADING_WAIT_S", 0.0)
    assert await model.admit(REQUEST) is EndpointFault.LOADING
    monkeypatch.setattr(endpoint_model, "LOADING_WAIT_S", 1e6)
    async with asyncio.timeout(10):
        assert await model.admit(REQUEST) is EndpointFault.LOADING, "a later turn does not wait"
    loaded.set()
    await wait_until(lambda: not model._is_warming_up)
    assert await reply(model) == "Yes."
    assert len(client.warm_ups) == 1
    await model.close()


async def test_warm_up_that_was_never_started_gives_its_trial_back() -> None:
    client = FakeChatClient([failure(EndpointFault.UNREACHABLE)], answer("Yes."))
    model, clock = open_model(client)
    with pytest.raises(EndpointError):
        await reply(model)
    await clock.advance(PAUSES_S[0])
    model.start_warm_up(REQUEST)
    await model.close()
    assert client.warm_ups == []
    model.start_warm_up(REQUEST)
    await wait_until(lambda: client.warm_ups)
    assert await reply(model) == "Yes."


@pytest.mark.parametrize("fault", [EndpointFault.REJECTED, EndpointFault.CONTEXT_LENGTH])
async def test_trial_that_refuses_the_warm_up_lets_the_next_turn_through(fault: EndpointFault) -> None:
    client = FakeChatClient([failure(EndpointFault.UNREACHABLE)], answer("Yes."))
    model, clock = open_model(client)
    with pytest.raises(EndpointError):
        await reply(model)
    await clock.advance(PAUSES_S[0])
    client.warm_up_script = [failure(fault)]
    model.start_warm_up(REQUEST)
    await wait_until(lambda: model.is_answering)
    assert await reply(model) == "Yes."


@pytest.mark.parametrize(("is_private", "expected"), [(True, [True] * 3), (False, [False, True, False])])
async def test_paid_trial_is_not_speculative(is_private: bool, expected: list[bool]) -> None:
    model, clock = open_model(FakeChatClient([failure(EndpointFault.SERVER_ERROR)], is_private=is_private))
    found = [model.may_speculate]
    with pytest.raises(EndpointError):
        await reply(model)
    found.append(model.may_speculate)
    await clock.advance(PAUSES_S[0])
    assert [*found, model.may_speculate] == expected


@pytest.mark.parametrize("named", [None, 2048])
async def test_prompt_that_is_too_long_is_shortened_once_and_the_window_remembered(named: int | None) -> None:
    refusal = EndpointError(EndpointFault.CONTEXT_LENGTH, "It failed.", context_tokens=named)
    client = FakeChatClient([refusal], answer("Yes."))
    model, _ = open_model(client)
    for _ in range(2):
        lease = await lease_of(model)
        async with aclosing(model.stream(LONG_REQUEST, lease)) as events:
            assert ChatText("Yes.") in [event async for event in events]
        model.release(lease)
    first, second, third = (sum(len(str(each)) for each in request.messages) for request in client.requests)
    assert second < first / 1.5 and third == second


async def test_prompt_that_is_still_too_long_is_no_reason_for_a_pause() -> None:
    client = FakeChatClient([failure(EndpointFault.CONTEXT_LENGTH)])
    model, _ = open_model(client)
    with pytest.raises(EndpointError) as raised:
        await reply(model)
    assert raised.value.fault is EndpointFault.CONTEXT_LENGTH
    assert len(client.requests) == 2 and model.is_answering


async def test_unexpected_error_counts_as_an_answer_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    model, _ = open_model(FakeChatClient([RuntimeError("a secret")]))
    with pytest.raises(EndpointError) as raised:
        await reply(model)
    assert raised.value.fault is EndpointFault.MALFORMED
    assert not model.is_answering
    assert "RuntimeError" in caplog.text and "secret" not in caplog.text + str(raised.value)
