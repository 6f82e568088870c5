"""What a server tells, folded into the items of a conversation. Pure: no clock, no I/O.

No event but the ones with text in them is waited for, items are created by whatever mentions them first, and unknown
events or missing fields are never an error. An item is placed by `previous_item_id` where the server gives it, else by
order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable

from .fields import Event, content_index, number, string, table, tables
from .gone import Gone
from .items import BubbleState, Item, Items, Kind
from .timeline import Span
from .transcription import prompt_of, without_echo


class Told:
    """The server's side of a conversation: its events change the items, unless what they are about is gone."""

    def __init__(self, items: Items, gone: Gone) -> None:
        self._items = items
        self._gone = gone
        self._prompt = ""
        """What the server's transcription was given as a hint: it is heard in silence."""

    def receive(self, event: Event, at: float | None) -> bool:
        """Fold in one event, which came `at` seconds of the call clock. False: it says nothing about what is here."""
        handler = _HANDLERS.get(str(event.get("type")))
        reply, item_id = string(event, "response_id"), string(event, "item_id")
        if handler is None or self._gone.has_reply(reply) or self._gone.has_item(item_id):
            return False
        handler(self, event)
        if at is not None:
            self._spoken(event, at)
        return True

    def _spoken(self, event: Event, at: float) -> None:
        """A turn begins with the first event about it and ends with `speech_stopped`; later ones are not its time."""
        item = self._items.find(string(event, "item_id"))
        if item is None or item.kind is not Kind.USER:
            return
        if item.span is None or event.get("type") == "input_audio_buffer.speech_stopped":
            item.lasted(Span(at, at))

    # ---------------------------------------------------------------- the visitor's turns

    def _session(self, event: Event) -> None:
        self._prompt = prompt_of(event.get("session"))

    def _user_item(self, event: Event) -> Item | None:
        item_id = string(event, "item_id")
        return self._items.get(item_id, Kind.USER) if item_id else None

    def _speech_started(self, event: Event) -> None:
        if not string(event, "item_id"):
            return
        for item in self._items:
            # A turn that was begun and never ended came to nothing; the server has thrown it away.
            if item.kind is Kind.USER and item.open and not (item.placed or item.stopped or item.raw_text):
                self._items.remove(item)
        self._user_item(event)

    def _speech_stopped(self, event: Event) -> None:
        item = self._user_item(event)
        if item is not None:
            item.stopped = True

    def _committed(self, event: Event) -> None:
        item = self._user_item(event)
        if item is not None:
            item.placed = True
            self._items.place(item, event.get("previous_item_id"))

    def _input_cleared(self, event: Event) -> None:
        for item in self._items:
            if item.kind is Kind.USER and not (item.placed or item.raw_text):
                self._items.remove(item)

    def _heard_delta(self, event: Event) -> None:
        item, delta = self._user_item(event), string(event, "delta")
        if item is not None and delta and item.open:
            item.part(content_index(event)).add_text(delta)
            item.state = BubbleState.GROWING

    def _heard_completed(self, event: Event) -> None:
        item = self._user_item(event)
        if item is not None:
            item.part(content_index(event)).set_text(without_echo(string(event, "transcript"), self._prompt))
            item.state = BubbleState.DONE

    def _heard_failed(self, event: Event) -> None:
        item = self._user_item(event)
        if item is not None:
            item.state = BubbleState.DONE

    # ---------------------------------------------------------------- items

    def _item_added(self, event: Event) -> None:
        item = self._described(event)
        if item is not None:
            item.placed = True
            self._items.place(item, event.get("previous_item_id"))

    def _item_done(self, event: Event) -> None:
        item = self._described(event)
        if item is not None:
            item.placed = True  # its previous_item_id is null on the wire even where `added` had one

    def _output_item(self, event: Event) -> None:
        item = self._described(event)
        if item is not None:
            item.response_id = string(event, "response_id")

    def _deleted(self, event: Event) -> None:
        item = self._items.find(string(event, "item_id"))
        if item is not None:
            self._gone.delete(string(event, "item_id"))
            self._items.remove(item)

    def _truncated(self, event: Event) -> None:
        item = self._items.find(string(event, "item_id"))
        if item is not None and item.kind is Kind.ASSISTANT and item.part(content_index(event)).cut is None:
            item.cut_at(content_index(event), number(event.get("audio_end_ms")))

    def _described(self, event: Event) -> Item | None:
        return self._describe(table(event, "item"))

    def _describe(self, raw: Event) -> Item | None:
        """Take in an item object: create the item, or fill in what is not known of it yet."""
        if self._gone.has_item(string(raw, "id")):
            return None
        kind = Kind.OTHER
        if raw.get("type", "message") == "message":
            kind = {"user": Kind.USER, "assistant": Kind.ASSISTANT}.get(string(raw, "role"), Kind.OTHER)
        item = self._items.recognise(raw, kind)
        if item is None or item.state is BubbleState.INTERRUPTED:
            return item
        if item.kind is Kind.OTHER:
            item.state = BubbleState.DONE
            return item
        completed = raw.get("status") == "completed"
        for index, part in enumerate(tables(raw, "content")):
            words = string(part, "text") or string(part, "transcript")
            if words and (completed or not item.part(index).text):
                item.part(index).set_text(words)
        written = item.kind is Kind.USER and bool(item.raw_text) and not item.stopped
        if (item.kind is Kind.ASSISTANT and completed) or (written and item.state is BubbleState.PENDING):
            item.state = BubbleState.DONE
        return item

    # ---------------------------------------------------------------- replies

    def _reply_item(self, event: Event) -> Item | None:
        """The assistant item of an event, created when it is new; None when it no longer takes text."""
        response_id = string(event, "response_id")
        item_id = string(event, "item_id") or (response_id and f"{response_id}.message")
        if not item_id:
            return None
        item = self._items.get(item_id, Kind.ASSISTANT)
        item.response_id = item.response_id or response_id
        return item if item.open else None

    def _reply_delta(self, event: Event) -> None:
        item, delta = self._reply_item(event), string(event, "delta")
        if item is not None and delta:
            item.part(content_index(event)).add_text(delta)
            item.state = BubbleState.GROWING

    def _reply_text_done(self, event: Event) -> None:
        item, words = self._reply_item(event), string(event, "transcript") or string(event, "text")
        if item is not None and words:
            item.part(content_index(event)).set_text(words)

    def _function_arguments(self, event: Event) -> None:
        item_id = string(event, "item_id")
        if item_id:
            self._items.get(item_id, Kind.OTHER)

    def _response_done(self, event: Event) -> None:
        response = table(event, "response")
        if self._gone.has_reply(string(response, "id")):
            return
        for raw in tables(response, "output"):
            item = self._describe(raw)
            if item is not None:
                item.response_id = string(response, "id")
        whole = response.get("status", "completed") in ("completed", "incomplete")
        for item in self._items.open_replies(string(response, "id")):
            item.state = BubbleState.DONE if whole else BubbleState.INTERRUPTED


