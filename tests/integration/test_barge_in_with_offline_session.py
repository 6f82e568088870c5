"""A call and the embedded server's session, both without a socket, on one clock: what is said over a reply.

Sounds are tones to the server's turn detector, and their words are what the test says they are. At the end the model's
memory must be what the page shows.
"""

from __future__ import annotations

import base64
import random
from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offline.protocol.outputs import IdGenerator, Output, SendEvent, SubmitWork
from offline.protocol.worker_messages import (
    FinalTranscript,
    Generate,
    Recognize,
    ReplyDone,
    ReplySpeech,
    StopGeneration,
    WorkResult,
)
from offline.session.session import Session
from tests.support.offline.scripted_models import tone, tone_probability
from voicechat.config.session_update import build_session_update
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import parse_event
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import CallStage

Event = dict[str, Any]
REPLY = ["One two three. ", "Four five six. ", "Seven eight nine."]
FRAME_S = 0.02


class CallWithOfflineSession:
    """A visitor, the call, and the server's session with workers that take their time."""

    def __init__(self, seed: int, clauses: int = 3, **changed: Any) -> None:
        self.now = 100.0
        self.rng = random.Random(seed)
        self.settings = Settings().with_changes(**changed)
        self.call = CallStateMachine(Conversation(), self.settings, self.now)
        self.session = Session(
            model="m", ids=IdGenerator(self.rng), vad=tone_probability, now=self.now, unix_time=1.8e9
        )
        self.to_server: list[tuple[float, Event]] = []
        self.to_call: list[tuple[float, Event]] = []
        self.results: list[tuple[float, WorkResult]] = []
        self.pending_transcripts: list[str] = []
        """Of the sounds that have been made and are not recognised yet."""
        self.clauses = clauses
        self.voice_ends_at = 0.0
        self.received_types: list[str] = []
        self.sent: list[Event] = []
        self.frames: list[np.ndarray] = []
        self.on_session_outputs(self.session.start())
        self.send_to_session([build_session_update(self.settings)])
        self.send_to_session(self.call.handle_connected(self.now))

    # ---------------------------------------------------------------- the way between

    def _schedule(self, queue: list[tuple[float, Any]], what: Any, most: float) -> None:
        """In order, after up to `most` seconds."""
        at = max(self.now + self.rng.uniform(0.0, most), queue[-1][0] if queue else 0.0)
        queue.append((at, what))

    def send_to_session(self, events: list[Event]) -> None:
        for event in events:
            self.sent.append(event)
            self._schedule(self.to_server, event, 0.03)

    def on_session_outputs(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, SendEvent):
                self._schedule(self.to_call, output.event, 0.03)
            elif isinstance(output, SubmitWork):
                self.on_session_work(output.work)

    def on_session_work(self, work: Any) -> None:
        if isinstance(work, Recognize):
            text = self.pending_transcripts.pop(0) if self.pending_transcripts else ""
            self._schedule(self.results, FinalTranscript(work.item_id, text, "en", 1.0), 0.3)
        elif isinstance(work, Generate):
            for clause in REPLY[: self.clauses]:
                self._schedule(self.results, ReplySpeech(work.response_id, clause, tone(1000)), 0.5)
            self._schedule(self.results, ReplyDone(work.response_id, "stop"), 0.1)
        elif isinstance(work, StopGeneration):
            self._schedule(self.results, ReplyDone(work.response_id, "stopped"), 0.05)

    def deliver_due(self) -> None:
        while self.results and self.results[0][0] <= self.now:
            self.on_session_outputs(self.session.handle_result(self.results.pop(0)[1], self.now))
        while self.to_server and self.to_server[0][0] <= self.now:
            self.on_session_outputs(self.session.handle_event(self.to_server.pop(0)[1], self.now))
        while self.to_call and self.to_call[0][0] <= self.now:
            event = self.to_call.pop(0)[1]
            self.received_types.append(event["type"] if event["type"] != "error" else f"error {event['error']['code']}")
            self.send_to_session(self.call.handle_event(parse_event(event), self.now))

    # ---------------------------------------------------------------- the visitor

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            speaking = self.now < self.voice_ends_at
            pcm = tone(20) if speaking else bytes(960)
            self.call.push_audio(np.frombuffer(pcm, "<i2"))
            audio = base64.b64encode(pcm).decode()
            self._schedule(self.to_server, {"type": "input_audio_buffer.append", "audio": audio}, 0.01)
            self.deliver_due()
            self.send_to_session(self.call.tick_20ms(self.now))
            self.frames.append(self.call.next_frame(self.now))
            self.now += FRAME_S
        self.send_to_session(self.call.check_timeouts(self.now))

    def make_sound(self, seconds: float, words: str) -> None:
        self.pending_transcripts.append(words)
        self.voice_ends_at = self.now + seconds

    def run_until_idle(self) -> None:
        for _ in range(80):
            self.advance(0.5)
            if self.call.idle and not self.results and self.now > self.voice_ends_at + 2:
                break
        self.advance(1.0)

    # ---------------------------------------------------------------- what is known

    def shown_messages(self) -> list[tuple[str, str]]:
        """(role, text) of what is shown."""
        return [
            (bubble.role, bubble.text.strip()) for bubble in self.call.conversation.bubbles() if bubble.text.strip()
        ]

    def assert_memory_matches_page(self) -> None:
        """The model remembers what the page shows. Where a reply was cut, both estimate which word it was."""
        items = [item for item in self.session._context.conversation.items if item.to_llm_message() is not None]
        there = {item.id: (item.role, item.to_llm_message().text.strip()) for item in items}  # type: ignore[union-attr]
        bubbles = [bubble for bubble in self.call.conversation.bubbles() if bubble.text.strip()]
        here = {self.call.conversation.server_id(b.item_id): (b.role, b.text.strip()) for b in bubbles}
        assert [name for name in here if name in there] == [name for name in there if name in here]
        for name in {*here, *there}:
            role, shown = here.get(name, ("assistant", ""))
            _, known = there.get(name, ("assistant", ""))
            if role == "user":
                assert shown == known
            assert abs(len(shown.split()) - len(known.split())) <= 1, (shown, known)

    def start_reply(self) -> None:
        """A reply is 0.6 s old."""
        self.send_to_session(self.call.send_text("Count.", self.now) or [])
        while self.call.stage is not CallStage.SPEAKING:
            self.advance(0.02)
        self.advance(0.6)


