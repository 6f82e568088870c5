"""Session worker whose turns a scripted chat endpoint answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from offline.endpoints.errors import EndpointError, EndpointFault
from offline.pipeline.model_runtime import ModelRuntime
from offline.protocol.worker_messages import AnsweredBy, Generate, LlmMessage, ReplyRequest, ReplySpeech, WorkResult
from tests.support.endpoints.fake_chat_client import FakeChatClient
from tests.support.manual_clock import ManualClock
from tests.support.offline.fake_models import WorkerRig

LOCAL_TEXT = "Good morning. How are you?"
BASE_REQUEST = ReplyRequest((LlmMessage("system", "Be kind."),), speak=True)
REQUEST = replace(BASE_REQUEST, messages=(*BASE_REQUEST.messages, LlmMessage("user", "Hello there.")))
BY_ENDPOINT = AnsweredBy("big-model", is_endpoint=True)


def by_local_model(fault: EndpointFault) -> AnsweredBy:
    """Return who answered in place of an endpoint with this fault."""
    return AnsweredBy("fake-model", is_endpoint=False, fault=fault.value)


def failure(fault: EndpointFault, retry_after_s: float | None = None) -> EndpointError:
    """Return an error of an endpoint."""
    return EndpointError(fault, "It failed.", retry_after_s=retry_after_s)


@dataclass
class EndpointRig:
    """Session worker whose turns a scripted endpoint answers."""

    worker: WorkerRig
    runtime: ModelRuntime
    client: FakeChatClient
    clock: ManualClock
    reported_faults: list[Mapping[str, str]]
    """Present faults of the endpoint after each change."""

    async def reply_to(self, request: ReplyRequest) -> list[WorkResult]:
        """Ask for a reply and return its results."""
        self.worker.worker.submit(Generate("r", request))
        return await self.worker.results_until_done()


OpenRig = Callable[[FakeChatClient], EndpointRig]


def has_length(items: Sequence[object], length: int) -> bool:
    """Return whether there are at least `length` items."""
    return len(items) >= length


def spoken(results: Sequence[WorkResult]) -> list[str]:
    """Return the spoken clauses."""
    return [result.text for result in results if isinstance(result, ReplySpeech)]
