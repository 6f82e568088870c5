"""Page resume: any order of opened, closed, reloaded and vanished pages."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.manual_clock import ManualClock
from tests.support.sessions.fake_session import FakeSession
from voicechat.audio.recording import Recording, RecordingState
from voicechat.config.call_preferences import CallPreferences
from voicechat.session.conversation_store import MIN_RECORD_CHARS, InMemoryConversationStore, ResumeKey
from voicechat.session.page_resume import EXPIRY_INTERVAL_S, PageResume
from voicechat.session.visitor import Visitor

TTL_S = 60.0
KEYS = [ResumeKey(owner, page) for owner in ("alice", "bob") for page in ("1", "2")]


def start_call(visitor: Visitor) -> FakeSession:
    visitor.conversation.reset_connection()
    call: Any = FakeSession(visitor.conversation)
    visitor.call = call
    if visitor.recording is None:
        visitor.recording = Recording(10)
    visitor.recording.write_speaker(0.0, np.ones(480, dtype=np.int16))
    return call


def start_chat(visitor: Visitor) -> FakeSession:
    chat: Any = FakeSession(visitor.text_conversation)
    visitor.text_session = chat
    return chat


def messages(visitor: Visitor) -> tuple[list[str], list[str]]:
    spoken, written = visitor.conversation.bubbles(), visitor.text_conversation.bubbles()
    return [bubble.text for bubble in spoken], [bubble.text for bubble in written]


def is_erased(visitor: Visitor) -> bool:
    """Return whether a session holds nothing of its visitor any more."""
    return (messages(visitor), visitor.own_key, visitor.preferences) == (([], []), "", CallPreferences())


class PageOrders(RuleBasedStateMachine):
    """Pages with few keys. `expected`: what a page with this key has to show."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = InMemoryConversationStore(TTL_S, self.clock)
        self.resume = PageResume(self.store, self.clock)
        self.newest: dict[ResumeKey, Visitor] = {}
        self.closed_at: dict[ResumeKey, float] = {}
        self.expected: dict[ResumeKey, tuple[list[str], list[str], str]] = {}
        self.replaced: list[Visitor] = []
        self.count = 0

    @rule(key=st.sampled_from(KEYS), chats=st.booleans())
    def open_page(self, key: ResumeKey, chats: bool) -> None:
        previous, visitor = self.newest.get(key), Visitor()
        had = previous.recording if previous is not None else None
        expired = key in self.closed_at and self.clock.now >= self.closed_at[key] + TTL_S
        spoken, written, voice = ([], [], "") if expired else self.expected.get(key, ([], [], ""))
        has_sound = had is not None and had.sample_count > 0 and not expired
        assert self.resume.open_page(key, visitor) is bool(spoken or written or voice or has_sound)
        assert messages(visitor) == (spoken, written)
        assert visitor.preferences.voice == voice
        if has_sound:
            assert visitor.recording is had
        if previous is not None:
            assert not previous.is_in_call
            assert previous.recording is None
            assert is_erased(previous)
            self.replaced.append(previous)
        self.newest[key] = visitor
        self.closed_at.pop(key, None)
        self.expected[key] = (spoken, written, voice)
        visitor.own_key = "sk-visitor"
        if chats:
            start_chat(visitor)

    @rule(key=st.sampled_from(KEYS))
    def close_page(self, key: ResumeKey) -> None:
        if key in self.newest and key not in self.closed_at:
            visitor = self.newest[key]
            self.resume.close_page(visitor)
            assert visitor.text_session is None or not visitor.text_session.is_active
            self.closed_at[key] = float("inf") if visitor.is_in_call else self.clock.now

    @rule(number=st.integers(0, 9))
    def close_replaced_page_late(self, number: int) -> None:
        if self.replaced:
            self.resume.close_page(self.replaced.pop(number % len(self.replaced)))

    @rule(key=st.sampled_from(KEYS))
    def call(self, key: ResumeKey) -> None:
        if key in self.newest and key not in self.closed_at and not self.newest[key].is_in_call:
            start_call(self.newest[key])

    @rule(key=st.sampled_from(KEYS))
    def call_ends(self, key: ResumeKey) -> None:
        visitor = self.newest.get(key)
        if visitor is not None and visitor.call is not None and visitor.is_in_call:
            visitor.call.end_by_user()
            if key in self.closed_at:
                self.resume.expire()  # as the periodic check does
                self.closed_at[key] = self.clock.now

    @rule(key=st.sampled_from(KEYS), is_spoken=st.booleans())
    def message(self, key: ResumeKey, is_spoken: bool) -> None:
        if key not in self.newest or key in self.closed_at:
            return
        self.count += 1
        spoken, written, voice = self.expected[key]
        visitor = self.newest[key]
        (visitor.conversation if is_spoken else visitor.text_conversation).add_user_message(str(self.count))
        text = [str(self.count)]
        self.expected[key] = (spoken + text, written, voice) if is_spoken else (spoken, written + text, voice)

    @rule(key=st.sampled_from(KEYS), voice=st.sampled_from(["", "cedar", "marin"]))
    def prefer(self, key: ResumeKey, voice: str) -> None:
        if key in self.newest and key not in self.closed_at:
            self.newest[key].preferences = CallPreferences(voice=voice)
            self.expected[key] = (*self.expected[key][:2], voice)

    @rule(key=st.sampled_from(KEYS))
    def clear(self, key: ResumeKey) -> None:
        if key in self.newest and key not in self.closed_at:
            asyncio.run(self.newest[key].clear())
            self.newest[key].clear_text()
            self.expected[key] = ([], [], self.expected[key][2])

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key: ResumeKey) -> None:
        if key not in self.newest or key in self.closed_at:
            return
        self.resume.forget(self.newest[key])
        for other in KEYS:
            if other.owner == key.owner:
                self.expected[other] = ([], [], "")

    @rule(seconds=st.sampled_from([1.0, 30.0, TTL_S]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        self.resume.expire()

    @invariant()
    def store_holds_closed_pages_only(self) -> None:
        assert len(self.store) <= len(self.closed_at)
        assert len(self.resume._pages) <= len(KEYS)
        for key, visitor in self.newest.items():
            if key in self.closed_at and self.clock.now >= self.closed_at[key] + TTL_S:
                assert visitor.recording is None or visitor.recording.state is RecordingState.CLOSED
                assert is_erased(visitor), "Gradio keeps the session of a closed page for longer"


PageOrders.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=25)
TestPageOrders = PageOrders.TestCase


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock: ManualClock) -> InMemoryConversationStore:
    return InMemoryConversationStore(TTL_S, clock)


