"""Facts where a chat endpoint is set: it answers, and code only in its place."""

from __future__ import annotations

from dataclasses import replace

from offline.endpoints.errors import EndpointFault
from offline.protocol.worker_messages import FACTS, AnsweredBy, LlmMessage, ReplyDone
from tests.support.endpoints.endpoint_rig import BASE_REQUEST, BY_ENDPOINT, OpenRig, failure, spoken
from tests.support.endpoints.fake_chat_client import FakeChatClient, answer

REQUEST = replace(BASE_REQUEST, messages=(*BASE_REQUEST.messages, LlmMessage("user", "What is two plus two?")))


async def test_endpoint_answers_what_code_could(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient(answer("It is ", "four.")))
    results = await rig.reply_to(REQUEST)
    assert spoken(results) == ["It is four."]
    assert isinstance(results[-1], ReplyDone) and results[-1].answered_by == BY_ENDPOINT


async def test_code_answers_in_place_of_an_endpoint_that_fails(open_rig: OpenRig) -> None:
    rig = open_rig(FakeChatClient([failure(EndpointFault.UNREACHABLE)]))
    results = await rig.reply_to(REQUEST)
    assert spoken(results) == ["2 plus 2 is 4."]
    by_code = AnsweredBy(FACTS, is_endpoint=False, fault=EndpointFault.UNREACHABLE.value)
    assert isinstance(results[-1], ReplyDone) and results[-1].answered_by == by_code
    assert rig.worker.language_model.prompts == []
