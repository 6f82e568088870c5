"""Input audio of a session: the turn detector, or the client's commits, divide it into turns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from offline.audio import SAMPLES_PER_MS
from offline.protocol.audio_formats import InputAudioDecoder, from_base64
from offline.protocol.outputs import Json, ProtocolError, invalid_value, missing_parameter
from offline.protocol.worker_messages import (
    CaptionRequest,
    ProvisionalTranscript,
    ReplyRequest,
    SpeechPaused,
    SpeechResumed,
)
from offline.stt.turn_detection import TurnSegmenter, TurnSignal, TurnSignalKind, VadModel

from .context import SessionContext
from .input_audio_buffer import MAX_BUFFER_MS, InputAudioBuffer

MIN_COMMIT_MS = 100
"""Milliseconds of audio that a commit needs."""
MAX_TURN_MS = 120_000
"""Milliseconds after which a turn is ended without a pause."""
DETECTOR_LAG_MS = 1000
"""Milliseconds of audio kept before a turn in addition to its padding, for the detector's delay."""
CAPTION_INTERVAL_MS = 400
"""Milliseconds of new speech between two caption requests."""
MAX_APPEND_BYTES = 15 * 2**20
"""Bytes of audio in one append, as in the service."""
PROCESSING_SLICE_MS = 1000
"""Milliseconds of audio processed at a time, so that a long append does not delay other sessions."""


class InputTurnState(Enum):
    """State of the turn in progress."""

    SPEAKING = "speaking"
    PAUSED = "paused"
    """`SpeechPaused` was submitted and is valid."""


@dataclass(slots=True)
class InputTurn:
    """Turn of the user in progress."""

    item_id: str
    start_sample: int
    captioned_until_sample: int
    """Sample up to which the last caption request reached."""
    state: InputTurnState = InputTurnState.SPEAKING
    provisional_text: str | None = None
    """Transcript up to the pause; "" while it is unknown."""
    turn_end_probability: float | None = None
    """Probability that the pause ends the turn; None while it is unknown."""


class TurnListener(Protocol):
    """Receiver of turn events."""

    def on_turn_started(self) -> None:
        """The user began to speak."""

    def on_turn_ended(self, item_id: str, audio: bytes, *, detected: bool) -> None:
        """The user's turn is `audio`. `detected` is False for a client's commit."""

    def predict_request(self) -> ReplyRequest | None:
        """Return the expected request if the turn ended now, without its words; None if no reply would follow."""