def test_reply_after_cough_and_backchannel_continues() -> None:
    for words, shown in (("", []), ("Mm-hmm.", [("user", "Mm-hmm.")])):
        both = CallWithOfflineSession(1)
        both.start_reply()
        both.make_sound(0.24, words)
        both.run_until_idle()
        both.assert_memory_matches_page()
        assert both.shown_messages() == [("user", "Count."), ("assistant", "".join(REPLY)), *shown]
        assert "conversation.item.truncate" not in [event["type"] for event in both.sent]
        loud = [int(np.abs(frame).max()) for frame in both.frames if frame.any()]
        assert min(loud) < 0.3 * max(loud), "it was lowered"
        assert len(loud) in range(150, 153), "and heard to its end"


def test_reply_after_short_word_stops_and_word_is_answered_once() -> None:
    for clauses in (1, 3):
        both = CallWithOfflineSession(2, clauses)
        both.start_reply()
        both.make_sound(0.24, "Stop.")
        both.run_until_idle()
        both.assert_memory_matches_page()
        assert [role for role, _ in both.shown_messages()] == ["user", "assistant", "user", "assistant"]
        assert both.shown_messages()[3] == ("assistant", "".join(REPLY[:clauses]).strip())


def test_reply_after_sentence_stops_and_server_answers_unasked() -> None:
    both = CallWithOfflineSession(3)
    both.start_reply()
    both.make_sound(1.5, "Count backwards instead.")
    both.run_until_idle()
    both.assert_memory_matches_page()
    assert [role for role, _ in both.shown_messages()] == ["user", "assistant", "user", "assistant"]
    assert [event["type"] for event in both.sent].count("response.create") == 1, "only for the typed message"


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("sound"), st.sampled_from([(0.2, ""), (0.24, "mm"), (0.26, "Stop."), (0.9, "Tell me more.")])
        ),
        st.tuples(st.just("say"), st.sampled_from(["Hello", "And then?"])),
        st.tuples(st.just("stop"), st.none()),
        st.tuples(st.just("clear"), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5, 1.2, 3.0])),
    ),
    max_size=8,
)


@given(STEPS, st.integers(0, 10_000), st.integers(1, 3))
@example([("sound", (0.26, "Stop.")), ("say", "Hello")], 0, 1)  # the reply is complete there before it is stopped
@settings(max_examples=80, deadline=None)
def test_conversation_in_any_order_is_same_for_model_and_page(
    steps: list[tuple[str, Any]], seed: int, clauses: int
) -> None:
    both = CallWithOfflineSession(seed, clauses)
    both.start_reply()
    for step, value in steps:
        match step:
            case "sound":
                both.make_sound(*value)
                both.advance(value[0] + both.rng.choice([0.1, 0.4, 0.8]))
            case "say":
                both.send_to_session(both.call.send_text(value, both.now) or [])
            case "stop":
                both.send_to_session(both.call.interrupt(both.now))
            case "clear":
                both.send_to_session(both.call.clear(both.now))
            case "wait":
                both.advance(value)
    both.run_until_idle()
    assert both.call.stage is CallStage.LISTENING
    both.assert_memory_matches_page()
    if both.call.notice is not None:  # a noise stopped the answer before its first word
        assert both.call.notice == Notice.REPLY_FAILED
        assert both.call.snapshot().bubbles[-1].role == "user"