@pytest.fixture
def resume(store: InMemoryConversationStore, clock: ManualClock) -> PageResume:
    return PageResume(store, clock, clock.sleep)


def visitor_with(text: str) -> Visitor:
    visitor = Visitor()
    visitor.conversation.add_user_message(text)
    return visitor


def test_page_without_a_key_leaves_nothing(resume: PageResume, store: InMemoryConversationStore) -> None:
    visitor = visitor_with("Hello.")
    start_call(visitor)
    chat = start_chat(visitor)
    assert not resume.open_page(None, visitor)
    resume.close_page(visitor)
    assert len(store) == 0
    assert visitor.recording is not None and visitor.recording.state is RecordingState.CLOSED
    assert visitor.is_in_call and not chat.is_active
    assert not is_erased(visitor), "the call may have lost its page's requests only"
    visitor.call.end_by_user()
    resume.expire()
    assert is_erased(visitor)


def test_pages_are_not_resumed_where_nothing_is_kept(clock: ManualClock) -> None:
    resume = PageResume(InMemoryConversationStore(0, clock), clock)
    first, second = visitor_with("Hello."), Visitor()
    resume.open_page(KEYS[0], first)
    assert not resume.open_page(KEYS[0], second)  # although the first page still seems open
    resume.close_page(first)
    assert not resume.open_page(KEYS[0], Visitor())
    assert messages(second) == ([], [])
    assert is_erased(first)