class InputAudioManager:
    """Turns received audio into turn events, client events and recognition work."""

    def __init__(self, context: SessionContext, turn_listener: TurnListener, vad: VadModel) -> None:
        self._context = context
        self._turn_listener = turn_listener
        self._vad = vad
        self._buffer = InputAudioBuffer()
        self._decoder = InputAudioDecoder("audio/pcm")
        self._segmenter: TurnSegmenter | None = None
        self._turn: InputTurn | None = None
        self.pending_audio = memoryview(b"")
        """Audio of the last append that is not processed yet, in the client's format."""
        self.apply_settings()

    @property
    def turn_item_id(self) -> str | None:
        """Item id of the turn in progress."""
        return self._turn.item_id if self._turn else None

    @property
    def received_samples(self) -> int:
        """Samples (24 kHz) received since the session began."""
        return self._buffer.end_sample

    def apply_settings(self) -> None:
        """Apply changed session settings."""
        if self._context.input_format != self._decoder.audio_format:
            self._decoder = InputAudioDecoder(self._context.input_format)
        detection = self._context.turn_detection
        if detection is None:
            self._abandon_turn()
            self._segmenter = None
        elif self._segmenter is None:
            self._segmenter = TurnSegmenter(detection, self._vad, self._buffer.end_sample)
        else:
            turn = self._turn
            self._segmenter.apply_settings(
                detection, turn.provisional_text if turn else None, turn.turn_end_probability if turn else None
            )

    def append(self, event: Json) -> None:
        """Handle `input_audio_buffer.append`: accept or reject the whole audio, then process its first second.

        `process_pending` continues while there is `pending_audio`. Raises `ProtocolError`.
        """
        if "audio" not in event:
            raise missing_parameter("audio")
        data = from_base64(event["audio"], "audio")
        if len(data) > MAX_APPEND_BYTES:
            raise invalid_value("audio", f"At most {MAX_APPEND_BYTES // 2**20} MiB of audio are accepted at a time.")
        self._decoder.validate_length(data, "audio")
        if self._segmenter is None and not self._buffer.has_room(len(data) / self._decoder.bytes_per_ms):
            raise invalid_value("audio", f"The buffer holds at most {MAX_BUFFER_MS // 1000} s: commit it or clear it.")
        self.pending_audio = memoryview(data)
        self.process_pending()

    def process_pending(self) -> None:
        """Process the next second of the pending audio."""
        size = PROCESSING_SLICE_MS * self._decoder.bytes_per_ms
        data, self.pending_audio = self.pending_audio[:size], self.pending_audio[size:]
        pcm = self._decoder.decode(bytes(data), "audio")
        self._buffer.append(pcm)
        if self._segmenter is None:
            return
        self._handle_signals(self._segmenter.feed(pcm))
        if self._turn is None:
            self._buffer.drop_before(
                self._buffer.end_sample - self._segmenter.detector.padding_samples - DETECTOR_LAG_MS * SAMPLES_PER_MS
            )
        elif self._buffer.end_sample - self._turn.start_sample >= MAX_TURN_MS * SAMPLES_PER_MS:
            end = self._buffer.end_sample
            self._segmenter.detector.abandon_turn(end)
            self._end_turn(self._turn, end)
        else:
            self._request_caption(self._turn)

    def commit(self, event: Json) -> None:
        """Handle `input_audio_buffer.commit`. Raises `ProtocolError` for too little audio."""
        if self._buffer.duration_ms < MIN_COMMIT_MS:
            message = (
                f"Error committing input audio buffer: buffer too small. Expected at least {MIN_COMMIT_MS}ms of audio, "
                f"but buffer only has {self._buffer.duration_ms:.2f}ms of audio."
            )
            raise ProtocolError("input_audio_buffer_commit_empty", message)
        turn, end = self._turn, self._buffer.end_sample
        if self._segmenter is not None:
            self._segmenter.detector.abandon_turn(end)
        if turn is not None:
            self._end_turn(turn, end, detected=False)
            return
        audio = self._buffer.get_range(self._buffer.start_sample, end)
        self._buffer.drop_before(end)
        self._turn_listener.on_turn_ended(self._context.ids.new("item"), audio, detected=False)

    def clear(self, event: Json) -> None:
        """Handle `input_audio_buffer.clear`."""
        self._abandon_turn()
        self._buffer.drop_before(self._buffer.end_sample)
        self._context.outbox.send("input_audio_buffer.cleared")

    def apply_provisional_transcript(self, result: ProvisionalTranscript) -> None:
        """Apply the transcript up to the current pause, and how it was said, which may end the turn.

        Captions do not suffice: they lack the last word, its punctuation, and words without agreement of two
        hypotheses.
        """
        turn = self._turn
        if (
            turn is not None
            and turn.item_id == result.item_id
            and turn.state is InputTurnState.PAUSED
            and self._segmenter is not None
        ):
            turn.provisional_text, turn.turn_end_probability = result.text, result.turn_end_probability
            self._handle_signals(self._segmenter.apply_transcript(result.text, result.turn_end_probability))

    def _handle_signals(self, signals: list[TurnSignal]) -> None:
        for signal in signals:
            turn = self._turn
            if signal.kind is TurnSignalKind.STARTED:
                self._begin_turn(signal.sample)
            elif turn is None:
                continue
            elif signal.kind is TurnSignalKind.STOPPED:
                self._end_turn(turn, signal.sample)
            elif signal.kind is TurnSignalKind.PAUSED:
                turn.state = InputTurnState.PAUSED
                audio = self._buffer.get_range(turn.start_sample, signal.sample)
                request = self._turn_listener.predict_request()
                judges_voice = self._segmenter is not None and self._segmenter.judges_voice
                self._context.outbox.submit(
                    SpeechPaused(
                        *(turn.item_id, audio, self._context.language_hint, request, judges_voice),
                        context=self._context.likely_words,
                    )
                )
            else:
                self._resume_turn(turn)

    def _begin_turn(self, start_sample: int) -> None:
        start_sample = max(start_sample, self._buffer.start_sample)
        turn = InputTurn(self._context.ids.new("item"), start_sample, start_sample)
        self._turn = turn
        if self._segmenter is not None:
            self._segmenter.apply_transcript(None)
        start_ms = start_sample // SAMPLES_PER_MS
        self._context.outbox.send("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=turn.item_id)
        self._turn_listener.on_turn_started()

    def _end_turn(self, turn: InputTurn, end_sample: int, *, detected: bool = True) -> None:
        self._turn = None
        audio = self._buffer.get_range(turn.start_sample, end_sample)
        self._buffer.drop_before(end_sample)
        end_ms = end_sample // SAMPLES_PER_MS
        silence: Json = {}
        if detected and self._segmenter is not None and self._segmenter.judges_voice:
            silence["silence_ms"] = self._segmenter.detector.heard_silence_ms
        self._context.outbox.send(
            "input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=turn.item_id, **silence
        )
        self._turn_listener.on_turn_ended(turn.item_id, audio, detected=detected)

    def _request_caption(self, turn: InputTurn) -> None:
        """Submit the turn so far if enough of it is new. A pause has work of its own."""
        if (
            turn.state is InputTurnState.SPEAKING
            and self._buffer.end_sample - turn.captioned_until_sample >= CAPTION_INTERVAL_MS * SAMPLES_PER_MS
        ):
            turn.captioned_until_sample = self._buffer.end_sample
            audio = self._buffer.get_range(turn.start_sample, self._buffer.end_sample)
            self._context.outbox.submit(
                CaptionRequest(turn.item_id, audio, self._context.language_hint, self._context.likely_words)
            )

    def _resume_turn(self, turn: InputTurn) -> None:
        if turn.state is InputTurnState.PAUSED:
            turn.state, turn.provisional_text, turn.turn_end_probability = InputTurnState.SPEAKING, None, None
            if self._segmenter is not None:
                self._segmenter.apply_transcript(None)
            self._context.outbox.submit(SpeechResumed(turn.item_id))

    def _abandon_turn(self) -> None:
        if self._turn is not None:
            self._resume_turn(self._turn)
            self._turn = None
        if self._segmenter is not None:
            self._segmenter.detector.abandon_turn(self._buffer.end_sample)
