"""The input side of a session: received sound, cut into turns by the turn detector or by the client."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from offline.audio_formats import SAMPLES_PER_MS, Decoder, from_base64
from offline.core import Core
from offline.events import Json, ProtocolError, invalid_value, missing
from offline.input_audio import MAX_MS, InputAudio
from offline.turn_detection import Ear, Heard, Probability, Signal
from offline.work import Listening, Paused, Request, Resumed

MIN_COMMIT_MS = 100
MAX_TURN_MS = 120_000
"""A turn this long is ended, pause or not."""
UNJUDGED_MS = 1000
"""Sound kept from before a turn beyond the padding: what the detector has not judged yet."""
LISTENING_MS = 400
MAX_APPEND_BYTES = 15 * 2**20
"""Sound of one append, as the service has it."""
SLICE_MS = 1000
"""Sound judged at a time, so that a long append holds nobody else up."""


class Pace(Enum):
    """Of the turn under way."""

    SPEAKING = "speaking"
    PAUSED = "paused"
    """`Paused` was handed out and holds."""


@dataclass(slots=True)
class Turn:
    """The person's turn under way."""

    item_id: str
    start: int
    """Its first sample."""
    listened: int
    """Up to where its sound was handed out for captions."""
    pace: Pace = Pace.SPEAKING
    words: str = ""
    """All that was said up to the pause; "" while that is not known."""


class Floor(Protocol):
    """Who is told about turns."""

    def turn_began(self) -> None:
        """The person began to speak."""

    def turn_ended(self, item_id: str, audio: bytes, *, detected: bool) -> None:
        """The person's turn is `audio`. `detected`: by the turn detector; else by the client's commit."""

    def expected_request(self) -> Request | None:
        """What would be generated if the turn ended now, without its words; None: nothing by itself."""


