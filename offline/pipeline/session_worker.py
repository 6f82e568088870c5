"""Session worker: executes the work of one session on the shared models and delivers results in order.

Likely work starts early. Captions and language detection run during speech, transcript and reply from the first pause
on. A speculative result is delivered only if `Recognize` or `Generate` then asks for exactly that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial

from offline.audio import STT_SAMPLE_RATE, FloatAudio, duration_s, resample_to_16k
from offline.llm.errors import LlmError
from offline.protocol.worker_messages import (
    CaptionDelta,
    CaptionRequest,
    FinalTranscript,
    Generate,
    LanguageCode,
    LlmMessage,
    Prefill,
    ProvisionalTranscript,
    RecognitionFailed,
    Recognize,
    ReplyDone,
    ReplyRequest,
    SpeechPaused,
    SpeechResumed,
    StopGeneration,
    Work,
    WorkResult,
)
from offline.stt.recognition_rules import (
    CAPTION_INTERVAL_RATIO,
    CHINESE_CAPTION_INTERVAL_S,
    LANGUAGE_VOTE_MAX_S,
    LanguageVote,
    RecognitionResult,
    Recognizer,
    choose_language,
    needs_language_vote,
)
from offline.stt.stable_partials import IncrementalTranscript

from .model_runtime import ModelRuntime
from .priority_executor import Priority, PriorityExecutor
from .reply_generator import ReplyGenerator, ReplyResult, ReplyState

LOGGER = logging.getLogger(__name__)


APOLOGIES: dict[LanguageCode, str] = {
    "en": "For now I can only speak Mandarin. 目前只能說中文。",
    "zh": "目前只能說英語。For now I can only speak English.",
}
"""Reply to a turn in a language that is not available, in both languages: one to read, one to hear."""


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """Models of the process and their threads."""

    recognizer: Recognizer
    stt_executor: PriorityExecutor
    runtime: ModelRuntime


@dataclass(slots=True)
class RecognitionTurn:
    """Recognition state of one turn."""

    item_id: str
    language_hint: LanguageCode | None
    transcript: IncrementalTranscript
    language_votes: list[LanguageVote] = field(default_factory=list)
    captioned_s: float = 0.0
    """Seconds of the turn in the last caption."""
    pending_audio: bytes | None = None
    """Newest audio without a caption yet."""
    caption_task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class SpeculativeResult:
    """Transcript and reply prepared for one item since its last pause began."""

    item_id: str
    transcript_task: asyncio.Task[RecognitionResult]
    reply_generator: ReplyGenerator | None = None


class PipelineSessionWorker:
    """Implements `worker_messages.SessionWorker`. All methods belong to the event loop's thread."""

    def __init__(
        self, models: LoadedModels, slot: int, deliver: Callable[[WorkResult], None], release_slot: Callable[[], None]
    ) -> None:
        """`slot` is this session's slot of the language model; `release_slot` is called once, on `close`."""
        self._models = models
        self._slot = slot
        self._deliver = deliver
        self._release_slot = release_slot
        self._loop = asyncio.get_running_loop()
        self._turn: RecognitionTurn | None = None
        self._speculation: SpeculativeResult | None = None
        self._replies: dict[str, ReplyGenerator] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_language: LanguageCode = "en"
        """Language of the last turn with words."""
        self._unavailable_turn: RecognitionResult | None = None
        """The last turn, if its language cannot be spoken."""
        self._next_request: ReplyRequest | None = None
        """Expected request of the next reply, without the user's words."""
        self._prefill_task: asyncio.Task[None] | None = None

    def submit(self, work: Work) -> None:
        match work:
            case CaptionRequest():
                self._queue_caption(work)
            case SpeechPaused():
                self._start_speculation(work)
            case SpeechResumed():
                self._discard_speculation()
            case Recognize():
                self._spawn(self._recognize(work, self._speculation_for(work.item_id)))
            case Generate():
                self._generate(work)
            case StopGeneration():
                if reply := self._replies.get(work.response_id):
                    reply.stop()
            case Prefill():
                self._next_request = work.request
                self._prefill(work.request, ".")

    async def close(self) -> None:
        self._deliver = lambda _: None
        self._discard_speculation()
        self._end_turn()
        replies = list(self._replies.values())
        for reply in replies:
            reply.discard()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(reply.wait_finished() for reply in replies), return_exceptions=True)
        self._release_slot()

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------------ during speech

    def _queue_caption(self, work: CaptionRequest) -> None:
        if self._turn is None or self._turn.item_id != work.item_id:
            self._end_turn()
            self._turn = RecognitionTurn(work.item_id, work.language, IncrementalTranscript(self._models.recognizer))
        turn = self._turn
        turn.pending_audio = work.audio
        if turn.caption_task is None or turn.caption_task.done():
            turn.caption_task = self._spawn(self._run_captions(turn))

    def _end_turn(self) -> None:
        if self._turn is not None and self._turn.caption_task is not None:
            self._turn.caption_task.cancel()
        self._turn = None

    async def _run_captions(self, turn: RecognitionTurn) -> None:
        """Update captions and language votes until no newer audio is pending."""
        while (audio := turn.pending_audio) is not None:
            turn.pending_audio = None
            delta = await self._models.stt_executor.run(Priority.BACKGROUND, partial(self._extend_caption, turn, audio))
            if delta:
                self._deliver(CaptionDelta(turn.item_id, delta))
            if self._next_request is not None and turn.transcript.caption_text:
                self._prefill(self._next_request, turn.transcript.caption_text.strip())

    def _extend_caption(self, turn: RecognitionTurn, pcm: bytes) -> str:
        """Return new caption words; "" also before the next caption is due. Runs in the recognition thread."""
        audio, turn_s = resample_to_16k(pcm), duration_s(pcm)
        language = turn.language_hint
        if language is None:
            language = self._vote_language(
                turn.language_votes, audio, turn_s, is_due=needs_language_vote(turn.language_votes, turn_s)
            )
        interval_s = max(
            CHINESE_CAPTION_INTERVAL_S if language == "zh" else 0.0,
            CAPTION_INTERVAL_RATIO * turn.transcript.unfinalized_s(audio),
        )
        if turn_s - turn.captioned_s < interval_s:
            return ""
        turn.captioned_s = turn_s
        return turn.transcript.extend_caption(audio, language)

    def _vote_language(
        self, votes: list[LanguageVote], audio: FloatAudio, turn_s: float, *, is_due: bool
    ) -> LanguageCode:
        """Return the turn's language, after another vote on its newest audio if one is due."""
        if "zh" in self._models.recognizer.languages and is_due:
            newest = audio[-int(LANGUAGE_VOTE_MAX_S * STT_SAMPLE_RATE) :]
            try:
                votes.append(LanguageVote(turn_s, self._models.recognizer.mandarin_probability(newest)))
            except Exception as error:  # the language of the turn before is kept: its engine may still work
                LOGGER.error("recognition: language detection failed error=%s", type(error).__name__)
        return choose_language(votes, self._last_language)

    # ------------------------------------------------------------------ end of a turn

    def _start_speculation(self, work: SpeechPaused) -> None:
        self._discard_speculation()
        if self._turn is not None:
            self._turn.pending_audio = None
        speculation = SpeculativeResult(
            work.item_id,
            self._loop.create_task(self._transcribe(work.item_id, work.audio, work.language, Priority.SPECULATIVE)),
        )
        self._speculation = speculation
        if work.request is not None:
            self._next_request = work.request
        self._spawn(self._speculate_reply(speculation, work.request))

    async def _speculate_reply(self, speculation: SpeculativeResult, request: ReplyRequest | None) -> None:
        try:
            transcript = await asyncio.shield(speculation.transcript_task)
        except Exception:  # reported by `_recognize`
            return
        if self._speculation is not speculation:
            return
        self._note_language(transcript)
        if transcript.text and request is not None:
            expected = replace(request, messages=(*request.messages, LlmMessage("user", transcript.text)))
            speculation.reply_generator = self._create_reply(expected)
        self._deliver(ProvisionalTranscript(speculation.item_id, transcript.text))

    def _discard_speculation(self) -> None:
        speculation, self._speculation = self._speculation, None
        if speculation is not None:
            speculation.transcript_task.cancel()
            reply = speculation.reply_generator
            if reply is not None and reply.state is ReplyState.SPECULATIVE:
                reply.discard()

    async def _transcribe(
        self, item_id: str, pcm: bytes, language_hint: LanguageCode | None, priority: Priority
    ) -> RecognitionResult:
        turn = self._turn
        if turn is None or turn.item_id != item_id:
            turn = RecognitionTurn(item_id, language_hint, IncrementalTranscript(self._models.recognizer))
        votes, transcript = turn.language_votes, turn.transcript

        def transcribe() -> RecognitionResult:
            audio, language = resample_to_16k(pcm), language_hint
            if language is None:
                # A vote delays the reply, so a confident one is not repeated.
                is_due = not (votes and votes[-1].is_confident)
                language = self._vote_language(votes, audio, duration_s(pcm), is_due=is_due)
            return transcript.transcribe_turn(audio, language)

        return await self._models.stt_executor.run(priority, transcribe)

    def _speculation_for(self, item_id: str) -> SpeculativeResult | None:
        speculation = self._speculation
        return speculation if speculation is not None and speculation.item_id == item_id else None

    async def _recognize(self, work: Recognize, speculation: SpeculativeResult | None) -> None:
        transcript: RecognitionResult | None = None
        try:
            if speculation is not None:
                await asyncio.wait([speculation.transcript_task])
                if not speculation.transcript_task.cancelled():
                    transcript = speculation.transcript_task.result()
            if transcript is None:
                transcript = await self._transcribe(work.item_id, work.audio, work.language, Priority.INTERACTIVE)
        except Exception as error:
            LOGGER.error("recognition: failed error=%s", type(error).__name__)
            self._deliver(RecognitionFailed(work.item_id, "The speech could not be recognised."))
            return
        finally:
            if self._turn is not None and self._turn.item_id == work.item_id:
                self._end_turn()
        self._note_language(transcript)
        if transcript.text:
            self._last_language = transcript.language
        self._deliver(FinalTranscript(work.item_id, transcript.text, transcript.language, duration_s(work.audio)))

    # ------------------------------------------------------------------ replies

    def _note_language(self, transcript: RecognitionResult) -> None:
        is_available = transcript.language in self._models.runtime.languages or not transcript.text
        self._unavailable_turn = None if is_available else transcript

    def _create_reply(self, request: ReplyRequest) -> ReplyGenerator:
        unavailable, apology = self._unavailable_turn, ""
        if unavailable is not None and request.speak and request.messages[-1].text == unavailable.text:
            apology = APOLOGIES[unavailable.language]
        return ReplyGenerator(request, self._slot, self._models.runtime, self._deliver_reply_result, apology)

    def _generate(self, work: Generate) -> None:
        reply = self._speculation.reply_generator if self._speculation is not None else None
        if reply is not None and reply.request == work.request:
            self._speculation = None
        else:
            self._discard_speculation()
            reply = self._create_reply(work.request)
        self._replies[work.response_id] = reply
        reply.commit(work.response_id)

    def _deliver_reply_result(self, result: ReplyResult) -> None:
        if isinstance(result, ReplyDone):
            self._replies.pop(result.response_id, None)
        self._deliver(result)

    def _prefill(self, request: ReplyRequest, user_text: str) -> None:
        """Process the expected prompt ahead; skipped while a prefill or a reply is in progress."""
        busy = self._prefill_task is not None and not self._prefill_task.done()
        if busy or self._replies or (self._speculation is not None and self._speculation.reply_generator is not None):
            return
        runtime = self._models.runtime
        prompt = runtime.build_prompt(replace(request, messages=(*request.messages, LlmMessage("user", user_text))))

        async def prefill() -> None:
            try:
                await runtime.prefill(prompt, self._slot)
            except LlmError as failure:
                LOGGER.warning("prefill: failed error=%s", failure)

        self._prefill_task = self._spawn(prefill())
