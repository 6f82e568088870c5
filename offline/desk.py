"""A session's desk: takes work, delivers results in order, and does ahead what will probably be asked for.

Everything here runs in the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial

from offline.hearing import (
    CAPTION_SHARE,
    CHINESE_CAPTIONS_S,
    RATE,
    VOTE_MOST_S,
    Audio,
    Heard,
    Hearer,
    Vote,
    choose,
    to_16k,
    vote_wanted,
)
from offline.lanes import Lane, Urgency
from offline.partial import TurnWords
from offline.reply import Engines, ModelFailed, Piece, Reply, State
from offline.work import (
    SAMPLE_RATE,
    Generate,
    Hearing,
    Language,
    Listening,
    Message,
    Paused,
    Prefill,
    Provisional,
    RecognitionFailed,
    Recognize,
    Recognized,
    ReplyDone,
    Request,
    Result,
    Resumed,
    Stop,
    Work,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Models:
    """The models of the process and the threads they run in."""

    hearer: Hearer
    listening: Lane
    engines: Engines


@dataclass(slots=True)
class Turn:
    """What is known of a turn that is being heard."""

    item_id: str
    hint: Language | None
    words: TurnWords
    votes: list[Vote] = field(default_factory=list)
    captioned_s: float = 0.0
    """Seconds of the turn that the last caption was made of."""
    newest: bytes | None = None
    """Audio waiting to be captioned."""
    captioning: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Prepared:
    """What is done ahead for one item since its first silence."""

    item_id: str
    heard: asyncio.Task[Heard]
    reply: Reply | None = None


def seconds_of(pcm: bytes) -> float:
    """Seconds of PCM16 mono at 24 kHz."""
    return len(pcm) / 2 / SAMPLE_RATE


class Desk:
    """See `work.Desk`."""

    def __init__(
        self, models: Models, slot: int, deliver: Callable[[Result], None], release: Callable[[], None]
    ) -> None:
        self._models = models
        self._slot = slot
        self._deliver = deliver
        self._release = release
        self._loop = asyncio.get_running_loop()
        self._turn: Turn | None = None
        self._prepared: Prepared | None = None
        self._replies: dict[str, Reply] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._language: Language = "en"
        """Of the last turn."""
        self._base: Request | None = None
        """What a reply to the next turn will be asked with, but for that turn's words."""
        self._reading: asyncio.Task[None] | None = None

    def submit(self, work: Work) -> None:
        match work:
            case Listening():
                self._listen(work)
            case Paused():
                self._prepare(work)
            case Resumed():
                self._forget()
            case Recognize():
                self._spawn(self._recognize(work, self._take_prepared(work.item_id)))
            case Generate():
                self._generate(work)
            case Stop():
                if reply := self._replies.get(work.response_id):
                    reply.stop()
            case Prefill():
                self._base = work.request
                self._read_ahead(work.request, ".")

    async def close(self) -> None:
        self._deliver = lambda _: None
        self._forget()
        self._end_turn()
        replies = list(self._replies.values())
        for reply in replies:
            reply.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(reply.settled() for reply in replies), return_exceptions=True)
        self._release()

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ------------------------------------------------------------------ while the person speaks

    def _listen(self, work: Listening) -> None:
        if self._turn is None or self._turn.item_id != work.item_id:
            self._end_turn()
            self._turn = Turn(work.item_id, work.language, TurnWords(self._models.hearer))
        turn = self._turn
        turn.newest = work.audio
        if turn.captioning is None or turn.captioning.done():
            turn.captioning = self._spawn(self._caption(turn))

    def _end_turn(self) -> None:
        if self._turn is not None and self._turn.captioning is not None:
            self._turn.captioning.cancel()
        self._turn = None

    async def _caption(self, turn: Turn) -> None:
        """Captions and language votes from the newest audio, as long as there is newer one."""
        while (audio := turn.newest) is not None:
            turn.newest = None
            delta = await self._models.listening.run(Urgency.HELPFUL, partial(self._caption_more, turn, audio))
            if delta:
                self._deliver(Hearing(turn.item_id, delta))
            if self._base is not None and turn.words.shown:
                self._read_ahead(self._base, turn.words.shown.strip())

    def _caption_more(self, turn: Turn, pcm: bytes) -> str:
        """In the listening lane: new words of the turn so far; "" also when it is not worth listening yet."""
        audio, seconds = to_16k(pcm), seconds_of(pcm)
        language = turn.hint or self._vote(turn.votes, audio, seconds)
        worth_it = max(CHINESE_CAPTIONS_S if language == "zh" else 0.0, CAPTION_SHARE * turn.words.open_s(audio))
        if seconds - turn.captioned_s < worth_it:
            return ""
        turn.captioned_s = seconds
        return turn.words.caption(audio, language)

    def _vote(self, votes: list[Vote], audio: Audio, seconds: float) -> Language:
        if "zh" not in self._models.engines.languages:
            return "en"
        if vote_wanted(votes, seconds):
            votes.append(Vote(seconds, self._models.hearer.language(audio[-int(VOTE_MOST_S * RATE) :])))
        return choose(votes, self._language)

    def _last_vote(self, votes: list[Vote], audio: Audio, seconds: float) -> Language:
        """The language of a turn that is over. Someone waits: it is listened for only where it is in doubt."""
        if "zh" in self._models.engines.languages and not (votes and votes[-1].sure):
            votes.append(Vote(seconds, self._models.hearer.language(audio[-int(VOTE_MOST_S * RATE) :])))
        return choose(votes, self._language)

    # ------------------------------------------------------------------ at the end of a turn

    def _prepare(self, work: Paused) -> None:
        self._forget()
        if self._turn is not None:
            self._turn.newest = None
        prepared = Prepared(
            work.item_id, self._loop.create_task(self._hear(work.item_id, work.audio, work.language, Urgency.PREPARED))
        )
        self._prepared = prepared
        if work.request is not None:
            self._base = work.request
        self._spawn(self._answer_ahead(prepared, work.request))

    async def _answer_ahead(self, prepared: Prepared, request: Request | None) -> None:
        try:
            heard = await asyncio.shield(prepared.heard)
        except Exception:  # told when the transcript is asked for
            return
        if self._prepared is not prepared:
            return
        if heard.text and request is not None:
            expected = replace(request, messages=(*request.messages, Message("user", heard.text)))
            prepared.reply = Reply(expected, self._slot, self._models.engines, self._from_reply)
        self._deliver(Provisional(prepared.item_id, heard.text))

    def _forget(self) -> None:
        """What was prepared is void."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.heard.cancel()
            if prepared.reply is not None and prepared.reply.state is State.HELD:
                prepared.reply.drop()

    async def _hear(self, item_id: str, pcm: bytes, hint: Language | None, urgency: Urgency) -> Heard:
        turn = self._turn
        if turn is None or turn.item_id != item_id:
            turn = Turn(item_id, hint, TurnWords(self._models.hearer))

        def hear() -> Heard:
            audio, seconds = to_16k(pcm), seconds_of(pcm)
            language = hint
            if language is None:
                language = self._last_vote(turn.votes, audio, seconds)
            return turn.words.all(audio, language)

        return await self._models.listening.run(urgency, hear)

    def _take_prepared(self, item_id: str) -> Prepared | None:
        prepared = self._prepared
        return prepared if prepared is not None and prepared.item_id == item_id else None

    async def _recognize(self, work: Recognize, prepared: Prepared | None) -> None:
        heard: Heard | None = None
        try:
            if prepared is not None:
                await asyncio.wait([prepared.heard])
                if not prepared.heard.cancelled():
                    heard = prepared.heard.result()
            if heard is None:
                heard = await self._hear(work.item_id, work.audio, work.language, Urgency.WAITED_FOR)
        except Exception as error:
            log.error("Recognition failed: %s", type(error).__name__)
            self._deliver(RecognitionFailed(work.item_id, "The speech could not be recognised."))
            return
        finally:
            if self._turn is not None and self._turn.item_id == work.item_id:
                self._end_turn()
        if heard.text:
            self._language = heard.language
        self._deliver(Recognized(work.item_id, heard.text, heard.language, seconds_of(work.audio)))

    # ------------------------------------------------------------------ replies

    def _generate(self, work: Generate) -> None:
        prepared = self._prepared
        if prepared is not None and prepared.reply is not None and prepared.reply.request == work.request:
            reply = prepared.reply
            self._prepared = None
        else:
            self._forget()
            reply = Reply(work.request, self._slot, self._models.engines, self._from_reply)
        self._replies[work.response_id] = reply
        reply.want(work.response_id)

    def _from_reply(self, piece: Piece) -> None:
        if isinstance(piece, ReplyDone):
            self._replies.pop(piece.response_id, None)
        self._deliver(piece)

    def _read_ahead(self, request: Request, words: str) -> None:
        """Lets the language model read what the next reply will begin with; dropped while it has other things to do."""
        busy = self._reading is not None and not self._reading.done()
        if busy or self._replies or (self._prepared is not None and self._prepared.reply is not None):
            return
        messages = (*request.messages, Message("user", words))
        engines = self._models.engines
        prompt = engines.prompt(replace(request, messages=messages))

        async def read() -> None:
            try:
                await engines.read_ahead(prompt, self._slot)
            except ModelFailed as failure:
                log.warning("Reading ahead failed: %s", failure)

        self._reading = self._spawn(read())
