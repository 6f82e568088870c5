"""Turn latency: how long the visitor waited for each reply, and for which part. Pure: events and times go in.

Each reply is measured from the true end of speech to the ear, on one clock, and split into the parts that can be
improved: the silence that the server waits for (a setting), the model, and the playout.

The true end of speech: `audio_end_ms` of `speech_stopped` is the position at which the server stopped listening, in
audio since the connection began. It includes the silence that the server waited for (OpenAI's reference: "includes the
`min_silence_duration_ms`"). The embedded server counts whole windows of 32 ms, up to 31 ms less than the setting. The
end of speech is `audio_end_ms` less the silence setting, put on our clock by when that audio was sent.
`semantic_vad` does not report its silence: with `silence_ms=0` the wait is only that for `speech_stopped`. A typed turn
has no such wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from voicechat.audio.format import FRAME_S, RATE
from voicechat.protocol.event_dispatcher import EventHandlers
from voicechat.protocol.event_fields import Event, to_count
from voicechat.protocol.server_events import (
    AudioDelta,
    InputCommitted,
    ResponseCreated,
    ResponseDone,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptFailed,
)

MAX_ANCHORS = 512
"""Microphone frames of 20 ms remembered: 10 s. The server reports the end of a turn well within that."""
MAX_FINISHED_TURNS = 256
"""Finished turns remembered."""
MAX_RESPONSE_IDS = 64
"""Responses remembered that belong to earlier turns."""
MAX_ITEMS_PER_RESPONSE = 16
"""Spoken items of one reply that are followed to the loudspeaker."""
TOOL_CALL_TYPES = frozenset({"function_call", "mcp_call"})
"""Types of items after which another response answers the turn."""


class LatencySpan(NamedTuple):
    """One bar of the waterfall, in seconds since the visitor began to speak."""

    name: str
    """spoke, waited, transcribing, thinking, tool, speaking or heard."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """Latency of one reply in seconds: `total_s` is the sum of the three parts."""

    total_s: float
    """End of speech to the first audio of the reply at the ear."""
    endpointing_s: float
    """End of speech to the server's `speech_stopped`; 0 for a typed message."""
    model_s: float
    """`speech_stopped` to the first audio received, tool calls included."""
    playout_s: float
    """First audio received to heard: our buffer, the network to the browser, its loudspeaker."""
    is_typed: bool
    spans: tuple[LatencySpan, ...]


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Latency of the replies of a call."""

    recent: tuple[TurnLatency, ...]
    """The newest, oldest first; at least one."""
    p50_s: float | None
    """Median of replies to spoken turns; None when all turns were typed."""
    p95_s: float | None


class LatencyPhase(Enum):
    """Progress of the newest turn."""

    NONE = "none"
    USER_SPEAKING = "spoken"
    """The visitor speaks."""
    AWAITING_RESPONSE = "noticed"
    """The server has noticed the end of speech, and the model thinks."""
    AWAITING_PLAYOUT = "answered"
    """Audio of the reply was received, and has not been played."""


@dataclass(slots=True)
class _TurnTimestamps:
    """Times of one turn on our clock, each no earlier than the one before."""

    started_at: float
    is_typed: bool = False
    item_id: str = ""
    speech_ended_at: float = 0.0
    endpointed_at: float = 0.0
    transcribed_at: float | None = None
    first_audio_at: float = 0.0
    last_audio_at: float = 0.0
    """Arrival of the newest audio of the reply."""
    playout_started_at: float = 0.0
    playout_ended_at: float = 0.0
    """End of the reply's played audio, so far."""
    tool_started_at: float = 0.0
    """Start of the first tool that ran for the reply."""
    tool_ended_at: float | None = None
    """End of the last one; None without any."""
    response_ids: set[str] = field(default_factory=set)
    item_ids: set[str] = field(default_factory=set)

    def latency(self) -> TurnLatency:
        waited, model, rest = (
            self.endpointed_at - self.speech_ended_at,
            self.first_audio_at - self.endpointed_at,
            self.playout_started_at - self.first_audio_at,
        )
        bars = [
            ("spoke", self.started_at, self.speech_ended_at),
            ("waited", self.speech_ended_at, self.endpointed_at),
            ("transcribing", self.endpointed_at, self.transcribed_at),
            ("thinking", self.endpointed_at, self.first_audio_at),
            ("tool", self.tool_started_at, self.tool_ended_at),
            ("speaking", self.first_audio_at, self.last_audio_at),
            ("heard", self.playout_started_at, self.playout_ended_at),
        ]
        if self.is_typed:
            bars = bars[2:]
        spans = [
            LatencySpan(name, start - self.started_at, end - self.started_at)
            for name, start, end in bars
            if end is not None
        ]
        return TurnLatency(waited + model + rest, waited, model, rest, self.is_typed, tuple(spans))