class Listener:
    """Sound in; turns, events about them, and work for the recogniser out."""

    def __init__(self, core: Core, floor: Floor, probability: Probability) -> None:
        self._core = core
        self._floor = floor
        self._probability = probability
        self._input = InputAudio()
        self._decoder = Decoder("audio/pcm")
        self._ear: Ear | None = None
        self._turn: Turn | None = None
        self.unheard = memoryview(b"")
        """Sound of the last append that has not been taken in yet, in the wire's format."""
        self.adapt()

    @property
    def turn_id(self) -> str | None:
        """Item id of the turn under way."""
        return self._turn.item_id if self._turn else None

    @property
    def received(self) -> int:
        """Samples received since the session began."""
        return self._input.end

    def adapt(self) -> None:
        """The session's settings have changed."""
        if self._core.input_format != self._decoder.kind:
            self._decoder = Decoder(self._core.input_format)
        detection = self._core.turn_detection
        if detection is None:
            self._abandon_turn()
            self._ear = None
        elif self._ear is None:
            self._ear = Ear(detection, self._probability, self._input.end)
        else:
            self._ear.adapt(detection, self._turn.words if self._turn else "")

    def append(self, event: Json) -> None:
        """`input_audio_buffer.append`: taken whole or refused whole, then judged a second at a time.

        The first second is judged at once; `hear_on` goes on while there is `unheard` sound.
        """
        if "audio" not in event:
            raise missing("audio")
        data = from_base64(event["audio"], "audio")
        if len(data) > MAX_APPEND_BYTES:
            raise invalid_value("audio", f"At most {MAX_APPEND_BYTES // 2**20} MiB of sound are accepted at a time.")
        self._decoder.check(data, "audio")
        if self._ear is None and not self._input.has_room(len(data) / self._decoder.bytes_per_ms):
            raise invalid_value("audio", f"The buffer holds at most {MAX_MS // 1000} s: commit it or clear it.")
        self.unheard = memoryview(data)
        self.hear_on()

    def hear_on(self) -> None:
        """Take the next second of accepted sound in."""
        size = SLICE_MS * self._decoder.bytes_per_ms
        data, self.unheard = self.unheard[:size], self.unheard[size:]
        pcm = self._decoder.decode(bytes(data), "audio")
        self._input.append(pcm)
        if self._ear is None:
            return
        self._notice(self._ear.hear(pcm))
        if self._turn is None:
            self._input.drop_before(self._input.end - self._ear.detector.padding - UNJUDGED_MS * SAMPLES_PER_MS)
        elif self._input.end - self._turn.start >= MAX_TURN_MS * SAMPLES_PER_MS:
            end = self._input.end
            self._ear.detector.abandon(end)
            self._end_turn(self._turn, end)
        else:
            self._listen(self._turn)

    def commit(self, event: Json) -> None:
        """`input_audio_buffer.commit`."""
        if self._input.ms < MIN_COMMIT_MS:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {self._input.ms:.2f}ms of audio."
            )
            raise ProtocolError("input_audio_buffer_commit_empty", message)
        turn, end = self._turn, self._input.end
        if self._ear is not None:
            self._ear.detector.abandon(end)
        if turn is not None:
            self._end_turn(turn, end, detected=False)
            return
        audio = self._input.between(self._input.start, end)
        self._input.drop_before(end)
        self._floor.turn_ended(self._core.ids.new("item"), audio, detected=False)

    def clear(self, event: Json) -> None:
        """`input_audio_buffer.clear`."""
        self._abandon_turn()
        self._input.drop_before(self._input.end)
        self._core.out.send("input_audio_buffer.cleared")

    def words(self, item_id: str, text: str) -> None:
        """`text` is all that was said up to the pause in the turn with this id, which may show that it is over.

        Captions are not asked: they lack the last word, its marks, and whatever two hypotheses do not agree on.
        """
        turn = self._turn
        if turn is not None and turn.item_id == item_id and turn.pace is Pace.PAUSED and self._ear is not None:
            turn.words = text
            self._notice(self._ear.words(text))

    def _notice(self, signals: list[Heard]) -> None:
        for heard in signals:
            turn = self._turn
            if heard.signal is Signal.STARTED:
                self._begin_turn(heard.sample)
            elif turn is None:
                continue
            elif heard.signal is Signal.STOPPED:
                self._end_turn(turn, heard.sample)
            elif heard.signal is Signal.PAUSED:
                turn.pace = Pace.PAUSED
                audio = self._input.between(turn.start, heard.sample)
                self._core.out.do(Paused(turn.item_id, audio, self._core.language, self._floor.expected_request()))
            else:
                self._resume(turn)

    def _begin_turn(self, start: int) -> None:
        start = max(start, self._input.start)
        turn = Turn(self._core.ids.new("item"), start, start)
        self._turn = turn
        if self._ear is not None:
            self._ear.words("")
        milliseconds = start // SAMPLES_PER_MS
        self._core.out.send("input_audio_buffer.speech_started", audio_start_ms=milliseconds, item_id=turn.item_id)
        self._floor.turn_began()

    def _end_turn(self, turn: Turn, end: int, *, detected: bool = True) -> None:
        self._turn = None
        audio = self._input.between(turn.start, end)
        self._input.drop_before(end)
        milliseconds = end // SAMPLES_PER_MS
        self._core.out.send("input_audio_buffer.speech_stopped", audio_end_ms=milliseconds, item_id=turn.item_id)
        self._floor.turn_ended(turn.item_id, audio, detected=detected)

    def _listen(self, turn: Turn) -> None:
        """Hand out the turn so far, when enough of it is new; not in a pause, which has its own work."""
        if turn.pace is Pace.SPEAKING and self._input.end - turn.listened >= LISTENING_MS * SAMPLES_PER_MS:
            turn.listened = self._input.end
            audio = self._input.between(turn.start, self._input.end)
            self._core.out.do(Listening(turn.item_id, audio, self._core.language))

    def _resume(self, turn: Turn) -> None:
        if turn.pace is Pace.PAUSED:
            turn.pace, turn.words = Pace.SPEAKING, ""
            if self._ear is not None:
                self._ear.words("")
            self._core.out.do(Resumed(turn.item_id))

    def _abandon_turn(self) -> None:
        if self._turn is not None:
            self._resume(self._turn)
            self._turn = None
        if self._ear is not None:
            self._ear.detector.abandon(self._input.end)
