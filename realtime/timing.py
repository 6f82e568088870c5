"""How long a visitor waited for each answer, and for what: events and times in, finished turns out. Pure.

Every answer is measured from the true end of speech to the ear, on one clock (ours), and split into what can be acted
on: the silence that the server waits for (a setting), the model, and the way to the loudspeaker.

Where speech truly ended: `audio_end_ms` of `speech_stopped` is where the server stopped listening, counted in sound
received since the connection began, so it *includes* the silence it waited for (OpenAI's reference: "includes the
`min_silence_duration_ms`"; the embedded server's detector gives the end of its last silent window, counting only whole
windows of 32 ms, so up to 31 ms less than the setting). The end of speech is therefore `audio_end_ms` less the silence
setting, put on our clock by when that sound was sent. `semantic_vad` waits for as long as it likes and does not say:
with `silence_ms=0` the wait counted is only that for the server's word. A typed turn has no wait at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from .fields import Event, number, response_id, string, table, tables

SAMPLES_PER_S = 24_000
FRAME_S = 0.02
ANCHORS = 512
"""Pieces of microphone sound remembered: 10 s of 20 ms frames; the server speaks of a turn's end well within that."""
KEPT = 256
"""Finished turns remembered."""
REPLIES = 64
"""Responses remembered that belong to earlier turns."""
ITEMS = 16
"""Spoken items of one answer that are followed to the loudspeaker."""
TRANSCRIBED = frozenset(
    {
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
    }
)


