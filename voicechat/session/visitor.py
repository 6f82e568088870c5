"""Visitor of the page: their conversations, call, chat, key and preferences. The page keeps it in its session."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from voicechat.audio.recording import Recording, RecordingState
from voicechat.config.call_preferences import CallPreferences, EffectiveFrom, effective_from
from voicechat.conversation.call_clock import CallClock
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.record import ConversationRecord
from voicechat.tools.calls.call_admission import RecentCalls
from voicechat.turn_taking.snapshot import CallStage, Snapshot

from .conversation_store import MAX_ACCEPTED_MESSAGES, VisitorRecord
from .text_session import TextSession
from .voice_session import VoiceSession

REPLY_DUE_S = 120.0
"""Seconds in which a call that goes on elsewhere asks for the reply that the former one owed. A page dials again by
itself within the same time (call_view.js); later the visitor may have something else in mind."""


class Visitor:
    """One page session: a spoken and a written conversation, each with its session. The two are independent."""

    def __init__(self, max_items: int = 200) -> None:
        self.conversation = Conversation(max_items)
        self.recording: Recording | None = None
        """Recording of the calls, for this visitor alone; None before the first, or where calls are not recorded."""
        self.call: VoiceSession | None = None
        self.text_conversation = Conversation(max_items, text_only=True)
        self.text_session: TextSession | None = None
        self.own_key = ""
        """The visitor's own key, for connections from now on. It leaves this object only towards the server."""
        self.preferences = CallPreferences()
        self.timezone = ""
        """IANA name of the visitor's timezone; "" until the page has said it."""
        self.recent_calls = RecentCalls()
        """Calls of tools in the last minute, where `visitor_key` is ""."""
        self.accepted_messages: deque[str] = deque(maxlen=MAX_ACCEPTED_MESSAGES)
        """Ids of the newest typed messages that were accepted: a page sends one again when it lost the answer."""
        self.reply_due_at = 0.0
        """Unix time in seconds at which the call of the page before this one owed a reply; 0.0 when it owed none."""
        self.reply_left_at = 0.0
        """The same of the last call of this page. Only a page that goes on from it asks for that reply."""
        self.goes_on_with_call = True
        """The page may go on with the call of the page before it. False where the tab has said that its call was over:
        hung up, or ended by a server that still answered. A server cannot tell a hang-up from a lost page."""
        self.erase_stored: Callable[[], None] = _erase_nothing
        """Erases what `PageResume` has stored of this page: of a closed one, which may still be used, and in a shared
        store of an open one too."""
        self.picture_owner = ""
        """Owner of this visitor's uploaded pictures in the `PictureStore`."""
        self.resume_id = ""
        """The same for this page and the one that goes on from it (`PageResume`); "" without a resume token."""
        self.visitor_key = ""
        """Key shared by all pages of this visitor (`voicechat/security/visitor_key.py`); "" when they cannot be told
        apart from others."""

    @property
    def is_in_call(self) -> bool:
        """A call is under way. False once it has ended, though `call` stays until the browser has disconnected too."""
        return self.call is not None and self.call.is_active

    @property
    def is_active(self) -> bool:
        """A call or a chat is under way."""
        return self.is_in_call or (self.text_session is not None and self.text_session.is_active)

    @property
    def version(self) -> object:
        """Version of what `to_record` returns: it differs once a conversation or the preferences have changed."""
        return self.conversation.version, self.text_conversation.version, self.preferences

    def shared_version(self, now: float, clock_step_s: float) -> object:
        """Version of what other replicas need of an open page.

        It also differs once more of a reply was heard, a typed message was accepted, or a call has lasted
        `clock_step_s` seconds longer. `now`: time of the calls' clock.
        """
        heard = tuple(self.call.unfinished_playback()) if self.call is not None else ()
        steps = int(self.conversation.clock.elapsed_s(now) / clock_step_s)
        return self.version, heard, steps, tuple(self.accepted_messages), self._owes_reply, self.reply_left_at

    @property
    def _owes_reply(self) -> bool:
        """The call is under way, and a reply is awaited or played."""
        return self.call is not None and self.call.owes_reply

    def take_due_reply(self) -> bool:
        """Return whether a call that begins now goes on from one that owed a reply. True once at most."""
        due_at, self.reply_due_at, self.reply_left_at = self.reply_due_at, 0.0, 0.0
        return time.time() - due_at < REPLY_DUE_S

    async def clear(self) -> None:
        """Delete the spoken conversation, during a call also at the server, and its recording."""
        self.erase_stored()
        if self.call is not None and self.is_in_call:
            self.call.clear()
        else:
            self.conversation.clear()
            self.conversation.clock = CallClock()
        if self.recording is not None:
            self.recording.clear()

    def clear_text(self) -> None:
        """Delete the written conversation, during a chat also at the server."""
        self.erase_stored()
        if self.text_session is not None and self.text_session.is_active:
            self.text_session.clear()
        else:
            self.text_conversation.clear()

    def erase(self) -> None:
        """End call and chat, and delete everything that belongs to the visitor."""
        self.erase_stored()
        if self.call is not None:
            self.call.end_by_user()
        self.end_chat()
        self.conversation.clear()
        self.conversation.clock = CallClock()
        self.text_conversation.clear()
        if self.recording is not None:
            self.recording.close()
        self.recording = None
        self.preferences, self.own_key = CallPreferences(), ""

    async def set_preferences(self, preferences: CallPreferences) -> EffectiveFrom:
        """Store the preferences and apply them to a running call; the tools to a chat too. Return when they count."""
        before, self.preferences = self.preferences, preferences
        if self.call is not None and self.is_in_call:
            self.call.apply_preferences()
        if preferences.switched_off_tools != before.switched_off_tools:
            for session in (self.call, self.text_session):
                if session is not None and session.is_active:
                    session.set_disabled_tools(preferences.switched_off_tools)
        return effective_from(before, preferences, self.is_in_call)

    def to_record(self, now: float, *, end_call: bool = True) -> VisitorRecord:
        """Return what the page gets back when it is opened again. `now`: time of the calls' clock.

        A reply under way is cut where playback stands. `end_call`: end the call and the chat, which makes it final.
        """
        reply_due_at = time.time() if self._owes_reply else self.reply_left_at or self.reply_due_at
        if end_call and self.call is not None:
            self.call.end_by_user()
        if end_call:
            self.end_chat()
        unfinished = self.call.unfinished_playback() if self.call is not None else ()
        recording = self.recording
        if recording is not None and recording.state is RecordingState.CLOSED:
            recording = None  # a new one can be started instead
        return VisitorRecord(
            self.conversation.to_record(now, unfinished),
            self.text_conversation.to_record(now),
            self.preferences,
            recording,
            tuple(self.accepted_messages),
            reply_due_at,
        )

    def restore(self, record: VisitorRecord) -> None:
        """Take over the record of another page. Only in a new page."""
        self.conversation.restore(record.voice)
        self.text_conversation.restore(record.text)
        self.preferences, self.recording = record.preferences, record.recording
        self.accepted_messages.extend(record.accepted_messages)
        self._take_reply_due_at(record)

    def restore_earlier(self, record: VisitorRecord, *, may_overlap: bool) -> None:
        """Take over the record of another page in one that may have been used already: its messages come first.

        `may_overlap`: this page began with messages of that one.
        """
        if self.call is not None or self.recording is not None or self.conversation.bubbles():
            self.conversation.restore_earlier(record.voice, may_overlap=may_overlap)
        else:
            self.conversation.restore(record.voice)
            self._take_reply_due_at(record)
        if self.text_session is not None or self.text_conversation.bubbles():
            self.text_conversation.restore_earlier(record.text, may_overlap=may_overlap)
        else:
            self.text_conversation.restore(record.text)
        if self.preferences == CallPreferences():
            self.preferences = record.preferences
        accepted = dict.fromkeys((*record.accepted_messages, *self.accepted_messages))
        self.accepted_messages = deque(accepted, self.accepted_messages.maxlen)

    def _take_reply_due_at(self, record: VisitorRecord) -> None:
        self.reply_due_at = record.reply_due_at if self.goes_on_with_call else 0.0

    def restore_conversations(self, voice: ConversationRecord, text: ConversationRecord) -> None:
        """Go on from two earlier conversations. The recording of the present one is erased. Not during a call."""
        self.reply_due_at = 0.0
        self.end_chat()
        self.erase_stored()
        if self.recording is not None:
            self.recording.close()
            self.recording = None
        self.conversation.restore(voice)
        self.text_conversation.restore(text)

    def end_chat(self) -> None:
        """End the chat, if there is one."""
        if self.text_session is not None:
            self.text_session.end_by_user()

    def on_handed_over(self) -> None:
        """End what runs: another page has all of it now, the recording included."""
        if self.call is not None:
            self.call.end_by_user()
        self.end_chat()
        self.recording, self.resume_id = None, ""
        self.erase_stored = _erase_nothing
        self.erase()

    def on_taken_over(self) -> None:
        """End what runs, and erase all of it here, the recording included: another replica has the page now."""
        self.erase_stored = _erase_nothing
        self.erase()

    def on_page_closed(self) -> None:
        """Erase the recording for good, and end the chat. The call goes on: perhaps only the page's requests were lost,
        and not its microphone."""
        if self.recording is not None:
            self.recording.close()
        self.end_chat()

    def snapshot(self) -> Snapshot:
        """Snapshot for the page while there is no call."""
        return Snapshot(self.conversation.captions(), CallStage.IDLE)


def _erase_nothing() -> None:
    """Do nothing: nothing is stored of a page without a key."""
