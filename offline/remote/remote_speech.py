"""Speech and recognition by an endpoint, with this computer's own in reserve.

A reply has one voice change at most: from the clause on at which the endpoint failed, this computer speaks. A turn is
recognised in both places at once, so that a failure of the endpoint costs no time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Protocol

from offline.audio import duration_s
from offline.chinese_text import contains_han, to_full_width_punctuation, to_traditional
from offline.endpoints.circuit_breaker import BreakerState, CircuitBreaker, Lease
from offline.endpoints.errors import FAULTS_OF_THE_REQUEST, EndpointError, EndpointFault
from offline.protocol.worker_messages import LanguageCode
from offline.stt.hallucinations import is_made_up
from offline.stt.recognition_rules import MIN_SPEECH_S, RecognitionResult, is_plausible

from .endpoint_faults import OnFault, ignore_fault

LOGGER = logging.getLogger(__name__)

MAX_REQUESTS_IN_FLIGHT = 2
"""Requests of one reply at a time: the next clause is under way while one is awaited, and few are wasted."""
MAX_WAIT_AFTER_LOCAL_S = 1.5
"""Seconds that the endpoint's words are awaited once this computer's own are there."""
MAX_FIXED_SENTENCES = 16
"""Sentences of the server's own whose audio is kept. There are two, at each speed that a session asks for."""


class SpeechClient(Protocol):
    """Speech synthesis by address; implemented by `speech_client.SpeechEndpoint`. Raises `EndpointError`."""

    @property
    def host(self) -> str: ...

    @property
    def is_private(self) -> bool: ...

    async def synthesize(self, text: str, speed: float) -> bytes: ...

    async def close(self) -> None: ...


class TranscriptionClient(Protocol):
    """Recognition by address; implemented by `transcription_client.TranscriptionEndpoint`. Raises `EndpointError`."""

    @property
    def host(self) -> str: ...

    async def transcribe(self, pcm: bytes, language: LanguageCode | None, prompt: str = "") -> str: ...

    async def close(self) -> None: ...


class EndpointHealth:
    """Circuit breaker of one endpoint, with the log line of its failures and its present fault."""

    def __init__(self, name: str, host: str, breaker: CircuitBreaker, on_fault: OnFault) -> None:
        self._name = name
        self._host = host
        self.breaker = breaker
        self._on_fault = on_fault
        self._last_fault: EndpointFault | None = None

    @property
    def present_fault(self) -> EndpointFault:
        """Why no request is sent, while the circuit breaker admits none."""
        return self._last_fault or EndpointFault.UNREACHABLE

    def record_success(self, lease: Lease) -> None:
        """Note that the endpoint has answered."""
        self.breaker.record_success(lease)
        if self.breaker.state is BreakerState.CLOSED:
            self._last_fault = None
            self._on_fault(None)

    def record_failure(self, lease: Lease, error: EndpointError) -> None:
        """Note a failed request. A fault of the request itself leaves the circuit as it was."""
        LOGGER.warning(
            "%s: endpoint failed host=%s fault=%s reason=%s", self._name, self._host, error.fault.value, error
        )
        if error.fault in FAULTS_OF_THE_REQUEST:
            self.breaker.release(lease)
        else:
            self.breaker.record_failure(lease, error.retry_after_s)
            if self.breaker.state is not BreakerState.CLOSED:
                self._last_fault = error.fault
                self._on_fault(error.fault)

    def unexpected(self, error: Exception) -> EndpointError:
        """Return what an unexpected error counts as. Its text may quote the conversation; its type does not."""
        LOGGER.error("%s: unexpected error=%s", self._name, type(error).__name__)
        return EndpointError(EndpointFault.MALFORMED, f"The answer of {self._host} cannot be read.")


