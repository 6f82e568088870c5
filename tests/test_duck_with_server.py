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

from offline.events import Do, Ids, Output, Send
from offline.session import Session
from offline.work import Generate, Recognize, Recognized, ReplyDone, ReplySpeech, Result, Stop
from realtime.call import Call
from realtime.conversation import Conversation
from realtime.session import session_update
from realtime.settings import Settings
from realtime.snapshot import Stage

from .offline.scripted import loudness, tone

Event = dict[str, Any]
REPLY = ["One two three. ", "Four five six. ", "Seven eight nine."]
FRAME_S = 0.02


class Both:
    """A visitor, the call, and the server's session with workers that take their time."""

    def __init__(self, seed: int, clauses: int = 3, **changed: Any) -> None:
        self.now = 100.0
        self.chance = random.Random(seed)
        self.settings = Settings(**changed)
        self.call = Call(Conversation(), self.settings, self.now)
        self.session = Session(model="m", ids=Ids(self.chance), probability=loudness, now=self.now, wall=1.8e9)
        self.to_server: list[tuple[float, Event]] = []
        self.to_call: list[tuple[float, Event]] = []
        self.results: list[tuple[float, Result]] = []
        self.words: list[str] = []
        """Of the sounds that have been made and are not recognised yet."""
        self.clauses = clauses
        self.voice_until = 0.0
        self.seen: list[str] = []
        self.told: list[Event] = []
        self.frames: list[np.ndarray] = []
        self.out(self.session.start())
        self.tell([session_update(self.settings)])
        self.tell(self.call.connect(self.now))

    # ---------------------------------------------------------------- the way between

    def _later(self, queue: list[tuple[float, Any]], what: Any, most: float) -> None:
        """In order, after up to `most` seconds."""
        at = max(self.now + self.chance.uniform(0.0, most), queue[-1][0] if queue else 0.0)
        queue.append((at, what))

    def tell(self, events: list[Event]) -> None:
        for event in events:
            self.told.append(event)
            self._later(self.to_server, event, 0.03)

    def out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send):
                self._later(self.to_call, output.event, 0.03)
            elif isinstance(output, Do):
                self.work(output.work)

    def work(self, work: Any) -> None:
        if isinstance(work, Recognize):
            text = self.words.pop(0) if self.words else ""
            self._later(self.results, Recognized(work.item_id, text, "en", 1.0), 0.3)
        elif isinstance(work, Generate):
            for clause in REPLY[: self.clauses]:
                self._later(self.results, ReplySpeech(work.response_id, clause, tone(1000)), 0.5)
            self._later(self.results, ReplyDone(work.response_id, "stop"), 0.1)
        elif isinstance(work, Stop):
            self._later(self.results, ReplyDone(work.response_id, "stopped"), 0.05)

    def pass_on(self) -> None:
        while self.results and self.results[0][0] <= self.now:
            self.out(self.session.deliver(self.results.pop(0)[1], self.now))
        while self.to_server and self.to_server[0][0] <= self.now:
            self.out(self.session.receive(self.to_server.pop(0)[1], self.now))
        while self.to_call and self.to_call[0][0] <= self.now:
            event = self.to_call.pop(0)[1]
            self.seen.append(event["type"] if event["type"] != "error" else f"error {event['error']['code']}")
            self.tell(self.call.receive(event, self.now))

    # ---------------------------------------------------------------- the visitor

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            speaking = self.now < self.voice_until
            pcm = tone(20) if speaking else bytes(960)
            self.call.hear(np.frombuffer(pcm, "<i2"))
            audio = base64.b64encode(pcm).decode()
            self._later(self.to_server, {"type": "input_audio_buffer.append", "audio": audio}, 0.01)
            self.pass_on()
            self.tell(self.call.beat(self.now))
            self.frames.append(self.call.frame(self.now))
            self.now += FRAME_S
        self.tell(self.call.tick(self.now))

    def sound(self, seconds: float, words: str) -> None:
        self.words.append(words)
        self.voice_until = self.now + seconds

    def until_rest(self) -> None:
        for _ in range(80):
            self.wait(0.5)
            if self.call.quiet and not self.results and self.now > self.voice_until + 2:
                break
        self.wait(1.0)

    # ---------------------------------------------------------------- what is known

    def page(self) -> list[tuple[str, str]]:
        """(role, text) of what is shown."""
        return [
            (bubble.role, bubble.text.strip()) for bubble in self.call.conversation.bubbles() if bubble.text.strip()
        ]

    def agree(self) -> None:
        """The model remembers what the page shows. Where a reply was cut, both estimate which word it was."""
        items = [item for item in self.session._core.conversation.items if item.message() is not None]
        there = {item.id: (item.role, item.message().text.strip()) for item in items}  # type: ignore[union-attr]
        bubbles = [bubble for bubble in self.call.conversation.bubbles() if bubble.text.strip()]
        here = {self.call.conversation.server_id(b.item_id): (b.role, b.text.strip()) for b in bubbles}
        assert [name for name in here if name in there] == [name for name in there if name in here]
        for name in {*here, *there}:
            role, shown = here.get(name, ("assistant", ""))
            _, known = there.get(name, ("assistant", ""))
            if role == "user":
                assert shown == known
            assert abs(len(shown.split()) - len(known.split())) <= 1, (shown, known)

    def begin(self) -> None:
        """A reply is 0.6 s old."""
        self.tell(self.call.say("Count.", self.now) or [])
        while self.call.stage is not Stage.SPEAKING:
            self.wait(0.02)
        self.wait(0.6)


