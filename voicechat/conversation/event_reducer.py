"""Server events folded into the items of a conversation. Pure: no clock, no I/O.

Items are created by whatever event mentions them first, so that no event has to come before another. An item is placed
by `previous_item_id` where the server gives it, else by order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voicechat.protocol.objects.function_call import FunctionCall
from voicechat.protocol.objects.server_item import ServerItem
from voicechat.protocol.server_events import (
    FunctionCallDone,
    InputCleared,
    InputCommitted,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemTruncated,
    OutputItem,
    ResponseDone,
    ServerEvent,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptUpdated,
)

from .call_clock import TimeSpan
from .incomplete_reason import IncompleteReason, is_interruption, reason_of_ending
from .items import Item, ItemKind, Items
from .prompt_echo import strip_prompt_echo, transcription_prompt
from .responses import ResponseRegistry
from .shown.bubble import BubbleState
from .shown.tool_use import ToolUse
from .tombstones import Tombstones

ROLE_KINDS = {"user": ItemKind.USER, "assistant": ItemKind.ASSISTANT}


class ServerEventReducer:
    """The server's side of a conversation: its events change the items, except stale responses and deleted items."""

    def __init__(self, items: Items, responses: ResponseRegistry, tombstones: Tombstones) -> None:
        self._items = items
        self._responses = responses
        self._tombstones = tombstones
        self._transcription_prompt = ""
        """Prompt of the server's transcription: recognizers return it for silence."""

    def apply(self, event: ServerEvent, at: float | None) -> bool:
        """Fold in an event that came `at` seconds of the call clock. Return whether items may have changed."""
        handler = _HANDLERS.get(type(event))
        stale = self._responses.is_stale(event.response_id) or self._tombstones.is_deleted(event.item_id)
        if handler is None or stale:
            return False
        handler(self, event)
        if at is not None:
            self._update_user_span(event, at)
        return True

    def _update_user_span(self, event: ServerEvent, at: float) -> None:
        """Extend the time of a turn: from the first event about it to `speech_stopped`."""
        item = self._items.find(event.item_id)
        if item is None or item.kind is not ItemKind.USER:
            return
        if item.span is None or isinstance(event, SpeechStopped):
            item.extend_span(TimeSpan(at, at))

    # ---------------------------------------------------------------- the visitor's turns

    def _session_updated(self, event: SessionUpdated) -> None:
        self._transcription_prompt = transcription_prompt(event.session.transcription)

    def _get_user_item(self, event: ServerEvent) -> Item | None:
        return self._items.get_or_create(event.item_id, ItemKind.USER) if event.item_id else None

    def _speech_started(self, event: SpeechStarted) -> None:
        if not event.item_id:
            return
        for item in self._items:
            # A turn that has begun and not ended before the next one was dropped by the server.
            if (
                item.kind is ItemKind.USER
                and item.is_open
                and not (item.is_on_server or item.has_speech_stopped or item.full_text)
            ):
                self._items.remove(item)
        self._get_user_item(event)

    def _speech_stopped(self, event: SpeechStopped) -> None:
        item = self._get_user_item(event)
        if item is not None:
            item.has_speech_stopped = True

    def _committed(self, event: InputCommitted) -> None:
        item = self._get_user_item(event)
        if item is not None:
            item.is_on_server = True
            self._items.set_previous(item, event.previous_item_id)

    def _input_cleared(self, event: InputCleared) -> None:
        for item in self._items:
            if item.kind is ItemKind.USER and not (item.is_on_server or item.full_text):
                self._items.remove(item)

    def _transcript_delta(self, event: TranscriptDelta) -> None:
        item = self._get_user_item(event)
        if item is not None and event.delta and item.is_open:
            item.part(event.content_index).add_text(event.delta)
            item.state = BubbleState.GROWING

    def _transcript_completed(self, event: TranscriptCompleted | TranscriptUpdated) -> None:
        item = self._get_user_item(event)
        if item is not None:
            text = strip_prompt_echo(event.transcript, self._transcription_prompt)
            item.part(event.content_index).set_text(text)
            item.state = BubbleState.DONE

    def _transcript_failed(self, event: TranscriptFailed) -> None:
        item = self._get_user_item(event)
        if item is not None and item.is_open:
            item.mark_incomplete(IncompleteReason.TRANSCRIPTION_FAILED)

    # ---------------------------------------------------------------- items

    def _item_added(self, event: ItemAdded) -> None:
        item = self._upsert_item(event.item)
        if item is not None:
            item.is_on_server = True
            self._items.set_previous(item, event.previous_item_id)

    def _item_done(self, event: ItemDone) -> None:
        item = self._upsert_item(event.item)
        if item is not None:
            item.is_on_server = True  # its previous_item_id is null on the wire even where `added` had one

    def _output_item(self, event: OutputItem) -> None:
        item = self._upsert_item(event.item)
        if item is not None:
            item.response_id = event.response_id

    def _item_deleted(self, event: ItemDeleted) -> None:
        item = self._items.find(event.item_id)
        if item is not None:
            self._tombstones.mark_deleted(event.item_id)
            self._items.remove(item)

    def _item_truncated(self, event: ItemTruncated) -> None:
        item = self._items.find(event.item_id)
        if item is None or item.kind is not ItemKind.ASSISTANT:
            return
        if item.part(event.content_index).heard_chars is None:
            item.truncate(event.content_index, event.audio_end_ms)

    def _upsert_item(self, source: ServerItem) -> Item | None:
        """Take in an item object: create the item, or fill in what is not known of it yet."""
        if self._tombstones.is_deleted(source.id):
            return None
        if source.type == "function_call":
            return self._upsert_call(source.id, source.call)
        kind = ROLE_KINDS.get(source.role, ItemKind.OTHER) if source.type == "message" else ItemKind.OTHER
        item = self._items.upsert(source.id, kind, source.typed_text)
        if item is None or item.state in (BubbleState.INTERRUPTED, BubbleState.INCOMPLETE):
            return item
        if item.kind is ItemKind.OTHER:
            item.state = BubbleState.DONE
            return item
        for index, text in enumerate(() if item.pictures else source.texts):
            if text and (source.is_completed or not item.part(index).text):
                item.part(index).set_text(text)
        typed = item.kind is ItemKind.USER and bool(item.full_text) and not item.has_speech_stopped
        if (item.kind is ItemKind.ASSISTANT and source.is_completed) or (typed and item.state is BubbleState.PENDING):
            item.state = BubbleState.DONE
        return item

    def _upsert_call(self, item_id: str, call: FunctionCall | None) -> Item | None:
        """Take in a function call. It is shown once its call has a `ToolUse` (`Conversation.set_tool_use`)."""
        if not item_id or self._tombstones.is_deleted(item_id):
            return None
        item = self._items.find(item_id) or (self._items.find_call(call.call_id) if call is not None else None)
        item = item or self._items.get_or_create(item_id, ItemKind.TOOL)
        if item.kind is ItemKind.TOOL and item.tool_use is None and call is not None:
            item.tool_use = ToolUse(call.call_id, call.name, is_shown=False)
        if item.kind is ItemKind.TOOL and (item.tool_use is None or not item.tool_use.is_shown):
            item.state = BubbleState.DONE
        return item

    # ---------------------------------------------------------------- replies

    def _get_response_item(self, event: TextDelta | TextDone) -> Item | None:
        """Return the assistant item of an event, created when it is new; None when it no longer takes text."""
        if not event.item_id:
            return None
        item = self._items.get_or_create(event.item_id, ItemKind.ASSISTANT)
        item.response_id = item.response_id or event.response_id
        return item if item.is_open else None

    def _text_delta(self, event: TextDelta) -> None:
        item = self._get_response_item(event)
        if item is not None and event.delta:
            item.part(event.content_index).add_text(event.delta)
            item.state = BubbleState.GROWING

    def _text_done(self, event: TextDone) -> None:
        item = self._get_response_item(event)
        if item is not None and event.text:
            item.part(event.content_index).set_text(event.text)

    def _function_call_done(self, event: FunctionCallDone) -> None:
        item = self._upsert_call(event.item_id, event.call)
        if item is not None:
            item.response_id = item.response_id or event.response_id

    def _response_done(self, event: ResponseDone) -> None:
        response_id = event.response_id or self._responses.current_id
        for source in event.output:
            item = self._upsert_item(source)
            if item is not None:
                item.response_id = response_id
        reason, open_items = reason_of_ending(event), self._items.open_response_items(response_id)
        for item in open_items:
            if reason is not None:
                item.mark_incomplete(reason)
            else:
                item.state = BubbleState.INTERRUPTED if is_interruption(event) else BubbleState.DONE
        # Some servers close every item as completed, whatever became of the response.
        if reason is not None and event.status in ("incomplete", "failed") and not open_items:
            for item in self._items.response_items(response_id)[-1:]:
                if item.is_reply and item.state is BubbleState.DONE:
                    item.mark_incomplete(reason)


_HANDLERS: dict[type[ServerEvent], Callable[[ServerEventReducer, Any], None]] = {
    SessionUpdated: ServerEventReducer._session_updated,
    SpeechStarted: ServerEventReducer._speech_started,
    SpeechStopped: ServerEventReducer._speech_stopped,
    InputCommitted: ServerEventReducer._committed,
    InputCleared: ServerEventReducer._input_cleared,
    TranscriptDelta: ServerEventReducer._transcript_delta,
    TranscriptCompleted: ServerEventReducer._transcript_completed,
    TranscriptUpdated: ServerEventReducer._transcript_completed,
    TranscriptFailed: ServerEventReducer._transcript_failed,
    ItemAdded: ServerEventReducer._item_added,
    ItemDone: ServerEventReducer._item_done,
    ItemDeleted: ServerEventReducer._item_deleted,
    ItemTruncated: ServerEventReducer._item_truncated,
    OutputItem: ServerEventReducer._output_item,
    TextDelta: ServerEventReducer._text_delta,
    TextDone: ServerEventReducer._text_done,
    FunctionCallDone: ServerEventReducer._function_call_done,
    ResponseDone: ServerEventReducer._response_done,
}
