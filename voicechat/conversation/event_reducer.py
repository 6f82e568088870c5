"""What a server tells, folded into the items of a conversation. Pure: no clock, no I/O.

No event but the ones with text in them is waited for, items are created by whatever mentions them first, and unknown
events or missing fields are never an error. An item is placed by `previous_item_id` where the server gives it, else by
order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable

from voicechat.conversation.prompt_echo import strip_prompt_echo, transcription_prompt
from voicechat.protocol.event_fields import Event, get_content_index, get_object, get_objects, get_string, to_count

from .call_clock import TimeSpan
from .items import BubbleState, Item, ItemKind, Items
from .tombstones import Tombstones


class ServerEventReducer:
    """The server's side of a conversation: its events change the items, unless what they are about is gone."""

    def __init__(self, items: Items, tombstones: Tombstones) -> None:
        self._items = items
        self._tombstones = tombstones
        self._transcription_prompt = ""
        """What the server's transcription was given as a hint: it is heard in silence."""

    def apply(self, event: Event, at: float | None) -> bool:
        """Fold in one event, which came `at` seconds of the call clock. False: it says nothing about what is here."""
        handler = _HANDLERS.get(str(event.get("type")))
        reply, item_id = get_string(event, "response_id"), get_string(event, "item_id")
        if handler is None or self._tombstones.is_cancelled(reply) or self._tombstones.is_deleted(item_id):
            return False
        handler(self, event)
        if at is not None:
            self._update_user_span(event, at)
        return True

    def _update_user_span(self, event: Event, at: float) -> None:
        """A turn begins with the first event about it and ends with `speech_stopped`; later ones are not its time."""
        item = self._items.find(get_string(event, "item_id"))
        if item is None or item.kind is not ItemKind.USER:
            return
        if item.span is None or event.get("type") == "input_audio_buffer.speech_stopped":
            item.extend_span(TimeSpan(at, at))

    # ---------------------------------------------------------------- the visitor's turns

    def _session_updated(self, event: Event) -> None:
        self._transcription_prompt = transcription_prompt(event.get("session"))

    def _get_user_item(self, event: Event) -> Item | None:
        item_id = get_string(event, "item_id")
        return self._items.get_or_create(item_id, ItemKind.USER) if item_id else None

    def _speech_started(self, event: Event) -> None:
        if not get_string(event, "item_id"):
            return
        for item in self._items:
            # A turn that was begun and never ended came to nothing; the server has thrown it away.
            if (
                item.kind is ItemKind.USER
                and item.is_open
                and not (item.is_on_server or item.has_speech_stopped or item.full_text)
            ):
                self._items.remove(item)
        self._get_user_item(event)

    def _speech_stopped(self, event: Event) -> None:
        item = self._get_user_item(event)
        if item is not None:
            item.has_speech_stopped = True

    def _committed(self, event: Event) -> None:
        item = self._get_user_item(event)
        if item is not None:
            item.is_on_server = True
            self._items.set_previous(item, event.get("previous_item_id"))

    def _input_cleared(self, event: Event) -> None:
        for item in self._items:
            if item.kind is ItemKind.USER and not (item.is_on_server or item.full_text):
                self._items.remove(item)

    def _transcription_delta(self, event: Event) -> None:
        item, delta = self._get_user_item(event), get_string(event, "delta")
        if item is not None and delta and item.is_open:
            item.part(get_content_index(event)).add_text(delta)
            item.state = BubbleState.GROWING

    def _transcription_completed(self, event: Event) -> None:
        item = self._get_user_item(event)
        if item is not None:
            item.part(get_content_index(event)).set_text(
                strip_prompt_echo(get_string(event, "transcript"), self._transcription_prompt)
            )
            item.state = BubbleState.DONE

    def _transcription_failed(self, event: Event) -> None:
        item = self._get_user_item(event)
        if item is not None:
            item.state = BubbleState.DONE

    # ---------------------------------------------------------------- items

    def _item_added(self, event: Event) -> None:
        item = self._upsert_event_item(event)
        if item is not None:
            item.is_on_server = True
            self._items.set_previous(item, event.get("previous_item_id"))

    def _item_done(self, event: Event) -> None:
        item = self._upsert_event_item(event)
        if item is not None:
            item.is_on_server = True  # its previous_item_id is null on the wire even where `added` had one

    def _output_item(self, event: Event) -> None:
        item = self._upsert_event_item(event)
        if item is not None:
            item.response_id = get_string(event, "response_id")

    def _item_deleted(self, event: Event) -> None:
        item = self._items.find(get_string(event, "item_id"))
        if item is not None:
            self._tombstones.mark_deleted(get_string(event, "item_id"))
            self._items.remove(item)

    def _item_truncated(self, event: Event) -> None:
        item = self._items.find(get_string(event, "item_id"))
        if (
            item is not None
            and item.kind is ItemKind.ASSISTANT
            and item.part(get_content_index(event)).heard_chars is None
        ):
            item.truncate(get_content_index(event), to_count(event.get("audio_end_ms")))

    def _upsert_event_item(self, event: Event) -> Item | None:
        return self._upsert_item(get_object(event, "item"))

    def _upsert_item(self, raw: Event) -> Item | None:
        """Take in an item object: create the item, or fill in what is not known of it yet."""
        if self._tombstones.is_deleted(get_string(raw, "id")):
            return None
        kind = ItemKind.OTHER
        if raw.get("type", "message") == "message":
            kind = {"user": ItemKind.USER, "assistant": ItemKind.ASSISTANT}.get(get_string(raw, "role"), ItemKind.OTHER)
        item = self._items.upsert(raw, kind)
        if item is None or item.state is BubbleState.INTERRUPTED:
            return item
        if item.kind is ItemKind.OTHER:
            item.state = BubbleState.DONE
            return item
        completed = raw.get("status") == "completed"
        for index, part in enumerate(get_objects(raw, "content")):
            words = get_string(part, "text") or get_string(part, "transcript")
            if words and (completed or not item.part(index).text):
                item.part(index).set_text(words)
        written = item.kind is ItemKind.USER and bool(item.full_text) and not item.has_speech_stopped
        if (item.kind is ItemKind.ASSISTANT and completed) or (written and item.state is BubbleState.PENDING):
            item.state = BubbleState.DONE
        return item

    # ---------------------------------------------------------------- replies

    def _get_response_item(self, event: Event) -> Item | None:
        """The assistant item of an event, created when it is new; None when it no longer takes text."""
        response_id = get_string(event, "response_id")
        item_id = get_string(event, "item_id") or (response_id and f"{response_id}.message")
        if not item_id:
            return None
        item = self._items.get_or_create(item_id, ItemKind.ASSISTANT)
        item.response_id = item.response_id or response_id
        return item if item.is_open else None

    def _response_text_delta(self, event: Event) -> None:
        item, delta = self._get_response_item(event), get_string(event, "delta")
        if item is not None and delta:
            item.part(get_content_index(event)).add_text(delta)
            item.state = BubbleState.GROWING

    def _response_text_done(self, event: Event) -> None:
        item, words = self._get_response_item(event), get_string(event, "transcript") or get_string(event, "text")
        if item is not None and words:
            item.part(get_content_index(event)).set_text(words)

    def _function_call_arguments_done(self, event: Event) -> None:
        item_id = get_string(event, "item_id")
        if item_id:
            self._items.get_or_create(item_id, ItemKind.OTHER)

    def _response_done(self, event: Event) -> None:
        response = get_object(event, "response")
        if self._tombstones.is_cancelled(get_string(response, "id")):
            return
        for raw in get_objects(response, "output"):
            item = self._upsert_item(raw)
            if item is not None:
                item.response_id = get_string(response, "id")
        whole = response.get("status", "completed") in ("completed", "incomplete")
        for item in self._items.open_response_items(get_string(response, "id")):
            item.state = BubbleState.DONE if whole else BubbleState.INTERRUPTED


