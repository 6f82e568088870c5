"""Fake models for a session worker, and a rig that collects its results."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from offline.audio import STT_SAMPLE_RATE, FloatAudio
from offline.llm.errors import ContextLengthError, LlmError, LlmUsage
from offline.llm.prompt import Prompt
from offline.pipeline.session_worker import PipelineSessionWorker
from offline.protocol.worker_messages import LanguageCode, ProvisionalTranscript, ReplyDone, WorkResult
from offline.stt.recognition_rules import RecognitionResult

RESULT_TIMEOUT_S = 10.0


@dataclass
class FakeRecognizer:
    """Recognises `transcript`; fails if it is None."""

    transcript: str | None = "Hello there."
    chinese_probability: float = 0.0
    transcription_count: int = 0
    longest_audio_s: float = 0.0
    languages: tuple[LanguageCode, ...] = ("en", "zh")

    def mandarin_probability(self, audio: FloatAudio) -> float:
        return self.chinese_probability

    def transcribe(self, audio: FloatAudio, language: LanguageCode, context: str = "") -> RecognitionResult:
        self.longest_audio_s = max(self.longest_audio_s, len(audio) / STT_SAMPLE_RATE)
        self.transcription_count += 1
        if self.transcript is None:
            raise RuntimeError("a secret")
        return RecognitionResult(self.transcript, language)


@dataclass
class FakeLanguageModel:
    """Generates `pieces`, one per permit of `piece_permits`, and records the prompts."""

    pieces: list[str] = field(default_factory=lambda: ["Good ", "morning. ", "How are you?"])
    pieces_without_tools: list[str] = field(default_factory=lambda: ["In words."])
    piece_permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1000))
    prompts: list[Prompt] = field(default_factory=list)
    prefilled_prompts: list[Prompt] = field(default_factory=list)
    finish_reason: str = "stop"
    fails: bool = False
    fails_after_pieces: bool = False
    written_count: int = 0
    """Pieces of all replies written so far."""
    completed_count: int = 0
    """Replies generated to their end."""
    max_prompt_chars: int = 100_000
    """Characters above which a prompt exceeds the context window."""
    stopped: threading.Event = field(default_factory=threading.Event)
    blocks_prefill: bool = False
    """Whether a prefill lasts until it is stopped."""
    name: str = "fake-model"
    piece_log_probability: float = -0.1
    """Log-probability of each piece, for prompts that ask for it."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, LlmUsage], None], stop: threading.Event
    ) -> LlmUsage:
        self.prompts.append(prompt)
        if self.fails:
            raise LlmError("the language model failed")
        if sum(len(message["content"]) for message in prompt.messages) > self.max_prompt_chars:
            raise ContextLengthError("it is too long")
        pieces = self.pieces_without_tools if "grammar" in prompt.body else self.pieces
        for n, piece in enumerate(pieces, 1):
            while not self.piece_permits.acquire(timeout=0.01):
                if stop.is_set():
                    self.stopped.set()
                    return LlmUsage(5, 2, n, "stopped")
            total = n * self.piece_log_probability if "logprobs" in prompt.body else None
            on_text(piece, LlmUsage(5, 2, n, log_probability=total))
            self.written_count += 1
            if stop.is_set():
                self.stopped.set()
                return LlmUsage(5, 2, n, "stopped")
        self.completed_count += 1
        if self.fails_after_pieces:
            raise LlmError("the language model failed")
        return LlmUsage(5, 2, len(pieces), self.finish_reason)  # type: ignore[arg-type]

    def prefill(self, prompt: Prompt, slot: int, stop: threading.Event) -> None:
        self.prefilled_prompts.append(prompt)
        if self.blocks_prefill and stop.wait(RESULT_TIMEOUT_S):
            self.stopped.set()


class FakeSynthesizer:
    """Returns two bytes of audio per character."""

    def __init__(self) -> None:
        self.spoken_texts: list[str] = []
        self.voices: list[str] = []
        """Voice of each of them."""
        self.clause_permits = threading.Semaphore(1000)
        """Permits, one per synthesis."""
        self.fails_on = ""
        """Text whose synthesis fails; "" for none."""

    def synthesize(self, text: str, speed: float = 1.0, voice: str = "") -> bytes:
        self.spoken_texts.append(text)
        self.voices.append(voice)
        self.clause_permits.acquire(timeout=RESULT_TIMEOUT_S)
        if self.fails_on and self.fails_on in text:
            raise IndexError(text)
        return b"\x00\x01" * len(text)


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another thread fulfils."""
    async with asyncio.timeout(RESULT_TIMEOUT_S):
        while not condition():
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


@dataclass
class WorkerRig:
    """Session worker with its fake models and results."""

    worker: PipelineSessionWorker
    recognizer: FakeRecognizer
    language_model: FakeLanguageModel
    synthesizer: FakeSynthesizer
    results: asyncio.Queue[WorkResult]
    released: list[bool]
    provisional: list[ProvisionalTranscript]

    async def next_result(self) -> WorkResult:
        return await asyncio.wait_for(self.results.get(), RESULT_TIMEOUT_S)

    async def results_until_done(self) -> list[WorkResult]:
        found: list[WorkResult] = []
        while not found or not isinstance(found[-1], ReplyDone):
            found.append(await self.next_result())
        return found

    async def wait_for_clauses(self, clauses: int) -> None:
        """Wait until this many clauses were synthesised, delivered or not."""
        await wait_until(lambda: len(self.synthesizer.spoken_texts) >= clauses)