class FallbackSpeech:
    """Speech by an endpoint for all sessions of the process. Belongs to one event loop."""

    def __init__(
        self, client: SpeechClient, breaker: CircuitBreaker | None = None, on_fault: OnFault = ignore_fault
    ) -> None:
        self.client = client
        self.health = EndpointHealth("speech", client.host, breaker or CircuitBreaker(), on_fault)
        self._fixed_speech: dict[tuple[str, float], bytes] = {}

    async def synthesize_fixed(self, text: str, speed: float) -> bytes:
        """Return the audio of one of the server's own sentences, made once; b"" where another voice would say the rest.

        That is while the endpoint rests after a failure, and when it fails now.
        """
        breaker, key = self.health.breaker, (text, speed)
        if breaker.state is not BreakerState.CLOSED or (lease := breaker.admit()) is None:
            return b""
        if key not in self._fixed_speech:
            try:
                audio = await self.synthesize(text, speed)
            except EndpointError as error:
                self.health.record_failure(lease, error)
                return b""
            finally:
                breaker.release(lease)
            if len(self._fixed_speech) >= MAX_FIXED_SENTENCES:
                self._fixed_speech.clear()
            self._fixed_speech[key] = audio
        return self._fixed_speech[key]

    async def synthesize(self, text: str, speed: float) -> bytes:
        """Return the endpoint's audio of one clause. Raises `EndpointError` for every failure."""
        try:
            return await self.client.synthesize(text, speed)
        except EndpointError:
            raise
        except Exception as error:
            raise self.health.unexpected(error) from None

    def open_reply(
        self, speed: float, local: Callable[[str], Awaitable[bytes]], committed: asyncio.Event
    ) -> RemoteReplySpeech:
        """Return the speech of one reply. `local` synthesises a clause on this computer.

        A reply that may be discarded costs money at a public endpoint: its requests wait for `committed`.
        """
        return RemoteReplySpeech(self, speed, local, None if self.client.is_private else committed)


class RemoteReplySpeech:
    """Speech of one reply: `MAX_REQUESTS_IN_FLIGHT` requests at a time, delivered in order."""

    def __init__(
        self,
        speech: FallbackSpeech,
        speed: float,
        local: Callable[[str], Awaitable[bytes]],
        wait_for: asyncio.Event | None,
    ) -> None:
        self._speech = speech
        self._speed = speed
        self._local = local
        self._wait_for = wait_for
        self._lease: Lease | None = None
        """Right to use the endpoint, from the first clause on; None without it."""
        self._has_asked = False
        """The circuit breaker was asked for the lease."""
        self._failed = False
        """A request failed: no further one is sent."""
        self._is_local = False
        """The failure was reached in the order of the clauses: this computer speaks the rest."""
        self.fault: EndpointFault | None = None
        """Why this computer has spoken a clause; None while the endpoint has spoken all."""
        self._is_cancelled = False
        self._room = asyncio.Semaphore(MAX_REQUESTS_IN_FLIGHT)
        self._requests: set[asyncio.Task[bytes]] = set()
        self._local_task: asyncio.Future[bytes] | None = None

    async def synthesized(self, clauses: AsyncIterable[tuple[str, str]]) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield each clause with its PCM16 at 24 kHz, in order. `clauses` are written texts, each with the text to say.

        Closing the generator closes the connections. Raises what `clauses` raises, after the clauses before it.
        """
        started: asyncio.Queue[tuple[str, str, asyncio.Task[bytes] | None] | None] = asyncio.Queue()
        producer = asyncio.get_running_loop().create_task(self._start_requests(clauses, started))
        try:
            while (entry := await started.get()) is not None:
                clause, spoken, request = entry
                audio = await self._await_audio(spoken, request)
                if audio is not None and not self._is_cancelled:
                    yield clause, audio
            await producer
        finally:
            tasks = [producer, *self._requests]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._lease is not None:
                self._speech.health.breaker.release(self._lease)

    def cancel(self) -> None:
        """Yield no further clause, and close the connections; `synthesized` goes on until its clauses end."""
        self._is_cancelled = True
        for request in self._requests:
            request.cancel()
        if self._local_task is not None:
            self._local_task.cancel()

    async def _start_requests(
        self,
        clauses: AsyncIterable[tuple[str, str]],
        started: asyncio.Queue[tuple[str, str, asyncio.Task[bytes] | None] | None],
    ) -> None:
        try:
            async for clause, spoken in clauses:
                started.put_nowait((clause, spoken, await self._start_request(spoken)))
        finally:
            started.put_nowait(None)

    async def _start_request(self, spoken: str) -> asyncio.Task[bytes] | None:
        """Return the request for one clause once there is room; None when this computer speaks it or it is silent."""
        if not spoken:
            return None
        breaker = self._speech.health.breaker
        if self._wait_for is not None and not breaker.remaining_s:
            await self._wait_for.wait()
        if not self._has_asked:
            self._has_asked, self._lease = True, breaker.admit()
        lease = self._lease
        if lease is None or self._failed:
            return None
        await self._room.acquire()
        if self._failed or self._is_cancelled:
            self._room.release()
            return None
        request = asyncio.get_running_loop().create_task(self._request(spoken, lease))
        self._requests.add(request)
        request.add_done_callback(self._finish_request)
        return request

    async def _request(self, spoken: str, lease: Lease) -> bytes:
        """Return the endpoint's audio of one clause, and note the outcome before anyone else learns of it."""
        health = self._speech.health
        try:
            audio = await self._speech.synthesize(spoken, self._speed)
        except EndpointError as error:
            if not self._failed:  # one failure of a reply is reported
                health.record_failure(lease, error)
            self._failed = True
            raise
        # Text without words needs no request. A success begun before a failure says nothing of what follows.
        if audio and not self._failed:
            health.record_success(lease)
        return audio

    def _finish_request(self, request: asyncio.Task[bytes]) -> None:
        """Make room for the next request. Runs also for a request that was cancelled before its start."""
        self._requests.discard(request)
        self._room.release()
        if not request.cancelled():
            request.exception()  # retrieved, because nothing awaits a request of a reply that is spoken here

    async def _await_audio(self, spoken: str, request: asyncio.Task[bytes] | None) -> bytes | None:
        """Return the audio of the next clause in order; None when it was cancelled."""
        if self._is_cancelled:
            return None
        try:
            if request is not None and not self._is_local:
                try:
                    return await request
                except EndpointError as error:
                    self._speak_locally(error.fault)
            if self.fault is None:
                self.fault = self._speech.health.present_fault
            self._local_task = asyncio.ensure_future(self._local(spoken))
            return await self._local_task
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_cancelled or (task is not None and task.cancelling()):
                raise
            return None

    def _speak_locally(self, fault: EndpointFault) -> None:
        """Let this computer speak the rest. What is requested for later clauses would change the voice back."""
        self._is_local = self._failed = True
        self.fault = fault
        for request in self._requests:
            request.cancel()


