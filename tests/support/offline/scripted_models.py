"""Workers that follow a script instead of running models, and a whole Realtime server around them.

    script = Script(transcripts=["What time is it?"], replies=[Speak("It is ten.", " Goodbye.")])
    async with scripted_server(script) as url:
        ...                                     # ws://127.0.0.1:PORT/v1/realtime

Nothing in here waits for time. Where a test wants to come in between, it puts a `Gate()` into a reply: the worker stops
there until the test calls `open()`, and `reached` tells the test that it is there.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

from offline.audio import SAMPLE_RATE
from offline.protocol.worker_messages import (
    CaptionDelta,
    CaptionRequest,
    FinalTranscript,
    Generate,
    RecognitionFailed,
    Recognize,
    ReplyDone,
    ReplyRequest,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    StopGeneration,
    Work,
    WorkResult,
)
from offline.server import REALTIME_PATH, RealtimeServer
from offline.stt.turn_detection import VadModel


@cache
def tone(ms: int, hertz: float = 440.0, level: int = 8000) -> bytes:
    """PCM16 at 24 kHz of a sine."""
    count = ms * SAMPLE_RATE // 1000
    return array("h", [round(level * math.sin(2 * math.pi * hertz * n / SAMPLE_RATE)) for n in range(count)]).tobytes()


def silence(ms: int) -> bytes:
    """PCM16 at 24 kHz of nothing."""
    return bytes(ms * SAMPLE_RATE // 1000 * 2)


def tone_probability(window: bytes) -> float:
    """A speech probability for tones: 0.95 where there is sound, else 0.02."""
    return 0.95 if max(map(abs, array("h", window)), default=0) > 500 else 0.02


def tone_detector() -> VadModel:
    """What a server takes in place of its speech detector."""
    return tone_probability


class Checkpoint:
    """A place in a script where the worker waits for the test."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the worker go on."""
        self._released.set()

    async def wait_for_release(self) -> None:
        """The worker's side."""
        self.reached.set()
        await self._released.wait()


