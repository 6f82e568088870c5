"""Model runtime: the language model and the speech synthesis of the process, with the threads they run in."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from offline.answers.answer_filter import AnswerFilter
from offline.answers.fact_reply import answer_from_facts
from offline.answers.sentences import SPOKEN_SENTENCES
from offline.llm.chat_messages import language_of
from offline.llm.errors import LlmUsage
from offline.llm.prompt import Prompt, ReplyMode, build_prompt
from offline.protocol.worker_messages import FACTS, AnsweredBy, LanguageCode, ReplyRequest
from offline.remote.endpoint_model import EndpointModel
from offline.remote.openers import without_openers
from offline.remote.remote_speech import FallbackSpeech
from offline.tools.turn_plan import TurnPlan, plan_turn
from offline.tts.speech_pace import MIN_FACTOR, SpeechPace, initial_factor

from .priority_executor import Priority, PriorityExecutor

WITH_PROBABILITIES = {"logprobs": True, "top_logprobs": 1}
"""Fields of llama.cpp's request for the log-probabilities of the generated tokens."""


class LlmBackend(Protocol):
    """Language model; implemented by `language_model.LanguageModel`. Its methods block."""

    name: str

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage: ...

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None: ...


class TtsBackend(Protocol):
    """Speech synthesis; implemented by `synthesizer.Synthesizer`. Blocks; returns PCM16 at 24 kHz."""

    def synthesize(self, text: str, speed: float = 1.0, voice: str = "") -> bytes: ...


class GenerationGate:
    """Prefills in progress, which a generation of any session stops."""

    def __init__(self) -> None:
        self.active_generations = 0
        self.prefill_stop_events: set[threading.Event] = set()


async def single_text(text: str) -> AsyncGenerator[str, None]:
    """Yield the whole of a text that is known, as `ModelRuntime.tokens` yields the pieces of a generated one."""
    yield text


