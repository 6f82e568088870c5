"""A session's desk: takes work, delivers results in order, and does ahead what will probably be asked for.

Everything here runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial

from offline.llm.errors import LlmError
from offline.protocol.worker_messages import (
    SAMPLE_RATE,
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
    STT_SAMPLE_RATE,
    Audio,
    LanguageVote,
    RecognitionResult,
    Recognizer,
    choose_language,
    needs_language_vote,
    resample_to_16k,
)
from offline.stt.stable_partials import IncrementalTranscript

from .priority_executor import Priority, PriorityExecutor
from .reply_generator import ModelRuntime, ReplyGenerator, ReplyResult, ReplyState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModels:
    """The models of the process and the threads they run in."""

    recognizer: Recognizer
    stt_executor: PriorityExecutor
    runtime: ModelRuntime


@dataclass(slots=True)
class RecognitionTurn:
    """What is known of a turn that is being heard."""

    item_id: str
    language_hint: LanguageCode | None
    transcript: IncrementalTranscript
    language_votes: list[LanguageVote] = field(default_factory=list)
    captioned_s: float = 0.0
    """Seconds of the turn that the last caption was made of."""
    pending_audio: bytes | None = None
    """Audio waiting to be captioned."""
    caption_task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class SpeculativeResult:
    """What is done ahead for one item since its first silence."""

    item_id: str
    transcript_task: asyncio.Task[RecognitionResult]
    reply_generator: ReplyGenerator | None = None


def duration_s(pcm: bytes) -> float:
    """Seconds of PCM16 mono at 24 kHz."""
    return len(pcm) / 2 / SAMPLE_RATE


class PipelineSessionWorker:
    """See `work.Desk`."""

    def __init__(
        self, models: LoadedModels, slot: int, deliver: Callable[[WorkResult], None], release_slot: Callable[[], None]
    ) -> None:
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
        """Of the last turn."""
        self._next_request: ReplyRequest | None = None
        """What a reply to the next turn will be asked with, but for that turn's words."""
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

    # ------------------------------------------------------------------ while the person speaks

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
        """Captions and language votes from the newest audio, as long as there is newer one."""
        while (audio := turn.pending_audio) is not None:
            turn.pending_audio = None
            delta = await self._models.stt_executor.run(Priority.BACKGROUND, partial(self._extend_caption, turn, audio))
            if delta:
                self._deliver(CaptionDelta(turn.item_id, delta))
            if self._next_request is not None and turn.transcript.caption_text:
                self._prefill(self._next_request, turn.transcript.caption_text.strip())

    def _extend_caption(self, turn: RecognitionTurn, pcm: bytes) -> str:
        """In the listening lane: new words of the turn so far; "" also when it is not worth listening yet."""
        audio, seconds = resample_to_16k(pcm), duration_s(pcm)
        language = turn.language_hint or self._vote_language(turn.language_votes, audio, seconds)
        worth_it = max(
            CHINESE_CAPTION_INTERVAL_S if language == "zh" else 0.0,
            CAPTION_INTERVAL_RATIO * turn.transcript.unfinalized_s(audio),
        )
        if seconds - turn.captioned_s < worth_it:
            return ""
        turn.captioned_s = seconds
        return turn.transcript.extend_caption(audio, language)

    def _vote_language(self, votes: list[LanguageVote], audio: Audio, seconds: float) -> LanguageCode:
        if "zh" not in self._models.runtime.languages:
            return "en"
        if needs_language_vote(votes, seconds):
            votes.append(
                LanguageVote(
                    seconds,
                    self._models.recognizer.mandarin_probability(audio[-int(LANGUAGE_VOTE_MAX_S * STT_SAMPLE_RATE) :]),
                )
            )
        return choose_language(votes, self._last_language)

    def _vote_final_language(self, votes: list[LanguageVote], audio: Audio, seconds: float) -> LanguageCode:
        """The language of a turn that is over. Someone waits: it is listened for only where it is in doubt."""
        if "zh" in self._models.runtime.languages and not (votes and votes[-1].is_confident):
            votes.append(
                LanguageVote(
                    seconds,
                    self._models.recognizer.mandarin_probability(audio[-int(LANGUAGE_VOTE_MAX_S * STT_SAMPLE_RATE) :]),
                )
            )
        return choose_language(votes, self._last_language)

    # ------------------------------------------------------------------ at the end of a turn

    def _start_speculation(self, work: SpeechPaused) -> None:
        self._discard_speculation()
        if self._turn is not None:
            self._turn.pending_audio = None
        prepared = SpeculativeResult(
            work.item_id,
            self._loop.create_task(self._transcribe(work.item_id, work.audio, work.language, Priority.SPECULATIVE)),
        )
        self._speculation = prepared
        if work.request is not None:
            self._next_request = work.request
        self._spawn(self._speculate_reply(prepared, work.request))

    async def _speculate_reply(self, speculation: SpeculativeResult, request: ReplyRequest | None) -> None:
        try:
            heard = await asyncio.shield(speculation.transcript_task)
        except Exception:  # told when the transcript is asked for
            return
        if self._speculation is not speculation:
            return
        if heard.text and request is not None:
            expected = replace(request, messages=(*request.messages, LlmMessage("user", heard.text)))
            speculation.reply_generator = ReplyGenerator(
                expected, self._slot, self._models.runtime, self._deliver_reply_result
            )
        self._deliver(ProvisionalTranscript(speculation.item_id, heard.text))

    def _discard_speculation(self) -> None:
        """What was prepared is void."""
        prepared, self._speculation = self._speculation, None
        if prepared is not None:
            prepared.transcript_task.cancel()
            if prepared.reply_generator is not None and prepared.reply_generator.state is ReplyState.SPECULATIVE:
                prepared.reply_generator.discard()

    async def _transcribe(
        self, item_id: str, pcm: bytes, language_hint: LanguageCode | None, priority: Priority
    ) -> RecognitionResult:
        turn = self._turn
        if turn is None or turn.item_id != item_id:
            turn = RecognitionTurn(item_id, language_hint, IncrementalTranscript(self._models.recognizer))

        def hear() -> RecognitionResult:
            audio, seconds = resample_to_16k(pcm), duration_s(pcm)
            language = language_hint
            if language is None:
                language = self._vote_final_language(turn.language_votes, audio, seconds)
            return turn.transcript.transcribe_turn(audio, language)

        return await self._models.stt_executor.run(priority, hear)

    def _speculation_for(self, item_id: str) -> SpeculativeResult | None:
        prepared = self._speculation
        return prepared if prepared is not None and prepared.item_id == item_id else None

    async def _recognize(self, work: Recognize, speculation: SpeculativeResult | None) -> None:
        heard: RecognitionResult | None = None
        try:
            if speculation is not None:
                await asyncio.wait([speculation.transcript_task])
                if not speculation.transcript_task.cancelled():
                    heard = speculation.transcript_task.result()
            if heard is None:
                heard = await self._transcribe(work.item_id, work.audio, work.language, Priority.INTERACTIVE)
        except Exception as error:
            log.error("Recognition failed: %s", type(error).__name__)
            self._deliver(RecognitionFailed(work.item_id, "The speech could not be recognised."))
            return
        finally:
            if self._turn is not None and self._turn.item_id == work.item_id:
                self._end_turn()
        if heard.text:
            self._last_language = heard.language
        self._deliver(FinalTranscript(work.item_id, heard.text, heard.language, duration_s(work.audio)))

    # ------------------------------------------------------------------ replies

    def _generate(self, work: Generate) -> None:
        prepared = self._speculation
        if (
            prepared is not None
            and prepared.reply_generator is not None
            and prepared.reply_generator.request == work.request
        ):
            reply = prepared.reply_generator
            self._speculation = None
        else:
            self._discard_speculation()
            reply = ReplyGenerator(work.request, self._slot, self._models.runtime, self._deliver_reply_result)
        self._replies[work.response_id] = reply
        reply.commit(work.response_id)

    def _deliver_reply_result(self, result: ReplyResult) -> None:
        if isinstance(result, ReplyDone):
            self._replies.pop(result.response_id, None)
        self._deliver(result)

    def _prefill(self, request: ReplyRequest, user_text: str) -> None:
        """Lets the language model read what the next reply will begin with; dropped while it has other things to do."""
        busy = self._prefill_task is not None and not self._prefill_task.done()
        if busy or self._replies or (self._speculation is not None and self._speculation.reply_generator is not None):
            return
        messages = (*request.messages, LlmMessage("user", user_text))
        engines = self._models.runtime
        prompt = engines.build_prompt(replace(request, messages=messages))

        async def read() -> None:
            try:
                await engines.prefill(prompt, self._slot)
            except LlmError as failure:
                log.warning("Reading ahead failed: %s", failure)

        self._prefill_task = self._spawn(read())
