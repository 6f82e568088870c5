"""What a session asks to be done, and what it is told in return.

`session.py` is pure: it never runs a model and never waits. It hands out the *work* values of this file; the workers in
`pipeline.py` do the listening, thinking and speaking and hand back the *result* values. Both sides are plain immutable
values, so a session can be tested without a model and a model without a session.

Audio is always PCM16 little-endian mono at 24 kHz in `bytes` (2 bytes a sample, 48 bytes a millisecond).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

SAMPLE_RATE = 24_000
"""Samples a second of every `audio` in this file."""

Role = Literal["system", "user", "assistant", "tool"]
LanguageCode = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call the model made. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class LlmMessage:
    """One line of the conversation as the language model reads it.

    `tool_calls` only with role "assistant"; `call_id` only with role "tool" (the answer to that call).
    """

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """All that determines a reply. Equal requests may share one reply, so speculative work is recognised."""

    messages: tuple[LlmMessage, ...]
    """Instructions first (role "system"), then the conversation; the last one is what is to be answered."""
    speak: bool
    """True: text and sound (`ReplySpeech`). False: text only (`ReplyText`)."""
    tools: tuple[str, ...] = ()
    """Declared functions, each the canonical JSON text of `{"name","description","parameters"}`."""
    tool_choice: str = "auto"
    """"auto", "none", "required", or the name of one declared function prefixed with "function:"."""
    max_tokens: int | None = None
    """Upper bound on generated tokens; None: the worker's own bound."""
    speed: float = 1.0


# ------------------------------------------------------------------ session -> workers


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """The person is speaking: `audio` is all of the turn so far. Material for captions and language detection.

    Sent about every 400 ms of speech. May be dropped; the newest one of an item counts.
    """

    item_id: str
    audio: bytes
    language: LanguageCode | None
    """Language hint of the session, or None."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """First silence: the turn may be over. Speculative work may begin, its results are held back until confirmed.

    `request` is the request that would follow, without the last user message: the worker appends
    `Message("user", <what it recognised>)` to get the request it should expect.
    None: no reply will follow by itself (manual responses), only the transcript is worth preparing.
    """

    item_id: str
    audio: bytes
    language: LanguageCode | None
    request: ReplyRequest | None


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """Speech went on after `SpeechPaused`: what was prepared for that item is void."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Recognize:
    """The turn is over and committed: say what was said. Answered by `FinalTranscript` or `RecognitionFailed`, exactly once.

    If work prepared at `SpeechPaused` for the item is still valid, its transcript is the answer.
    """

    item_id: str
    audio: bytes
    language: LanguageCode | None


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer `request`. Results carry `response_id`; the last one is `ReplyDone`, exactly once, also after `StopGeneration`."""

    response_id: str
    request: ReplyRequest


@dataclass(frozen=True, slots=True)
class StopGeneration:
    """Stop generating. Results already under way may still arrive; `ReplyDone` follows with reason "stopped"."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Prefill:
    """Nothing is being generated: read these messages ahead, so that the next reply starts sooner. May be dropped."""

    request: ReplyRequest


Work = CaptionRequest | SpeechPaused | SpeechResumed | Recognize | Generate | StopGeneration | Prefill

# ------------------------------------------------------------------ workers -> session


@dataclass(frozen=True, slots=True)
class CaptionDelta:
    """More words of the turn being heard, append-only: never taken back (`FinalTranscript` may still differ)."""

    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ProvisionalTranscript:
    """What was said up to a `SpeechPaused` that still holds, from which is judged whether to wait for more; "" for no speech.

    At most one for each `SpeechPaused`, none for one that `SpeechResumed` took back. Unlike captions it has the last word.
    """

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """What was said; "" when there was no speech in it. `seconds` of audio listened to."""

    item_id: str
    text: str
    language: LanguageCode
    audio_s: float


@dataclass(frozen=True, slots=True)
class RecognitionFailed:
    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """A piece of a text-only reply."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplySpeech:
    """One spoken clause: its text (with the white space that joins it to the clause before) and its sound."""

    response_id: str
    text: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class ReplyToolCall:
    """The model called a declared function; `arguments` is valid JSON text of an object."""

    response_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The reply is over. Token counts are the language model's own (text tokens)."""

    response_id: str
    reason: Literal["stop", "max_tokens", "stopped", "failed"]
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    message: str = ""
    """With reason "failed": one plain sentence, without any of the conversation in it."""


WorkResult = (
    CaptionDelta
    | ProvisionalTranscript
    | FinalTranscript
    | RecognitionFailed
    | ReplyText
    | ReplySpeech
    | ReplyToolCall
    | ReplyDone
)


class SessionWorker(Protocol):
    """The workers' place for one session."""

    def submit(self, work: Work) -> None:
        """Take work; returns at once, never raises. Call it from the event loop's thread."""

    async def close(self) -> None:
        """Stop everything under way for this session; no result is delivered after this returns."""


class WorkerPool(Protocol):
    """The models of one process, shared by its sessions."""

    def open(self, deliver: Callable[[WorkResult], None]) -> SessionWorker:
        """A desk for a new session. `deliver` is called in the event loop's thread, in order per session."""
