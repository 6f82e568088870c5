"""One visitor of the page: what belongs to them and to nobody else. The page keeps it in its session."""

from __future__ import annotations

from voicechat.audio.recording import Recording
from voicechat.config.call_preferences import CallPreferences, EffectiveFrom, effective_from
from voicechat.conversation.call_clock import CallClock
from voicechat.conversation.conversation import Conversation
from voicechat.turn_taking.snapshot import CallStage, Snapshot

from .call_handler import CallHandler
from .text_session import TextSession


class Visitor:
    """One page session: a spoken and a written conversation, each with the call or chat under way. Neither knows of the
    other."""

    def __init__(self, max_items: int = 200) -> None:
        self.conversation = Conversation(max_items)
        self.recording: Recording | None = None
        """Of the calls of this conversation, once there was one and where calls are recorded. Nobody else has it."""
        self.call: CallHandler | None = None
        self.text_conversation = Conversation(max_items, text_only=True)
        self.text_session: TextSession | None = None
        self.own_key = ""
        """The visitor's own key, for what starts from now on. It leaves this object only towards the server."""
        self.preferences = CallPreferences()
        """How this visitor wants their calls."""
        self.visitor_key = ""
        """The same for all pages of this visitor (`voicechat/security/visitor_cookie.py`); "" when they cannot be told apart from others."""

    @property
    def is_in_call(self) -> bool:
        """A call is under way. False once it has ended, though `call` stays until the browser has hung up too."""
        return self.call is not None and self.call.is_active

    async def clear(self) -> None:
        """Forget the conversation, also at the server when a call is under way."""
        if self.call is not None and self.is_in_call:
            await self.call.clear()
        else:
            self.conversation.clear()
            self.conversation.clock = CallClock()
        if self.recording is not None:
            self.recording.clear()

    async def set_preferences(self, preferences: CallPreferences) -> EffectiveFrom:
        """The visitor wants their calls otherwise. Returns from when on that counts."""
        before, self.preferences = self.preferences, preferences
        if self.call is not None and self.is_in_call:
            self.call.apply_preferences()
        return effective_from(before, preferences, self.is_in_call)

    def on_page_closed(self) -> None:
        """The page was closed: the recording is erased, and no more of a call that may still be ending is recorded. The
        chat is over; a call is not, whose microphone may go on where only the page's requests were lost."""
        if self.recording is not None:
            self.recording.close()
        if self.text_session is not None:
            self.text_session.end_by_user()

    def snapshot(self) -> Snapshot:
        """What the page shows outside a call."""
        return Snapshot(self.conversation.captions(), CallStage.IDLE)