def test_call_without_a_page_goes_on_until_the_page_comes_back(resume: PageResume) -> None:
    visitor, back = visitor_with("Hello."), Visitor()
    resume.open_page(KEYS[0], visitor)
    call = start_call(visitor)
    resume.close_page(visitor)
    assert call.is_active and visitor.recording is not None
    visitor.conversation.add_user_message("Still there?")
    visitor.recording.write_speaker(0.02, np.ones(480, dtype=np.int16))
    recording = visitor.recording
    assert resume.open_page(KEYS[0], back)
    assert not call.is_active
    assert messages(back)[0] == ["Hello.", "Still there?"]
    assert back.recording is recording and recording.sample_count == 960


async def test_call_that_ends_without_a_page_is_stored_and_expires_by_itself(
    resume: PageResume, store: InMemoryConversationStore, clock: ManualClock
) -> None:
    visitor = visitor_with("Hello.")
    resume.open_page(KEYS[0], visitor)
    call = start_call(visitor)
    resume.close_page(visitor)
    recording = visitor.recording
    assert recording is not None
    async with resume.run_in_background():
        await asyncio.sleep(0)
        await clock.advance(2 * TTL_S)
        assert len(store) == 0 and recording.state is RecordingState.OPEN
        call.end_by_user()
        await clock.advance(EXPIRY_INTERVAL_S)
        assert len(store) == 1
        await clock.advance(TTL_S + EXPIRY_INTERVAL_S)
        assert len(store) == 0 and recording.state is RecordingState.CLOSED
        assert is_erased(visitor)


async def test_end_of_the_app_erases_what_is_kept(resume: PageResume, store: InMemoryConversationStore) -> None:
    visitor = visitor_with("Hello.")
    start_call(visitor).end_by_user()
    async with resume.run_in_background():
        resume.open_page(KEYS[0], visitor)
        resume.close_page(visitor)
        recording = visitor.recording
        assert len(store) == 1
    assert len(store) == 0 and is_erased(visitor)
    assert recording is not None and recording.state is RecordingState.CLOSED


def test_closed_page_that_is_used_again_hands_over_its_newest_messages(resume: PageResume) -> None:
    """A computer that slept: its page returns to the same session, and reloads later."""
    visitor, back = visitor_with("Hello."), Visitor()
    resume.open_page(KEYS[0], visitor)
    start_call(visitor).end_by_user()
    resume.close_page(visitor)
    call = start_call(visitor)
    visitor.conversation.add_user_message("Again.")
    recording = visitor.recording
    assert resume.open_page(KEYS[0], back)
    assert messages(back)[0] == ["Hello.", "Again."]
    assert back.recording is recording and visitor.recording is None and not call.is_active


@pytest.mark.parametrize("cleared", ["voice", "text", "all"])
async def test_clear_in_a_closed_page_erases_the_store_too(
    resume: PageResume, store: InMemoryConversationStore, cleared: str
) -> None:
    visitor = visitor_with("Hello.")
    visitor.text_conversation.add_user_message("Written.")
    start_call(visitor).end_by_user()
    resume.open_page(KEYS[0], visitor)
    resume.close_page(visitor)
    assert len(store) == 1
    match cleared:
        case "voice":
            await visitor.clear()
        case "text":
            visitor.clear_text()
        case "all":
            resume.forget(visitor)
    assert len(store) == 0
    back = Visitor()
    resume.open_page(KEYS[0], back)
    kept = {"voice": ([], ["Written."]), "text": (["Hello."], []), "all": ([], [])}
    assert messages(back) == kept[cleared]


