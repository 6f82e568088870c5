"""Keep-warm: pings of a silent session to a server that unloads its model, and none elsewhere."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.endpoints.chat_client import ChatEndpoint
from offline.endpoints.errors import EndpointFault
from offline.endpoints.settings import EndpointSettings
from offline.protocol.worker_messages import Prefill
from offline.remote.endpoint_model import STAYS_WARM_S
from offline.remote.keep_warm import PING_AFTER_S, keep_warm, ping_delay_s
from tests.support.endpoints.endpoint_rig import BASE_REQUEST, REQUEST, EndpointRig, OpenRig, failure
from tests.support.endpoints.fake_chat_client import FakeChatClient, answer
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import wait_until


class AnsweringEndpoint:
    """Endpoint that answers each ping after `latency_s`."""

    def __init__(self, clock: ManualClock, latency_s: float) -> None:
        self._clock = clock
        self._latency_s = latency_s
        self.answers = [clock.now]

    @property
    def ping_due_in_s(self) -> float:
        return ping_delay_s(max(self.answers), self._clock.now)

    def ping(self) -> None:
        self.answers.append(self._clock.now + self._latency_s)


@given(st.lists(st.floats(0.1, 1500.0), max_size=6), st.floats(0.0, 10.0))
def test_model_stays_warm_in_silences_of_any_length(silences: list[float], latency_s: float) -> None:
    async def run() -> list[float]:
        clock = ManualClock()
        endpoint = AnsweringEndpoint(clock, latency_s)
        task = asyncio.create_task(keep_warm(endpoint, endpoint.ping, clock.sleep))
        await asyncio.sleep(0)
        for silence_s in silences:
            await clock.advance(silence_s)
            endpoint.answers.append(clock.now)  # a turn
        task.cancel()
        return endpoint.answers

    gaps = [later - earlier for earlier, later in pairwise(sorted(asyncio.run(run())))]
    assert all(gap < STAYS_WARM_S for gap in gaps)
    # A ping near a turn does no harm, and there are no more of them than the time needs.
    assert len(gaps) - len(silences) <= sum(silences) / PING_AFTER_S


async def open_silent_session(open_rig: OpenRig, client: FakeChatClient) -> EndpointRig:
    """Open a session that has had its first warm-up."""
    rig = open_rig(client)
    rig.worker.worker.submit(Prefill(BASE_REQUEST))
    await wait_until(lambda: client.warm_ups)
    await rig.clock.advance(1)
    return rig


async def test_silent_session_pings_until_it_ends(open_rig: OpenRig) -> None:
    client = FakeChatClient(answer("Yes."))
    client.unloads_when_idle = True
    rig = await open_silent_session(open_rig, client)
    for number in (2, 3):
        await rig.clock.advance(STAYS_WARM_S)
        assert len(client.warm_ups) == number
    assert client.warm_ups[-1].messages == client.warm_ups[0].messages, "the server keeps the processed prompt"
    await rig.worker.worker.close()
    await rig.clock.advance(10 * STAYS_WARM_S)
    assert len(client.warm_ups) == 3


async def test_session_that_talks_does_not_ping(open_rig: OpenRig) -> None:
    client = FakeChatClient(answer("Yes."))
    client.unloads_when_idle = True
    rig = await open_silent_session(open_rig, client)
    for _ in range(5):
        await rig.clock.advance(PING_AFTER_S / 2)
        await rig.reply_to(REQUEST)
    assert len(client.warm_ups) == 1


@pytest.mark.parametrize(("unloads", "is_private"), [(False, True), (True, False)])
async def test_server_that_stays_loaded_or_may_cost_money_is_not_pinged(
    open_rig: OpenRig, unloads: bool, is_private: bool
) -> None:
    client = FakeChatClient(answer("Yes."), is_private=is_private)
    client.unloads_when_idle = unloads
    rig = await open_silent_session(open_rig, client)
    await rig.clock.advance(5 * STAYS_WARM_S)
    assert len(client.warm_ups) == 1


async def test_failed_ping_is_repeated_at_its_usual_time(open_rig: OpenRig) -> None:
    client = FakeChatClient(answer("Yes."))
    client.unloads_when_idle = True
    rig = await open_silent_session(open_rig, client)
    client.warm_up_script = [failure(EndpointFault.SERVER_ERROR)]
    await rig.clock.advance(PING_AFTER_S)
    assert len(client.warm_ups) == 2
    client.warm_up_script = ()
    await rig.clock.advance(PING_AFTER_S - 2)
    assert len(client.warm_ups) == 2
    await rig.clock.advance(2)
    assert len(client.warm_ups) == 3


@pytest.mark.parametrize(("url", "unloads"), [("http://127.0.0.1:11434/v1", True), ("http://127.0.0.1:1234/v1", False)])
async def test_only_a_server_of_ollama_is_known_to_unload_its_model(url: str, unloads: bool) -> None:
    endpoint = ChatEndpoint(EndpointSettings(url, "m"))
    assert endpoint.unloads_when_idle is unloads
    await endpoint.close()
