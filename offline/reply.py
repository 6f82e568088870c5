"""One reply under way: the language model's words, clause by clause, into sound, held back until someone wants them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, Protocol, TypeVar

from offline.calls import Gate, Kind, declared, read_call
from offline.chinese import is_chinese, traditional
from offline.clauses import Clauses, plain
from offline.lanes import Lane, Urgency
from offline.prompt import Prompt, Wanted, compose
from offline.work import ReplyDone, ReplySpeech, ReplyText, ReplyToolCall, Request

log = logging.getLogger(__name__)

T = TypeVar("T")
Piece = ReplySpeech | ReplyText | ReplyToolCall | ReplyDone


class ModelFailed(Exception):
    """The language model could not answer. The text holds nothing of the conversation."""


class TooLong(ModelFailed):
    """The conversation does not fit into the language model's window."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply; `cached` are those of the prompt that had not to be read again."""

    input: int = 0
    cached: int = 0
    output: int = 0
    finish: Literal["stop", "length", "stopped"] = "stop"


class Writer(Protocol):
    """The language model; see `language_model.LanguageModel`."""

    def generate(
        self, prompt: Prompt, slot: int, on_text: Callable[[str, Usage], None], stop: threading.Event
    ) -> Usage: ...

    def read(self, prompt: Prompt, slot: int, stop: threading.Event) -> None: ...


class Voice(Protocol):
    """The voices; see `speech.Speaker`."""

    def say(self, text: str, speed: float = 1.0) -> bytes: ...


class Engines:
    """What a reply needs of the process's models, and the threads they run in."""

    def __init__(
        self,
        writer: Writer,
        voice: Voice,
        writing: Lane,
        speaking: Lane,
        languages: Sequence[str],
        context: int,
        *,
        examples: bool = True,
    ) -> None:
        self.writer = writer
        self.voice = voice
        self.writing = writing
        self.speaking = speaking
        self.languages = tuple(languages)
        self.context = context
        """Tokens of one conversation's window."""
        self.examples = examples
        """The model is so small that it is shown what conversation is like."""
        self._writing = 0
        self._readings: set[threading.Event] = set()

    def prompt(self, request: Request, *, words_only: bool = False, fill: float = 1.0) -> Prompt:
        """What the language model is to read for `request`; see `prompt.compose`."""
        return compose(request, self.languages, self.context, examples=self.examples, words_only=words_only, fill=fill)

    @contextmanager
    def writing_reply(self) -> Iterator[None]:
        """A reply is being written: nobody, in whatever session, reads ahead meanwhile."""
        self._writing += 1
        for stop in self._readings:
            stop.set()
        try:
            yield
        finally:
            self._writing -= 1

    async def read_ahead(self, prompt: Prompt, slot: int) -> None:
        """Lets the model read what a reply will begin with, until one is to be written. Raises `ModelFailed`."""
        if self._writing:
            return
        stop = threading.Event()
        self._readings.add(stop)
        try:
            await self.writing.run(Urgency.HELPFUL, lambda: self.writer.read(prompt, slot, stop))
        finally:
            stop.set()
            self._readings.discard(stop)


class State(Enum):
    """Where the results of a reply go."""

    HELD = "held"
    """Prepared ahead: they are kept until the reply is wanted."""
    WANTED = "wanted"
    """They are delivered as they come."""
    OVER = "over"
    """`ReplyDone` was delivered, or the reply was dropped: nothing more is delivered."""


