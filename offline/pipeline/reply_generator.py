"""One reply under way: the language model's words, clause by clause, into sound, held back until someone wants them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Protocol, TypeVar

from offline.llm.clause_splitter import ClauseSplitter, strip_markdown
from offline.llm.errors import ContextLengthError, LlmError, LlmUsage
from offline.llm.prompt import Prompt, ReplyMode, build_prompt
from offline.llm.tool_calls import LlmOutputKind, ToolCallDetector, parse_tool_call, parse_tool_declarations
from offline.protocol.worker_messages import ReplyDone, ReplyRequest, ReplySpeech, ReplyText, ReplyToolCall
from offline.tts.chinese_text import contains_han, to_traditional

from .priority_executor import Priority, PriorityExecutor

log = logging.getLogger(__name__)

T = TypeVar("T")
ReplyResult = ReplySpeech | ReplyText | ReplyToolCall | ReplyDone


class LlmBackend(Protocol):
    """The language model; see `language_model.LanguageModel`."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage: ...

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None: ...


class TtsBackend(Protocol):
    """The voices; see `speech.Synthesizer`."""

    def synthesize(self, text: str, speed: float = 1.0) -> bytes: ...


class ModelRuntime:
    """What a reply needs of the process's models, and the threads they run in."""

    def __init__(
        self,
        llm: LlmBackend,
        tts: TtsBackend,
        llm_executor: PriorityExecutor,
        tts_executor: PriorityExecutor,
        languages: Sequence[str],
        context_tokens: int,
        *,
        few_shot: bool = True,
    ) -> None:
        self.llm = llm
        self.tts = tts
        self.llm_executor = llm_executor
        self.tts_executor = tts_executor
        self.languages = tuple(languages)
        self.context_tokens = context_tokens
        """Tokens of one conversation's window."""
        self.few_shot = few_shot
        """The model is so small that it is shown what conversation is like."""
        self._active_generations = 0
        self._prefill_stop_events: set[threading.Event] = set()

    def build_prompt(self, request: ReplyRequest, *, text_only: bool = False, fill_ratio: float = 1.0) -> Prompt:
        """What the language model is to read for `request`; see `prompt.build_prompt`."""
        return build_prompt(
            request,
            self.languages,
            self.context_tokens,
            few_shot=self.few_shot,
            text_only=text_only,
            fill_ratio=fill_ratio,
        )

    @contextmanager
    def preempt_prefill(self) -> Iterator[None]:
        """A reply is being written: nobody, in whatever session, reads ahead meanwhile."""
        self._active_generations += 1
        for stop in self._prefill_stop_events:
            stop.set()
        try:
            yield
        finally:
            self._active_generations -= 1

    async def prefill(self, prompt: Prompt, slot: int) -> None:
        """Lets the model read what a reply will begin with, until one is to be written. Raises `LlmError`."""
        if self._active_generations:
            return
        stop = threading.Event()
        self._prefill_stop_events.add(stop)
        try:
            await self.llm_executor.run(Priority.BACKGROUND, lambda: self.llm.prefill(prompt, slot, stop))
        finally:
            stop.set()
            self._prefill_stop_events.discard(stop)


class ReplyState(Enum):
    """Where the results of a reply go."""

    SPECULATIVE = "held"
    """Prepared ahead: they are kept until the reply is wanted."""
    COMMITTED = "wanted"
    """They are delivered as they come."""
    FINISHED = "over"
    """`ReplyDone` was delivered, or the reply was dropped: nothing more is delivered."""