def _local_time() -> datetime:
    return datetime.now().astimezone()


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
        any_template: bool = False,
        endpoint: EndpointModel | None = None,
        remote_speech: FallbackSpeech | None = None,
        clock: Callable[[], datetime] = _local_time,
        voice_factor: float | None = None,
    ) -> None:
        """`voice_factor` is the seconds per second of speech that the Mandarin voice alone takes; None if unknown."""
        self.llm = llm
        self.tts = tts
        self.llm_executor = llm_executor
        self.tts_executor = tts_executor
        self.languages = tuple(languages)
        self.context_tokens = context_tokens
        """Tokens of one session's context window."""
        self.few_shot = few_shot
        """Whether prompts contain example messages, which a very small model needs."""
        self.any_template = any_template
        """Whether the chat template of the language model is unknown: it is the user's own file."""
        self.endpoint = endpoint
        """Chat endpoint that answers the turns; None where the language model here does."""
        self.voice = ""
        """Voice of this runtime's speech; "" for the default."""
        self._fixed_speech: dict[tuple[str, str], bytes] = {}
        self.remote_speech = remote_speech
        """Speech by an endpoint; None when this computer speaks."""
        self.clock = clock
        """Returns the time with its zone, for questions about it."""
        self._gate = GenerationGate()
        self.voice_factor = voice_factor
        factor = initial_factor(voice_factor)
        self.paces: dict[LanguageCode, SpeechPace] = {"en": SpeechPace(MIN_FACTOR), "zh": SpeechPace(factor)}
        """Pace of each voice of this computer, with the language model beside it."""

    @property
    def may_speculate(self) -> bool:
        """Return whether a reply may be started that may be discarded."""
        return self.endpoint is None or self.endpoint.may_speculate

    @property
    def prefills_for_fallback(self) -> bool:
        """Return whether the model here is kept ready while the endpoint answers, in case that fails.

        Not beside an endpoint on this computer, which needs the same processors.
        """
        return self.endpoint is not None and not self.endpoint.is_on_this_computer

    @property
    def is_small_model(self) -> bool:
        """Return whether the language model is a very small one of this server, which cannot choose functions."""
        return self.few_shot and not self.any_template

    def plan_turn(self, request: ReplyRequest) -> TurnPlan:
        """Return what answers `request` here. A larger model chooses functions and tells results itself."""
        return plan_turn(request, self.clock()) if self.is_small_model else TurnPlan(request)

    def with_voice(self, voice: str) -> ModelRuntime:
        """Return this runtime with another voice. Both share the models, the threads and all that is in progress."""
        if voice == self.voice:
            return self
        view = copy.copy(self)
        view.voice = voice
        return view

    def with_language_model(self, llm: LlmBackend, *, few_shot: bool) -> ModelRuntime:
        """Return a runtime with another language model, and with this one's voices, endpoints and threads."""
        return ModelRuntime(
            llm,
            self.tts,
            self.llm_executor,
            self.tts_executor,
            self.languages,
            self.context_tokens,
            few_shot=few_shot,
            endpoint=self.endpoint,
            remote_speech=self.remote_speech,
            clock=self.clock,
            voice_factor=self.voice_factor,
        )

    def answer_from_facts(self, request: ReplyRequest, answered_by: AnsweredBy | None) -> tuple[str, AnsweredBy | None]:
        """Return the answer that code knows, with what answered; "" with `answered_by` when a model has to answer."""
        answer = answer_from_facts(request, self.languages, self.clock())
        if not answer:
            return "", answered_by
        return answer, AnsweredBy(FACTS, is_endpoint=False, fault=answered_by.fault if answered_by else "")

    def answer_filter(self, request: ReplyRequest, prompt: Prompt) -> AnswerFilter | None:
        """Return the filter of the reply to `request`; None where the reply may be a tool call."""
        if prompt.reply_mode is not ReplyMode.TEXT:
            return None
        is_slow = self.remote_speech is None and self.paces[language_of(request.messages)].needs_short_replies
        return AnswerFilter(
            request,
            is_small_model=self.is_small_model,
            spoken_sentences=1 if is_slow else SPOKEN_SENTENCES,
        )

    def build_prompt(self, request: ReplyRequest, *, text_only: bool = False, fill_ratio: float = 1.0) -> Prompt:
        """Return the prompt for `request`; see `prompt.build_prompt`. Openers are said only beside an endpoint."""
        return build_prompt(
            request if self.endpoint is None else without_openers(request),
            self.languages,
            self.context_tokens,
            few_shot=self.few_shot,
            text_only=text_only,
            fill_ratio=fill_ratio,
            any_template=self.any_template,
        )

    async def tokens(
        self,
        prompt: Prompt,
        slot: int,
        priority: Priority,
        stop: threading.Event,
        on_usage: Callable[[LlmUsage], None],
        on_failure: Callable[[], None] = lambda: None,
        request: ReplyRequest | None = None,
    ) -> AsyncGenerator[str, None]:
        """Yield generated text as the model's thread writes it.

        `on_usage` receives the token counts as the model generates, also before the text is pulled, and the complete
        counts before the end. `on_failure` is called when the model fails, also before the text is pulled.
        Set `stop` to end the generation early; closing the generator sets it too. With the `request` of the
        prompt, its `answer_filter` decides what is yielded and when the reply is complete.

        Raises `LlmError`, and `ContextLengthError` before the first piece of text.
        """
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by the maximum tokens of a reply

        answer_filter = None if request is None else self.answer_filter(request, prompt)
        if answer_filter is not None and answer_filter.needs_probabilities:
            prompt = replace(prompt, body={**prompt.body, **WITH_PROBABILITIES})

        def put(text: str, usage: LlmUsage) -> None:
            on_usage(usage)
            if answer_filter is not None:
                text = answer_filter.push(text, usage.log_probability)
                if answer_filter.is_complete:
                    stop.set()  # not at the end of the clause's speech: the model would go on meanwhile
            if text:
                pieces.put_nowait(text)

        def end(is_whole: bool) -> None:
            if answer_filter is not None and (text := answer_filter.flush(is_whole=is_whole)):
                pieces.put_nowait(text)
            pieces.put_nowait(None)

        def call_in_loop(function: Callable[..., None], *arguments: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(function, *arguments)

        def generate() -> LlmUsage:
            is_whole = False
            try:
                usage = self.llm.generate(prompt, slot, lambda text, usage: call_in_loop(put, text, usage), stop)
                is_whole = usage.finish_reason != "length"
                return usage
            finally:
                call_in_loop(end, is_whole)

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
        return await self.tts_executor.run(priority, lambda: self.tts.synthesize(text, speed, self.voice))

    async def synthesize_fixed(self, text: str, speed: float) -> bytes:
        """Return the speech of one of the server's own sentences. That of normal speed is made once.

        An endpoint that speaks the replies speaks these too; b"" while it does not.
        """
        if self.remote_speech is not None:
            return await self.remote_speech.synthesize_fixed(text, speed)
        if speed != 1.0:
            return await self.synthesize(text, speed, Priority.INTERACTIVE)
        key = (self.voice, text)
        if key not in self._fixed_speech:
            self._fixed_speech[key] = await self.synthesize(text, speed, Priority.INTERACTIVE)
        return self._fixed_speech[key]

    @contextmanager
    def preempt_prefill(self) -> Iterator[None]:
        """Stop the prefills of all sessions, and start none until the context ends. Warm-ups that run go on."""
        self._gate.active_generations += 1
        for stop in self._gate.prefill_stop_events:
            stop.set()
        try:
            yield
        finally:
            self._gate.active_generations -= 1

    def start_warm_up(self, request: ReplyRequest) -> None:
        """Let the endpoint process the prompt of `request` ahead, unless a reply is being generated."""
        if self.endpoint is not None and not self._gate.active_generations:
            self.endpoint.start_warm_up(request)

    async def prefill(self, prompt: Prompt, slot: int) -> None:
        """Process a prompt ahead of the reply. Ends when a generation starts. Raises `LlmError`."""
        if self._gate.active_generations:
            return
        stop = threading.Event()
        self._gate.prefill_stop_events.add(stop)
        try:
            await self.llm_executor.run(Priority.BACKGROUND, lambda: self.llm.prefill(prompt, slot, stop))
        finally:
            stop.set()
            self._gate.prefill_stop_events.discard(stop)