def test_a_cough_and_an_mm_leave_the_reply_alone() -> None:
    for words, shown in (("", []), ("Mm-hmm.", [("user", "Mm-hmm.")])):
        both = Both(1)
        both.begin()
        both.sound(0.24, words)
        both.until_rest()
        both.agree()
        assert both.page() == [("user", "Count."), ("assistant", "".join(REPLY)), *shown]
        assert "conversation.item.truncate" not in [event["type"] for event in both.told]
        loud = [int(np.abs(frame).max()) for frame in both.frames if frame.any()]
        assert min(loud) < 0.3 * max(loud), "it was lowered"
        assert len(loud) in range(150, 153), "and heard to its end"


def test_a_short_word_stops_the_reply_and_is_answered_once() -> None:
    for clauses in (1, 3):
        both = Both(2, clauses)
        both.begin()
        both.sound(0.24, "Stop.")
        both.until_rest()
        both.agree()
        assert [role for role, _ in both.page()] == ["user", "assistant", "user", "assistant"]
        assert both.page()[3] == ("assistant", "".join(REPLY[:clauses]).strip())


def test_a_sentence_stops_the_reply_and_is_answered_without_being_asked_about() -> None:
    both = Both(3)
    both.begin()
    both.sound(1.5, "Count backwards instead.")
    both.until_rest()
    both.agree()
    assert [role for role, _ in both.page()] == ["user", "assistant", "user", "assistant"]
    assert [event["type"] for event in both.told].count("response.create") == 1, "only for the typed message"


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
def test_the_model_remembers_what_the_page_shows(steps: list[tuple[str, Any]], seed: int, clauses: int) -> None:
    both = Both(seed, clauses)
    both.begin()
    for step, value in steps:
        match step:
            case "sound":
                both.sound(*value)
                both.wait(value[0] + both.chance.choice([0.1, 0.4, 0.8]))
            case "say":
                both.tell(both.call.say(value, both.now) or [])
            case "stop":
                both.tell(both.call.stop(both.now))
            case "clear":
                both.tell(both.call.clear(both.now))
            case "wait":
                both.wait(value)
    both.until_rest()
    assert both.call.stage is Stage.LISTENING
    both.agree()
    assert both.call.notice is None
