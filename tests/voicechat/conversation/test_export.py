"""A conversation as a file, and when its messages were said."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.realtime import server_events
from voicechat.audio.format import FRAME_S
from voicechat.config.settings import Settings
from voicechat.conversation.call_clock import CallClock, TimeSpan
from voicechat.conversation.conversation import Conversation, Utterance
from voicechat.conversation.export import (
    MAX_LINE_COLUMNS,
    count_columns,
    escape_with_backslashes,
    split_into_cue_lines,
    to_json,
    to_markdown,
    to_srt,
)
from voicechat.conversation.incomplete_reason import IncompleteReason
from voicechat.conversation.shown.bubble import Bubble, BubbleState, Role
from voicechat.protocol.server_events import parse_event
from voicechat.turn_taking.call import CallStateMachine
from voicechat.turn_taking.snapshot import CallStage

NAMES: dict[Role, str] = {"user": "You", "assistant": "Model"}
MARKS = {reason: f"why: {reason}" for reason in IncompleteReason}


def make_utterance(role: Role, text: str, start: float, end: float, unheard: str = "") -> Utterance:
    state = BubbleState.INTERRUPTED if unheard else BubbleState.DONE
    return Utterance(Bubble("id", role, text, unheard, state), TimeSpan(start, end))


UTTERANCES_OF_TALK = (
    make_utterance("user", "What time is it?", 1.0, 2.25),
    make_utterance("assistant", "It is noon. The sun", 2.75, 4.0, " is right above us."),
    make_utterance("user", "謝謝！再說一次。", 3.9, 5.0),
    Utterance(Bubble("id", "assistant", "", "Of course.", BubbleState.INTERRUPTED), None),
)


# -------------------------------------------------------------------- when it was said


class TimedCall:
    """A call at a clock that the test moves."""

    def __init__(self, conversation: Conversation | None = None, now: float = 100.0) -> None:
        self.conversation, self.now = conversation or Conversation(), now
        self.call = CallStateMachine(self.conversation, Settings(), now)
        self.call.handle_connected(now)

    def server_sends(self, *events: dict[str, object] | list[dict[str, object]]) -> None:
        for some in events:
            for event in some if isinstance(some, list) else [some]:
                self.call.handle_event(parse_event(event), self.now)

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.call.next_frame(self.now)
            self.now += FRAME_S

    @property
    def spans(self) -> list[tuple[float, float] | None]:
        found = [utterance.span for utterance in self.conversation.utterances()]
        return [None if span is None else (round(span.start, 2), round(span.end, 2)) for span in found]


def test_a_turn_and_the_sound_of_its_answer() -> None:
    talk = TimedCall()
    talk.advance(1.0)
    talk.server_sends(server_events.speech_started("u1"))
    talk.advance(0.5)
    talk.server_sends(server_events.turn_committed("u1"), server_events.response_started("r1", "a1", "u1"))
    talk.advance(0.5)
    talk.server_sends(
        server_events.transcription_completed("u1", "What time is it?"),
        server_events.clause_deltas("r1", "a1", "It is noon.", 400),
    )
    talk.server_sends(server_events.response_finished("r1", "a1", "It is noon."))
    talk.advance(2.0)
    assert talk.spans == [(1.0, 1.5), (2.0, 2.4)]


def test_an_interrupted_reply_ends_where_it_was_interrupted() -> None:
    talk = TimedCall()
    talk.server_sends(server_events.complete_response("r1", "a1", "One two three four five six seven eight.", 4000))
    talk.advance(1.0)
    talk.server_sends(server_events.speech_started("u1"))
    talk.advance(2.0)
    talk.server_sends(server_events.turn_committed("u1"), server_events.transcription_completed("u1", "Stop."))
    (reply, _) = talk.conversation.utterances()
    assert reply.bubble.unheard
    assert talk.spans == [(0.0, 1.0), (1.0, 3.0)]


def test_what_is_typed_has_its_moment_and_silent_replies_have_none() -> None:
    talk = TimedCall()
    talk.advance(3.0)
    talk.call.send_text("Hello", talk.now)
    words = {"type": "response.output_text.delta", "response_id": "r1", "item_id": "a1", "delta": "Hi."}
    talk.server_sends(words)
    talk.advance(1.0)
    assert talk.spans == [(3.0, 3.0), None]


def test_a_server_that_never_tells_of_speech() -> None:
    talk = TimedCall()
    talk.advance(2.0)
    talk.server_sends(server_events.transcription_delta("u1", "Hel"))
    talk.advance(1.0)
    talk.server_sends(server_events.transcription_completed("u1", "Hello"))
    assert talk.spans == [(2.0, 2.0)]


def test_the_clock_goes_on_in_the_next_call_and_begins_anew_after_clear() -> None:
    first = TimedCall()
    first.advance(2.0)
    first.call.send_text("One", first.now)
    first.call.end(CallStage.ENDED, None, first.now)
    second = TimedCall(first.conversation, now=5000.0)
    second.advance(1.0)
    second.call.send_text("Two", second.now)
    assert second.spans == [(2.0, 2.0), (3.0, 3.0)], "the hour between the calls is not in the recording either"
    second.call.clear(second.now)
    second.advance(0.5)
    second.call.send_text("Three", second.now)
    assert second.spans == [(0.5, 0.5)]


def test_times_outlive_a_lost_connection() -> None:
    talk = TimedCall()
    talk.call.send_text("One", talk.now)
    talk.server_sends(server_events.complete_response("r1", "a1", "Two.", 400))
    talk.advance(0.2)
    talk.call.handle_disconnected(CallStage.RECONNECTING, talk.now)
    talk.advance(1.0)
    assert talk.spans == [(0.0, 0.0), (0.0, 0.4)], "what was received is still played"


@given(st.lists(st.tuples(st.sampled_from(["start", "stop", "restart", "wait"]), st.floats(0, 100)), max_size=20))
def test_the_clock_only_goes_back_when_it_begins_anew(steps: list[tuple[str, float]]) -> None:
    clock, now, last = CallClock(), 50.0, 0.0
    for what, seconds in steps:
        now += seconds
        if what == "restart":
            last = 0.0
        if what != "wait":
            getattr(clock, what)(now)
        assert clock.elapsed_s(now) >= last
        last = clock.elapsed_s(now)


# -------------------------------------------------------------------- JSON


def test_json() -> None:
    when = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone(timedelta(hours=8)))
    whole = json.loads(to_json(UTTERANCES_OF_TALK, when))
    assert (whole["format"], whole["version"]) == ("realtime-voice-chat/conversation", 1)
    assert whole["exported_at"] == "2026-05-04T03:02:01+08:00"
    assert whole["messages"][1] == {
        "role": "assistant",
        "text": "It is noon. The sun",
        "unheard": "is right above us.",
        "state": "interrupted",
        "incomplete_reason": None,
        "start": 2.75,
        "end": 4.0,
    }
    assert [message["start"] for message in whole["messages"]] == [1.0, 2.75, 3.9, None]
    assert "謝謝" in to_json(UTTERANCES_OF_TALK, when), "readable as it is"
    assert json.loads(to_json([], datetime.now(UTC)))["messages"] == []


# -------------------------------------------------------------------- Markdown


def test_markdown() -> None:
    assert to_markdown(UTTERANCES_OF_TALK, "Conversation", NAMES, MARKS) == (
        "# Conversation\n\n"
        "**You** (0:01)\n\nWhat time is it?\n\n"
        "**Model** (0:02)\n\nIt is noon. The sun ~~is right above us.~~\n\n"
        "**You** (0:03)\n\n謝謝！再說一次。\n\n"
        "**Model**\n\n~~Of course.~~\n"
    )


@pytest.mark.parametrize("reason", IncompleteReason)
def test_incomplete_message_has_its_reason_in_markdown_and_json(reason: IncompleteReason) -> None:
    cut = [Utterance(Bubble("a1", "assistant", "Once upon", "", BubbleState.INCOMPLETE, reason), TimeSpan(0, 1))]
    mark = escape_with_backslashes(f"[why: {reason}]")
    assert to_markdown(cut, "C", NAMES, MARKS) == f"# C\n\n**Model** (0:00)\n\nOnce upon *{mark}*\n"
    message = json.loads(to_json(cut, datetime.now(UTC)))["messages"][0]
    assert (message["state"], message["incomplete_reason"]) == ("incomplete", reason.value)
    assert to_srt(cut, NAMES).endswith("\nModel: Once upon\n"), "subtitles hold what was heard"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# no *heading*", r"\# no \*heading\*"),
        ("1. no list", r"1\. no list"),
        ("- no list", r"\- no list"),
        ("<b>![x](http://h/)", r"\<b\>!\[x\](http://h/)"),
        ("a\n\n   b", "a\\\nb"),
        ("C:\\new", r"C:\\new"),
        ("3 - 2 = 1", "3 - 2 = 1"),
    ],
)
def test_words_are_not_markup(text: str, shown: str) -> None:
    assert escape_with_backslashes(text) == shown


@given(st.text(alphabet="ab 1.)#*_`[]()<>!&~|$\\-+=\n字", max_size=40))
def test_whatever_is_said_is_shown_as_it_was_said(text: str) -> None:
    """Read by the page's own kind of parser, nothing but a paragraph comes out of it."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["strikethrough", "table"])
    shown = markdown.render(escape_with_backslashes(text))
    words = re.sub(r"\s+", " ", html.unescape(re.sub(r"<br />|</?p>", " ", shown))).strip()
    assert words == re.sub(r"\s+", " ", text).strip()


