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

from offline.desk import Desk, Models
from offline.hearing import Hearer, to_16k
from offline.lanes import Lane
from offline.models import Store, look
from offline.reply import Engines, Voice, Writer
from offline.work import Language, Message, Request, Result

log = logging.getLogger(__name__)

CONTEXT = 4096
"""Tokens of one session's window (about 50 MB of memory each for the small model)."""
WRITER_NICE = 10
"""How much the language model's threads give way to the others."""
SESSIONS = 2


class ModelsMissing(Exception):
    """Not even English works with what is in the cache; the text says what to do."""


class Pipeline:
    """The models of one process, as `work.Workers` asks for them."""

    def __init__(self, models: Models, name: str, slots: int) -> None:
        self.languages = models.engines.languages
        self.model = name
        self._models = models
        self._using = [0] * slots

    def open(self, deliver: Callable[[Result], None]) -> Desk:
        """A desk for a new session; `deliver` is called in the running event loop's thread, in order."""
        slot = self._using.index(min(self._using))
        self._using[slot] += 1

        def release() -> None:
            self._using[slot] -= 1

        return Desk(self._models, slot, deliver, release)

    def close(self) -> None:
        """Lets the threads end. Desks must be closed before."""
        for lane in (self._models.listening, self._models.engines.writing, self._models.engines.speaking):
            lane.close()


def quiet_threads() -> None:
    """OpenMP threads that wait by spinning take the cores from the model that has work; call it before loading one."""
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


async def load(progress: Callable[[str], None]) -> Pipeline:
    """Loads and warms the models; `progress` is told in plain words, in the event loop's thread, what is being done.

    Raises `ModelsMissing`, or `reply.ModelFailed` when the language model cannot be loaded.
    """
    store = await asyncio.to_thread(look)
    if store.missing:
        raise ModelsMissing(store.missing)
    if "zh" not in store.languages:
        progress("Mandarin models are missing: English only")
    quiet_threads()
    slots = max(1, int(os.environ.get("OFFLINE_SESSIONS") or SESSIONS))
    threads = max(1, min(4, _cores()))
    started = time.monotonic()
    progress("Loading the speech and language models")
    (writer, name), (voice, hearer) = await asyncio.gather(
        asyncio.to_thread(_load_writer, store, slots, threads), asyncio.to_thread(_load_speech, store, threads)
    )
    writing, speaking = Lane("writing", slots), Lane("speaking")
    engines = Engines(writer, voice, writing, speaking, store.languages, CONTEXT, examples=store.own_llm is None)
    models = Models(hearer, Lane("listening"), engines)
    log.info("Models loaded in %.1f s", time.monotonic() - started)
    progress("Warming up")
    await asyncio.to_thread(_warm, models, slots)
    return Pipeline(models, name, slots)


def _yield_to_the_voice() -> None:
    """Everything the calling thread starts from now on gives way: whoever waits hears the voice, not the words that are
    still to be written. Linux only, where priorities belong to threads and are inherited."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WRITER_NICE)


def _load_writer(store: Store, slots: int, threads: int) -> tuple[Writer, str]:
    """In a thread of its own, whose priority the language model's threads inherit."""
    with ThreadPoolExecutor(1, initializer=_yield_to_the_voice) as own:
        return own.submit(_new_writer, store, slots, threads).result()


def _new_writer(store: Store, slots: int, threads: int) -> tuple[Writer, str]:
    from offline.language_model import LanguageModel

    assert store.llm is not None
    model = LanguageModel(store.llm, slots=slots, threads=threads, context=CONTEXT)
    return model, model.name


def _load_speech(store: Store, threads: int) -> tuple[Voice, Hearer]:
    from offline.recognition import Moonshine, Recognizer, Whisper
    from offline.speech import Speaker

    whisper = Whisper(store.whisper, threads) if store.whisper is not None else None
    english = Moonshine(store.moonshine, threads) if store.moonshine is not None else whisper
    assert english is not None
    return Speaker(store.kokoro, threads), Recognizer(english, whisper, store.languages)


def _warm(models: Models, slots: int) -> None:
    """First runs are slow (memory, lookup tables): they are done before anyone waits for them."""
    engines = models.engines
    languages: tuple[tuple[Language, str], ...] = (("en", "Hello, how are you?"), ("zh", "你好。"))
    for language, text in languages:
        if language in engines.languages:
            audio = to_16k(engines.voice.say(text))
            models.hearer.transcribe(audio, language)
            models.hearer.language(audio)
    # Sessions with the usual instructions find them read already.
    prompt = engines.prompt(Request((Message("user", "."),), speak=True))
    for slot in range(slots):
        engines.writer.read(prompt, slot, threading.Event())