class TurnLatencyTracker:
    """Latency of the turns of a call. `now`: seconds on one monotonic clock."""

    def __init__(self, silence_ms: int, *, padding_ms: int = 0, output_latency_ms: int = 0) -> None:
        """`silence_ms`: the server's silence setting, 0 without one. `padding_ms`: audio before speech that
        `audio_start_ms` includes. `output_latency_ms`: time from our output of a sample to the ear."""
        self._silence_s = silence_ms / 1000
        self._padding_s = padding_ms / 1000
        self._latency_s = output_latency_ms / 1000
        self._phase = LatencyPhase.NONE
        self._current = _TurnTimestamps(0.0)
        self._sent_samples = 0
        self._anchors: deque[tuple[int, float]] = deque(maxlen=MAX_ANCHORS)
        """(samples sent, time of the last of them), in order."""
        self._earlier_response_ids: deque[str] = deque(maxlen=MAX_RESPONSE_IDS)
        self._finished: deque[_TurnTimestamps] = deque(maxlen=MAX_FINISHED_TURNS)
        self._is_playing = False
        self.version = 0
        """Grows whenever a finished turn may look different, but not with every frame of a reply."""

    # ---------------------------------------------------------------- results

    def recent(self, n: int = 8) -> tuple[TurnLatency, ...]:
        """Return the newest latencies, oldest first."""
        return tuple(turn.latency() for turn in list(self._finished)[-n:]) if n > 0 else ()

    def percentiles(self) -> tuple[float, float] | None:
        """Return p50 and p95 in seconds of replies to spoken turns (nearest rank); None before the first."""
        totals = sorted(turn.playout_started_at - turn.speech_ended_at for turn in self._finished if not turn.is_typed)
        if not totals:
            return None
        return _nearest_rank(totals, 50), _nearest_rank(totals, 95)

    def summary(self) -> LatencySummary | None:
        """Return the latency of all replies; None before the first."""
        if not self._finished:
            return None
        p50, p95 = self.percentiles() or (None, None)
        return LatencySummary(self.recent(), p50, p95)

    # ---------------------------------------------------------------- tools

    def add_tool_run(self, started_at: float, ended_at: float) -> None:
        """Add the run of a tool to the newest turn. One that began before the turn belongs to an earlier one."""
        turn = self._current
        if started_at < turn.started_at:
            return
        turn.tool_started_at = started_at if turn.tool_ended_at is None else min(turn.tool_started_at, started_at)
        turn.tool_ended_at = max(turn.tool_ended_at or 0.0, ended_at)
        self.version += 1

    # ---------------------------------------------------------------- events

    def add_sent_audio(self, samples: int, now: float) -> None:
        """Count samples of the microphone, at 24 kHz, that were sent."""
        self._sent_samples += samples
        self._anchors.append((self._sent_samples, now))

    def on_connected(self, endpoint: object, now: float) -> None:
        """Start on another connection: it counts audio from 0, and a reply of the old one does not come over it."""
        self._sent_samples = 0
        self._anchors.clear()
        if self._phase is not LatencyPhase.AWAITING_PLAYOUT:
            self._phase = LatencyPhase.NONE

    def start_typed_turn(self, now: float) -> None:
        """Start the turn of a typed message."""
        self._start_turn(
            _TurnTimestamps(now, is_typed=True, speech_ended_at=now, endpointed_at=now), LatencyPhase.AWAITING_RESPONSE
        )

    def event_handlers(self) -> EventHandlers:
        """Return the handlers for `EventDispatcher`. None of them raises, in any order of events."""
        return {
            SpeechStarted: self._on_speech_started,
            SpeechStopped: self._on_speech_stopped,
            InputCommitted: self._on_committed,
            TranscriptCompleted: self._on_transcript,
            TranscriptFailed: self._on_transcript,
            ResponseCreated: self._on_response_created,
            AudioDelta: self._on_audio_delta,
            ResponseDone: self._on_response_done,
            SessionUpdated: self._on_session_updated,
        }

    def on_frame_played(self, item_ids: Iterable[str], now: float) -> TurnLatency | None:
        """Note that 20 ms with audio of these items were played; without items it was silence. Return the latency of
        the turn whose reply starts with them."""
        begun, sounding = None, False
        for item_id in item_ids:
            sounding = True
            at = now + self._latency_s
            if self._phase is LatencyPhase.AWAITING_PLAYOUT and item_id in self._current.item_ids:
                self._current.playout_started_at = self._current.playout_ended_at = max(
                    at, self._current.first_audio_at
                )
                self._phase = LatencyPhase.NONE
                self._finished.append(self._current)
                begun = self._current.latency()
            if (turn := self._find_playing_turn(item_id)) is not None:
                turn.playout_ended_at = max(turn.playout_ended_at, at + FRAME_S)
        if sounding is not self._is_playing:
            self._is_playing = sounding
            self.version += 1
        return begun

    # ---------------------------------------------------------------- inside

    def _on_session_updated(self, event: SessionUpdated, now: float) -> None:
        """Take over the silence that the server confirms."""
        self._apply_turn_detection(event.session.turn_detection)

    def _apply_turn_detection(self, detection: Event) -> None:
        if detection.get("type") == "semantic_vad":
            self._silence_s = 0.0
        elif isinstance(detection.get("silence_duration_ms"), int | float):
            self._silence_s = to_count(detection["silence_duration_ms"]) / 1000

    def _on_speech_started(self, event: SpeechStarted, now: float) -> None:
        started = self._time_of_position(event.audio_start_ms, now, self._padding_s)
        turn = _TurnTimestamps(now if started is None else started, item_id=event.item_id)
        self._start_turn(turn, LatencyPhase.USER_SPEAKING)

    def _start_turn(self, turn: _TurnTimestamps, phase: LatencyPhase) -> None:
        self._earlier_response_ids.extend(self._current.response_ids)
        self._current, self._phase = turn, phase

    def _time_of_position(self, position_ms: int | None, now: float, shift_s: float) -> float | None:
        """Return when the audio at a server's position, shifted by `shift_s`, was spoken; None when it is unknown.

        Audio is sent no earlier than it is spoken, so the least delayed frame since then gives the time: a frame that
        was held up (a slow network, a reconnect) would give too late a time.
        """
        if position_ms is None:
            return None
        position = round((position_ms / 1000 + shift_s) * RATE)
        times = [at - (sent - position) / RATE for sent, at in self._anchors if sent >= position]
        return min(min(times), now) if times else None

    def _on_speech_stopped(self, event: SpeechStopped, now: float) -> None:
        end = self._speech_end_time(event.audio_end_ms, now, event.silence_ms)
        if self._phase is LatencyPhase.NONE:  # the start was lost, perhaps with a connection
            self._start_turn(_TurnTimestamps(end, item_id=event.item_id), LatencyPhase.USER_SPEAKING)
        self._mark_endpointed(event.item_id, end, now)

    def _on_committed(self, event: InputCommitted, now: float) -> None:
        self._mark_endpointed(event.item_id, self._speech_end_time(None, now), now)

    def _mark_endpointed(self, item_id: str, end: float, now: float) -> None:
        if self._phase is not LatencyPhase.USER_SPEAKING:
            return
        turn = self._current
        turn.item_id = item_id or turn.item_id
        turn.endpointed_at = max(now, turn.started_at)
        turn.speech_ended_at = min(max(end, turn.started_at), turn.endpointed_at)
        self._phase = LatencyPhase.AWAITING_RESPONSE

    def _speech_end_time(self, audio_end_ms: int | None, now: float, silence_ms: int | None = None) -> float:
        silence_s = self._silence_s if silence_ms is None else silence_ms / 1000
        end = self._time_of_position(audio_end_ms, now, -silence_s)
        return now - silence_s if end is None else end

    def _on_transcript(self, event: TranscriptCompleted | TranscriptFailed, now: float) -> None:
        turns = (
            [self._current]
            if self._phase in (LatencyPhase.AWAITING_RESPONSE, LatencyPhase.AWAITING_PLAYOUT)
            else list(self._finished)[-2:]
        )
        for turn in turns:
            if event.item_id and event.item_id == turn.item_id and turn.transcribed_at is None:
                turn.transcribed_at = max(now, turn.endpointed_at)
        self.version += 1

    def _on_response_created(self, event: ResponseCreated, now: float) -> None:
        self._match_response(event.response_id)

    def _match_response(self, response_id: str) -> bool:
        """Return whether a response answers the turn under way; a response that began before the turn does not."""
        if response_id in self._earlier_response_ids:
            return False
        if self._phase is LatencyPhase.AWAITING_RESPONSE:
            if response_id and len(self._current.response_ids) < MAX_RESPONSE_IDS:
                self._current.response_ids.add(response_id)
            return True
        if response_id and self._phase in (LatencyPhase.NONE, LatencyPhase.USER_SPEAKING):
            self._earlier_response_ids.append(response_id)
        return False

    def _on_audio_delta(self, event: AudioDelta, now: float) -> None:
        turn = self._current
        if self._match_response(event.response_id):
            turn.first_audio_at = turn.last_audio_at = max(now, turn.endpointed_at)
            turn.item_ids.add(event.item_id)
            self._phase = LatencyPhase.AWAITING_PLAYOUT
            return
        answered = [turn] if self._phase is LatencyPhase.AWAITING_PLAYOUT else []
        for one in answered + list(self._finished)[-1:]:
            if event.item_id in one.item_ids or (event.response_id and event.response_id in one.response_ids):
                one.last_audio_at = max(one.last_audio_at, now)
                if len(one.item_ids) < MAX_ITEMS_PER_RESPONSE:
                    one.item_ids.add(event.item_id)

    def _on_response_done(self, event: ResponseDone, now: float) -> None:
        """Measure nothing for an answer without audio, unless a tool call says that another one follows."""
        self.version += 1
        if self._phase is not LatencyPhase.AWAITING_RESPONSE or not self._match_response(event.response_id):
            return
        if not any(item.type in TOOL_CALL_TYPES for item in event.output):
            self._phase = LatencyPhase.NONE

    def _find_playing_turn(self, item_id: str) -> _TurnTimestamps | None:
        """Return the turn whose reply is being played, if the item is part of it."""
        for turn in list(self._finished)[-2:]:
            if item_id in turn.item_ids:
                return turn
        return None


def _nearest_rank(ordered: list[float], percent: int) -> float:
    """Return the percentile of ordered values by the nearest rank."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
