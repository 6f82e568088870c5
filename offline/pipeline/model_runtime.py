"""Model runtime: the language model and the speech synthesis of the process, with the threads they run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from offline.llm.errors import LlmUsage
from offline.llm.prompt import Prompt, build_prompt
from offline.protocol.worker_messages import ReplyRequest

from .priority_executor import Priority, PriorityExecutor


class LlmBackend(Protocol):
    """Language model; implemented by `language_model.LanguageModel`. Its methods block."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage: ...

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None: ...


class TtsBackend(Protocol):
    """Speech synthesis; implemented by `synthesizer.Synthesizer`. Blocks; returns PCM16 at 24 kHz."""

    def synthesize(self, text: str, speed: float = 1.0) -> bytes: ...


class ModelRuntime:
    """Models that a reply needs. All methods belong to the event loop's thread."""

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
        """Tokens of one session's context window."""
        self.few_shot = few_shot
        """Whether prompts contain example messages, which a very small model needs."""
        self._active_generations = 0
        self._prefill_stop_events: set[threading.Event] = set()

    def build_prompt(self, request: ReplyRequest, *, text_only: bool = False, fill_ratio: float = 1.0) -> Prompt:
        """Return the prompt for `request`; see `prompt.build_prompt`."""
        return build_prompt(
            request,
            self.languages,
            self.context_tokens,
            few_shot=self.few_shot,
            text_only=text_only,
            fill_ratio=fill_ratio,
        )

    async def tokens(
        self,
        prompt: Prompt,
        slot: int,
        priority: Priority,
        stop: threading.Event,
        on_usage: Callable[[LlmUsage], None],
        on_failure: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[str, None]:
        """Yield generated text as the model's thread writes it.

        `on_usage` receives the token counts as the model generates, also before the text is pulled, and the complete
        counts before the end. `on_failure` is called when the model fails, also before the text is pulled.
        Set `stop` to end the generation early; closing the generator sets it too.

        Raises `LlmError`, and `ContextLengthError` before the first piece of text.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by the maximum tokens of a reply

        def put(text: str, usage: LlmUsage) -> None:
            on_usage(usage)
            pieces.put_nowait(text)

        def call_in_loop(function: Callable[..., None], *arguments: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(function, *arguments)

        def generate() -> LlmUsage:
            try:
                return self.llm.generate(prompt, slot, lambda text, usage: call_in_loop(put, text, usage), stop)
            finally:
                call_in_loop(pieces.put_nowait, None)

        def report_failure(generation: asyncio.Task[LlmUsage]) -> None:
            if not generation.cancelled() and generation.exception() is not None:
                on_failure()

        generation = loop.create_task(self.llm_executor.run(priority, generate))
        generation.add_done_callback(report_failure)
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            on_usage(await generation)
        finally:
            if not generation.done():
                stop.set()
                generation.cancel()

    async def synthesize(self, text: str, speed: float, priority: Priority) -> bytes:
        """Return the speech of one clause as PCM16 at 24 kHz. `speed` 1.0 is normal."""
        return await self.tts_executor.run(priority, lambda: self.tts.synthesize(text, speed))

    @contextmanager
    def preempt_prefill(self) -> Iterator[None]:
        """Stop the prefills of all sessions, and start none until the context ends."""
        self._active_generations += 1
        for stop in self._prefill_stop_events:
            stop.set()
        try:
            yield
        finally:
            self._active_generations -= 1

    async def prefill(self, prompt: Prompt, slot: int) -> None:
        """Process a prompt ahead of the reply. Ends when a generation starts. Raises `LlmError`."""
        if self._active_generations:
            return
        stop = threading.Event()
        self._prefill_stop_events.add(stop)
        try:
            await self.llm_executor.run(Priority.BACKGROUND, lambda: self.llm.prefill(prompt, slot, stop))
        finally:
            stop.set()
            self._prefill_stop_events.discard(stop)
