"""Chat completions endpoint: streamed replies over HTTP. Closing a stream closes the response, and the server stops."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, cast

import httpx

from offline.llm.message_images import has_images, refuses_images, without_images
from offline.llm.token_estimate import estimate_tokens

from .chat_stream import ChatEnd, ChatEvent, ChatStreamReader, ChatText, ChatThinking
from .dialect import WARM_UP_TOKENS, ChatDialect, ChatRequest, ChatServer, ThoughtEvidence, recognize_server
from .errors import EndpointError, EndpointFault, status_error
from .http_client import HttpEndpoint, endpoint_errors, error_body, list_models, only_model, send_request
from .settings import EndpointSettings
from .sse import MAX_EVENT_CHARS, SseParser

FIRST_EVENT_TIMEOUT_S = 8.0
"""Seconds from the request to the first event of a reply, changes of the request after refusals included."""
WARM_UP_TIMEOUT_S = 60.0
"""Seconds until the first event of the warm-up, during which Ollama and LM Studio load the model."""
BETWEEN_EVENTS_TIMEOUT_S = 10.0
"""Seconds without an event within a reply."""
FIRST_WORD_TIMEOUT_S = 12.0
"""Seconds from the request to the first text or tool call of a model that does not think."""
MAX_THINKING_S = 20.0
"""Seconds from the request to the first word of a model that thinks."""
USAGE_TIMEOUT_S = 1.0
"""Seconds for the token counts, after the reason of the reply's end."""
DRAIN_TIMEOUT_S = 0.1
"""Seconds for the end of the response after everything of interest. A response read to its end keeps the connection."""
MODELS_TIMEOUT_S = 5.0
"""Seconds for the list of models."""
PROBE_TOKENS = 256
"""Limit of the answer that shows whether the text of a model begins within thoughts. Most have closed them by then."""
PROBE_QUESTION = {"role": "user", "content": "Answer OK."}
"""Question after the prompt of the warm-up, whose beginning is processed all the same."""
MAX_ADAPTATIONS = 6
"""Changes of one request after refusals."""
MAX_RETRY_PAUSE_S = 1.0
"""Longest pause before the one retry that a busy endpoint asks for."""

_LIST_REFUSALS = frozenset(
    {EndpointFault.NOT_FOUND, EndpointFault.REJECTED, EndpointFault.UNAUTHORIZED, EndpointFault.MALFORMED}
)
"""Faults of the list of models after which it is not asked for again."""
_END_OF_STREAM = "[DONE]"