# -------------------------------------------------------------------- SRT


class Subtitle(NamedTuple):
    number: int
    start: int
    end: int
    lines: list[str]


def parse(srt: str) -> list[Subtitle]:
    """SubRip as a player reads it: blocks between empty lines."""
    found = []
    for block in re.split(r"\n\n+", srt.strip("\n")) if srt else []:
        number, times, *lines = block.split("\n")
        match = re.fullmatch(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})", times)
        assert match, times
        h, m, s, ms, h2, m2, s2, ms2 = map(int, match.groups())
        start, end = ((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2
        found.append(Subtitle(int(number), start, end, lines))
    return found


def test_srt() -> None:
    assert to_srt(UTTERANCES_OF_TALK, NAMES) == (
        "1\n00:00:01,000 --> 00:00:02,250\nYou: What time is it?\n\n"
        "2\n00:00:02,750 --> 00:00:04,000\nModel: It is noon. The sun\n\n"
        "3\n00:00:03,900 --> 00:00:05,000\nYou: 謝謝！再說一次。\n"
    ), "what was not heard is not in it"
    assert to_srt([], NAMES) == ""


def test_a_long_reply_is_cut_into_readable_pieces_that_share_its_time() -> None:
    sentence = "The lighthouse keeper climbed the stairs every evening, and his cat went with him. "
    found = parse(to_srt([make_utterance("assistant", sentence * 6, 10.0, 46.0)], NAMES))
    assert len(found) == 6 + 1, "sentence by sentence; the first has the name too, and no room for it"
    assert (found[0].start, found[-1].end) == (10_000, 46_000)
    for before, after in pairwise(found[1:]):
        assert before.end == after.start
        assert after.end - after.start == pytest.approx(6000, abs=300)
    assert " ".join(line for cue in found for line in cue.lines) == f"Model: {sentence * 6}".strip()


def test_chinese_lines_hold_twenty_characters_and_begin_with_no_full_stop() -> None:
    text = "今天的天氣真的非常好所以我們決定一起去海邊走走，看看夕陽，吃一碗冰。" * 3
    found = parse(to_srt([make_utterance("assistant", text, 0.0, 30.0)], {"user": "你", "assistant": "語音模型"}))
    lines = [line for cue in found for line in cue.lines]
    assert max(map(len, lines)) <= 21
    assert not [line for line in lines if line[0] in "，。"]
    assert "".join(lines).replace(" ", "") == f"語音模型:{text}"


def test_messages_typed_at_once_follow_one_another() -> None:
    typed = [make_utterance("user", f"Message {n}.", 5.0, 5.0) for n in range(4)]
    found = parse(to_srt(typed, NAMES))
    assert [cue.lines for cue in found] == [[f"You: Message {n}."] for n in range(4)]
    assert [(cue.start, cue.end) for cue in found] == [(5000, 5200), (5200, 5400), (5400, 5600), (5600, 6600)]


WORDS = st.text(alphabet=st.sampled_from("ab-.,!? \n\t<>{}0字天。，？「」"), max_size=200)
UTTERANCES = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), WORDS, st.floats(0, 5000), st.floats(0, 60)), max_size=12
)


