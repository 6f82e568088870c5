"""Connections of a call: what begins, is lost or ends with one, the request for a reply, and its tools. Pure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from voicechat.audio.format import Samples
from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.audio.waiting_sound import WaitingSound
from voicechat.config.settings import Settings
from voicechat.conversation.conversation import Conversation, IncompleteReason
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.notices import Notice
from voicechat.protocol.server_events import ServerError, ServerEvent
from voicechat.tools.calls.actions import RequestResponse, ToolAction
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker
from voicechat.tools.definition import ToolResult

from .aec_warmup import AecWarmup
from .barge_in import BargeIn
from .call_lifecycle import CallLifecycle
from .pictures.message_pictures import MessagePictures
from .response_tracker import PendingResponse, ResponseTracker
from .snapshot import CallStage, Snapshot
from .tools.call_tools import CallTools

log = logging.getLogger(__name__)

Event = dict[str, Any]

RESPONSE_TIMEOUT_S = 10.0
"""Seconds without any sign of a reply before the call listens again: noise that was no speech gets none."""
OPEN_TURN_TIMEOUT_S = 60.0
"""Seconds without voice after which a turn counts as over whose end the server does not report."""


class CallConnection(CallLifecycle):
    """The parts of a call, its connections, requests and tools. `CallStateMachine` adds events, actions and time."""

    def __init__(
        self, conversation: Conversation, settings: Settings, now: float, tools: ToolCallTracker | None = None
    ) -> None:
        """`tools`: the tools that the model may call; without them each call of a function is answered as unknown."""
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
        self.tools = CallTools(
            tools or ToolCallTracker({}), conversation, self.playback, self._tracker, self._client_events
        )
        self._tool_events: list[Event] = []
        """Events about tools that are sent with the next ones."""
        self._waiting_sound = WaitingSound()
        self._barge_in.before_cut = self._note_cut
        conversation.clock.start(now)

    @property
    def idle(self) -> bool:
        """The visitor is silent and awaits no reply, and no tool is busy."""
        return self._is_silent and not self.tools.tracker.is_busy

    @property
    def _is_silent(self) -> bool:
        """The visitor is silent and awaits no reply."""
        return super().idle and not self.playback.has_queued_audio and not self._tracker.is_response_expected

    @property
    def owes_reply(self) -> bool:
        """A reply is awaited or played that was not asked for again after a loss: another call may ask for it."""
        is_awaited = self._tracker.is_response_expected or self.playback.has_queued_audio
        was_asked_again = self._tracker.is_repeated and self.is_connected
        return is_awaited and not was_asked_again

    def ask_again(self) -> None:
        """Want the reply that a former call owed, unless some of it was heard. Call it before the first connection."""
        if self.conversation.awaits_reply:
            self._tracker.handle_disconnected(response_lost=True)

    def snapshot(self) -> Snapshot:
        tracker = self.tools.tracker
        return replace(
            super().snapshot(), tool_calls=tuple(tracker.calls), pending_approvals=tuple(tracker.pending_approvals)
        )

    # ---------------------------------------------------------------- connection

    def handle_connected(self, now: float) -> list[Event]:
        """Start on a new connection. Return the events that replay the conversation to it."""
        count = max(self._settings.replay_items, self._unsent_messages)
        events = self.pictures.replay(count, self.tools.replayed_outputs())
        self._tool_events.clear()
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
        self._do(self.tools.lose_connection(now), now, is_connected=False)
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
        self._do(self.tools.end(now), now, is_connected=False)
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
        is_for_tools = self._tracker.pending is PendingResponse.FOR_TOOLS
        event = self._client_events.create_response(tools_allowed=not is_for_tools or self.tools.may_call_tools)
        self._tracker.mark_requested(event["event_id"])
        self._enter_stage(CallStage.THINKING, now)
        return [*self._take_tool_events(), event]

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

    # ---------------------------------------------------------------- tools

    def approve(self, call_id: str, allowed: bool, now: float) -> list[Event]:
        """Take the visitor's decision about an acting tool."""
        self._touch(now)
        return self._do(self.tools.tracker.decide(call_id, allowed, now), now)

    def cancel_tool(self, call_id: str, now: float) -> list[Event]:
        """Cancel one call of a tool."""
        self._touch(now)
        return self._do(self.tools.tracker.cancel(call_id, now), now)

    def take_tool_result(self, call_id: str, result: ToolResult, now: float) -> list[Event]:
        """Take the result of a call that ran."""
        self._touch(now)
        return self._do(self.tools.tracker.take_result(call_id, result, now), now)

    def announce(self, call_id: str, result: ToolResult, now: float) -> list[Event]:
        """Tell the visitor what a tool says after its call, at once or in the next silence."""
        self.tools.add_announcement(call_id, result)
        return self._announce_if_silent(now)

    def _announce_if_silent(self, now: float) -> list[Event]:
        return self._do(self.tools.announce_next(now), now) if self._is_silent and self.tools.has_announcement else []

    def _do(self, actions: Sequence[ToolAction], now: float, *, is_connected: bool | None = None) -> list[Event]:
        """Carry out actions of the tool call tracker. Return the events to send, a request for a reply last."""
        before = len(self.tools.tracker.pending_approvals)
        events = self.tools.apply(
            actions,
            now,
            is_connected=self.is_connected if is_connected is None else is_connected,
            speaking=self.stage is CallStage.USER_SPEAKING,
        )
        if actions or before != len(self.tools.tracker.pending_approvals):
            self._changes += 1
        wants_reply = any(isinstance(action, RequestResponse) for action in actions)
        return events + self._request_response(now) if wants_reply and is_connected is None else events

    def _track_tools(self, event: ServerEvent, now: float) -> list[Event]:
        """Let the tools take a server event before the call does."""
        actions = self.tools.track(event, now)
        return self._take_tool_events() + ([] if actions is None else self._do(actions, now))

    def _take_tool_events(self) -> list[Event]:
        taken, self._tool_events = self._tool_events, []
        return taken

    def _note_cut(self, now: float) -> None:
        self._tool_events += self._do(self.tools.note_cut(now), now)

    def _tick_tools(self, now: float) -> list[Event]:
        """Do what is due. While a tool is busy, nothing that waits for a reply or a visitor runs out."""
        if self.tools.tracker.is_busy:
            self._touch(now)
        events = self._take_tool_events() + self._do(self.tools.tracker.tick(now), now)
        return events + self._announce_if_silent(now)

    def _mix_waiting_sound(self, samples: Samples, now: float) -> Samples:
        """Return a frame with the sound that fills the silence while a tool runs, and note what was heard."""
        if self.tools.has_unheard_reply and not self.playback.has_queued_audio:
            self._tool_events += self._do(self.tools.note_played(now), now)
        is_silent = self.stage in (CallStage.THINKING, CallStage.LISTENING) and not self.playback.has_queued_audio
        waits = is_silent and not self.conversation.is_text_only and self.tools.tracker.is_running
        return self._waiting_sound.mix(samples, now, is_waiting=waits)

    # ---------------------------------------------------------------- turns without an end

    def _check_unexplained_silence(self, now: float) -> None:
        """Report an empty reply to a turn whose transcript does not come: the turn may have had words."""
        if self._idle_s(now) > RESPONSE_TIMEOUT_S and self.conversation.awaits_transcript:
            self._has_unexplained_silence = False
            self._report_reply(Notice.REPLY_FAILED, after_reply=False)

    def _check_open_turn(self, now: float) -> list[Event]:
        """Give up a turn whose end the server does not report, earlier where a typed message waits for that end."""
        if self._barge_in.take_voice():  # a visitor may speak for minutes
            self._touch(now)
        message_waits = self._tracker.pending is PendingResponse.WITH_TURN
        limit_s = RESPONSE_TIMEOUT_S if message_waits else OPEN_TURN_TIMEOUT_S
        if self.playback.has_queued_audio or self._idle_s(now) <= limit_s:
            return []
        log.warning("call: turn without an end message_waits=%s", message_waits)
        self._barge_in.reset()
        self._tracker.clear_in_flight()
        return self._return_to_listening(now)
