"""Prompt prefill: the expected prompt of a session's next reply is processed ahead, by the endpoint or here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace

from offline.llm.errors import LlmError
from offline.protocol.worker_messages import LlmMessage, ReplyRequest
from offline.remote.endpoint_model import EndpointModel
from offline.remote.keep_warm import keep_warm

from .model_runtime import ModelRuntime

LOGGER = logging.getLogger(__name__)

PLACEHOLDER = "."
"""User's words in a prompt that is processed before they are known."""


def with_user_text(request: ReplyRequest, text: str) -> ReplyRequest:
    """Return `request` with the user's `text` as its last message."""
    return replace(request, messages=(*request.messages, LlmMessage("user", text)))


class PromptPrefill:
    """Prefill of one session on its `slot` of the language model. Belongs to the event loop's thread."""

    def __init__(
        self,
        runtime: ModelRuntime,
        slot: int,
        spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        is_replying: Callable[[], bool],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """`spawn` starts a task that ends with the session. While `is_replying`, nothing is processed ahead."""
        self.next_request: ReplyRequest | None = None
        """Expected request of the next reply, without the user's words."""
        self._runtime = runtime
        self._slot = slot
        self._spawn = spawn
        self._is_replying = is_replying
        self._task: asyncio.Task[None] | None = None
        if runtime.endpoint is not None:
            spawn(keep_warm(runtime.endpoint, self._ping, sleep))

    def start(self, user_text: str = PLACEHOLDER, *, for_fallback: bool = False) -> None:
        """Process `next_request` with the user's words so far; skipped while a prefill or a reply is in progress.

        Where an endpoint answers, the model here takes part only with `for_fallback`; beside an endpoint on this
        computer only once the warm-up has failed, so that a healthy one has the processors for itself.
        """
        if self._is_replying() or self.next_request is None:
            return
        expected = with_user_text(self.next_request, user_text)
        self._runtime.start_warm_up(expected)
        endpoint = self._runtime.endpoint
        if endpoint is None or not endpoint.is_answering or (for_fallback and self._runtime.prefills_for_fallback):
            self._start_here(expected)
        elif for_fallback:
            self._spawn(self._start_after_failure(endpoint, expected))

    async def _start_after_failure(self, endpoint: EndpointModel, expected: ReplyRequest) -> None:
        await endpoint.wait_for_warm_up()
        if not endpoint.is_answering and not self._is_replying():
            self._start_here(expected)

    def _start_here(self, expected: ReplyRequest) -> None:
        """Let the model of this computer process the prompt, unless a prefill is in progress."""
        if self._task is not None and not self._task.done():
            return
        prompt = self._runtime.build_prompt(self._runtime.plan_turn(expected).request)

        async def prefill() -> None:
            try:
                await self._runtime.prefill(prompt, self._slot)
            except LlmError as failure:
                LOGGER.warning("prefill: failed error=%s", failure)

        self._task = self._spawn(prefill())

    def _ping(self) -> None:
        if self.next_request is not None:
            self._runtime.start_warm_up(with_user_text(self.next_request, PLACEHOLDER))
