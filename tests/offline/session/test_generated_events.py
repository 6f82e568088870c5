"""Generated client events and worker results in any order: no crash, and a valid event stream."""

from __future__ import annotations

import base64
import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offline.protocol.worker_messages import (
    CaptionDelta,
    FinalTranscript,
    Generate,
    ProvisionalTranscript,
    RecognitionFailed,
    Recognize,
    ReplyDone,
    ReplySpeech,
    ReplyText,
    ReplyToolCall,
    SpeechPaused,
    SpeechResumed,
    StopGeneration,
    WorkResult,
)
from tests.support.offline.scripted_models import silence, tone
from tests.support.offline.session_driver import SessionDriver

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
INDEX = st.integers(0, 7)
TYPES = [
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
    "output_audio_buffer.clear",
]
FIELDS = ["session", "audio", "item", "item_id", "content_index", "audio_end_ms", "response", "response_id", "event_id"]
DETECTION = st.sampled_from(
    [
        None,
        {"type": "server_vad"},
        {"type": "server_vad", "create_response": False},
        {"type": "server_vad", "interrupt_response": False, "silence_duration_ms": 400},
        {"type": "server_vad", "idle_timeout_ms": 5000},
        {"type": "semantic_vad", "eagerness": "high"},
    ]
)
SESSION = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "instructions": st.text(max_size=5),
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.fixed_dictionaries(
                    {},
                    optional={
                        "turn_detection": DETECTION,
                        "transcription": st.sampled_from([None, {"model": "whisper-1"}]),
                        "format": st.sampled_from([{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}]),
                    },
                ),
                "output": st.sampled_from([{"voice": "marin"}, {"speed": 1.2}, {"format": {"type": "audio/pcma"}}]),
            },
        ),
    },
)
CONTENT = st.sampled_from(
    [
        {"type": "input_text", "text": "hello"},
        {"type": "output_text", "text": "hi"},
        {"type": "input_audio", "audio": base64.b64encode(tone(120)).decode()},
        {"type": "input_image", "image_url": "data:"},
    ]
)
ITEM = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("message"),
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.lists(CONTENT, min_size=1, max_size=2),
        },
        optional={"id": st.sampled_from(["item_one", "item_two", "root"])},
    ),
    st.just({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}),
    st.just({"type": "function_call_output", "call_id": "call_1", "output": "done"}),
)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none"]),
        "output_modalities": st.sampled_from([["text"], ["audio"]]),
        "input": st.lists(ITEM, max_size=2),
        "metadata": st.just({"a": "b"}),
        "max_output_tokens": st.sampled_from([1, 4096, "inf"]),
    },
)
ACTION = st.one_of(
    st.tuples(st.just("event"), st.fixed_dictionaries({"type": st.just("session.update"), "session": SESSION})),
    st.tuples(st.just("event"), st.sampled_from(TYPES).map(lambda kind: {"type": kind})),
    st.tuples(st.just("event"), st.fixed_dictionaries({"type": st.just("conversation.item.create"), "item": ITEM})),
    st.tuples(st.just("event"), st.fixed_dictionaries({"type": st.just("response.create"), "response": RESPONSE})),
    st.tuples(
        st.just("event"),
        st.fixed_dictionaries({"type": st.sampled_from(TYPES)}, optional=dict.fromkeys(FIELDS, JSON)),
    ),
    st.tuples(st.just("event"), JSON),
    st.tuples(st.just("sound"), st.sampled_from([40, 200, 700])),
    st.tuples(st.just("silence"), st.sampled_from([40, 160, 700])),
    st.tuples(st.just("item"), st.sampled_from(["retrieve", "truncate", "delete", "after"]), INDEX),
    st.tuples(st.just("heard"), INDEX, st.sampled_from(["Hello.", "and", "", "你好。", None])),
    st.tuples(st.just("hearing"), INDEX),
    st.tuples(st.just("provisional"), INDEX, st.sampled_from(["Hello.", "and", "well", ""])),
    st.tuples(st.just("reply"), INDEX, st.sampled_from(["speech", "text", "call", "stop", "max_tokens", "failed"])),
    st.tuples(st.just("time"), st.sampled_from([0.1, 6.0, 40.0])),
)