_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_HANDLERS: dict[str, Callable[[ServerEventReducer, Event], None]] = {
    "session.updated": ServerEventReducer._session_updated,
    "input_audio_buffer.speech_started": ServerEventReducer._speech_started,
    "input_audio_buffer.speech_stopped": ServerEventReducer._speech_stopped,
    "input_audio_buffer.committed": ServerEventReducer._committed,
    "input_audio_buffer.cleared": ServerEventReducer._input_cleared,
    f"{_TRANSCRIPTION}.delta": ServerEventReducer._transcription_delta,
    f"{_TRANSCRIPTION}.completed": ServerEventReducer._transcription_completed,
    f"{_TRANSCRIPTION}.updated": ServerEventReducer._transcription_completed,
    f"{_TRANSCRIPTION}.failed": ServerEventReducer._transcription_failed,
    "conversation.item.added": ServerEventReducer._item_added,
    "conversation.item.created": ServerEventReducer._item_added,
    "conversation.item.done": ServerEventReducer._item_done,
    "conversation.item.retrieved": ServerEventReducer._item_done,
    "conversation.item.deleted": ServerEventReducer._item_deleted,
    "conversation.item.truncated": ServerEventReducer._item_truncated,
    "response.output_item.added": ServerEventReducer._output_item,
    "response.output_item.done": ServerEventReducer._output_item,
    "response.output_text.delta": ServerEventReducer._response_text_delta,
    "response.output_audio_transcript.delta": ServerEventReducer._response_text_delta,
    "response.output_text.done": ServerEventReducer._response_text_done,
    "response.output_audio_transcript.done": ServerEventReducer._response_text_done,
    "response.function_call_arguments.done": ServerEventReducer._function_call_arguments_done,
    "response.done": ServerEventReducer._response_done,
}
