"""Chat endpoint as a language model: which turns it gets, and what its failures mean for the next ones."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol
from urllib.parse import urlsplit

from network.hosts import is_loopback_host
from offline.endpoints.chat_stream import ChatEnd, ChatEvent, ChatText
from offline.endpoints.circuit_breaker import BreakerState, CircuitBreaker, Lease
from offline.endpoints.dialect import ChatRequest
from offline.endpoints.errors import FAULTS_OF_THE_REQUEST, EndpointError, EndpointFault
from offline.protocol.worker_messages import ReplyRequest

from .chat_prompt import CONTEXT_TOKENS, MIN_CONTEXT_TOKENS, build_chat_request
from .endpoint_faults import OnFault, ignore_fault
from .keep_warm import ping_delay_s

LOGGER = logging.getLogger(__name__)

LOADING_WAIT_S = 2.0
"""Seconds that a turn waits for a warm-up, which may have to load the model. Then this computer answers."""
STAYS_WARM_S = 240.0
"""Seconds after an answer in which the model is taken to be loaded. Ollama unloads it after five minutes."""


class ChatClient(Protocol):
    """Chat endpoint; implemented by `chat_client.ChatEndpoint`."""

    @property
    def host(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def is_private(self) -> bool: ...

    @property
    def unloads_when_idle(self) -> bool: ...

    @property
    def takes_images(self) -> bool: ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]: ...

    async def warm_up(self, request: ChatRequest) -> None: ...

    async def close(self) -> None: ...


class EndpointModel:
    """The endpoint with its circuit breaker. All methods belong to the event loop's thread."""

    def __init__(
        self,
        endpoint: ChatClient,
        languages: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        on_fault: OnFault = ignore_fault,
    ) -> None:
        self._endpoint = endpoint
        self._on_fault = on_fault
        self._languages = tuple(languages)
        self._clock = clock
        self._breaker = CircuitBreaker(clock)
        self._warm_up: asyncio.Task[None] | None = None
        self._waited_out: asyncio.Task[None] | None = None
        """The warm-up that a turn has waited for in vain."""
        self._answered_at: float | None = None
        """Time of the last answer, warm-ups included; None before the first one."""
        self._context_tokens = CONTEXT_TOKENS
        """Window of the model, as far as its refusals have shown it."""
        self.last_fault: EndpointFault | None = None
        """Why the endpoint gets no turns at present; None while it does."""

    @property
    def name(self) -> str:
        """Model and host, which are safe to show."""
        return f"{self._endpoint.model} at {self._endpoint.host}" if self._endpoint.model else self._endpoint.host

    @property
    def model(self) -> str:
        """Name of the model; "" before it is known."""
        return self._endpoint.model

    @property
    def takes_images(self) -> bool:
        """Return whether the model may see pictures: it has refused none."""
        return self._endpoint.takes_images

    @property
    def is_private(self) -> bool:
        """Return whether requests cost no money: the endpoint belongs to this computer or a private network."""
        return self._endpoint.is_private

    @property
    def is_on_this_computer(self) -> bool:
        """Return whether the endpoint uses this computer's processors, as far as its address tells."""
        return is_loopback_host(urlsplit(f"//{self._endpoint.host}").hostname or "")

    @property
    def may_speculate(self) -> bool:
        """Return whether a reply may be started that may be discarded: not where every request costs money."""
        return self.is_private or self._breaker.remaining_s > 0

    @property
    def is_answering(self) -> bool:
        """Return whether the next turn goes to the endpoint, as far as is known."""
        return self._breaker.state is BreakerState.CLOSED

    @property
    def ping_due_in_s(self) -> float:
        """Seconds until the model would be unloaded soon, 0 when a ping is due; see `keep_warm`.

        A model that stays loaded needs no ping, and at a public address it could cost money.
        """
        is_pinged = self._endpoint.unloads_when_idle and self.is_private
        return ping_delay_s(self._answered_at if is_pinged else None, self._clock())

    @property
    def _is_warm(self) -> bool:
        return self._answered_at is not None and self._clock() - self._answered_at < STAYS_WARM_S

    @property
    def _is_warming_up(self) -> bool:
        return self._warm_up is not None and not self._warm_up.done()

    async def admit(self, request: ReplyRequest) -> Lease | EndpointFault:
        """Return the lease with which this turn calls `stream`, to be given back with `release`; else why it does not.

        Waits for a warm-up that loads the model, at most `LOADING_WAIT_S`, and only one turn for each. At a private
        endpoint a warm-up is on trial after a failure, so that no caller waits for it; elsewhere the next turn is.
        """
        if self.is_private and self.is_answering and self._answered_at is not None and not self._is_warm:
            self.start_warm_up(request)
        if not self._is_warm and self._is_warming_up and self.is_answering and not await self._is_loaded_in_time():
            self._on_fault(EndpointFault.LOADING)
            return EndpointFault.LOADING
        lease = self._breaker.admit() if self.is_answering or not self.is_private else None
        return lease or self.last_fault or EndpointFault.UNREACHABLE

    def release(self, lease: Lease) -> None:
        """Note that the turn has ended, also if `stream` was not iterated."""
        self._breaker.release(lease)

    async def stream(self, request: ReplyRequest, lease: Lease) -> AsyncGenerator[ChatEvent, None]:
        """Yield the reply's events as they arrive. Closing the generator ends the request. Raises `EndpointError`.

        A prompt that is too long is shortened once.
        """
        has_text = False
        try:
            try:
                async with aclosing(self._events(request, lease, self._context_tokens)) as events:
                    async for event in events:
                        has_text = has_text or isinstance(event, ChatText)
                        yield event
            except EndpointError as error:
                if error.fault is not EndpointFault.CONTEXT_LENGTH or has_text:
                    raise
                smaller = self._smaller_window(error)
                async with aclosing(self._events(request, lease, smaller)) as events:
                    async for event in events:
                        self._context_tokens = min(self._context_tokens, smaller)
                        yield event
        except EndpointError as error:
            self._note_failure(error, lease)
            raise
        except Exception as error:
            raise self._unexpected(error, lease) from None

    async def _events(
        self, request: ReplyRequest, lease: Lease, context_tokens: int
    ) -> AsyncGenerator[ChatEvent, None]:
        chat = build_chat_request(request, self._languages, context_tokens)
        has_words = False
        async with aclosing(self._endpoint.stream(chat)) as events:
            async for event in events:
                # Thoughts are no success: a model that thinks for too long would be asked in every turn.
                is_word = isinstance(event, ChatText) or (isinstance(event, ChatEnd) and bool(event.tool_calls))
                if is_word and not has_words:
                    has_words = True
                    self._note_success(lease)
                yield event
        if has_words:
            self._answered_at = self._clock()

    def _smaller_window(self, error: EndpointError) -> int:
        """Return the window that the refusal of a prompt names, else half of the present one."""
        named, half = error.context_tokens, self._context_tokens // 2
        return max(MIN_CONTEXT_TOKENS, named if named is not None and named < self._context_tokens else half)

    def start_warm_up(self, request: ReplyRequest) -> None:
        """Load the model, open the connection and process the prompt ahead, unless that is in progress.

        An endpoint that costs money gets one such request until it has answered, and none later. A reply does not end
        it: that could end loading the model, and the reply needs what it processes.
        """
        may_cost = not self.is_private
        if self._is_warming_up or (may_cost and (self._answered_at is not None or not self.is_answering)):
            return
        lease = self._breaker.admit()
        if lease is None:
            return
        self._warm_up = asyncio.get_running_loop().create_task(self._run_warm_up(request, lease))
        self._warm_up.add_done_callback(lambda _: self.release(lease))  # runs also if the task never starts

    async def wait_for_warm_up(self) -> None:
        """Return when no warm-up is in progress. Cancellation leaves one running."""
        if self._warm_up is not None:
            await asyncio.wait([self._warm_up])

    async def _is_loaded_in_time(self) -> bool:
        """Return whether the warm-up ends within `LOADING_WAIT_S`; False at once if an earlier turn has waited so."""
        warm_up = self._warm_up
        if warm_up is None or warm_up is self._waited_out:
            return warm_up is None
        done, _ = await asyncio.wait([warm_up], timeout=LOADING_WAIT_S)
        if not done:
            self._waited_out = warm_up
        return bool(done)

    async def _run_warm_up(self, request: ReplyRequest, lease: Lease) -> None:
        try:
            await self._endpoint.warm_up(build_chat_request(request, self._languages, self._context_tokens))
            self._note_success(lease)
        except EndpointError as error:
            if error.fault is EndpointFault.CONTEXT_LENGTH:
                self._context_tokens = self._smaller_window(error)
            self._note_failure(error, lease)
        except Exception as error:
            self._unexpected(error, lease)

    def _note_success(self, lease: Lease) -> None:
        self._answered_at = self._clock()
        self._close_breaker(lease)

    def _close_breaker(self, lease: Lease) -> None:
        self._breaker.record_success(lease)
        if self.last_fault is not None and self.is_answering:
            LOGGER.info("chat endpoint: answers again host=%s", self._endpoint.host)
            self.last_fault = None
        if self.is_answering:
            self._on_fault(None)

    def _note_failure(self, error: EndpointError, lease: Lease) -> None:
        if error.fault is EndpointFault.TIMEOUT and self._answered_at is not None:
            self._answered_at = self._clock() - STAYS_WARM_S  # it may be loading its model again
        if error.fault not in FAULTS_OF_THE_REQUEST:
            self._breaker.record_failure(lease, error.retry_after_s)
            if not self.is_answering:
                self.last_fault = error.fault
                self._on_fault(error.fault)
        elif lease.is_trial:
            self._close_breaker(lease)  # it answered: the next request may succeed, which a warm-up need not
        LOGGER.warning(
            "chat endpoint: failed host=%s fault=%s status=%s pause_s=%.0f reason=%s",
            self._endpoint.host,
            error.fault.value,
            error.status,
            self._breaker.remaining_s,
            error,
        )

    def _unexpected(self, error: Exception, lease: Lease) -> EndpointError:
        """Note an error that should not occur. Its text may quote the conversation; its type does not."""
        LOGGER.error("chat endpoint: unexpected error=%s", type(error).__name__)
        failure = EndpointError(EndpointFault.MALFORMED, f"The answer of {self._endpoint.host} cannot be read.")
        self._note_failure(failure, lease)
        return failure

    async def close(self) -> None:
        """End the warm-up and close the connections."""
        if self._warm_up is not None:
            self._warm_up.cancel()
            await asyncio.gather(self._warm_up, return_exceptions=True)
        await self._endpoint.close()