class ChatEndpoint(HttpEndpoint):
    """Chat endpoint for the life of the process. Belongs to one event loop. Every failure is an `EndpointError`."""

    def __init__(self, settings: EndpointSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without a request. `clock` gives seconds. Raises `EndpointError` for an unusable proxy setting."""
        super().__init__(settings)
        self._clock = clock
        self._dialect = ChatDialect(settings.model, recognize_server(settings.host))
        self._has_listed_models = False
        self._probe: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        """Name of the model; "" until the endpoint was asked for the only one that it offers."""
        return self._dialect.model

    @property
    def thinks(self) -> bool:
        """Return whether the model thinks before it speaks, as far as known."""
        return self._dialect.thinks

    @property
    def unloads_when_idle(self) -> bool:
        """Return whether the server unloads a model that gets no request for minutes, as far as known."""
        return self._dialect.server is ChatServer.OLLAMA

    @property
    def takes_images(self) -> bool:
        """Return whether the model may see pictures: it has refused none."""
        return self._dialect.takes_images

    async def close(self) -> None:
        """End the warm-up's answer and close all connections."""
        await self._end_probe()
        await super().close()

    async def warm_up(self, request: ChatRequest) -> None:
        """Process the prompt of `request`: the model is loaded, and the server's dialect is learned.

        One token is asked for. Where requests cost nothing and it is not known whether the text begins within thoughts,
        it is a short answer, which is read to its end after this method has returned, or until the next request.
        """
        await self._end_probe()
        if not self.model:
            await self._list_models(MODELS_TIMEOUT_S)
        elif self._dialect.server is ChatServer.UNKNOWN:
            # Only the switch against thoughts depends on the list. Without it the answers show what is needed.
            with suppress(EndpointError):
                await self._list_models(MODELS_TIMEOUT_S)
        if self.is_private and self._dialect.opens_in_prompt is None:
            await self._start_probe(request)
            return
        try:
            async with aclosing(
                self._stream(replace(request, max_tokens=WARM_UP_TOKENS), self._warm_up_deadlines())
            ) as events:
                async for event in events:
                    if isinstance(event, ChatThinking):
                        # Text that is held back because of the model's name is not known to be a thought.
                        self._dialect.learn(ThoughtEvidence(has_thoughts=not self._dialect.opens_in_prompt))
                        break
        except EndpointError as error:
            if error.fault is not EndpointFault.EMPTY:
                raise

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Yield the events of the reply; `ChatEnd` is the last. Close the generator to cancel, with `aclosing`."""
        await self._end_probe()
        thinks = self._dialect.thinks or self._dialect.opens_in_prompt
        first_word_s = MAX_THINKING_S if thinks else FIRST_WORD_TIMEOUT_S
        deadlines = _Deadlines(self._clock, FIRST_EVENT_TIMEOUT_S, first_word_s, MAX_THINKING_S)
        async with aclosing(self._stream(request, deadlines)) as events:
            async for event in events:
                yield event

    def _warm_up_deadlines(self) -> _Deadlines:
        return _Deadlines(self._clock, WARM_UP_TIMEOUT_S, WARM_UP_TIMEOUT_S, WARM_UP_TIMEOUT_S)

    async def _start_probe(self, request: ChatRequest) -> None:
        """Ask for a short answer after the prompt of `request`; return at its first event. Raises `EndpointError`."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = replace(request, messages=(*request.messages, PROBE_QUESTION), max_tokens=PROBE_TOKENS)
        self._probe = probe = asyncio.create_task(self._run_probe(request, begun))
        try:
            await asyncio.wait([probe, begun], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            probe.cancel()
            raise
        if probe.done() and not probe.cancelled():
            probe.result()

    async def _run_probe(self, request: ChatRequest, begun: asyncio.Future[None]) -> None:
        """Learn from an answer whether the text begins within thoughts. `begun` is set at its first event."""
        reader = ChatStreamReader(self.host, opened_in_prompt=True)
        try:
            async with aclosing(self._stream(request, self._warm_up_deadlines(), reader)) as events:
                async for _ in events:
                    if not begun.done():
                        begun.set_result(None)
                    if reader.evidence.opened_in_prompt is not None:
                        break
        except EndpointError as error:
            if error.fault is not EndpointFault.EMPTY:
                raise
            if reader.holds_text:
                # An answer of this length is not "OK": the limit came within thoughts without an opening tag.
                self._dialect.learn(ThoughtEvidence(has_thoughts=True, opened_in_prompt=True))

    async def _end_probe(self) -> None:
        """End the warm-up's short answer: the slot of the server is needed."""
        if (probe := self._probe) is not None:
            self._probe = None
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)

    async def _stream(
        self, request: ChatRequest, deadlines: _Deadlines, reader: ChatStreamReader | None = None
    ) -> AsyncGenerator[ChatEvent, None]:
        if not self.model:
            await self._list_models(min(MODELS_TIMEOUT_S, deadlines.remaining_s))
        response = await self._open(request, deadlines)
        # Where it is unknown, an answer that costs money is held back at first; elsewhere the warm-up has shown it.
        opened = False if self.is_private and self._dialect.opens_in_prompt is None else self._dialect.opens_in_prompt
        reader = reader or ChatStreamReader(self.host, opened_in_prompt=opened, prompt_tokens=_estimate_prompt(request))
        try:
            blocks = cast(AsyncGenerator[bytes, None], response.aiter_bytes())
            async with aclosing(blocks), aclosing(self._read(blocks, reader, deadlines)) as events:
                async for event in events:
                    yield event
        finally:
            self._dialect.learn(reader.evidence)
            await response.aclose()

    async def _list_models(self, timeout_s: float) -> None:
        """Take the only model if none is set, and recognize the server by its list. Asks once if that is enough."""
        if self.model and self._has_listed_models:
            return
        try:
            models = await list_models(self._client, self._settings, timeout_s)
        except EndpointError as error:
            self._has_listed_models = error.fault in _LIST_REFUSALS
            raise
        self._has_listed_models = True
        name = self.model or only_model(models, self.host)
        owner = next((model.owned_by for model in models if model.name == name), "")
        if not self.model:
            self._dialect = ChatDialect(name, self._dialect.server)
        self._dialect.set_server(recognize_server(self.host, owner))

    async def _open(self, request: ChatRequest, deadlines: _Deadlines) -> httpx.Response:
        """Return the response whose answer is to be read. Refused fields are changed, a busy server asked again."""
        may_retry = True
        dialect, refusals = self._dialect.copy(), list[tuple[dict[str, Any], dict[str, Any]]]()
        for adaptations_left in range(MAX_ADAPTATIONS, -1, -1):
            body = dialect.build_body(request)
            response = await self._send(body, deadlines)
            if response.is_success:
                for refused in refusals:
                    self._dialect.adapt(*refused)
                return response
            try:
                with endpoint_errors(self.host):
                    async with asyncio.timeout(deadlines.remaining_s):
                        refusal = await error_body(response)
            finally:
                await response.aclose()
            status = response.status_code
            # llama.cpp without a projector for pictures answers 500.
            is_about_images = status in (415, 500) and has_images(body["messages"]) and refuses_images(refusal)
            is_refusal = status in (400, 422) or is_about_images
            if is_refusal and adaptations_left and dialect.adapt(refusal, body):
                refusals.append((refusal, body))
                continue
            error = status_error(self.host, status, response.headers, refusal)
            if error.fault is EndpointFault.EMPTY:
                self._dialect.learn(ThoughtEvidence(has_thoughts=True))
            pause = error.retry_after_s
            if error.fault is not EndpointFault.RATE_LIMITED or pause is None or pause > MAX_RETRY_PAUSE_S:
                raise error
            if not may_retry:
                raise error
            may_retry = False
            await asyncio.sleep(pause)
        raise EndpointError(EndpointFault.REJECTED, f"{self.host} refuses every form of the request.")

    async def _send(self, body: dict[str, Any], deadlines: _Deadlines) -> httpx.Response:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        # Compression keeps events back in several proxies.
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Accept-Encoding": "identity"}
        request = self._client.build_request("POST", "chat/completions", content=content, headers=headers)
        with endpoint_errors(self.host):
            async with asyncio.timeout(deadlines.remaining_s):
                response = await send_request(self._client, request)
        self._dialect.set_server(recognize_server("", "", response.headers.get("server", "")))
        return response

    async def _read(
        self, blocks: AsyncGenerator[bytes, None], reader: ChatStreamReader, deadlines: _Deadlines
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield the events of a response. Reads to its end, so that the connection can be used again."""
        payloads = _PayloadParser(self.host)
        while True:
            try:
                with endpoint_errors(self.host):
                    async with asyncio.timeout(deadlines.remaining_s):
                        block = await anext(blocks, None)
            except EndpointError as error:
                if not reader.is_finished and not payloads.is_done:
                    raise deadlines.explain(error, self.host) from error
                block = None  # The answer is complete, only its end is missing.
            received = payloads.flush() if block is None else payloads.feed(block)
            for payload in received:
                for event in reader.read(payload):
                    deadlines.note(event)
                    yield event
                if reader.has_begun:
                    deadlines.note_words()
                deadlines.extend()
            if block is None:
                break
            if payloads.is_done or (reader.is_finished and reader.has_usage):
                deadlines.shorten(DRAIN_TIMEOUT_S)
            elif reader.is_finished:
                deadlines.shorten(USAGE_TIMEOUT_S)
        if payloads.is_page:
            raise EndpointError(EndpointFault.MALFORMED, f"{self.host} sent an answer that cannot be read.")
        for event in reader.finish(is_done=payloads.is_done):
            yield event


class _Deadlines:
    """Times until which a reply waits for its next event, by the clock of the endpoint."""

    def __init__(
        self, clock: Callable[[], float], first_event_s: float, first_word_s: float, thinking_s: float
    ) -> None:
        """Start with the request. The seconds count from it: to an event, to a word, and to a word after thoughts."""
        self._clock = clock
        start = clock()
        self._next_event = start + first_event_s
        self._first_word: float | None = start + first_word_s
        self._first_word_after_thoughts = start + thinking_s
        self._is_thinking = False
        self._is_ending = False

    @property
    def remaining_s(self) -> float:
        """Seconds that the next event may still take."""
        deadline = self._next_event if self._first_word is None else min(self._next_event, self._first_word)
        return max(0.0, deadline - self._clock())

    def extend(self) -> None:
        """Note an event."""
        if not self._is_ending:
            self._next_event = self._clock() + BETWEEN_EVENTS_TIMEOUT_S

    def note(self, event: ChatEvent) -> None:
        """Note words or thoughts."""
        if isinstance(event, ChatText | ChatEnd):
            self.note_words()
        elif self._first_word is not None:
            self._first_word, self._is_thinking = self._first_word_after_thoughts, True

    def note_words(self) -> None:
        """Note text or a tool call, also such as is not delivered yet."""
        self._first_word, self._is_thinking = None, False

    def shorten(self, timeout_s: float) -> None:
        """Note the end of the answer: the rest of the response is worth a short wait only."""
        deadline = self._clock() + timeout_s
        self._next_event = min(self._next_event, deadline) if self._is_ending else deadline
        self._is_ending, self._first_word = True, None

    def explain(self, error: EndpointError, host: str) -> EndpointError:
        """Return `error`, or that thoughts took too long where that is the reason."""
        if error.fault is EndpointFault.TIMEOUT and self._is_thinking:
            return EndpointError(EndpointFault.TIMEOUT, f"{host} thinks for too long.")
        return error


class _PayloadParser:
    """Finds the JSON payloads in a response: events of a stream, or the one object of a server that streams none."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._events = SseParser(host)
        self._object: bytearray | None = None
        self._has_bytes = False
        self.is_page = False
        """The response is markup, such as the page of a proxy or of a login."""
        self.is_done = False
        """The server marked the end of the stream."""

    def feed(self, block: bytes) -> list[Any]:
        """Return the payloads that `block` completes. Raises `EndpointError`."""
        if not self._has_bytes:
            block = block.lstrip()
            self._has_bytes, self.is_page = bool(block), block[:1] == b"<"
            if block[:1] == b"{":
                self._object = bytearray()
        if self._object is not None:
            self._object += block
            if len(self._object) > MAX_EVENT_CHARS:
                raise EndpointError(EndpointFault.MALFORMED, f"{self._host} sent an answer that is too long.")
            return []
        return [payload for event in self._events.feed(block) for payload in self._parse(event.data, event.event)]

    def flush(self) -> list[Any]:
        """Return the payloads at the end of the response. Raises `EndpointError`."""
        if self._object is not None:
            return self._parse(self._object.decode("utf-8", "replace"), "")
        return [payload for event in self._events.flush() for payload in self._parse(event.data, event.event)]

    def _parse(self, data: str, event: str) -> list[Any]:
        if self.is_done or not data.strip():
            return []
        if data.strip() == _END_OF_STREAM:
            self.is_done = True
            return []
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError):
            if event != "error":
                raise EndpointError(
                    EndpointFault.MALFORMED, f"{self._host} sent an answer that cannot be read."
                ) from None
            payload = None
        if event == "error" and not (isinstance(payload, dict) and payload.get("error")):
            return [{"error": payload if isinstance(payload, dict) and payload else "error"}]
        return [payload]


def _estimate_prompt(request: ChatRequest) -> int:
    """Return the estimated tokens of the prompt."""
    return estimate_tokens(json.dumps([without_images(request.messages), request.tools], ensure_ascii=False))