class GeneratedActions:
    """Executes generated actions, with workers that answer late, out of order or twice."""

    def __init__(self, seed: int) -> None:
        self.driver = SessionDriver(seed=seed)
        self.driver.update(audio={"input": {"transcription": {"model": "whisper-1"}}})

    def perform(self, action: tuple[Any, ...]) -> None:
        driver, kind, arguments = self.driver, action[0], action[1:]
        if kind == "event":
            driver.collect(driver.session.handle_event(arguments[0], driver.now))
        elif kind in ("sound", "silence"):
            driver.append_audio((tone if kind == "sound" else silence)(arguments[0]), piece_ms=100)
        elif kind == "item":
            self.act_on_item(*arguments)
        elif kind == "heard":
            self.deliver_transcript(*arguments)
        elif kind == "hearing":
            if turns := driver.all_work(Recognize) + driver.all_work(SpeechPaused):
                driver.deliver(CaptionDelta(turns[arguments[0] % len(turns)].item_id, " well"))
        elif kind == "provisional":
            if pauses := driver.all_work(SpeechPaused):
                driver.deliver(ProvisionalTranscript(pauses[-1 - arguments[0] % len(pauses)].item_id, arguments[1]))
        elif kind == "truncate":
            if known := driver.item_ids:
                driver.send_event("conversation.item.truncate", item_id=known[-1], content_index=0, audio_end_ms=30)
        elif kind == "reply":
            self.deliver_reply_result(*arguments)
        else:
            driver.advance(arguments[0])

    def act_on_item(self, what: str, index: int) -> None:
        known = self.driver.item_ids
        if not known:
            return
        item_id = known[index % len(known)]
        if what == "after":
            self.driver.create_message("in between", previous_item_id=item_id)
        elif what == "truncate":
            self.driver.send_event(
                "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=index * 20
            )
        else:
            self.driver.send_event(f"conversation.item.{what}", item_id=item_id)

    def deliver_transcript(self, index: int, text: str | None) -> None:
        if not (asked := self.driver.all_work(Recognize)):
            return
        item_id = asked[-1 - index % len(asked)].item_id
        failed = RecognitionFailed(item_id, "Could not listen.")
        self.driver.deliver(failed if text is None else FinalTranscript(item_id, text, "en", 0.5))

    def deliver_reply_result(self, index: int, what: str) -> None:
        if not (asked := self.driver.all_work(Generate)):
            return
        name = asked[-1 - index % len(asked)].response_id
        results: dict[str, WorkResult] = {
            "speech": ReplySpeech(name, " One clause.", tone(90)),
            "text": ReplyText(name, " words"),
            "call": ReplyToolCall(name, "f", "{}"),
        }
        if what in results:
            self.driver.deliver(results[what])
        else:
            self.driver.deliver(ReplyDone(name, what, 7, 3, 5))  # type: ignore[arg-type]

    def finish(self) -> None:
        """Complete all work; then nothing may be open."""
        driver = self.driver
        for _ in range(2):  # the end of a response may start another
            for work in driver.all_work(Recognize):
                driver.deliver(FinalTranscript(work.item_id, "Done.", "en", 0.5))
            for work in driver.all_work(Generate):
                driver.deliver(ReplyDone(work.response_id, "stop", 1, 0, 1))
        if driver.close is None:
            driver.checker.assert_all_done()
            assert driver.checker.item_order == driver.item_ids
        assert_work_is_consistent(driver)


def assert_work_is_consistent(driver: SessionDriver) -> None:
    """Assert that each work is submitted once, and that only existing speculation is revoked."""
    for kind, name in ((Recognize, "item_id"), (Generate, "response_id"), (StopGeneration, "response_id")):
        asked = [getattr(work, name) for work in driver.all_work(kind)]
        if kind is not Recognize:  # a deleted item may be created again with its id
            assert len(asked) == len(set(asked))
    assert {stop.response_id for stop in driver.all_work(StopGeneration)} <= {
        work.response_id for work in driver.all_work(Generate)
    }
    speculating: set[str] = set()
    for work in driver.submitted_work:
        if isinstance(work, SpeechPaused):
            assert work.item_id not in speculating
            speculating.add(work.item_id)
        elif isinstance(work, SpeechResumed):
            speculating.remove(work.item_id)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTION, max_size=40), st.integers(0, 1000))
def test_session_with_generated_actions_keeps_the_protocol_rules(actions: list[tuple[Any, ...]], seed: int) -> None:
    world = GeneratedActions(seed)
    for action in actions:
        world.perform(action)
    world.finish()


def test_session_with_hundreds_of_turns_keeps_the_protocol_rules() -> None:
    """Short generated examples do not reach hundreds of likely turns."""
    ends: Counter[str] = Counter()
    for seed in range(3):
        source = random.Random(seed)
        world = GeneratedActions(seed)
        for _ in range(60):
            for action in turn(source):
                world.perform(action)
        world.finish()
        events = world.driver.checker.events
        ends.update(event["response"]["status"] for event in events if event["type"] == "response.done")
        ends.update(event["type"] for event in events if event["type"] == "conversation.item.truncated")
    wanted = {"completed", "cancelled", "failed", "incomplete", "conversation.item.truncated"}
    assert all(ends[end] >= 3 for end in wanted), ends


def turn(source: random.Random) -> list[tuple[Any, ...]]:
    """Return the actions of a typical turn, sometimes with an unexpected one."""
    actions: list[tuple[Any, ...]] = [("sound", source.choice([300, 500, 900]))]
    if source.random() < 0.3:
        actions += [("hearing", 0), ("silence", 150), ("sound", 300)]
    actions += [("silence", 400)]
    words = ("heard", 0, source.choice(["Hello.", "So, and", "Yes.", "你好。", "", None]))
    replies: list[tuple[Any, ...]] = [
        ("reply", 0, source.choice(["speech", "speech", "text", "call"])) for _ in range(4)
    ]
    end = ("reply", 0, source.choice(["stop", "stop", "max_tokens", "failed"]))
    middle: list[tuple[Any, ...]] = [words, *replies[: source.randrange(5)]]
    if source.random() < 0.7:
        middle.append(end)
    surprises: list[tuple[Any, ...]] = [
        ("event", {"type": source.choice(TYPES)}),
        ("item", source.choice(["retrieve", "delete", "after"]), source.randrange(30)),
        ("time", 0.2),
        ("silence", 100),
        ("event", {"type": "response.create", "response": {"conversation": "none", "input": []}}),
    ]
    for _ in range(source.randrange(2)):
        middle.insert(source.randrange(len(middle) + 1), source.choice(surprises))
    return [*actions, *middle, ("truncate",)]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=40))
def test_session_with_invalid_frames_reports_errors_only(frame: str | bytes) -> None:
    driver = SessionDriver()
    if isinstance(frame, bytes):
        events = driver.collect(driver.session.handle_binary(driver.now))
    else:
        events = driver.collect(driver.session.handle_text(frame, driver.now))
    assert [event["type"] for event in events] == ["error"]
