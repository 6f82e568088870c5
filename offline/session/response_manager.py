"""Response manager: one active response of the default conversation, and a few out-of-band ones."""

from __future__ import annotations

from collections.abc import Callable
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
"""Out-of-band responses at a time."""


class ResponseManager:
    """Creates, updates and ends the responses of a session."""

    def __init__(self, context: SessionContext, transcripts: TranscriptManager, on_idle: Callable[[], None]) -> None:
        """`on_idle` is called after the last response of the default conversation."""
        self._context = context
        self._transcripts = transcripts
        self._on_idle = on_idle
        self._conversation_id = context.ids.new("conv")
        self._responses: dict[str, Response] = {}
        self._queued_turn: ConversationItem | None = None
        """Turn that ended during the active response and is replied to after it."""
        self.active_response: Response | None = None
        """Response of the default conversation in progress."""
        self.has_spoken = False
        """Whether the model has spoken in this session, which fixes its voice."""
        self.playback_ends_at = context.now
        """Time (as `SessionContext.now`) at which a client that plays at once has played all audio sent."""

    # ------------------------------------------------------------------ creation

    def create(self, event: Json, is_item_id_taken: Callable[[str], bool]) -> None:
        """Handle `response.create`. `is_item_id_taken` tells whether an item id is in use. Raises `ProtocolError`."""
        config = self._context.config
        settings = merge_response_settings(config, event.get("response"))
        if self.has_spoken and settings["audio"]["output"]["voice"] != config["audio"]["output"]["voice"]:
            raise cannot_update_voice("response.audio.output.voice")
        out_of_band = settings["conversation"] == "none"
        if not out_of_band and self.active_response is not None:
            message = (
                f"Conversation already has an active response in progress: {self.active_response.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise ProtocolError("conversation_already_has_active_response", message)
        if out_of_band and len(self._responses) - (self.active_response is not None) >= MAX_OUT_OF_BAND_RESPONSES:
            raise invalid_value(
                "response.conversation", f"At most {MAX_OUT_OF_BAND_RESPONSES} such responses at a time."
            )
        input_items = list(self._context.conversation.items)
        if settings["input"] is not None:
            input_items = self._parse_input(settings["input"], is_item_id_taken)
        self._start_response(settings, input_items, out_of_band=out_of_band)

    def _parse_input(self, raw: list[Json], is_item_id_taken: Callable[[str], bool]) -> list[ConversationItem]:
        context = self._context
        items = [
            resolve_input_item(
                entry,
                f"response.input[{index}]",
                context.conversation,
                context.ids,
                context.input_format,
                sees_images=context.sees_images(),
            )
            for index, entry in enumerate(raw)
        ]
        new = [item for item in items if not context.conversation.contains_item(item)]
        new_ids = [item.id for item in new]
        if len(set(new_ids)) < len(new_ids) or any(map(is_item_id_taken, new_ids)):
            raise invalid_value("response.input", "Two items have the same id.")
        for item in new:
            self._transcripts.request_transcript(item)
        return items

    def respond_to(self, item: ConversationItem) -> None:
        """Respond to a turn without a request: now, or after the active response."""
        if self.active_response is not None:
            self._queued_turn = item
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
        """Generate the responses whose transcripts are complete."""
        for response in list(self._responses.values()):
            if response.stage is not ResponseStage.AWAITING_TRANSCRIPTS or response.is_awaiting_transcripts:
                continue
            trigger = response.trigger_item
            if trigger is not None and trigger.transcript_status is TranscriptStatus.FAILED:
                response.fail("The speech could not be recognised.")
                self._on_response_ended(response)
            elif trigger is not None and (trigger.to_llm_message() is None or trigger not in response.input_items):
                response.finish("completed", None, None)  # noise without words needs no reply
                self._on_response_ended(response)
            else:
                response.stage = ResponseStage.GENERATING
                self._context.outbox.submit(Generate(response.id, response.build_request()))

    # ------------------------------------------------------------------ progress

    def handle_result(self, result: ReplyText | ReplySpeech | ReplyToolCall | ReplyDone) -> None:
        """Apply a result to its response. Results of an ended response are dropped."""
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
        """Remove a deleted item from input that is not generated yet, and cancel its queued reply."""
        if item is self._queued_turn:
            self._queued_turn = None
        for response in self._responses.values():
            if response.stage is ResponseStage.AWAITING_TRANSCRIPTS:
                response.input_items = [other for other in response.input_items if other is not item]

    # ------------------------------------------------------------------ end

    def interrupt(self) -> None:
        """Cancel the active response and its playback because the user speaks."""
        self._queued_turn = None
        self.playback_ends_at = self._context.now
        if self.active_response is not None:
            self._cancel_response(self.active_response, "turn_detected")

    def cancel(self, event: Json) -> None:
        """Handle `response.cancel`. Raises `ProtocolError`."""
        response_id = event.get("response_id")
        if response_id is not None and not isinstance(response_id, str):
            raise invalid_type("response_id", "a string")
        response = self.active_response if response_id is None else self._responses.get(response_id)
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
        turn, self._queued_turn = self._queued_turn, None
        if turn is not None:
            self.respond_to(turn)
        else:
            self._on_idle()
