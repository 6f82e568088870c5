"""Tools of a call: actions of the tool call tracker become client events, wanted replies and commands. Pure.

The tracker decides; the conversation keeps what is shown; the session carries out the commands.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from voicechat.audio.playback_buffer import PlaybackBuffer
from voicechat.conversation.conversation import Conversation
from voicechat.conversation.shown.tool_use import ToolUse
from voicechat.protocol.client_events import ClientEventBuilder
from voicechat.protocol.objects.function_call import FunctionCall
from voicechat.protocol.server_events import (
    FunctionCallDone,
    ItemAdded,
    ItemDone,
    OutputItem,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SpeechStarted,
    TranscriptCompleted,
)
from voicechat.tools.calls.actions import (
    CancelTool,
    DeclareTools,
    RequestResponse,
    SendOutput,
    SendSystemMessage,
    StartTool,
    ToolAction,
)
from voicechat.tools.calls.tool_call import ToolCall
from voicechat.tools.calls.tool_call_tracker import ToolCallTracker
from voicechat.tools.definition import ToolDefinition, ToolResult
from voicechat.turn_taking.response_tracker import ResponseTracker

Event = dict[str, Any]
ToolCommand = StartTool | CancelTool
"""What the session does in the executor."""

MAX_UNHEARD_RESPONSES = 64
"""Finished responses remembered whose audio is still played."""
MAX_ANNOUNCEMENTS = 32
"""Announcements that wait for a silence. Older ones are dropped."""
TRACKED_EVENTS = frozenset(
    {
        FunctionCallDone,
        ItemAdded,
        ItemDone,
        OutputItem,
        ResponseCreated,
        ResponseDone,
        SpeechStarted,
        TranscriptCompleted,
    }
)
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[A-Za-z]")


def to_use(call: ToolCall, definition: ToolDefinition | None) -> ToolUse:
    """Return a call as the conversation keeps it. `definition`: its tool; None for an unknown one."""
    return ToolUse(
        call.call_id,
        call.name,
        call.arguments_json,
        call.state.value,
        call.result_text,
        None if call.started_at is None or call.ended_at is None else call.ended_at - call.started_at,
        call.heard.value,
        tuple(definition.titles.items()) if definition is not None else (),
        is_shown=not call.decides,
        open_world=definition is not None and definition.open_world and call.started_at is not None,
    )


def is_of_open_world(use: ToolUse | None) -> bool:
    """Return whether a tool call may have brought text of strangers."""
    return use is not None and use.open_world


class CallTools:
    """Tool calls of a call or chat, between the tracker and the call's other parts."""

    def __init__(
        self,
        tracker: ToolCallTracker,
        conversation: Conversation,
        playback: PlaybackBuffer,
        responses: ResponseTracker,
        client_events: ClientEventBuilder,
    ) -> None:
        self.tracker = tracker
        self.declare: Callable[[], list[Event]] = list
        """Returns the events that declare the tracker's tools to the server. Set by the session."""
        self.is_near_budget = False
        """Most of the budget is spent: replies to results call no further tools."""
        self.language = "en"
        """Language of the visitor's last turn: "en" or "zh"."""
        self._conversation = conversation
        self._playback = playback
        self._responses = responses
        self._client_events = client_events
        self._commands: list[ToolCommand] = []
        self._finished: list[ToolCall] = []
        self._known: dict[str, tuple[ToolCall, ToolDefinition | None]] = {}
        """Calls of the tracker as they are shown, each with its tool as it was when the call came."""
        self._tools_allowed = True
        self._turn_count = 0
        self._last_output = ""
        """Newest item of an output that no reply is known to know; "" for none. Servers take items in their order."""
        self._unheard: deque[str] = deque(maxlen=MAX_UNHEARD_RESPONSES)
        self._announcements: deque[tuple[str, ToolResult]] = deque(maxlen=MAX_ANNOUNCEMENTS)
        if any(bubble.pictures or is_of_open_world(bubble.tool_use) for bubble in conversation.bubbles()):
            tracker.disarm()

    # ---------------------------------------------------------------- reading

    @property
    def may_call_tools(self) -> bool:
        """The next reply to results may call tools."""
        return self._tools_allowed and not self.is_near_budget

    @property
    def has_announcement(self) -> bool:
        """An announcement waits for a silence."""
        return bool(self._announcements)

    def replayed_outputs(self) -> dict[str, str]:
        """Return the outputs for another connection by the id of their calls."""
        return {call.call_id: output for call, output in self.tracker.replay_pairs()}

    def take_commands(self) -> list[ToolCommand]:
        """Return what the executor has to do since the last call of this method, in order."""
        taken, self._commands = self._commands, []
        return taken

    def take_finished(self) -> list[ToolCall]:
        """Return the calls that have ended since the last call of this method."""
        taken, self._finished = self._finished, []
        return taken

    # ---------------------------------------------------------------- actions

    def apply(self, actions: Sequence[ToolAction], now: float, *, is_connected: bool, speaking: bool) -> list[Event]:
        """Carry out actions in their order, and show the calls as they are now. Return the events to send.

        `speaking`: the visitor speaks, and the reply to that turn answers the results too.
        """
        events: list[Event] = []
        for action in actions:
            match action:
                case StartTool() | CancelTool():
                    self._commands.append(action)
                case SendOutput(call_id, text) if is_connected:
                    item = self._conversation.add_tool_output(call_id, text)
                    self._last_output = item["id"]
                    events.append(self._client_events.create_tool_item(item))
                case SendSystemMessage(text) if is_connected:
                    item = self._conversation.add_system_message(text)
                    self._last_output = item["id"]
                    events.append(self._client_events.create_tool_item(item))
                case DeclareTools() if is_connected:
                    events += self.declare()
                case RequestResponse(tools_allowed):
                    self._tools_allowed = tools_allowed
                    self._responses.want_tools(user_speaking=speaking)
        if not self.tracker.has_open_output:
            self._responses.release_held_request()
        self._show_calls(now)
        return events

    def _show_calls(self, now: float) -> None:
        """Take changed calls into the conversation, and note those that have ended."""
        clock, earlier, self._known = self._conversation.clock, self._known, {}
        for call in self.tracker.calls:
            before, definition = earlier.get(call.call_id) or (None, self.tracker.find_tool(call.name))
            self._known[call.call_id] = call, definition
            if call is before or call == before:
                continue
            at = clock.elapsed_s(now) if before is None else None
            self._conversation.set_tool_use(to_use(call, definition), call.response_id, at)
            if call.state.is_final and (before is None or not before.state.is_final):
                self._finished.append(call)

    # ---------------------------------------------------------------- server events

    def track(self, event: ServerEvent, now: float) -> list[ToolAction] | None:
        """Take a server event, which the conversation has applied, before the call does. None: it changes nothing."""
        if type(event) not in TRACKED_EVENTS:  # most are not
            return None
        match event:
            case FunctionCallDone(call=FunctionCall() as call):
                return self._take_call(event.response_id, call, now)
            case ItemAdded() | ItemDone() if self._conversation.is_replayed(event.item.id):
                return []  # the server confirms a call of an earlier connection, perhaps under another id
            case OutputItem() | ItemAdded() | ItemDone() if event.item.call is not None:
                return self._take_call(event.response_id, event.item.call, now)
            case SpeechStarted():
                return self.tracker.note_user_turn(event.item_id or self._name_turn(), now)
            case TranscriptCompleted():
                self._note_language(event.transcript)
                return self.tracker.take_transcript(event.item_id, event.transcript, now)
            case ResponseCreated() if not self._responses.registry.is_stale(event.response_id):
                return self.start_response(event.response_id, now)
            case ResponseDone():
                return self._finish_response(event, now)
        return []

    def _name_turn(self) -> str:
        self._turn_count += 1
        return f"turn_{self._turn_count}"

    def _take_call(self, response_id: str, call: FunctionCall, now: float) -> list[ToolAction]:
        registry = self._responses.registry
        response_id = response_id or registry.current_id
        if not call.is_complete or registry.is_ignored(response_id):
            return []
        actions: list[ToolAction] = []
        if registry.is_given_up(response_id):  # its acting calls must not run, and its reading ones need not
            actions += self.tracker.finish_response(response_id, "cancelled", now)
        return actions + self.tracker.take_call(response_id, call.call_id, call.name, call.arguments, now)

    def start_response(self, response_id: str, now: float) -> list[ToolAction]:
        """Note that a reply begins. It knows the outputs that the server has confirmed by then."""
        knows_outputs = not self._last_output or self._conversation.is_on_server(self._last_output)
        if knows_outputs:
            self._responses.carry_results()
            self._last_output = ""
        return self.tracker.start_response(response_id, now, knows_outputs=knows_outputs)

    def _finish_response(self, event: ResponseDone, now: float) -> list[ToolAction]:
        registry = self._responses.registry
        response_id = event.response_id or registry.current_id
        actions: list[ToolAction] = []
        for item in event.output:
            if item.call is not None:
                actions += self._take_call(response_id, item.call, now)
        status = "cancelled" if registry.is_given_up(response_id) else event.status
        if self._playback.has_response(response_id) and status != "cancelled":
            self._unheard.append(response_id)
        spoke = self._conversation.has_reply(response_id)
        actions += self.tracker.finish_response(response_id, status, now, spoke=spoke)
        if self._conversation.is_text_only:
            actions += self.tracker.note_heard(response_id, 1.0, now)
        return actions

    # ---------------------------------------------------------------- what was heard

    def note_cut(self, now: float) -> list[ToolAction]:
        """Note that the reply is about to be cut where playback stands."""
        cut = dict.fromkeys([*self._unheard, self._responses.registry.current_id])
        self._unheard.clear()
        actions: list[ToolAction] = []
        for response_id in cut:
            heard = self._playback.heard_fraction(response_id) if response_id else None
            if heard is not None:
                actions += self.tracker.note_heard(response_id, heard, now)
        return actions

    @property
    def has_unheard_reply(self) -> bool:
        """A finished reply is still being played."""
        return bool(self._unheard)

    def note_played(self, now: float) -> list[ToolAction]:
        """Note that finished replies have been played."""
        played, actions = list(self._unheard), list[ToolAction]()
        self._unheard.clear()
        for response_id in played:
            actions += self.tracker.note_heard(response_id, 1.0, now)
        return actions

    # ---------------------------------------------------------------- the visitor

    def note_typed(self, text: str, now: float, *, has_pictures: bool = False) -> list[ToolAction]:
        """Note a typed message: a whole turn. A picture may show text of strangers."""
        if has_pictures:
            self.tracker.disarm()
        self._note_language(text)
        turn = self._name_turn()
        return self.tracker.note_user_turn(turn, now) + self.tracker.take_transcript(turn, text, now)

    def _note_language(self, text: str) -> None:
        if _HAN.search(text):
            self.language = "zh"
        elif _LETTER.search(text):
            self.language = "en"
        self.tracker.set_language(self.language)

    # ---------------------------------------------------------------- announcements, connections

    def add_announcement(self, call_id: str, result: ToolResult) -> None:
        """Keep what a tool says after its call, until the visitor is silent and awaits no reply."""
        self._announcements.append((call_id, result))

    def announce_next(self, now: float) -> list[ToolAction]:
        """Tell the model the oldest announcement."""
        if not self._announcements:
            return []
        call_id, result = self._announcements[0]
        actions = self.tracker.announce(call_id, result, now)
        if actions or not self.tracker.can_announce(call_id):  # else the last minute had too many: it waits
            self._announcements.popleft()
        return actions

    def lose_connection(self, now: float) -> list[ToolAction]:
        """Note that the connection is lost."""
        self._unheard.clear()
        self._last_output = ""
        return self.tracker.lose_connection(now)

    def clear(self, now: float) -> list[ToolAction]:
        """Cancel all open calls, and forget all."""
        self._announcements.clear()
        self._unheard.clear()
        actions = self.tracker.clear(now)
        self._known, self._last_output = {}, ""
        return actions

    def end(self, now: float) -> list[ToolAction]:
        """End the conversation: what runs is cancelled."""
        self._announcements.clear()
        return self.tracker.end(now)