class ReplyGenerator:
    """Runs as one task from the moment it is made. All methods belong to the event loop's thread."""

    def __init__(
        self, request: ReplyRequest, slot: int, runtime: ModelRuntime, deliver: Callable[[ReplyResult], None]
    ) -> None:
        self.request = request
        self.state = ReplyState.SPECULATIVE
        self._response_id = ""
        self._held_results: list[ReplyResult] = []
        self._slot = slot
        self._runtime = runtime
        self._deliver = deliver
        self._stop = threading.Event()
        self._usage = LlmUsage()
        self._task = asyncio.get_running_loop().create_task(self._run())

    # ------------------------------------------------------------------ for the desk

    def commit(self, response_id: str) -> None:
        """The reply is wanted as this response: what was held is delivered now, in order."""
        self._response_id = response_id
        self.state = ReplyState.COMMITTED
        held, self._held_results = self._held_results, []
        for piece in held:
            self._emit(piece)

    def stop(self) -> None:
        """Ends it: a wanted reply says so at once, the models stop soon after."""
        self._emit(self._build_done("stopped"))
        self.discard()

    def discard(self) -> None:
        """Ends it without a word."""
        self.state = ReplyState.FINISHED
        self._held_results.clear()
        self._stop.set()
        self._task.cancel()

    async def wait_finished(self) -> None:
        """Returns when the reply is over, however it ended."""
        await asyncio.wait([self._task])

    # ------------------------------------------------------------------ the work

    def _emit(self, result: ReplyResult) -> None:
        if self.state is ReplyState.SPECULATIVE:
            self._held_results.append(result)
        elif self.state is ReplyState.COMMITTED:
            if isinstance(result, ReplyDone):
                self.state = ReplyState.FINISHED
            self._deliver(replace(result, response_id=self._response_id))

    def _priority(self) -> Priority:
        return Priority.INTERACTIVE if self.state is ReplyState.COMMITTED else Priority.SPECULATIVE

    def _build_done(self, reason: str, message: str = "") -> ReplyDone:
        usage = self._usage
        return ReplyDone("", reason, usage.input_tokens, usage.cached_tokens, usage.output_tokens, message)  # type: ignore[arg-type]

    async def _run(self) -> None:
        try:
            with self._runtime.preempt_prefill():
                reason = await self._generate(text_only=False)
                if reason is None:
                    reason = await self._generate(text_only=True)
            self._emit(self._build_done(reason or "stop"))
        except LlmError as failure:
            log.warning("A reply failed: %s", failure)
            self._emit(self._build_done("failed", f"No reply: {failure}."))
        except Exception as error:
            # Its text may quote the conversation; its type does not.
            log.error("A reply failed: %s", type(error).__name__)
            self._emit(self._build_done("failed", "No reply: the offline server made a mistake."))

    async def _generate(self, *, text_only: bool) -> str | None:
        """Writes and speaks. The reason it ended, or None when it began as a call but was none."""
        try:
            return await self._generate_from_prompt(self._runtime.build_prompt(self.request, text_only=text_only))
        except ContextLengthError:
            # The room a text takes was estimated too low: nothing was written yet, so it is tried with less of it.
            return await self._generate_from_prompt(
                self._runtime.build_prompt(self.request, text_only=text_only, fill_ratio=0.5)
            )

    async def _generate_from_prompt(self, prompt: Prompt) -> str | None:
        engines, request = self._runtime, self.request
        loop = asyncio.get_running_loop()
        # Bounded by the most tokens a reply may have.
        pieces: asyncio.Queue[tuple[str, LlmUsage] | None] = asyncio.Queue()
        self._stop = stop = threading.Event()

        def write() -> LlmUsage:
            try:
                return engines.llm.generate(
                    prompt, self._slot, lambda text, usage: put_threadsafe(loop, pieces, (text, usage)), stop
                )
            finally:
                put_threadsafe(loop, pieces, None)

        writing = loop.create_task(engines.llm_executor.run(self._priority(), write))
        gate = ToolCallDetector()
        out = _SpeechSink(self) if request.speak else _TextSink(self)
        try:
            while (piece := await pieces.get()) is not None:
                text, self._usage = piece
                if text := text if prompt.reply_mode is ReplyMode.TEXT else gate.push(text):
                    out.push(text)
                if gate.is_complete:
                    # A call is whole: whatever the model would add is not waited for.
                    stop.set()
                    break
            self._usage = await writing
            if prompt.reply_mode is ReplyMode.TEXT_OR_TOOL_CALL and (text := gate.flush()):
                out.push(text)
            length = self._usage.finish_reason == "length"
            # A bound nobody asked for is not to be heard: the reply then ends with its last whole clause.
            own_bound = length and request.max_tokens is None
            await out.finish(complete_clauses_only=own_bound)
            if gate.kind is LlmOutputKind.TOOL_CALL:
                if call := parse_tool_call(gate.buffered_text, parse_tool_declarations(request.tools)):
                    self._emit(ReplyToolCall("", call.name, call.arguments))
                    return "stop"
                # A call that was cut short is not made up for by words nobody asked for.
                return "max_tokens" if length and (prompt.reply_mode is ReplyMode.TOOL_CALL or not own_bound) else None
            return "max_tokens" if length and not own_bound else "stop"
        finally:
            out.cancel()
            if not writing.done():
                stop.set()
                writing.cancel()

    async def emit_speech(self, clause: str) -> None:
        """Says one clause and delivers it."""
        engines = self._runtime
        said = strip_markdown(clause)
        if contains_han(said):
            clause, said = to_traditional(clause), to_traditional(said)
        speed = self.request.speed
        audio = await engines.tts_executor.run(self._priority(), lambda: engines.tts.synthesize(said, speed))
        self._emit(ReplySpeech("", clause, audio))

    def emit_text(self, text: str) -> None:
        self._emit(ReplyText("", text))


def put_threadsafe(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[T], item: T) -> None:
    """Puts `item` into a queue of `loop` from another thread."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(queue.put_nowait, item)


class _TextSink:
    """Text as it comes; Chinese a clause at a time, because a character's writing depends on its neighbours."""

    def __init__(self, reply: ReplyGenerator) -> None:
        self._reply = reply
        self._splitter = ClauseSplitter()

    def push(self, text: str) -> None:
        if contains_han(text) or self._splitter.has_pending:
            for clause in self._splitter.push(text):
                self._reply.emit_text(to_traditional(clause))
        else:
            self._reply.emit_text(text)

    async def finish(self, *, complete_clauses_only: bool) -> None:
        for clause in self._splitter.flush():
            self._reply.emit_text(to_traditional(clause))

    def cancel(self) -> None:
        """Nothing runs beside it."""


class _SpeechSink:
    """Clauses spoken one after the other while the next ones are being written."""

    def __init__(self, reply: ReplyGenerator) -> None:
        self._reply = reply
        self._splitter = ClauseSplitter()
        self._clause_count = 0
        # Bounded by the most tokens a reply may have.
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def push(self, text: str) -> None:
        for clause in self._splitter.push(text):
            self._clause_count += 1
            self._queue.put_nowait(clause)

    async def finish(self, *, complete_clauses_only: bool) -> None:
        """`complete_clauses_only`: what is left unfinished is not said, unless it is all there is."""
        for clause in self._splitter.flush():
            if not complete_clauses_only or not self._clause_count:
                self._queue.put_nowait(clause)
        self._queue.put_nowait(None)
        await self._task

    def cancel(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        while (clause := await self._queue.get()) is not None:
            if clause.strip():
                await self._reply.emit_speech(clause)