def test_forget_erases_all_closed_pages_of_the_same_browser(
    resume: PageResume, store: InMemoryConversationStore
) -> None:
    closed, talking, present, other = (visitor_with(text) for text in ("a", "b", "c", "d"))
    for key, visitor in zip(KEYS[:2], (closed, talking), strict=True):
        resume.open_page(key, visitor)
    resume.open_page(KEYS[2], other)
    resume.close_page(other)
    call = start_call(talking)
    resume.close_page(closed)
    resume.close_page(talking)
    here = ResumeKey(KEYS[0].owner, "3")
    resume.open_page(here, present)
    chat = start_chat(present)
    present.own_key, present.preferences = "sk-visitor", CallPreferences(voice="cedar")
    resume.forget(present)
    assert not call.is_active and not chat.is_active
    assert (present.own_key, present.preferences, messages(present)) == ("", CallPreferences(), ([], []))
    for key in (*KEYS[:2], here):
        assert not resume.open_page(key, Visitor())
    assert resume.open_page(KEYS[2], Visitor()), "another browser's"


def test_forget_erases_all_open_pages_of_the_same_browser(resume: PageResume) -> None:
    present, beside, other = (visitor_with(text) for text in ("a", "b", "c"))
    for key, visitor in zip(KEYS, (present, beside, other), strict=False):
        resume.open_page(key, visitor)
        visitor.own_key = "sk-visitor"
    call = start_call(beside)
    recording = beside.recording
    resume.forget(present)
    assert is_erased(present) and is_erased(beside) and not call.is_active
    assert recording is not None and recording.state is RecordingState.CLOSED
    assert messages(other)[0] == ["c"] and other.own_key, "another browser's"


def test_closed_page_that_is_used_again_outlives_its_stored_record(
    resume: PageResume, store: InMemoryConversationStore, clock: ManualClock
) -> None:
    visitor = visitor_with("Hello.")
    resume.open_page(KEYS[0], visitor)
    resume.close_page(visitor)
    visitor.conversation.add_user_message("Back again.")
    clock.now += TTL_S
    resume.expire()
    assert len(store) == 0 and messages(visitor)[0] == ["Hello.", "Back again."]


def test_page_whose_record_was_dropped_for_others_is_erased(clock: ManualClock) -> None:
    resume = PageResume(InMemoryConversationStore(TTL_S, clock, max_chars=MIN_RECORD_CHARS), clock)
    pages = [visitor_with("a"), visitor_with("b")]
    for key, visitor in zip(KEYS, pages, strict=False):
        resume.open_page(key, visitor)
        resume.close_page(visitor)
    assert [is_erased(visitor) for visitor in pages] == [True, False]


def test_recording_is_handed_over_once_and_continues(resume: PageResume) -> None:
    first, second, third = Visitor(), Visitor(), Visitor()
    resume.open_page(KEYS[0], first)
    start_call(first)
    recording = first.recording
    for previous, page in ((first, second), (second, third)):
        assert resume.open_page(KEYS[0], page)
        assert previous.recording is None and page.recording is recording
        resume.close_page(previous)  # late
    assert recording is not None and recording.state is RecordingState.OPEN
    recording.write_speaker(0.02, np.ones(480, dtype=np.int16))
    assert recording.sample_count == 960


def test_session_that_opens_twice_keeps_its_first_key(resume: PageResume) -> None:
    visitor = visitor_with("Mine.")
    resume.open_page(KEYS[0], visitor)
    closed = visitor_with("Closed.")
    resume.open_page(KEYS[1], closed)
    resume.close_page(closed)
    assert not resume.open_page(KEYS[1], visitor)
    assert messages(visitor)[0] == ["Mine."]
    assert resume.open_page(KEYS[1], Visitor())


def test_pages_that_vanish_without_a_sign_are_not_remembered(resume: PageResume) -> None:
    for number in range(50):
        resume.open_page(ResumeKey("alice", str(number)), visitor_with("Hello."))
    gc.collect()
    assert not resume._pages and not resume._keys and not resume._calls_without_page