class Reply:
    """Runs as one task from the moment it is made. All methods belong to the event loop's thread."""

    def __init__(self, request: Request, slot: int, engines: Engines, deliver: Callable[[Piece], None]) -> None:
        self.request = request
        self.state = State.HELD
        self._response_id = ""
        self._held: list[Piece] = []
        self._slot = slot
        self._engines = engines
        self._deliver = deliver
        self._stop = threading.Event()
        self._usage = Usage()
        self._task = asyncio.get_running_loop().create_task(self._run())

    # ------------------------------------------------------------------ for the desk

    def want(self, response_id: str) -> None:
        """The reply is wanted as this response: what was held is delivered now, in order."""
        self._response_id = response_id
        self.state = State.WANTED
        held, self._held = self._held, []
        for piece in held:
            self._emit(piece)

    def stop(self) -> None:
        """Ends it: a wanted reply says so at once, the models stop soon after."""
        self._emit(self._done("stopped"))
        self.drop()

    def drop(self) -> None:
        """Ends it without a word."""
        self.state = State.OVER
        self._held.clear()
        self._stop.set()
        self._task.cancel()

    async def settled(self) -> None:
        """Returns when the reply is over, however it ended."""
        await asyncio.wait([self._task])

    # ------------------------------------------------------------------ the work

    def _emit(self, piece: Piece) -> None:
        if self.state is State.HELD:
            self._held.append(piece)
        elif self.state is State.WANTED:
            if isinstance(piece, ReplyDone):
                self.state = State.OVER
            self._deliver(replace(piece, response_id=self._response_id))

    def _urgency(self) -> Urgency:
        return Urgency.WAITED_FOR if self.state is State.WANTED else Urgency.PREPARED

    def _done(self, reason: str, message: str = "") -> ReplyDone:
        usage = self._usage
        return ReplyDone("", reason, usage.input, usage.cached, usage.output, message)  # type: ignore[arg-type]

    async def _run(self) -> None:
        try:
            with self._engines.writing_reply():
                reason = await self._write(words_only=False)
                if reason is None:
                    reason = await self._write(words_only=True)
            self._emit(self._done(reason or "stop"))
        except ModelFailed as failure:
            log.warning("A reply failed: %s", failure)
            self._emit(self._done("failed", f"No reply: {failure}."))
        except Exception as error:
            # Its text may quote the conversation; its type does not.
            log.error("A reply failed: %s", type(error).__name__)
            self._emit(self._done("failed", "No reply: the offline server made a mistake."))

    async def _write(self, *, words_only: bool) -> str | None:
        """Writes and speaks. The reason it ended, or None when it began as a call but was none."""
        try:
            return await self._write_from(self._engines.prompt(self.request, words_only=words_only))
        except TooLong:
            # The room a text takes was estimated too low: nothing was written yet, so it is tried with less of it.
            return await self._write_from(self._engines.prompt(self.request, words_only=words_only, fill=0.5))

    async def _write_from(self, prompt: Prompt) -> str | None:
        engines, request = self._engines, self.request
        loop = asyncio.get_running_loop()
        # Bounded by the most tokens a reply may have.
        pieces: asyncio.Queue[tuple[str, Usage] | None] = asyncio.Queue()
        self._stop = stop = threading.Event()

        def write() -> Usage:
            try:
                return engines.writer.generate(
                    prompt, self._slot, lambda text, usage: post(loop, pieces, (text, usage)), stop
                )
            finally:
                post(loop, pieces, None)

        writing = loop.create_task(engines.writing.run(self._urgency(), write))
        gate = Gate()
        out = _Spoken(self) if request.speak else _Written(self)
        try:
            while (piece := await pieces.get()) is not None:
                text, self._usage = piece
                if text := text if prompt.wanted is Wanted.WORDS else gate.push(text):
                    out.push(text)
                if gate.complete:
                    # A call is whole: whatever the model would add is not waited for.
                    stop.set()
                    break
            self._usage = await writing
            if prompt.wanted is Wanted.EITHER and (text := gate.finish()):
                out.push(text)
            length = self._usage.finish == "length"
            # A bound nobody asked for is not to be heard: the reply then ends with its last whole clause.
            own_bound = length and request.max_tokens is None
            await out.finish(whole_only=own_bound)
            if gate.kind is Kind.CALL:
                if call := read_call(gate.held, declared(request.tools)):
                    self._emit(ReplyToolCall("", call.name, call.arguments))
                    return "stop"
                # A call that was cut short is not made up for by words nobody asked for.
                return "max_tokens" if length and (prompt.wanted is Wanted.CALL or not own_bound) else None
            return "max_tokens" if length and not own_bound else "stop"
        finally:
            out.cancel()
            if not writing.done():
                stop.set()
                writing.cancel()

    async def speak(self, clause: str) -> None:
        """Says one clause and delivers it."""
        engines = self._engines
        said = plain(clause)
        if is_chinese(said):
            clause, said = traditional(clause), traditional(said)
        speed = self.request.speed
        audio = await engines.speaking.run(self._urgency(), lambda: engines.voice.say(said, speed))
        self._emit(ReplySpeech("", clause, audio))

    def written(self, text: str) -> None:
        self._emit(ReplyText("", text))


def post(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[T], item: T) -> None:
    """Puts `item` into a queue of `loop` from another thread."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(queue.put_nowait, item)


class _Written:
    """Text as it comes; Chinese a clause at a time, because a character's writing depends on its neighbours."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._clauses = Clauses()

    def push(self, text: str) -> None:
        if is_chinese(text) or self._clauses.pending:
            for clause in self._clauses.push(text):
                self._reply.written(traditional(clause))
        else:
            self._reply.written(text)

    async def finish(self, *, whole_only: bool) -> None:
        for clause in self._clauses.finish():
            self._reply.written(traditional(clause))

    def cancel(self) -> None:
        """Nothing runs beside it."""


class _Spoken:
    """Clauses spoken one after the other while the next ones are being written."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._clauses = Clauses()
        self._pushed = 0
        # Bounded by the most tokens a reply may have.
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._speak())

    def push(self, text: str) -> None:
        for clause in self._clauses.push(text):
            self._pushed += 1
            self._queue.put_nowait(clause)

    async def finish(self, *, whole_only: bool) -> None:
        """`whole_only`: what is left unfinished is not said, unless it is all there is."""
        for clause in self._clauses.finish():
            if not whole_only or not self._pushed:
                self._queue.put_nowait(clause)
        self._queue.put_nowait(None)
        await self._task

    def cancel(self) -> None:
        self._task.cancel()

    async def _speak(self) -> None:
        while (clause := await self._queue.get()) is not None:
            if clause.strip():
                await self._reply.speak(clause)