@given(UTTERANCES)
def test_any_conversation_makes_subtitles_a_player_can_read(given_: list[tuple[Role, str, float, float]]) -> None:
    utterances = [make_utterance(role, text, start, start + length) for role, text, start, length in given_]
    found = parse(to_srt(utterances, {"user": "U", "assistant": "M"}))
    assert [cue.number for cue in found] == list(range(1, len(found) + 1))
    assert [cue.start for cue in found] == sorted(cue.start for cue in found)
    for cue in found:
        assert 1 <= len(cue.lines) <= 2
        assert all(line.strip() and count_columns(line) <= MAX_LINE_COLUMNS for line in cue.lines)
        assert cue.end - cue.start >= 200
    for role in ("user", "assistant"):
        alone = parse(to_srt([u for u in utterances if u.bubble.role == role], {"user": "U", "assistant": "M"}))
        for before, after in pairwise(alone):
            assert before.end <= after.start
    assert letters_of("".join(line for cue in found for line in cue.lines)) == letters_of(
        "".join(f"{'U' if role == 'user' else 'M'}{text}" for role, text, *_ in given_ if text.strip())
    )


def letters_of(text: str) -> list[str]:
    return sorted(letter for letter in text if letter.isalnum())


@given(st.text(alphabet=st.sampled_from("ab, 。字「」!\n")), st.integers(0, 300))
def test_splitting_loses_nothing(text: str, long: int) -> None:
    text += "x" * long
    lines = [line for block in split_into_cue_lines(text) for line in block]
    assert "".join(lines).replace(" ", "") == re.sub(r"\s", "", text)
    assert all(count_columns(line) <= MAX_LINE_COLUMNS for line in lines)