@dataclass(frozen=True)
class ScriptedToolCall:
    """A function call in a reply."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ScriptedFailure:
    """The reply fails here."""

    message: str = "The language model stopped."


@dataclass(frozen=True)
class ScriptedTokenLimit:
    """The reply reaches its bound of tokens here."""


ScriptStep = str | ScriptedToolCall | ScriptedFailure | ScriptedTokenLimit | Checkpoint
ScriptedReply = list[ScriptStep]


def echo_reply(request: ReplyRequest) -> ScriptedReply:
    """The reply when a script has none left: says what was asked, in the name of a fixed phrase."""
    asked = next((m.text for m in reversed(request.messages) if m.role in ("user", "tool")), "")
    return ["You said:", f" {asked}"]


@dataclass
class ModelScript:
    """What the workers do, in order; shared by all sessions of a server."""

    transcripts: list[str | ScriptedFailure | Checkpoint] = field(default_factory=list)
    """What is recognised, one for each committed turn; a `Gate` holds the next one back; then `default_transcript`."""
    replies: list[ScriptedReply | Callable[[ReplyRequest], ScriptedReply]] = field(default_factory=list)
    """One for each response, then `echo`."""
    default_transcript: str = "Hello there."
    language: str = "en"
    clause_ms: int = 400
    """Length of the tone spoken for each clause."""
    captions_enabled: bool = True
    """Whether words of a turn are told while it lasts, word by word."""
    submitted_work: list[Work] = field(default_factory=list)
    """All that was handed in, for the test to look at."""
    closed_workers: int = 0
    """Desks closed so far."""

    @property
    def requests(self) -> list[ReplyRequest]:
        """Requests that were generated."""
        return [work.request for work in self.submitted_work if isinstance(work, Generate)]

    def model_context(self, index: int = -1) -> list[tuple[str, str]]:
        """Role and text of what the model read for one reply, without the instructions."""
        return [(m.role, m.text) for m in self.requests[index].messages if m.role != "system"]


class ScriptedSessionWorker:
    """One session's place."""

    def __init__(self, script: ModelScript, deliver: Callable[[WorkResult], None]) -> None:
        self._script = script
        self._deliver = deliver
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._caption_words_sent: dict[str, int] = {}
        self._closed = False

    def submit(self, work: Work) -> None:
        """Take work."""
        self._script.submitted_work.append(work)
        if isinstance(work, CaptionRequest):
            self._caption(work.item_id)
        elif isinstance(work, Recognize):
            self._start(work.item_id, self._recognize(work))
        elif isinstance(work, Generate):
            self._start(work.response_id, self._generate(work))
        elif isinstance(work, StopGeneration):
            task = self._tasks.get(work.response_id)
            if task is not None:
                task.cancel()

    async def close(self) -> None:
        """Stop everything."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._script.closed_workers += 1

    def _start(self, name: str, job: object) -> None:
        assert asyncio.iscoroutine(job)
        self._tasks[name] = asyncio.get_running_loop().create_task(job)

    def _deliver_unless_closed(self, result: WorkResult) -> None:
        if not self._closed:
            self._deliver(result)

    def _caption(self, item_id: str) -> None:
        upcoming = next((each for each in self._script.transcripts), self._script.default_transcript)
        if not self._script.captions_enabled or not isinstance(upcoming, str):
            return
        words = upcoming.split(" ")
        done = self._caption_words_sent.get(item_id, 0)
        if done < len(words):
            self._caption_words_sent[item_id] = done + 1
            self._deliver_unless_closed(CaptionDelta(item_id, words[done] if done == 0 else f" {words[done]}"))

    async def _recognize(self, work: Recognize) -> None:
        await asyncio.sleep(0)
        script = self._script
        text: str | ScriptedFailure | Checkpoint = script.default_transcript
        while script.transcripts:
            text = script.transcripts.pop(0)
            if not isinstance(text, Checkpoint):
                break
            await text.wait_for_release()
            text = script.default_transcript
        if isinstance(text, ScriptedFailure):
            self._deliver_unless_closed(RecognitionFailed(work.item_id, text.message))
            return
        assert isinstance(text, str)
        seconds = len(work.audio) / 2 / SAMPLE_RATE
        self._deliver_unless_closed(
            FinalTranscript(work.item_id, text, "zh" if script.language == "zh" else "en", seconds)
        )

    async def _generate(self, work: Generate) -> None:
        request, response_id = work.request, work.response_id
        scripted = self._script.replies.pop(0) if self._script.replies else echo_reply
        steps = scripted(request) if callable(scripted) else scripted
        read = sum(len(message.text.split()) for message in request.messages)
        written = 0
        try:
            for step in steps:
                await asyncio.sleep(0)
                if isinstance(step, Checkpoint):
                    await step.wait_for_release()
                elif isinstance(step, ScriptedToolCall):
                    written += 5
                    self._deliver_unless_closed(ReplyToolCall(response_id, step.name, step.arguments))
                elif isinstance(step, ScriptedFailure):
                    self._deliver_unless_closed(ReplyDone(response_id, "failed", read, 0, written, step.message))
                    return
                elif isinstance(step, ScriptedTokenLimit):
                    self._deliver_unless_closed(ReplyDone(response_id, "max_tokens", read, 0, written))
                    return
                else:
                    written += len(step.split())
                    clause = tone(self._script.clause_ms)
                    self._deliver_unless_closed(
                        ReplySpeech(response_id, step, clause) if request.speak else ReplyText(response_id, step)
                    )
            self._deliver_unless_closed(ReplyDone(response_id, "stop", read, 0, written))
        except asyncio.CancelledError:
            self._deliver_unless_closed(ReplyDone(response_id, "stopped", read, 0, written))
            raise


class ScriptedModelRuntime:
    """Models that follow a script."""

    model = "scripted"
    languages = ("en", "zh")

    def __init__(self, script: ModelScript) -> None:
        self.script = script

    def open(self, deliver: Callable[[WorkResult], None]) -> ScriptedSessionWorker:
        """A desk for a new session."""
        return ScriptedSessionWorker(self.script, deliver)


@asynccontextmanager
async def scripted_server(
    script: ModelScript | None = None, *, capacity: int = 2, probability: Callable[[], VadModel] = tone_detector
) -> AsyncIterator[str]:
    """A Realtime server that follows `script`, at a free port of 127.0.0.1; yields its WebSocket address."""
    async with running_server(make_loaded_server(script, capacity=capacity, probability=probability)) as url:
        yield url


def make_loaded_server(
    script: ModelScript | None = None, *, capacity: int = 2, probability: Callable[[], VadModel] = tone_detector
) -> RealtimeServer:
    """A server whose scripted models are loaded, not listening yet."""
    server = RealtimeServer(capacity=capacity, vad_factory=probability)
    workers = ScriptedModelRuntime(script if script is not None else ModelScript())
    server.mark_ready(workers, workers.model, workers.languages)
    return server


@asynccontextmanager
async def running_server(server: RealtimeServer) -> AsyncIterator[str]:
    """Let `server` listen; yields its WebSocket address."""
    async with server.listen("127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}{REALTIME_PATH}"
