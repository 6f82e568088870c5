"""Session workers that follow a script instead of models, and a Realtime server with them.

    script = ModelScript(transcripts=["What time is it?"], replies=[["It is ten.", " Goodbye."]])
    async with scripted_server(script) as url:
        ...                                     # ws://127.0.0.1:PORT/v1/realtime

No worker waits for time. At a `Checkpoint()` in a reply the worker waits for `release()`, and sets `reached` before.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

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
    """Return PCM16 at 24 kHz of a sine."""
    count = ms * SAMPLE_RATE // 1000
    return array("h", [round(level * math.sin(2 * math.pi * hertz * n / SAMPLE_RATE)) for n in range(count)]).tobytes()


def silence(ms: int) -> bytes:
    """Return PCM16 at 24 kHz of silence."""
    return bytes(ms * SAMPLE_RATE // 1000 * 2)


def tone_probability(window: bytes) -> float:
    """Return a speech probability for tones: 0.95 for a loud window, else 0.02."""
    return 0.95 if max(map(abs, array("h", window)), default=0) > 500 else 0.02


def tone_detector() -> VadModel:
    """Create a voice activity detector for tones."""
    return tone_probability


class Checkpoint:
    """Point in a script at which the worker waits for the test."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the worker continue."""
        self._released.set()

    async def wait_for_release(self) -> None:
        """Set `reached` and wait for `release`."""
        self.reached.set()
        await self._released.wait()


@dataclass(frozen=True)
class ScriptedToolCall:
    """Function call in a reply."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ScriptedFailure:
    """Failure in a reply."""

    message: str = "The language model stopped."


@dataclass(frozen=True)
class ScriptedTokenLimit:
    """End of a reply at its token limit."""


ScriptStep = str | ScriptedToolCall | ScriptedFailure | ScriptedTokenLimit | Checkpoint
ScriptedReply = list[ScriptStep]


def echo_reply(request: ReplyRequest) -> ScriptedReply:
    """Return the reply after the last scripted one: a fixed phrase and the question."""
    asked = next((m.text for m in reversed(request.messages) if m.role in ("user", "tool")), "")
    return ["You said:", f" {asked}"]


@dataclass
class ModelScript:
    """Behaviour of the workers, in order; shared by all sessions of a server."""

    transcripts: list[str | ScriptedFailure | Checkpoint] = field(default_factory=list)
    """Transcript of each committed turn, then `default_transcript`. A `Checkpoint` delays the next one."""
    replies: list[ScriptedReply | Callable[[ReplyRequest], ScriptedReply]] = field(default_factory=list)
    """Reply of each response, then `echo_reply`."""
    default_transcript: str = "Hello there."
    language: str = "en"
    clause_ms: int = 400
    """Milliseconds of the tone spoken for each clause."""
    captions_enabled: bool = True
    """Whether captions are delivered during a turn, word by word."""
    submitted_work: list[Work] = field(default_factory=list)
    """All submitted work."""
    closed_workers: int = 0
    """Number of closed workers."""

    @property
    def requests(self) -> list[ReplyRequest]:
        """Requests that were generated."""
        return [work.request for work in self.submitted_work if isinstance(work, Generate)]

    def model_context(self, index: int = -1) -> list[tuple[str, str]]:
        """Return role and text of the messages of one request, without the instructions."""
        return [(m.role, m.text) for m in self.requests[index].messages if m.role != "system"]


class ScriptedSessionWorker:
    """Session worker that follows a script."""

    def __init__(self, script: ModelScript, deliver: Callable[[WorkResult], None]) -> None:
        self._script = script
        self._deliver = deliver
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._caption_words_sent: dict[str, int] = {}
        self._closed = False

    def submit(self, work: Work) -> None:
        """Accept work."""
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
        """Stop all work."""
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
    """Worker pool that follows a script."""

    model = "scripted"
    languages = ("en", "zh")
    detail = ""
    sees_images = False
    speakers = ("hibari",)
    faults: ClassVar[Mapping[str, str]] = {}

    def __init__(self, script: ModelScript) -> None:
        self.script = script
        self.is_closed = False

    def open(self, deliver: Callable[[WorkResult], None]) -> ScriptedSessionWorker:
        """Open a worker for a new session."""
        return ScriptedSessionWorker(self.script, deliver)

    async def close(self) -> None:
        self.is_closed = True


@asynccontextmanager
async def scripted_server(
    script: ModelScript | None = None, *, capacity: int = 2, probability: Callable[[], VadModel] = tone_detector
) -> AsyncIterator[str]:
    """Run a Realtime server that follows `script` on a free port; yield its WebSocket URL."""
    async with running_server(make_loaded_server(script, capacity=capacity, probability=probability)) as url:
        yield url


def make_loaded_server(
    script: ModelScript | None = None, *, capacity: int = 2, probability: Callable[[], VadModel] = tone_detector
) -> RealtimeServer:
    """Return a server whose scripted models are loaded. It does not listen yet."""
    server = RealtimeServer(capacity=capacity, vad_factory=probability)
    workers = ScriptedModelRuntime(script if script is not None else ModelScript())
    server.mark_ready(workers, workers.languages)
    return server


@asynccontextmanager
async def running_server(server: RealtimeServer) -> AsyncIterator[str]:
    """Let `server` listen on a free port; yield its WebSocket URL."""
    async with server.listen("127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}{REALTIME_PATH}"