class Span(NamedTuple):
    """One bar of the waterfall, in seconds from when the visitor began to speak."""

    name: str
    """spoke, waited, transcribing, thinking, speaking or heard."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TurnTime:
    """One answer, in seconds: `total_s` is the sum of the three."""

    total_s: float
    """From the end of speech to the first sound of the answer at the ear."""
    waited_s: float
    """End of speech to the server having noticed it; 0 for a typed message."""
    model_s: float
    """Noticed to the first sound received, tool calls included."""
    rest_s: float
    """Received to heard: our buffer, the network to the browser, its loudspeaker."""
    typed: bool
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Waits:
    """The answers of one call, for people."""

    recent: tuple[TurnTime, ...]
    """The newest, oldest first; at least one."""
    p50_s: float | None
    """Of the answers to what was spoken; None when all was typed."""
    p95_s: float | None


class Phase(Enum):
    """How far the newest turn is."""

    NONE = "none"
    SPOKEN = "spoken"
    """The visitor speaks."""
    NOTICED = "noticed"
    """The server knows that they have finished, and thinks."""
    ANSWERED = "answered"
    """Sound of the answer was received, and has not been played yet."""


@dataclass(slots=True)
class _Turn:
    """Moments of one turn on our clock, each no earlier than the one before."""

    began: float
    typed: bool = False
    item_id: str = ""
    ended: float = 0.0
    noticed: float = 0.0
    transcribed: float | None = None
    answered: float = 0.0
    received: float = 0.0
    """The newest sound of the answer."""
    heard: float = 0.0
    silent: float = 0.0
    """The end of what was heard of the answer, so far."""
    replies: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)

    def time(self) -> TurnTime:
        waited, model, rest = self.noticed - self.ended, self.answered - self.noticed, self.heard - self.answered
        bars = [
            ("spoke", self.began, self.ended),
            ("waited", self.ended, self.noticed),
            ("transcribing", self.noticed, self.transcribed),
            ("thinking", self.noticed, self.answered),
            ("speaking", self.answered, self.received),
            ("heard", self.heard, self.silent),
        ]
        if self.typed:
            bars = bars[2:]
        spans = [Span(name, start - self.began, end - self.began) for name, start, end in bars if end is not None]
        return TurnTime(waited + model + rest, waited, model, rest, self.typed, tuple(spans))


class Turns:
    """The turns of one call. `now` is one monotonic clock, in seconds, in all methods."""

    def __init__(self, silence_ms: int, *, padding_ms: int = 0, output_latency_ms: int = 0) -> None:
        """`silence_ms`: the server's silence setting, 0 where it has none. `padding_ms`: sound before speech that its
        `audio_start_ms` includes. `output_latency_ms`: from our handing over a sample to the ear."""
        self._silence_s = silence_ms / 1000
        self._padding_s = padding_ms / 1000
        self._latency_s = output_latency_ms / 1000
        self._phase = Phase.NONE
        self._turn = _Turn(0.0)
        self._sent = 0
        self._anchors: deque[tuple[int, float]] = deque(maxlen=ANCHORS)
        """(samples sent, when the last of them was), in order."""
        self._old: deque[str] = deque(maxlen=REPLIES)
        self._finished: deque[_Turn] = deque(maxlen=KEPT)
        self._sounding = False
        self.version = 0
        """Grows whenever a finished turn may look different; not with every frame of an answer that goes on."""

    # ---------------------------------------------------------------- what came of it

    @property
    def last(self) -> TurnTime | None:
        """The newest answer that was heard."""
        return self._finished[-1].time() if self._finished else None

    def recent(self, n: int = 8) -> tuple[TurnTime, ...]:
        """The newest answers, oldest first."""
        return tuple(turn.time() for turn in list(self._finished)[-n:]) if n > 0 else ()

    def percentiles(self) -> tuple[float, float] | None:
        """p50 and p95, in seconds, of the answers to what was spoken (nearest rank); None before the first."""
        totals = sorted(turn.heard - turn.ended for turn in self._finished if not turn.typed)
        if not totals:
            return None
        return _rank(totals, 50), _rank(totals, 95)

    def waits(self) -> Waits | None:
        """All of it; None before the first answer."""
        if not self._finished:
            return None
        p50, p95 = self.percentiles() or (None, None)
        return Waits(self.recent(), p50, p95)

    # ---------------------------------------------------------------- what happens

    def appended(self, samples: int, now: float) -> None:
        """So many more samples of the microphone, at 24 kHz, were sent."""
        self._sent += samples
        self._anchors.append((self._sent, now))

    def connected(self, endpoint: object, now: float) -> None:
        """Another connection: it counts sound from 0, and an answer under way on the old one is not to be had here."""
        self._sent = 0
        self._anchors.clear()
        if self._phase is not Phase.ANSWERED:
            self._phase = Phase.NONE

    def typed(self, now: float) -> None:
        """A message was typed and sent."""
        self._begin(_Turn(now, typed=True, ended=now, noticed=now), Phase.NOTICED)

    def receive(self, event: Mapping[str, Any], now: float) -> None:
        """Fold a server event. Never raises for what a server may send, in any order."""
        kind = event.get("type")
        if kind == "input_audio_buffer.speech_started":
            started = self._at(event, "audio_start_ms", now, self._padding_s)
            self._begin(_Turn(now if started is None else started, item_id=string(event, "item_id")), Phase.SPOKEN)
        elif kind in ("input_audio_buffer.speech_stopped", "input_audio_buffer.committed"):
            self._stopped(event, now, kind == "input_audio_buffer.speech_stopped")
        elif kind in TRANSCRIBED:
            self._transcribed(string(event, "item_id"), now)
            self.version += 1
        elif kind == "response.created":
            self._belongs(response_id(event))
        elif kind == "response.output_audio.delta":
            self._sound(event, now)
        elif kind == "response.done":
            self._done(event)
            self.version += 1
        elif kind == "session.updated":
            self._session(table(event, "session"))

    def frame(self, items: Iterable[str], now: float) -> TurnTime | None:
        """20 ms were handed to the loudspeaker, with sound of these items; of none: silence. Returns the turn whose
        answer begins to be heard with it."""
        begun, sounding = None, False
        for item_id in items:
            sounding = True
            at = now + self._latency_s
            if self._phase is Phase.ANSWERED and item_id in self._turn.items:
                self._turn.heard = self._turn.silent = max(at, self._turn.answered)
                self._phase = Phase.NONE
                self._finished.append(self._turn)
                begun = self._turn.time()
            if (turn := self._playing(item_id)) is not None:
                turn.silent = max(turn.silent, at + FRAME_S)
        if sounding is not self._sounding:
            self._sounding = sounding
            self.version += 1
        return begun

    # ---------------------------------------------------------------- inside

    def _session(self, session: Event) -> None:
        """What the server says of how it finds the end of a turn goes before what was asked of it."""
        detection = table(table(table(session, "audio"), "input"), "turn_detection")
        if detection.get("type") == "semantic_vad":
            self._silence_s = 0.0
        elif isinstance(detection.get("silence_duration_ms"), int | float):
            self._silence_s = number(detection["silence_duration_ms"]) / 1000

    def _begin(self, turn: _Turn, phase: Phase) -> None:
        self._old.extend(self._turn.replies)
        self._turn, self._phase = turn, phase

    def _at(self, event: Event, key: str, now: float, shift_s: float) -> float | None:
        """When the sound at a server's position, `shift_s` moved, was spoken; None when that cannot be told.

        Sound is sent no earlier than it is spoken, so of all pieces sent since, the promptest one tells: a piece that
        was held up (a slow network, a reconnect) would put it too late.
        """
        if not isinstance(event.get(key), int | float):
            return None
        position = round((number(event.get(key)) / 1000 + shift_s) * SAMPLES_PER_S)
        times = [at - (sent - position) / SAMPLES_PER_S for sent, at in self._anchors if sent >= position]
        return min(min(times), now) if times else None

    def _stopped(self, event: Event, now: float, detected: bool) -> None:
        if self._phase is Phase.NONE and detected:  # the beginning was lost, with a connection perhaps
            end = self._end_of_speech(event, now)
            self._begin(_Turn(end, item_id=string(event, "item_id")), Phase.SPOKEN)
        if self._phase is not Phase.SPOKEN:
            return
        turn = self._turn
        turn.item_id = string(event, "item_id") or turn.item_id
        turn.noticed = max(now, turn.began)
        turn.ended = min(max(self._end_of_speech(event, now), turn.began), turn.noticed)
        self._phase = Phase.NOTICED

    def _end_of_speech(self, event: Event, now: float) -> float:
        end = self._at(event, "audio_end_ms", now, -self._silence_s)
        return now - self._silence_s if end is None else end

    def _transcribed(self, item_id: str, now: float) -> None:
        turns = [self._turn] if self._phase in (Phase.NOTICED, Phase.ANSWERED) else list(self._finished)[-2:]
        for turn in turns:
            if item_id and item_id == turn.item_id and turn.transcribed is None:
                turn.transcribed = max(now, turn.noticed)

    def _belongs(self, reply: str) -> bool:
        """Whether a response answers the turn under way; one that was there before it does not."""
        if self._phase is Phase.NOTICED and reply not in self._old:
            if reply and len(self._turn.replies) < REPLIES:
                self._turn.replies.add(reply)
            return True
        if self._phase in (Phase.NONE, Phase.SPOKEN) and reply and reply not in self._old:
            self._old.append(reply)
        return False

    def _sound(self, event: Event, now: float) -> None:
        reply = response_id(event)
        item_id = string(event, "item_id") or f"{reply}.message"
        turn = self._turn
        if self._belongs(reply):
            turn.answered = turn.received = max(now, turn.noticed)
            turn.items.add(item_id)
            self._phase = Phase.ANSWERED
            return
        answered = [turn] if self._phase is Phase.ANSWERED else []
        for one in answered + list(self._finished)[-1:]:
            if item_id in one.items or (reply and reply in one.replies):
                one.received = max(one.received, now)
                if len(one.items) < ITEMS:
                    one.items.add(item_id)

    def _done(self, event: Event) -> None:
        """An answer without sound, of which no more is to come: nothing to measure."""
        if self._phase is not Phase.NOTICED or not self._belongs(response_id(event)):
            return
        response = table(event, "response")
        called = any(item.get("type") in ("function_call", "mcp_call") for item in tables(response, "output"))
        if not called:
            self._phase = Phase.NONE

    def _playing(self, item_id: str) -> _Turn | None:
        """The turn whose answer is at the loudspeaker, if that is its item."""
        for turn in list(self._finished)[-2:]:
            if item_id in turn.items:
                return turn
        return None


def _rank(ordered: list[float], percent: int) -> float:
    """Nearest rank."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
