"""Messages between a session and its worker: work and results, as immutable values.

A session is pure: it never runs a model and never waits. It hands out work; the worker (`pipeline.session_worker`) runs
the models and hands back results. A session can thus be tested without models, and the models without a session.

`audio` is PCM16 little-endian mono at 24 kHz (48 bytes per millisecond).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from writing.chinese_script import ChineseScript

Role = Literal["system", "user", "assistant", "tool"]
LanguageCode = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Function call of the model. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class LlmMessage:
    """Message of the conversation as the language model reads it.

    `tool_calls` occurs only with role "assistant", `call_id` only with role "tool" (the output of that call).
    """

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    images: tuple[str, ...] = field(default=(), repr=False)
    """Pictures of a user's message, as data URIs. Only an endpoint's model sees them."""


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """Input that determines a reply. Equal requests have the same reply, which identifies speculative work."""

    messages: tuple[LlmMessage, ...]
    """Instructions (role "system") first, then the conversation, ending with the message to reply to."""
    speak: bool
    """True for `ReplySpeech` results (text and audio), False for `ReplyText`."""
    tools: tuple[str, ...] = ()
    """Declared functions, each as canonical JSON text of `{"name", "description", "parameters"}`."""
    tool_choice: str = "auto"
    """One of "auto", "none" and "required", or a declared function's name after "function:"."""
    max_tokens: int | None = None
    """Maximum of generated tokens; None for the worker's default."""
    speed: float = 1.0
    is_turn: bool = True
    """Whether the reply is the next turn of the conversation, under its instructions. Responses out of band, and those
    with input or instructions of their own, are not."""
    script: ChineseScript = "traditional"
    """Script of a Chinese reply, as the user writes it or asks for it."""
    voice: str = ""
    """One of `voices.VOICE_IDS`; "" for the default."""


# ------------------------------------------------------------------ session -> workers


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """Audio of a turn in progress, for captions and language detection. `audio` is the turn so far.

    Sent about every 400 ms of speech. It may be dropped in favour of a newer one of the item.
    """

    item_id: str
    audio: bytes
    language: LanguageCode | None
    """Language hint of the session, or None."""
    context: str = ""
    """Words that are likely in the turn: of the transcription's prompt and keywords, and of the last reply."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """First silence: the turn may have ended. The worker may start speculative work.

    `request` is the expected request without the last user message: the worker appends `LlmMessage("user",
    transcript)`. None: only the transcript is needed, because the client creates responses itself.
    """

    item_id: str
    audio: bytes
    language: LanguageCode | None
    request: ReplyRequest | None
    judges_voice: bool = False
    """Whether the provisional transcript needs the probability that the turn is over."""
    context: str = ""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """Speech continued after `SpeechPaused`: the item's speculative work is void."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Recognize:
    """The turn was committed: transcribe it. The result is one `FinalTranscript` or `RecognitionFailed`.

    A valid transcript from `SpeechPaused` of the item may be used.
    """

    item_id: str
    audio: bytes
    language: LanguageCode | None
    context: str = ""


@dataclass(frozen=True, slots=True)
class Generate:
    """Generate the reply to `request`. Results carry `response_id`.

    The last result is exactly one `ReplyDone`, also after `StopGeneration`.
    """

    response_id: str
    request: ReplyRequest


@dataclass(frozen=True, slots=True)
class StopGeneration:
    """Stop a reply. Results on their way may still arrive; `ReplyDone` follows with reason "stopped"."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Prefill:
    """Process these messages ahead of the next reply, while none is in progress. It may be dropped."""

    request: ReplyRequest


Work = CaptionRequest | SpeechPaused | SpeechResumed | Recognize | Generate | StopGeneration | Prefill

# ------------------------------------------------------------------ workers -> session


@dataclass(frozen=True, slots=True)
class CaptionDelta:
    """New words of a turn in progress. Captions only grow; `FinalTranscript` may differ."""

    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ProvisionalTranscript:
    """Transcript up to the current pause, for the end-of-turn decision; "" without speech.

    At most one per `SpeechPaused`, and none after its `SpeechResumed`. Unlike captions it includes the last word.
    """

    item_id: str
    text: str
    turn_end_probability: float | None = None
    """Probability (0 to 1) by the voice that the turn is over; None where it is not known."""


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """Transcript of a turn; "" without speech. `audio_s` is the length of its audio in seconds."""

    item_id: str
    text: str
    language: LanguageCode
    audio_s: float
    endpoint_fault: str = ""
    """Why this computer's words replace the transcription endpoint's: the value of an `EndpointFault`; else ""."""


@dataclass(frozen=True, slots=True)
class RecognitionFailed:
    """Recognition of an item failed. `message` is one sentence without anything of the conversation."""

    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """Piece of a written reply."""

    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplySpeech:
    """Clause of a spoken reply: its text, with the white space before it, and its audio."""

    response_id: str
    text: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class ReplyToolCall:
    """Call of a declared function. `arguments` is valid JSON text of an object."""

    response_id: str
    name: str
    arguments: str


FACTS = "facts"
"""Name in place of a language model's, of the code that answers arithmetic, dates, time and units."""


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """Language model of one reply, where an endpoint is set, or `FACTS`."""

    model: str
    is_endpoint: bool
    """Whether the endpoint answered, rather than this computer's own model."""
    fault: str = ""
    """Why the endpoint did not answer, or not to the end: the value of an `EndpointFault`; "" when it did."""


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """End of a reply. The counts are the language model's text tokens."""

    response_id: str
    reason: Literal["stop", "max_tokens", "stopped", "failed"]
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    message: str = ""
    """One sentence without anything of the conversation, with reason "failed"."""
    answered_by: AnsweredBy | None = None
    """None where no endpoint is set, and the language model here answered."""
    speech_fault: str = ""
    """Why this computer spoke in place of the speech endpoint: the value of an `EndpointFault`; else ""."""


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
    """Executes the work of one session."""

    def submit(self, work: Work) -> None:
        """Accept work. Returns at once and never raises; call it in the event loop's thread."""

    async def close(self) -> None:
        """Stop all work of the session. No result is delivered after it returns."""


class WorkerPool(Protocol):
    """Models of one process, shared by its sessions."""

    @property
    def model(self) -> str:
        """Name of the language model of the sessions that open next."""

    @property
    def sees_images(self) -> bool:
        """Whether the language model may see pictures, as far as is known."""

    @property
    def speakers(self) -> tuple[str, ...]:
        """Ids of the voices to choose from."""

    @property
    def faults(self) -> Mapping[str, str]:
        """Present faults of the endpoints, by the part that they serve; {} while all work."""

    def open(self, deliver: Callable[[WorkResult], None]) -> SessionWorker:
        """Open a worker for a new session. `deliver` is called in the event loop's thread, in order."""

    async def close(self) -> None:
        """Close what the workers share. No session opens after it."""
