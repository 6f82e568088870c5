"""Model loading: one pipeline per process, which opens a session worker per session."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from offline.models.store import ModelStore, find_models
from offline.protocol.worker_messages import LlmMessage, ReplyRequest, WorkResult
from offline.settings import max_sessions

from .model_runtime import LlmBackend, ModelRuntime
from .priority_executor import PriorityExecutor
from .session_worker import LoadedModels, PipelineSessionWorker
from .speech_models import load_speech_models, warm_up_speech

LOGGER = logging.getLogger(__name__)

CONTEXT_TOKENS = 4096
"""Tokens of one session's context window. Each window takes about 50 MB of memory with the default model."""
LLM_NICENESS = 10
"""Niceness of the language model's threads, below which speech synthesis and recognition run."""


class ModelsMissing(Exception):
    """The cache lacks models that even English needs. The message contains the remedy."""


class Pipeline:
    """Models of one process; implements `worker_messages.WorkerPool`."""

    def __init__(self, models: LoadedModels, name: str, slots: int, detail: str = "") -> None:
        self.languages = models.runtime.languages
        self.detail = detail
        """One sentence on languages that failed; "" without a failure."""
        self.model = name
        self._models = models
        self._sessions_by_slot = [0] * slots

    def open(self, deliver: Callable[[WorkResult], None]) -> PipelineSessionWorker:
        """Open a worker for a new session, on the language model slot with the fewest sessions."""
        slot = self._sessions_by_slot.index(min(self._sessions_by_slot))
        self._sessions_by_slot[slot] += 1

        def release() -> None:
            self._sessions_by_slot[slot] -= 1

        return PipelineSessionWorker(self._models, slot, deliver, release)

    def close(self) -> None:
        """End the threads. Close the session workers before."""
        runtime = self._models.runtime
        for executor in (self._models.stt_executor, runtime.llm_executor, runtime.tts_executor):
            executor.close()


def limit_openmp_spinning() -> None:
    """Limit the busy waiting of OpenMP threads, which takes CPU time from other models. Call it before loading."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _cpu_count() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every platform
        return os.cpu_count() or 1


async def load_pipeline(progress: Callable[[str], None]) -> Pipeline:
    """Load and warm up the models. `progress` receives one sentence per step, in the event loop's thread.

    Raises `ModelsMissing`, `LlmError` when the language model cannot be loaded, and `SpeechUnavailable` when no
    language is left.
    """
    store = await asyncio.to_thread(find_models)
    if store.missing_message:
        raise ModelsMissing(store.missing_message)
    if "zh" not in store.languages:
        progress("Mandarin models are missing: English only")
    limit_openmp_spinning()
    slots = max_sessions()
    threads = max(1, min(4, _cpu_count()))
    started = time.monotonic()
    progress("Loading the speech and language models")
    (llm, name), speech = await asyncio.gather(
        asyncio.to_thread(load_llm, store, slots, threads), asyncio.to_thread(load_speech_models, store, threads)
    )
    LOGGER.info("models: loaded seconds=%.1f", time.monotonic() - started)
    progress("Warming up")
    speech = await asyncio.to_thread(warm_up_speech, speech)
    runtime = ModelRuntime(
        llm,
        speech.tts,
        PriorityExecutor("llm", slots),
        PriorityExecutor("tts"),
        speech.languages,
        CONTEXT_TOKENS,
        few_shot=store.custom_llm is None,
    )
    await asyncio.to_thread(_warm_up_llm, runtime, slots)
    return Pipeline(LoadedModels(speech.recognizer, PriorityExecutor("stt"), runtime), name, slots, speech.detail)


def load_llm(store: ModelStore, slots: int, threads: int) -> tuple[LlmBackend, str]:
    """Return the language model and its name. It is loaded in a thread of low priority, which its threads inherit."""
    with ThreadPoolExecutor(1, initializer=_lower_thread_priority) as loading_thread:
        return loading_thread.submit(_create_llm, store, slots, threads).result()


def _lower_thread_priority() -> None:
    """Lower the priority of the calling thread and the threads it starts: current speech precedes later text.

    Only on Linux do priorities belong to threads and are inherited.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LLM_NICENESS)


def _create_llm(store: ModelStore, slots: int, threads: int) -> tuple[LlmBackend, str]:
    from offline.llm.language_model import LanguageModel

    assert store.llm is not None
    model = LanguageModel(store.llm, slots=slots, threads=threads, context_tokens=CONTEXT_TOKENS)
    return model, model.name


def _warm_up_llm(runtime: ModelRuntime, slots: int) -> None:
    """Run the language model once per slot: sessions with the default instructions start with a processed prompt."""
    prompt = runtime.build_prompt(ReplyRequest((LlmMessage("user", "."),), speak=True))
    for slot in range(slots):
        runtime.llm.prefill(prompt, slot, threading.Event())
