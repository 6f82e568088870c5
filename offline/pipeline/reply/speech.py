"""Speech of a reply: text -> clauses -> what a voice is given -> audio, by this computer or by the speech endpoint."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing

from offline.audio import duration_s
from offline.chinese_text import contains_han
from offline.llm.chat_messages import language_of
from offline.pipeline.model_runtime import ModelRuntime
from offline.pipeline.priority_executor import Priority
from offline.protocol.worker_messages import ReplyRequest
from offline.remote.remote_speech import RemoteReplySpeech
from offline.tts.speech_pace import ReplyStart, SpeechPace

from .clauses import script_converter, split_reply, voiced_clauses

LOGGER = logging.getLogger(__name__)


class ReplySpeaker:
    """Speech of one reply's text, from one language model. Belongs to the event loop's thread."""

    def __init__(
        self,
        runtime: ModelRuntime,
        request: ReplyRequest,
        priority: Callable[[], Priority],
        committed: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`committed` is set when the reply can no longer be discarded. `clock` returns seconds."""
        self._runtime = runtime
        self._language = language_of(request.messages)
        self._speed = request.speed
        self._converter = script_converter(request)
        self._priority = priority
        self._committed = committed
        self._clock = clock
        self._synthesis: asyncio.Task[bytes] | RemoteReplySpeech | None = None
        """Speech synthesis of the current clause, or by the endpoint of several."""
        self._is_cancelled = False
        self._has_spoken = False
        """Whether a voice of this computer has made speech of a clause."""
        self._voice_error: Exception | None = None
        """Last failure of a voice of this computer."""

    async def speak(
        self, texts: AsyncIterable[str], keep_unfinished: Callable[[], bool]
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield each clause of `texts`, in order, with its audio (PCM16 at 24 kHz).

        Where this computer makes speech too slowly, the first clauses are yielded once enough of the reply is made.
        `keep_unfinished` is that of `split_reply`. A clause that is not said, or on which a voice here fails, has no
        audio. Raises what `texts` raises, and the error of a voice that fails on every clause.
        """
        async with (
            aclosing(self._voiced_clauses(texts, keep_unfinished)) as clauses,
            aclosing(self._synthesized(clauses)) as speech,
        ):
            async for clause, audio in speech:
                yield clause, audio
        if self._voice_error is not None and not self._has_spoken:
            raise self._voice_error

    @property
    def endpoint_fault(self) -> str:
        """Why this computer has spoken in place of the endpoint: the value of an `EndpointFault`; else ""."""
        fault = self._synthesis.fault if isinstance(self._synthesis, RemoteReplySpeech) else None
        return fault.value if fault is not None else ""

    def cancel(self) -> None:
        """Speak no further clause, after a failure of the language model. The next text raises it."""
        self._is_cancelled = True
        if self._synthesis is not None:
            self._synthesis.cancel()

    async def _voiced_clauses(
        self, texts: AsyncIterable[str], keep_unfinished: Callable[[], bool]
    ) -> AsyncGenerator[tuple[str, str], None]:
        """Yield each clause with what a voice is given of it."""
        parts = split_reply(texts, keep_unfinished, self._runtime.paces["zh"].factor)
        async with aclosing(voiced_clauses(parts, self._language, self._converter)) as clauses:
            async for clause in clauses:
                if not self._is_cancelled:
                    yield clause

    def _synthesized(self, clauses: AsyncIterable[tuple[str, str]]) -> AsyncGenerator[tuple[str, bytes], None]:
        """Return the clauses, in order, with their speech."""
        if self._runtime.remote_speech is None:
            return self._held_until_start(clauses)
        speech = self._runtime.remote_speech.open_reply(self._speed, self._synthesize, self._committed)
        self._synthesis = speech
        return speech.synthesized(clauses)

    async def _held_until_start(
        self, clauses: AsyncIterable[tuple[str, str]]
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield the clauses with their speech, the first ones together once the rest can follow without a gap."""
        start, held, failure = ReplyStart(self._clock), list[tuple[str, bytes]](), None
        try:
            async with aclosing(self._locally_synthesized(clauses)) as speech:
                async for clause, audio, pace in speech:
                    held.append((clause, audio))
                    if start.add(duration_s(audio), pace):
                        for each in held:
                            yield each
                        held.clear()
        except Exception as error:  # of the language model: what precedes it is said
            failure = error
        for each in held:
            yield each
        if failure is not None:
            raise failure

    async def _locally_synthesized(
        self, clauses: AsyncIterable[tuple[str, str]]
    ) -> AsyncGenerator[tuple[str, bytes, SpeechPace], None]:
        """Yield the clauses with their speech and the pace of their voice. All but the first are measured for it."""
        before_s: float | None = None
        async for clause, voiced in clauses:
            synthesis = asyncio.get_running_loop().create_task(self._synthesize(voiced))
            self._synthesis = synthesis
            try:
                audio = await synthesis
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._is_cancelled or (task is not None and task.cancelling()):
                    raise
                continue
            pace = self._runtime.paces["zh" if contains_han(voiced) else "en"]
            if audio:
                now_s = self._clock()
                if before_s is not None:
                    pace.record(now_s - before_s, duration_s(audio))
                before_s = now_s
            yield clause, audio, pace

    async def _synthesize(self, voiced: str) -> bytes:
        """Return the speech of one clause by a voice of this computer; b"" for one that the voice fails on."""
        if not voiced:
            return b""
        try:
            audio = await self._runtime.synthesize(voiced, self._speed, self._priority())
        except Exception as error:  # its text may quote the clause; its type does not
            LOGGER.error("speech: clause skipped error=%s", type(error).__name__)
            self._voice_error = error
            return b""
        self._has_spoken = self._has_spoken or bool(audio)
        return audio
