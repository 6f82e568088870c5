"""The responses of a session: at most one of the default conversation at a time, and a few out-of-band ones."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Literal

from offline.audio import duration_s
from offline.protocol.outputs import Json, ProtocolError, invalid_type, invalid_value
from offline.protocol.session_config import cannot_update_voice, merge_response_settings
from offline.protocol.worker_messages import Generate, ReplyDone, ReplySpeech, ReplyText, ReplyToolCall, StopGeneration

from .context import SessionContext
from .conversation import ConversationItem, TranscriptStatus
from .item_parsing import resolve_input_item
from .response import Response, ResponseStage
from .transcripts import TranscriptManager

MAX_OUT_OF_BAND_RESPONSES = 4


class NextAction(Enum):
    """What follows the default conversation's active response."""

    NONE = "nothing"
    RESPOND = "answer"
    """A turn ended meanwhile and is to be answered."""


class ResponseManager:
    """Responses from their creation to their end."""

    def __init__(self, context: SessionContext, transcripts: TranscriptManager, on_idle: Callable[[], None]) -> None:
        """`on_idle` is called when the default conversation's response has ended and none follows."""
        self._context = context
        self._transcripts = transcripts
        self._on_idle = on_idle
        self._conversation_id = context.ids.new("conv")
        self._responses: dict[str, Response] = {}
        self._next_action = NextAction.NONE
        self._unanswered_item: ConversationItem | None = None
        self.active_response: Response | None = None
        """The default conversation's response under way."""
        self.has_spoken = False
        """The model has been heard in this session, so its voice is fixed."""
        self.playback_ends_at = context.now
        """When a client that plays at once has played all it was sent."""

    # ------------------------------------------------------------------ beginning

    def create(self, event: Json, is_item_id_taken: Callable[[str], bool]) -> None:
        """`response.create`. `is_item_id_taken`: whether an item id is in use."""
        core = self._context
        settings = merge_response_settings(core.config, event.get("response"))
        if self.has_spoken and settings["audio"]["output"]["voice"] != core.config["audio"]["output"]["voice"]:
            raise cannot_update_voice("response.audio.output.voice")
        outside = settings["conversation"] == "none"
        if not outside and self.active_response is not None:
            message = (
                f"Conversation already has an active response in progress: {self.active_response.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise ProtocolError("conversation_already_has_active_response", message)
        if outside and len(self._responses) - (self.active_response is not None) >= MAX_OUT_OF_BAND_RESPONSES:
            raise invalid_value(
                "response.conversation", f"At most {MAX_OUT_OF_BAND_RESPONSES} such responses at a time."
            )
        context = list(core.conversation.items)
        if settings["input"] is not None:
            context = self._parse_input(settings["input"], is_item_id_taken)
        self._start_response(settings, context, out_of_band=outside)

    def _parse_input(self, raw: list[Json], is_item_id_taken: Callable[[str], bool]) -> list[ConversationItem]:
        core = self._context
        items = [
            resolve_input_item(entry, f"response.input[{index}]", core.conversation, core.ids, core.input_format)
            for index, entry in enumerate(raw)
        ]
        new = [item for item in items if not core.conversation.contains_item(item)]
        names = [item.id for item in new]
        if len(set(names)) < len(names) or any(is_item_id_taken(name) for name in names):
            raise invalid_value("response.input", "Two items have the same id.")
        for item in new:
            self._transcripts.request_transcript(item)
        return items

    def respond_to(self, item: ConversationItem) -> None:
        """Respond to a turn by itself: now, or when the active response is done."""
        if self.active_response is not None:
            self._next_action, self._unanswered_item = NextAction.RESPOND, item
        else:
            settings = merge_response_settings(self._context.config, None)
            self._start_response(settings, list(self._context.conversation.items), trigger_item=item)

    def _start_response(
        self,
        settings: Json,
        input_items: list[ConversationItem],
        *,
        out_of_band: bool = False,
        trigger_item: ConversationItem | None = None,
    ) -> None:
        response = Response(
            self._context.outbox,
            self._context.ids.new("resp"),
            settings,
            input_items,
            None if out_of_band else self._context.conversation,
            None if out_of_band else self._conversation_id,
            trigger_item,
        )
        self._responses[response.id] = response
        if not out_of_band:
            self.active_response = response
        self.start_ready_responses()

    def start_ready_responses(self) -> None:
        """Generate what was waiting only for words that are known now."""
        for response in list(self._responses.values()):
            if response.stage is not ResponseStage.AWAITING_TRANSCRIPTS or response.is_awaiting_transcripts:
                continue
            asked = response.trigger_item
            if asked is not None and asked.transcript_status is TranscriptStatus.FAILED:
                response.fail("What was said could not be recognised.")
                self._on_response_ended(response)
            elif asked is not None and (asked.to_llm_message() is None or asked not in response.input_items):
                response.finish("completed", None, None)  # a noise, not words: nothing to answer
                self._on_response_ended(response)
            else:
                response.stage = ResponseStage.GENERATING
                self._context.outbox.submit(Generate(response.id, response.build_request()))

    # ------------------------------------------------------------------ going on

    def handle_result(self, result: ReplyText | ReplySpeech | ReplyToolCall | ReplyDone) -> None:
        """More of a reply; of a response that is gone, it is dropped."""
        response = self._responses.get(result.response_id)
        if response is None or response.stage is not ResponseStage.GENERATING:
            return
        if isinstance(result, ReplyText):
            response.add_text(result.text)
        elif isinstance(result, ReplySpeech):
            self.has_spoken = True
            response.add_speech(result.text, result.audio)
            self.playback_ends_at = max(self.playback_ends_at, self._context.now) + duration_s(result.audio)
        elif isinstance(result, ReplyToolCall):
            response.add_tool_call(result.name, result.arguments)
        else:
            response.complete(result)
            self._on_response_ended(response)

    def on_item_deleted(self, item: ConversationItem) -> None:
        """`item` was deleted: what has not been generated yet does without it, and it wants no answer."""
        if item is self._unanswered_item:
            self._next_action, self._unanswered_item = NextAction.NONE, None
        for response in self._responses.values():
            if response.stage is ResponseStage.AWAITING_TRANSCRIPTS:
                response.input_items = [other for other in response.input_items if other is not item]

    # ------------------------------------------------------------------ end

    def interrupt(self) -> None:
        """The person speaks: stop the default conversation's response, and what is still being played."""
        self._next_action = NextAction.NONE
        self.playback_ends_at = self._context.now
        if self.active_response is not None:
            self._cancel_response(self.active_response, "turn_detected")

    def cancel(self, event: Json) -> None:
        """`response.cancel`."""
        wanted = event.get("response_id")
        if wanted is not None and not isinstance(wanted, str):
            raise invalid_type("response_id", "a string")
        response = self.active_response if wanted is None else self._responses.get(wanted)
        if response is None:
            raise ProtocolError("response_cancel_not_active", "Cancellation failed: no active response found.")
        self._cancel_response(response, "client_cancelled")

    def _cancel_response(self, response: Response, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        if response is self.active_response or response.spoken_ms:
            self.playback_ends_at = self._context.now
        if response.stage is ResponseStage.GENERATING:
            self._context.outbox.submit(StopGeneration(response.id))
        response.cancel(reason)
        self._on_response_ended(response)

    def _on_response_ended(self, response: Response) -> None:
        del self._responses[response.id]
        if response is not self.active_response:
            return
        self.active_response = None
        following, self._next_action = self._next_action, NextAction.NONE
        if following is NextAction.RESPOND and self._unanswered_item is not None:
            self.respond_to(self._unanswered_item)
        else:
            self._on_idle()