_HEARD = "conversation.item.input_audio_transcription"
_HANDLERS: dict[str, Callable[[Told, Event], None]] = {
    "session.updated": Told._session,
    "input_audio_buffer.speech_started": Told._speech_started,
    "input_audio_buffer.speech_stopped": Told._speech_stopped,
    "input_audio_buffer.committed": Told._committed,
    "input_audio_buffer.cleared": Told._input_cleared,
    f"{_HEARD}.delta": Told._heard_delta,
    f"{_HEARD}.completed": Told._heard_completed,
    f"{_HEARD}.updated": Told._heard_completed,
    f"{_HEARD}.failed": Told._heard_failed,
    "conversation.item.added": Told._item_added,
    "conversation.item.created": Told._item_added,
    "conversation.item.done": Told._item_done,
    "conversation.item.retrieved": Told._item_done,
    "conversation.item.deleted": Told._deleted,
    "conversation.item.truncated": Told._truncated,
    "response.output_item.added": Told._output_item,
    "response.output_item.done": Told._output_item,
    "response.output_text.delta": Told._reply_delta,
    "response.output_audio_transcript.delta": Told._reply_delta,
    "response.output_text.done": Told._reply_text_done,
    "response.output_audio_transcript.done": Told._reply_text_done,
    "response.function_call_arguments.done": Told._function_arguments,
    "response.done": Told._response_done,
}
