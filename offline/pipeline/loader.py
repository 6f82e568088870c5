"""Model loading: one pipeline per process, which opens a session worker per session."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from offline.endpoints.settings import read_endpoints
from offline.models.machine import count_processors, read_machine
from offline.models.store import ModelStore, find_models
from offline.protocol.worker_messages import LlmMessage, ReplyRequest, WorkResult
from offline.remote.endpoint_faults import EndpointFaults
from offline.remote.setup import open_chat_endpoint, open_speech_endpoints
from offline.session_limit import most_sessions
from offline.settings import max_sessions
from offline.traditional_text import load_script_tables

from .model_runtime import LlmBackend, ModelRuntime
from .priority_executor import PriorityExecutor
from .session_gate import SessionGate
from .session_worker import LoadedModels, PipelineSessionWorker
from .speech_models import SpeechModels, load_speech_models, warm_up_speech
from .thread_priority import lower_thread_priority
from .turn_end import TurnEndJudge

if TYPE_CHECKING:
    from offline.audio import FloatAudio
    from offline.stt.recognizers import Whisper

LOGGER = logging.getLogger(__name__)

CONTEXT_TOKENS = 4096
"""Tokens of one session's context window. Each window takes about 50 MB of memory with the default model."""
CLOSE_TIMEOUT_S = 1.0
"""Seconds for the end of the endpoints' connections, while the process ends."""
MAX_THREADS = 4
"""Threads of a small model: more are hardly faster, and the voice needs some."""


class ModelsMissing(Exception):
    """The cache lacks models that even English needs. The message contains the remedy."""


class Pipeline:
    """Models of one process; implements `worker_messages.WorkerPool`."""

    def __init__(
        self,
        models: LoadedModels,
        speech: SpeechModels,
        store: ModelStore,
        name: str,
        slots: int,
        endpoint_faults: EndpointFaults | None = None,
    ) -> None:
        self.languages = models.runtime.languages
        self.detail = speech.detail
        """One sentence on languages that failed; "" without a failure."""
        self.model = name
        """Name of the language model."""
        self.store = store
        """Models that were found at the start."""
        self.gate = SessionGate()
        self.endpoint_faults = endpoint_faults or EndpointFaults()
        self._models = models
        self._speech = speech
        self._sessions_by_slot = [0] * slots

    def open(self, deliver: Callable[[WorkResult], None]) -> PipelineSessionWorker:
        """Open a worker for a new session, on the language model slot with the fewest sessions."""
        slot = self._sessions_by_slot.index(min(self._sessions_by_slot))
        self._sessions_by_slot[slot] += 1
        self.gate.enter()

        def release() -> None:
            self._sessions_by_slot[slot] -= 1
            self.gate.leave()

        return PipelineSessionWorker(self._models, slot, deliver, release)

    @property
    def sees_images(self) -> bool:
        """Whether an endpoint answers that has not refused a picture: the models here only read."""
        endpoint = self._models.runtime.endpoint
        return endpoint is not None and endpoint.takes_images

    @property
    def speakers(self) -> tuple[str, ...]:
        """Ids of the voices to choose from. Styles that come after the start are included."""
        return self._speech.tts.speakers

    @property
    def faults(self) -> dict[str, str]:
        """Present faults of the endpoints, by the part that they serve; {} while all work."""
        return self.endpoint_faults.present

    @property
    def slots(self) -> int:
        """Contexts of the language model."""
        return len(self._sessions_by_slot)

    @property
    def runtime(self) -> ModelRuntime:
        """Models of the replies of the sessions that open next."""
        return self._models.runtime

    @property
    def whisper(self) -> Whisper | None:
        """Mandarin recognition of the sessions that open next."""
        return self._speech.whisper

    @property
    def speech_sample(self) -> FloatAudio | None:
        """Speech of the warm-up at 16 kHz, to try a recognition model with."""
        return self._speech.sample

    def replace_runtime(self, runtime: ModelRuntime, name: str) -> ModelRuntime:
        """Use `runtime` and its language model `name` from the next session on. Return the former one.

        Only while no session is open: the models of a session stay the same.
        """
        assert self.gate.is_idle
        former = self._models.runtime
        self._models, self.model = replace(self._models, runtime=runtime), name
        return former

    def replace_whisper(self, whisper: Whisper) -> Whisper | None:
        """Recognise Mandarin with `whisper` from the next session on. Return the former one. See `replace_runtime`."""
        assert self.gate.is_idle
        former = self._speech.whisper
        self._speech = replace(self._speech, whisper=whisper)
        self._models = replace(self._models, recognizer=self._speech.recognizer)
        return former

    async def close(self) -> None:
        """End the requests of the endpoints, close their connections, and end the threads.

        Close the session workers before. A peer that does not take part in the closing is not awaited for long.
        """
        runtime, transcription = self._models.runtime, self._models.remote_transcription
        speech = [each.client for each in (runtime.remote_speech, transcription) if each is not None]
        endpoints = [each for each in (runtime.endpoint, *speech) if each is not None]
        if closing := [asyncio.create_task(each.close()) for each in endpoints]:
            _, pending = await asyncio.wait(closing, timeout=CLOSE_TIMEOUT_S)
            for task in pending:
                task.cancel()
            await asyncio.gather(*closing, return_exceptions=True)
        for executor in (self._models.stt_executor, runtime.llm_executor, runtime.tts_executor):
            executor.close()
        if self._models.turn_end_judge is not None:
            self._models.turn_end_judge.close()


