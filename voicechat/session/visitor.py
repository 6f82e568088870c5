"""Visitor of the page: their conversations, call, chat, key and preferences. The page keeps it in its session."""

from __future__ import annotations

from voicechat.audio.recording import Recording
from voicechat.config.call_preferences import CallPreferences, EffectiveFrom, effective_from
from voicechat.conversation.call_clock import CallClock
from voicechat.conversation.conversation import Conversation
from voicechat.turn_taking.snapshot import CallStage, Snapshot

from .text_session import TextSession
from .voice_session import VoiceSession


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
        self.visitor_key = ""
        """Key shared by all pages of this visitor (`voicechat/security/visitor_key.py`); "" when they cannot be told
        apart from others."""

    @property
    def is_in_call(self) -> bool:
        """A call is under way. False once it has ended, though `call` stays until the browser has disconnected too."""
        return self.call is not None and self.call.is_active

    async def clear(self) -> None:
        """Delete the conversation, during a call also at the server."""
        if self.call is not None and self.is_in_call:
            self.call.clear()
        else:
            self.conversation.clear()
            self.conversation.clock = CallClock()
        if self.recording is not None:
            self.recording.clear()

    async def set_preferences(self, preferences: CallPreferences) -> EffectiveFrom:
        """Store the preferences and apply them to a running call. Return when they take effect."""
        before, self.preferences = self.preferences, preferences
        if self.call is not None and self.is_in_call:
            self.call.apply_preferences()
        return effective_from(before, preferences, self.is_in_call)

    def on_page_closed(self) -> None:
        """Erase the recording for good, and end the chat. The call goes on: perhaps only the page's requests were lost,
        and not its microphone."""
        if self.recording is not None:
            self.recording.close()
        if self.text_session is not None:
            self.text_session.end_by_user()

    def snapshot(self) -> Snapshot:
        """Snapshot for the page while there is no call."""
        return Snapshot(self.conversation.captions(), CallStage.IDLE)
