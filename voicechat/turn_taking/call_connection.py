"""Connections of a call: what begins, is lost or ends with one, and the request for a reply. Pure."""

from __future__ import annotations

from typing import Any

from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation, IncompleteReason
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import ServerError

from .aec_warmup import AecWarmup
from .barge_in import BargeIn
from .call_lifecycle import CallLifecycle
from .pictures.message_pictures import MessagePictures
from .response_tracker import PendingResponse, ResponseTracker
from .snapshot import CallStage

Event = dict[str, Any]


class CallConnection(CallLifecycle):
    """The parts of a call, its connections and its requests. `CallStateMachine` adds events, actions and time."""

    def __init__(self, conversation: Conversation, settings: Settings, now: float) -> None:
        super().__init__(conversation, settings, now)
        self._registry = conversation.responses
        self.playback = PlaybackBuffer(self._registry)
        self._tracker = ResponseTracker(self._registry)
        self._client_events = ClientEventBuilder()
        self.pictures = MessagePictures(conversation, self._client_events, settings.pictures.max_images)
        self._barge_in = BargeIn(conversation, self.playback, self._tracker, self._client_events, settings)
        self._aec_warmup = AecWarmup(settings.echo_guard_threshold)
        self._unsent_messages = 0
        """Messages typed without a connection: all of them are replayed to the next one."""
        conversation.clock.start(now)

    @property
    def idle(self) -> bool:
        """The visitor is silent and awaits no reply."""
        return super().idle and not self.playback.has_queued_audio and not self._tracker.is_response_expected

    # ---------------------------------------------------------------- connection

    def handle_connected(self, now: float) -> list[Event]:
        """Start on a new connection. Return the events that replay the conversation to it."""
        events = self.pictures.replay(max(self._settings.replay_items, self._unsent_messages))
        self._unsent_messages = 0
        self._fatal_failure = None
        self._tracker.clear_in_flight()
        self._barge_in.handle_connected()
        self._aec_warmup.apply_turn_detection({})
        self.set_notice(None)
        self._enter_stage(CallStage.SPEAKING if self.playback.has_queued_audio else CallStage.LISTENING, now)
        self._touch(now)
        return events + self._request_response(now)

    def handle_disconnected(self, stage: CallStage, now: float) -> None:
        """Give up the connection. Received audio of a reply is still played."""
        self._barge_in.reset()
        self._aec_warmup.handle_disconnected()
        requested, awaited = self._registry.is_requested, self._registry.is_active or self._tracker.is_turn_completed
        half_given = self.conversation.mark_replies_lost()
        self.playback.assign_new_ids(self.conversation.reset_connection())
        # A reply that was begun, or that a spoken turn awaits, may have shown and played nothing yet.
        unseen = awaited and self.conversation.awaits_reply and not self.playback.has_queued_audio
        is_wanted_again = self._tracker.handle_disconnected(response_lost=requested or unseen)
        if half_given:
            self._incomplete_reasons.append(IncompleteReason.CONNECTION_LOST)
        if half_given and not is_wanted_again:
            self._report_reply(Notice.REPLY_LOST, after_reply=True)
        elif (requested or awaited) and not is_wanted_again:
            self._report_reply(Notice.REPLY_FAILED, after_reply=True)
        self._enter_stage(stage, now)

    def end(self, stage: CallStage, notice: str | None, now: float) -> None:
        """End the call. Audio that was not played is dropped."""
        self._barge_in.reset()
        self._deferred_notice = None
        if stage is CallStage.FAILED and self.conversation.mark_replies_lost():
            self._incomplete_reasons.append(IncompleteReason.CONNECTION_LOST)
        for cut in self.playback.interrupt(now):
            self.conversation.truncate(*cut)
        self.conversation.reset_connection()
        self.conversation.clock.stop(now)
        self.set_notice(notice)
        self._enter_stage(stage, now)

    # ---------------------------------------------------------------- replies

    def _interrupt_reply(self, now: float) -> list[Event]:
        """Stop the reply here and at the server. Nothing that it lacks matters any more."""
        self._clear_answer_notice()
        return self._barge_in.interrupt(now)

    def _mark_active(self, response_id: str) -> None:
        """Note that a reply is being made: nothing holds any more that was shown about the one before it."""
        self._clear_answer_notice()
        self._barge_in.forget_late_answers()
        self._tracker.mark_active(response_id, user_speaking=self.stage is CallStage.USER_SPEAKING)

    def _request_response(self, now: float) -> list[Event]:
        """Request a wanted reply, unless one is being made or is still to be rejected."""
        if not self._tracker.can_request() or not self.is_connected:
            return []
        event = self._client_events.create_response()
        self._tracker.mark_requested(event["event_id"])
        self._enter_stage(CallStage.THINKING, now)
        return [event]

    def _take_picture_refusal(self, event: ServerError, now: float) -> list[Event] | None:
        """Send a message again without its picture, which the server refused; None for any other error.

        A reply that was requested meanwhile does not know the message: another one is.
        """
        resent = self.pictures.take_refusal(event)
        if resent is None:
            return None
        self.set_notice(Notice.PICTURE_UNSEEN)
        if not (self._registry.is_busy or self._tracker.is_response_expected):
            return resent
        events = self._interrupt_reply(now) + resent
        self._tracker.add_message(user_speaking=self.stage is CallStage.USER_SPEAKING)
        if self.stage is not CallStage.USER_SPEAKING:
            self._enter_stage(CallStage.THINKING, now)
        return events + self._request_response(now)

    def _return_to_listening(self, now: float) -> list[Event]:
        """Await no reply to the turn. A message typed during it is answered now."""
        self._tracker.abandon_turn()
        waits = self._tracker.pending is not PendingResponse.NONE
        self._enter_stage(CallStage.THINKING if waits else CallStage.LISTENING, now)
        return self._request_response(now)
