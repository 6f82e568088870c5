"""Stand-in models for a desk, and a rig that collects what it delivers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from offline.desk import Desk
from offline.hearing import RATE, Audio, Heard
from offline.prompt import Prompt
from offline.reply import ModelFailed, TooLong, Usage
from offline.work import (
    Language,
    Provisional,
    ReplyDone,
    Result,
)

WAIT_S = 10.0


@dataclass
class Ear:
    """Hears `says`; fails when it is None."""

    says: str | None = "Hello there."
    chinese: float = 0.0
    count: int = 0
    longest_s: float = 0.0

    def language(self, audio: Audio) -> float:
        return self.chinese

    def transcribe(self, audio: Audio, language: Language) -> Heard:
        self.longest_s = max(self.longest_s, len(audio) / RATE)
        self.count += 1
        if self.says is None:
            raise RuntimeError("a secret")
        return Heard(self.says, language)


@dataclass
class Pen:
    """Writes `pieces`, each after `gate` was opened for it; remembers the prompts."""

    pieces: list[str] = field(default_factory=lambda: ["Good ", "morning. ", "How are you?"])
    words_only: list[str] = field(default_factory=lambda: ["In words."])
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1000))
    prompts: list[Prompt] = field(default_factory=list)
    read_ahead: list[Prompt] = field(default_factory=list)
    finish: str = "stop"
    fails: bool = False
    holds: int = 100_000
    """Characters of a prompt from which on it is too long."""
    stopped: threading.Event = field(default_factory=threading.Event)
    reads_long: bool = False
    """Reading ahead lasts until it is stopped."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, Usage], None], stop: threading.Event
    ) -> Usage:
        self.prompts.append(prompt)
        if self.fails:
            raise ModelFailed("the language model failed")
        if sum(len(message["content"]) for message in prompt.messages) > self.holds:
            raise TooLong("it is too long")
        pieces = self.words_only if "grammar" in prompt.body else self.pieces
        for n, piece in enumerate(pieces, 1):
            while not self.gate.acquire(timeout=0.01):
                if stop.is_set():
                    self.stopped.set()
                    return Usage(5, 2, n, "stopped")
            on_text(piece, Usage(5, 2, n))
        return Usage(5, 2, len(pieces), self.finish)  # type: ignore[arg-type]

    def read(self, prompt: Prompt, slot: int, stop: threading.Event) -> None:
        self.read_ahead.append(prompt)
        if self.reads_long and stop.wait(WAIT_S):
            self.stopped.set()


class Mouth:
    """Says one byte pair a character."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str, speed: float = 1.0) -> bytes:
        self.said.append(text)
        return b"\x00\x01" * len(text)


async def until(there: Callable[[], object]) -> None:
    """Waits for what another thread does."""
    async with asyncio.timeout(WAIT_S):
        while not there():
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


@dataclass
class Rig:
    desk: Desk
    ear: Ear
    pen: Pen
    mouth: Mouth
    results: asyncio.Queue[Result]
    released: list[bool]
    provisional: list[Provisional]

    async def next(self) -> Result:
        return await asyncio.wait_for(self.results.get(), WAIT_S)

    async def until_done(self) -> list[Result]:
        found: list[Result] = []
        while not found or not isinstance(found[-1], ReplyDone):
            found.append(await self.next())
        return found

    async def spoken_ahead(self, clauses: int) -> None:
        """Waits until so many clauses were spoken, wanted or not."""
        await until(lambda: len(self.mouth.said) >= clauses)
