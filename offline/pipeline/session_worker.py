"""Session worker: executes the work of one session on the shared models and delivers results in order.

Likely work starts early. Captions and language detection run during speech, transcript and reply from the first pause
on. A speculative result is delivered only if `Recognize` or `Generate` then asks for exactly that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial

from offline.audio import STT_SAMPLE_RATE, FloatAudio, duration_s, resample_to_16k
from offline.protocol.worker_messages import (
    CaptionDelta,
    CaptionRequest,
    FinalTranscript,
    Generate,
    LanguageCode,
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
from offline.remote.remote_speech import FallbackTranscription
from offline.stt.recognition_rules import (
    CAPTION_INTERVAL_RATIO,
    CHINESE_CAPTION_INTERVAL_S,
    LANGUAGE_VOTE_MAX_S,
    LanguageVote,
    RecognitionResult,
    Recognizer,
    choose_language,
    needs_final_vote,
    needs_language_vote,
)
from offline.stt.stable_partials import IncrementalTranscript

from .model_runtime import ModelRuntime
from .priority_executor import Priority, PriorityExecutor
from .prompt_prefill import PromptPrefill, with_user_text
from .reply.generator import ReplyGenerator, ReplyResult, ReplyState
from .turn_end import TurnEndJudge, TurnEndJudgement

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
    remote_transcription: FallbackTranscription | None = None
    """Final words by an endpoint; None when this computer's are used."""
    turn_end_judge: TurnEndJudge | None = None
    """End of a turn by the voice; None when the words alone decide."""


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
    turn_end: TurnEndJudgement
    reply_generator: ReplyGenerator | None = None


class PipelineSessionWorker:
    """Implements `worker_messages.SessionWorker`. All methods belong to the event loop's thread."""

    def __init__(
        self,
        models: LoadedModels,
        slot: int,
        deliver: Callable[[WorkResult], None],
        release_slot: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
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
        self._prefill = PromptPrefill(models.runtime, slot, self._spawn, self._is_replying, sleep)

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
                self._prefill.next_request = work.request
                self._prefill.start(for_fallback=True)

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
            self._turn = RecognitionTurn(
                work.item_id, work.language, IncrementalTranscript(self._models.recognizer, work.context)
            )
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
            if turn.transcript.caption_text:
                self._prefill.start(turn.transcript.caption_text.strip())

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
        judge = self._models.turn_end_judge
        turn_end = judge.judge(work.audio) if judge is not None and work.judges_voice else TurnEndJudgement()
        speculation = SpeculativeResult(
            work.item_id,
            self._loop.create_task(
                self._transcribe(
                    work.item_id,
                    work.audio,
                    work.language,
                    Priority.SPECULATIVE,
                    work.context,
                    on_local=lambda local: self._deliver_provisional(work.item_id, local.text, turn_end),
                )
            ),
            turn_end,
        )
        self._speculation = speculation
        if work.request is not None:
            self._prefill.next_request = work.request
        self._spawn(self._speculate_reply(speculation, work.request))

    async def _speculate_reply(self, speculation: SpeculativeResult, request: ReplyRequest | None) -> None:
        try:
            transcript = await asyncio.shield(speculation.transcript_task)
        except Exception:  # reported by `_recognize`
            return
        if self._speculation is not speculation:
            return
        self._note_language(transcript)
        if transcript.text and request is not None and self._models.runtime.may_speculate:
            expected = with_user_text(request, transcript.text)
            speculation.reply_generator = self._create_reply(expected)
        if self._models.remote_transcription is None:
            self._deliver_provisional(speculation.item_id, transcript.text, speculation.turn_end)

    def _deliver_provisional(self, item_id: str, text: str, turn_end: TurnEndJudgement) -> None:
        turn_end.call_when_settled(lambda: self._deliver(ProvisionalTranscript(item_id, text, turn_end.probability)))

    def _discard_speculation(self) -> None:
        speculation, self._speculation = self._speculation, None
        if speculation is not None:
            speculation.transcript_task.cancel()
            speculation.turn_end.cancel()
            reply = speculation.reply_generator
            if reply is not None and reply.state is ReplyState.SPECULATIVE:
                reply.discard()

    async def _transcribe(
        self,
        item_id: str,
        pcm: bytes,
        language_hint: LanguageCode | None,
        priority: Priority,
        context: str,
        on_local: Callable[[RecognitionResult], None] = lambda _: None,
    ) -> RecognitionResult:
        """Return the transcript of a turn. `on_local` receives this computer's before the endpoint's is awaited."""
        turn = self._turn
        if turn is None or turn.item_id != item_id:
            turn = RecognitionTurn(item_id, language_hint, IncrementalTranscript(self._models.recognizer, context))
        votes, transcript = turn.language_votes, turn.transcript

        def transcribe() -> RecognitionResult:
            audio, language = resample_to_16k(pcm), language_hint
            if language is None:
                turn_s = duration_s(pcm)
                language = self._vote_language(votes, audio, turn_s, is_due=needs_final_vote(votes, turn_s))
            return transcript.transcribe_turn(audio, language)

        local = self._models.stt_executor.run(priority, transcribe)
        if self._models.remote_transcription is None:
            return await local
        language = language_hint
        if language is None and votes and votes[-1].is_confident:
            language = choose_language(votes, self._last_language)
        return await self._models.remote_transcription.transcribe(pcm, language, local, on_local)

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
                transcript = await self._transcribe(
                    work.item_id, work.audio, work.language, Priority.INTERACTIVE, work.context
                )
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
        text, language, audio_s = transcript.text, transcript.language, duration_s(work.audio)
        self._deliver(FinalTranscript(work.item_id, text, language, audio_s, transcript.endpoint_fault))

    # ------------------------------------------------------------------ replies

    def _note_language(self, transcript: RecognitionResult) -> None:
        is_available = transcript.language in self._models.runtime.languages or not transcript.text
        self._unavailable_turn = None if is_available else transcript

    def _create_reply(self, request: ReplyRequest) -> ReplyGenerator:
        unavailable, apology = self._unavailable_turn, ""
        if unavailable is not None and request.speak and request.messages[-1].text == unavailable.text:
            apology = APOLOGIES[unavailable.language]
        runtime = self._models.runtime.with_voice(request.voice)
        return ReplyGenerator(request, self._slot, runtime, self._deliver_reply_result, apology)

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

    def _is_replying(self) -> bool:
        return bool(self._replies) or (self._speculation is not None and self._speculation.reply_generator is not None)