class FallbackTranscription:
    """Final words by an endpoint for all sessions of the process. Belongs to one event loop."""

    def __init__(
        self, client: TranscriptionClient, breaker: CircuitBreaker | None = None, on_fault: OnFault = ignore_fault
    ) -> None:
        self.client = client
        self.health = EndpointHealth("transcription", client.host, breaker or CircuitBreaker(), on_fault)

    async def transcribe(
        self,
        pcm: bytes,
        language: LanguageCode | None,
        local: Coroutine[object, object, RecognitionResult],
        on_local: Callable[[RecognitionResult], None] = lambda _: None,
    ) -> RecognitionResult:
        """Return the endpoint's words for `pcm` (PCM16 at 24 kHz); `local`, with the fault, if it fails or is late.

        `local` runs at the same time, and `on_local` receives its result first. Where it hears no speech, the result is
        empty: endpoints find words in noise. Raises what `local` raises.
        """
        breaker = self.health.breaker
        is_long_enough = duration_s(pcm) >= MIN_SPEECH_S
        lease = breaker.admit() if is_long_enough else None
        if lease is None:
            result = await local
            on_local(result)
            is_fallback = is_long_enough and result.text
            return replace(result, endpoint_fault=self.health.present_fault.value) if is_fallback else result
        request = asyncio.get_running_loop().create_task(self.client.transcribe(pcm, language))
        try:
            result = await local
            on_local(result)
            if not result.text:
                return result
            text = await self._text_in_time(request, lease)
            if isinstance(text, EndpointFault):
                return replace(result, endpoint_fault=text.value)
            return accepted_result(text, language, result, duration_s(pcm))
        finally:
            breaker.release(lease)
            if not request.done():
                request.cancel()
            await asyncio.gather(request, return_exceptions=True)

    async def _text_in_time(self, request: asyncio.Task[str], lease: Lease) -> str | EndpointFault:
        """Return the endpoint's words; its fault after a failure, which is recorded."""
        await asyncio.wait([request], timeout=MAX_WAIT_AFTER_LOCAL_S)
        try:
            if not request.done():
                raise EndpointError(EndpointFault.TIMEOUT, f"{self.client.host} did not answer in time.")
            text = request.result()
        except Exception as error:
            failure = error if isinstance(error, EndpointError) else self.health.unexpected(error)
            self.health.record_failure(lease, failure)
            return failure.fault
        self.health.record_success(lease)
        return text


def accepted_result(
    text: str, hint: LanguageCode | None, local: RecognitionResult, audio_s: float
) -> RecognitionResult:
    """Return the endpoint's `text`, Mandarin in Traditional characters; `local` in place of an implausible one.

    The language is the hint, else Mandarin for text with Chinese characters, else that of `local`.
    """
    if not text or not is_plausible(text, audio_s) or is_made_up(text, audio_s):
        return local
    language: LanguageCode = hint or ("zh" if contains_han(text) else local.language)
    return RecognitionResult(to_full_width_punctuation(to_traditional(text)), language)
