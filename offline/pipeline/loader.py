"""The workers: models loaded once for the process, and one desk for each session.

A desk (`desk.py`) lives in the event loop and never blocks; the models run in threads (`lanes.py`). What may be wanted
soon is done ahead: captions and the language while a person speaks, the transcript and the reply from the first silence
on, held back until `Recognize` and `Generate` ask for exactly that.
"""

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
from offline.protocol.worker_messages import LanguageCode, LlmMessage, ReplyRequest, WorkResult
from offline.stt.recognition_rules import Recognizer, resample_to_16k

from .priority_executor import PriorityExecutor
from .reply_generator import LlmBackend, ModelRuntime, TtsBackend
from .session_worker import LoadedModels, PipelineSessionWorker

log = logging.getLogger(__name__)

CONTEXT_TOKENS = 4096
"""Tokens of one session's window (about 50 MB of memory each for the small model)."""
LLM_NICENESS = 10
"""How much the language model's threads give way to the others."""
DEFAULT_SESSIONS = 2


class ModelsMissing(Exception):
    """Not even English works with what is in the cache; the text says what to do."""


class Pipeline:
    """The models of one process, as `work.Workers` asks for them."""

    def __init__(self, models: LoadedModels, name: str, slots: int) -> None:
        self.languages = models.runtime.languages
        self.model = name
        self._models = models
        self._sessions_by_slot = [0] * slots

    def open(self, deliver: Callable[[WorkResult], None]) -> PipelineSessionWorker:
        """A desk for a new session; `deliver` is called in the running event loop's thread, in order."""
        slot = self._sessions_by_slot.index(min(self._sessions_by_slot))
        self._sessions_by_slot[slot] += 1

        def release() -> None:
            self._sessions_by_slot[slot] -= 1

        return PipelineSessionWorker(self._models, slot, deliver, release)

    def close(self) -> None:
        """Lets the threads end. Desks must be closed before."""
        for lane in (self._models.stt_executor, self._models.runtime.llm_executor, self._models.runtime.tts_executor):
            lane.close()


def limit_openmp_spinning() -> None:
    """OpenMP threads that wait by spinning take the cores from the model that has work; call it before loading one."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _cpu_count() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


async def load_pipeline(progress: Callable[[str], None]) -> Pipeline:
    """Loads and warms the models; `progress` is told in plain words, in the event loop's thread, what is being done.

    Raises `ModelsMissing`, or `reply.LlmError` when the language model cannot be loaded.
    """
    store = await asyncio.to_thread(find_models)
    if store.missing_message:
        raise ModelsMissing(store.missing_message)
    if "zh" not in store.languages:
        progress("Mandarin models are missing: English only")
    limit_openmp_spinning()
    slots = max(1, int(os.environ.get("OFFLINE_SESSIONS") or DEFAULT_SESSIONS))
    threads = max(1, min(4, _cpu_count()))
    started = time.monotonic()
    progress("Loading the speech and language models")
    (writer, name), (voice, hearer) = await asyncio.gather(
        asyncio.to_thread(load_llm, store, slots, threads), asyncio.to_thread(load_speech_models, store, threads)
    )
    writing, speaking = PriorityExecutor("writing", slots), PriorityExecutor("speaking")
    engines = ModelRuntime(
        writer, voice, writing, speaking, store.languages, CONTEXT_TOKENS, few_shot=store.custom_llm is None
    )
    models = LoadedModels(hearer, PriorityExecutor("listening"), engines)
    log.info("Models loaded in %.1f s", time.monotonic() - started)
    progress("Warming up")
    await asyncio.to_thread(_warm_up, models, slots)
    return Pipeline(models, name, slots)


def _lower_thread_priority() -> None:
    """Everything the calling thread starts from now on gives way: whoever waits hears the voice, not the words that are
    still to be written. Linux only, where priorities belong to threads and are inherited."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LLM_NICENESS)


def load_llm(store: ModelStore, slots: int, threads: int) -> tuple[LlmBackend, str]:
    """In a thread of its own, whose priority the language model's threads inherit."""
    with ThreadPoolExecutor(1, initializer=_lower_thread_priority) as own:
        return own.submit(_create_llm, store, slots, threads).result()


def _create_llm(store: ModelStore, slots: int, threads: int) -> tuple[LlmBackend, str]:
    from offline.llm.language_model import LanguageModel

    assert store.llm is not None
    model = LanguageModel(store.llm, slots=slots, threads=threads, context_tokens=CONTEXT_TOKENS)
    return model, model.name


def load_speech_models(store: ModelStore, threads: int) -> tuple[TtsBackend, Recognizer]:
    from offline.stt.recognizers import BilingualRecognizer, Moonshine, Whisper
    from offline.tts.synthesizer import Synthesizer

    whisper = Whisper(store.whisper, threads) if store.whisper is not None else None
    english = Moonshine(store.moonshine, threads) if store.moonshine is not None else whisper
    assert english is not None
    return Synthesizer(store.kokoro, threads), BilingualRecognizer(english, whisper, store.languages)


def _warm_up(models: LoadedModels, slots: int) -> None:
    """First runs are slow (memory, lookup tables): they are done before anyone waits for them."""
    engines = models.runtime
    languages: tuple[tuple[LanguageCode, str], ...] = (("en", "Hello, how are you?"), ("zh", "你好。"))
    for language, text in languages:
        if language in engines.languages:
            audio = resample_to_16k(engines.tts.synthesize(text))
            models.recognizer.transcribe(audio, language)
            models.recognizer.mandarin_probability(audio)
    # Sessions with the usual instructions find them read already.
    prompt = engines.build_prompt(ReplyRequest((LlmMessage("user", "."),), speak=True))
    for slot in range(slots):
        engines.llm.prefill(prompt, slot, threading.Event())
