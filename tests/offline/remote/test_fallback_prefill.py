"""Prefill of the model of this computer beside an endpoint that needs the same processors: once that has failed."""

from __future__ import annotations

import asyncio

import pytest

from offline.endpoints.errors import EndpointFault
from offline.protocol.worker_messages import Generate, Prefill
from tests.support.endpoints.endpoint_rig import BASE_REQUEST, REQUEST, EndpointRig, OpenRig, failure
from tests.support.endpoints.fake_chat_client import FakeChatClient, Step, answer
from tests.support.offline.fake_models import wait_until


def open_loopback_rig(open_rig: OpenRig, warm_up_script: list[Step]) -> EndpointRig:
    rig = open_rig(FakeChatClient(answer("Yes.")))
    rig.client.host = "127.0.0.1:11434"
    rig.client.warm_up_script = warm_up_script
    return rig


@pytest.mark.parametrize("fault", [EndpointFault.UNREACHABLE, EndpointFault.SERVER_ERROR, EndpointFault.NOT_FOUND])
async def test_failed_warm_up_starts_the_prefill_before_the_first_turn(open_rig: OpenRig, fault: EndpointFault) -> None:
    rig = open_loopback_rig(open_rig, [failure(fault)])
    rig.worker.worker.submit(Prefill(BASE_REQUEST))
    await wait_until(lambda: rig.worker.language_model.prefilled_prompts)
    assert len(rig.client.warm_ups) == 1


async def test_warm_up_that_succeeds_or_goes_on_starts_no_prefill(open_rig: OpenRig) -> None:
    may_end = asyncio.Event()
    rig = open_loopback_rig(open_rig, [may_end])
    rig.worker.worker.submit(Prefill(BASE_REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    assert rig.worker.language_model.prefilled_prompts == []
    may_end.set()
    assert rig.runtime.endpoint is not None
    await rig.runtime.endpoint.wait_for_warm_up()
    await rig.clock.advance(1)
    await rig.worker.worker.close()  # waits for the prefill
    assert rig.worker.language_model.prefilled_prompts == []


async def test_warm_up_that_fails_during_a_reply_starts_no_prefill(open_rig: OpenRig) -> None:
    may_fail, word = asyncio.Event(), asyncio.Event()
    rig = open_loopback_rig(open_rig, [])
    await rig.reply_to(REQUEST)
    rig.client.scripts = [[word, *answer("Yes.")]]
    rig.client.warm_up_script = [may_fail, failure(EndpointFault.UNREACHABLE)]
    rig.worker.worker.submit(Prefill(BASE_REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    rig.worker.worker.submit(Generate("r", REQUEST))
    await wait_until(lambda: len(rig.client.requests) == 2)
    may_fail.set()
    assert rig.runtime.endpoint is not None
    await rig.runtime.endpoint.wait_for_warm_up()
    word.set()
    await rig.worker.results_until_done()
    await rig.worker.worker.close()
    assert rig.worker.language_model.prefilled_prompts == []


async def test_end_of_the_session_leaves_the_warm_up_of_others_running(open_rig: OpenRig) -> None:
    may_end = asyncio.Event()
    rig = open_loopback_rig(open_rig, [may_end])
    rig.worker.worker.submit(Prefill(BASE_REQUEST))
    await wait_until(lambda: rig.client.warm_ups)
    await rig.worker.worker.close()
    assert rig.client.cancelled_count == 0
    may_end.set()
    assert rig.runtime.endpoint is not None
    await rig.runtime.endpoint.wait_for_warm_up()
    assert rig.runtime.endpoint.is_answering