def limit_openmp_spinning() -> None:
    """Limit the busy waiting of OpenMP threads, which takes CPU time from other models. Call it before loading."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


async def load_pipeline(progress: Callable[[str], None]) -> Pipeline:
    """Load and warm up the models. `progress` receives one sentence per step, in the event loop's thread.

    Raises `ValueError` for an unusable setting, `ModelsMissing`, `LlmError` when the language model cannot be loaded,
    and `SpeechUnavailable` when no language is left.
    """
    endpoints = read_endpoints()
    faults = EndpointFaults()
    remote_speech, remote_transcription = open_speech_endpoints(endpoints, faults)
    store = await asyncio.to_thread(find_models)
    if store.missing_message:
        raise ModelsMissing(store.missing_message)
    for name in store.missing_tiers:
        LOGGER.warning("models: chosen model is missing model=%s remedy='python -m offline.models fetch'", name)
    if "zh" not in store.languages:
        progress("Mandarin models are missing: English only")
    limit_openmp_spinning()
    slots = max_sessions()
    if slots is None:
        slots = await asyncio.to_thread(most_sessions_here)
    threads = min(MAX_THREADS, count_processors())
    started = time.monotonic()
    progress("Loading the speech and language models")
    (llm, name), speech = await asyncio.gather(
        asyncio.to_thread(load_llm, store, slots, threads), asyncio.to_thread(load_speech_models, store, threads)
    )
    LOGGER.info("models: loaded seconds=%.1f", time.monotonic() - started)
    progress("Warming up")
    await asyncio.to_thread(load_script_tables)
    speech = await asyncio.to_thread(warm_up_speech, speech)
    runtime = ModelRuntime(
        llm,
        speech.tts,
        PriorityExecutor("llm", slots),
        PriorityExecutor("tts"),
        speech.languages,
        CONTEXT_TOKENS,
        few_shot=store.needs_examples,
        any_template=store.custom_llm is not None,
        endpoint=open_chat_endpoint(endpoints, speech.languages, faults),
        remote_speech=remote_speech,
        voice_factor=speech.voice_factor,
    )
    await asyncio.to_thread(warm_up_llm, runtime, slots, threading.Event())
    stt_executor = PriorityExecutor("stt")
    judge = (
        TurnEndJudge(speech.smart_turn, PriorityExecutor("turn-end"), runtime.tts_executor)
        if speech.smart_turn
        else None
    )
    models = LoadedModels(speech.recognizer, stt_executor, runtime, remote_transcription, judge)
    return Pipeline(models, speech, store, name, slots, faults)


def most_sessions_here() -> int:
    """Return the sessions that this computer allows at any pace. Blocks: macOS tells its memory through commands."""
    machine = read_machine()
    return most_sessions(machine.processors, machine.memory_bytes)


def load_llm(store: ModelStore, slots: int, threads: int) -> tuple[LlmBackend, str]:
    """Return the language model and its name. It is loaded in a thread of low priority, which its threads inherit."""
    assert store.llm is not None
    with ThreadPoolExecutor(1, initializer=lower_thread_priority) as loading_thread:
        return loading_thread.submit(create_llm, store.llm, slots, threads).result()


def create_llm(path: Path, slots: int, threads: int) -> tuple[LlmBackend, str]:
    """Return the language model and its name, loaded in this thread. Raises `LlmError`."""
    from offline.llm.language_model import LanguageModel

    model = LanguageModel(path, slots=slots, threads=threads, context_tokens=CONTEXT_TOKENS)
    return model, model.name


def warm_up_llm(runtime: ModelRuntime, slots: int, stop: threading.Event) -> None:
    """Run the language model once per slot: sessions with the default instructions start with a processed prompt.

    Returns soon after `stop` is set. Raises `LlmError`.
    """
    prompt = runtime.build_prompt(ReplyRequest((LlmMessage("user", "."),), speak=True))
    for slot in range(slots):
        runtime.llm.prefill(prompt, slot, stop)
