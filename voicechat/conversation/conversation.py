"""Conversation of one visitor: server events and local actions in, bubbles out. Pure: no clock, no I/O.

`event_reducer` folds in server events, and allows for servers that leave things out. Local actions (typed, played,
truncated, cleared, replayed) are methods here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from voicechat.pictures.picture import Picture
from voicechat.protocol.server_events import ServerEvent
from writing.chinese_script import ConversationScript

from .call_clock import CallClock, TimeSpan
from .event_reducer import ServerEventReducer
from .incomplete_reason import IncompleteReason
from .items import MESSAGE_KINDS, Item, ItemKind, Items, choose_replayed_pictures
from .record import ConversationRecord, insert_earlier, record_item, restore_item
from .responses import ResponseRegistry
from .shown.bubble import Bubble, BubbleState, Utterance
from .shown.tool_use import ToolUse, replay_call
from .tombstones import Tombstones

__all__ = ["Bubble", "BubbleState", "Conversation", "IncompleteReason", "Utterance"]

MAX_REPLAY_CHARS = 8000
"""Characters of a spoken conversation that are replayed to a new connection."""
MAX_REPLAY_CHARS_TEXT_ONLY = 32_000
"""Characters of a written conversation that are replayed: its replies are longer, and nothing waits for a voice."""


class Conversation:
    """Owner of all messages. One per visitor; it outlives connections and calls."""

    def __init__(self, max_items: int = 200, *, text_only: bool = False) -> None:
        """`text_only`: replies are read, not heard. The shown part of a reply counts, and keeps the model's script."""
        self.is_text_only = text_only
        self.clock = CallClock()
        """Clock of the messages' times. Calls start and stop it."""
        self.responses = ResponseRegistry()
        """Responses of the present connection."""
        self._items = Items(max_items)
        self._tombstones = Tombstones(self.responses)
        self._reducer = ServerEventReducer(self._items, self.responses, self._tombstones)
        self.version = 0
        """Grows whenever a bubble may have changed."""

    # ---------------------------------------------------------------- reading

    def bubbles(self) -> tuple[Bubble, ...]:
        """Return all messages and tool calls in order, without empty turns."""
        return tuple(bubble for item in self._items if (bubble := item.to_bubble()) is not None)

    def _messages(self) -> list[Bubble]:
        """Return the messages without tool calls."""
        return [bubble for bubble in self.bubbles() if bubble.tool_use is None]

    def captions(self) -> tuple[Bubble, ...]:
        """Return all messages as the page shows them: spoken Chinese in the script that the visitor reads.

        A written conversation keeps the server's script: the embedded server has converted its replies already.
        """
        return tuple(caption for _, caption in self._captioned_items())

    def _captioned_items(self) -> Iterator[tuple[Item, Bubble]]:
        """Yield each message with its caption. A request for a script, or typed text in one, counts from there on."""
        script, typed_texts = ConversationScript(), list[str]()
        for item in self._items:
            is_as_written = self.is_text_only
            caption = item.to_bubble() if is_as_written else item.to_caption(script.script, tuple(typed_texts))
            if caption is not None:
                yield item, caption
            if item.kind is ItemKind.USER and not self.is_text_only:
                evidence = item.script_evidence()
                script.note(evidence)
                if evidence.is_quotable:
                    typed_texts.append(item.full_text)

    def utterances(self) -> tuple[Utterance, ...]:
        """Return `captions()`, each with its time."""
        return tuple(Utterance(caption, item.span) for item, caption in self._captioned_items())

    def server_id(self, item_id: str) -> str:
        """Return the id by which the server knows an item."""
        return self._items.server_id(item_id)

    def is_replayed(self, item_id: str) -> bool:
        """Return whether the server knows this item only as text."""
        item = self._items.find(item_id)
        return item is not None and item.is_replayed

    def has_reply(self, response_id: str) -> bool:
        """Return whether a response has given any text or audio; "" means one that the server has not named."""
        return any(item.is_reply for item in self._items.response_items(response_id))

    def has_tool_call(self, response_id: str) -> bool:
        """Return whether a response has called a function."""
        return any(item.kind is ItemKind.TOOL for item in self._items.response_items(response_id))

    def is_reply_whole(self, response_id: str) -> bool:
        """Return whether a response has given a message, and its last item is complete."""
        items = self._items.response_items(response_id)
        return self.has_reply(response_id) and items[-1].state is BubbleState.DONE

    @property
    def awaits_reply(self) -> bool:
        """The last message is the visitor's, and its text is known."""
        shown = self._messages()
        return bool(shown) and shown[-1].role == "user" and bool(shown[-1].text)

    @property
    def has_unanswered_words(self) -> bool:
        """The last message is the visitor's and has text, or is a spoken turn that could not be transcribed."""
        shown = self._messages()
        is_unwritten = bool(shown) and shown[-1].incomplete_reason is IncompleteReason.TRANSCRIPTION_FAILED
        return is_unwritten or self.awaits_reply

    @property
    def awaits_transcript(self) -> bool:
        """The last message is a spoken turn of which no transcript has come. Some servers send none at all."""
        shown = self._messages()
        return bool(shown) and shown[-1].role == "user" and shown[-1].state is BubbleState.PENDING

    # ---------------------------------------------------------------- server events

    def apply(self, event: ServerEvent, at: float | None = None) -> None:
        """Fold in one server event that came `at` seconds of the call clock. Never raises."""
        if self._reducer.apply(event, at):
            self.version += 1

    # ---------------------------------------------------------------- local actions

    def add_user_message(
        self, text: str, at: float | None = None, pictures: Sequence[Picture] = (), *, send_pictures: bool = False
    ) -> dict[str, Any]:
        """Add a message typed `at` seconds of the call clock. Return the `item` to create at the server.

        Without `send_pictures` the page alone has its pictures.
        """
        item = self._items.create(ItemKind.USER, BubbleState.DONE)
        item.part(0).set_text(text)
        item.is_on_server = item.is_typed = True
        item.pictures = tuple(pictures)
        item.choose_pictures(send_pictures)
        item.span = TimeSpan(at, at) if at is not None else None
        self._items.mark_unconfirmed(item)
        self.version += 1
        return item.to_message_item()

    def set_tool_use(self, use: ToolUse, response_id: str = "", at: float | None = None) -> None:
        """Show a tool call as it is now; a new one is put at its item's place, or at the end."""
        item = self._items.find_call(use.call_id)
        if item is None:
            item = self._items.create(ItemKind.TOOL, BubbleState.GROWING)
        if item.tool_use == use:
            return
        item.tool_use, item.response_id = use, item.response_id or response_id
        item.state = BubbleState.GROWING if use.is_open else BubbleState.DONE
        if at is not None:
            item.extend_span(TimeSpan(at, at))
        self.version += 1

    def add_tool_output(self, call_id: str, text: str) -> dict[str, Any]:
        """Add the output of a function call. Return the `item` to create at the server."""
        item = self._items.create(ItemKind.OTHER, BubbleState.DONE)
        return {"id": item.id, "type": "function_call_output", "call_id": call_id, "output": text}

    def add_system_message(self, text: str) -> dict[str, Any]:
        """Add a message that only the model reads. Return the `item` to create at the server."""
        item = self._items.create(ItemKind.OTHER, BubbleState.DONE)
        item.part(0).set_text(text)
        self._items.mark_unconfirmed(item)
        return {"id": item.id, "type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}

    def is_on_server(self, item_id: str) -> bool:
        """Return whether the server has confirmed an item."""
        return (item := self._items.find(item_id)) is not None and item.is_on_server

    def items_with_pictures_there(self) -> list[Item]:
        """Return the messages whose pictures the server has, the oldest first."""
        return [item for item in self._items if item.has_pictures_there]

    def resend_without_pictures(self, item_id: str, *, is_there: bool) -> list[dict[str, Any]]:
        """Return client events that put words in the place of a message's pictures. `is_there`: the server has it."""
        item = self._items.find(item_id)
        if item is None or not item.has_pictures_there:
            return []
        before, is_last = self._items.get_previous(item), item is list(self._items)[-1]
        previous = self._items.server_id(before.id) if before is not None else "root"
        deletion = {"type": "conversation.item.delete", "item_id": self._items.server_id(item.id)}
        if is_there:
            self._tombstones.mark_deleted(self._items.server_id(item.id))
        self._items.assign_new_id(item)
        item.has_pictures_there = False
        self._items.mark_unconfirmed(item)
        self.version += 1
        place = {} if is_last else {"previous_item_id": previous}
        creation = {"type": "conversation.item.create", **place, "item": item.to_message_item()}
        return [deletion, creation] if is_there else [creation]

    def mark_played(self, item_id: str, start: float, end: float) -> None:
        """Extend the time of an item played from `start` to `end` seconds of the call clock."""
        if (item := self._items.find(item_id)) is not None:
            item.extend_span(TimeSpan(start, end))

    def add_audio(self, item_id: str, content_index: int, response_id: str, samples: int) -> None:
        """Count received audio of a reply: its alternation with text tells which words belong to which audio."""
        if self._tombstones.is_deleted(item_id):
            return
        item = self._items.get_or_create(item_id, ItemKind.ASSISTANT)
        item.response_id = item.response_id or response_id
        item.part(content_index).add_audio(samples)

    def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None:
        """Remove from an interrupted reply everything after `heard_ms` of this part: it was not heard."""
        item = self._items.find(item_id)
        if item is None:
            return
        item.truncate(content_index, heard_ms)
        self.version += 1

    def cancel_response(self, response_id: str) -> list[str]:
        """Cancel a reply: its later events are ignored, and parts without audio count as not heard.

        Return the server's ids of its spoken items without any audio: nothing of them was heard.
        """
        self.responses.cancel(response_id)
        silent = []
        for item in self._items.open_response_items(response_id):
            if not item.has_audio and not self.is_text_only:
                if item.is_on_server:
                    silent.append(self._items.server_id(item.id))
                else:  # the reply may be complete there before it is stopped
                    self._tombstones.delete_item_when_seen(self._items.server_id(item.id))
                for part in item.parts.values():
                    part.truncate(0)
            item.state = BubbleState.INTERRUPTED
        self.version += 1
        return silent

    def resend_truncated(self, item_id: str) -> list[dict[str, Any]]:
        """Return client events that replace a replayed item by its heard part after it was interrupted."""
        item = self._items.find(item_id)
        if item is None:
            return []
        before = self._items.get_previous(item)
        previous = self._items.server_id(before.id) if before is not None else "root"
        events = [{"type": "conversation.item.delete", "item_id": self._items.server_id(item.id)}]
        self._items.assign_new_id(item)
        self.version += 1
        if not item.text.strip():
            return events
        self._items.mark_unconfirmed(item)
        return [
            *events,
            {"type": "conversation.item.create", "previous_item_id": previous, "item": item.to_message_item()},
        ]

    def clear(self) -> list[str]:
        """Delete all messages. Return the server's ids of the items to delete there; see also `take_late_items`."""
        there = []
        for item in self._items:
            name = self._items.server_id(item.id)
            if item.is_on_server:
                there.append(name)
                self._tombstones.mark_deleted(name)
            else:
                self._tombstones.delete_item_when_seen(name)
            if item.response_id:
                self.responses.ignore(item.response_id)
        for item in self._items.unconfirmed():
            self._tombstones.delete_message_when_seen(item.text.strip())
        self._items.clear()
        self.version += 1
        return there

    def get_transcript(self, item_id: str) -> str:
        """Return the transcript of a turn, as far as it has come."""
        item = self._items.find(item_id)
        return item.full_text if item is not None else ""

    def discard_empty_turn(self, item_id: str) -> list[str]:
        """Remove a turn without speech. Return its id if the server has it, to delete it there."""
        item = self._items.find(item_id)
        if item is None or not item.is_on_server:
            self._tombstones.delete_item_when_seen(item_id)
        else:
            self._tombstones.mark_deleted(item_id)
        if item is not None:
            self._items.remove(item)
        self.version += 1
        return [item_id] if item is not None and item.is_on_server else []

    def delete_item_when_seen(self, item_id: str) -> None:
        """Delete an item that was begun before `clear()` and had no id yet."""
        self._tombstones.delete_item_when_seen(item_id)

    def take_late_items(self, event: ServerEvent) -> list[str]:
        """Return the server's ids of deleted items that it has from this event on, to delete them there."""
        return self._tombstones.take_late_items(event)

    # ---------------------------------------------------------------- in another session

    def to_record(self, now: float, cuts: Iterable[tuple[str, int, int]] = ()) -> ConversationRecord:
        """Return the messages as they were heard, and the seconds of the calls at `now` of the clock's time.

        `cuts`: item, content part and heard ms of audio that has not been played to its end (`Truncation`).
        """
        cuts_by_item: dict[str, list[tuple[int, int]]] = {}
        for item_id, content_index, heard_ms in cuts:
            found = self._items.find(item_id)
            if found is not None:
                cuts_by_item.setdefault(found.id, []).append((content_index, heard_ms))
        records = (
            record_item(each, cuts_by_item.get(each.id, ()), is_text_only=self.is_text_only) for each in self._items
        )
        return ConversationRecord(tuple(filter(None, records)), self.clock.elapsed_s(now))

    def restore(self, record: ConversationRecord) -> None:
        """Replace the messages by those of a record. Only while there is no connection."""
        self.responses.reset()
        self._tombstones.clear()
        self._items.clear()
        for each in record.items:
            restore_item(each, self._items.create(each.kind, each.state))
        self.clock = CallClock(record.elapsed_s)
        self.version += 1

    def restore_earlier(self, record: ConversationRecord, *, may_overlap: bool) -> None:
        """Add the messages of an earlier record before the newer ones, without times. Also during a call."""
        insert_earlier(self._items, record, may_overlap=may_overlap, is_text_only=self.is_text_only)
        self.version += 1

    # ---------------------------------------------------------------- a new connection

    def mark_replies_lost(self) -> bool:
        """Note that the connection is lost, and with it the rest of every open reply. Return whether there was one."""
        found = [item for item in self._items if item.is_reply and item.is_open]
        for item in found:
            item.mark_incomplete(IncompleteReason.CONNECTION_LOST)
        self.version += 1
        return bool(found)

    def reset_connection(self) -> dict[str, str]:
        """Close all open messages after a connection and give every item a new id. Return old ids -> new ids.

        A spoken reply of which no audio has come was not heard.
        Servers that number their items start with the same numbers again.
        """
        self.responses.reset()
        self._tombstones.clear()
        self._items.reset_connection()
        names: dict[str, str] = {}
        for item in self._items:
            is_empty = not (item.full_text.strip() or item.is_untranscribed or item.tool_use)
            if item.kind is ItemKind.OTHER or is_empty:
                self._items.remove(item)
                continue
            item.close(is_text_only=self.is_text_only)
            old = item.id
            self._items.assign_new_id(item)
            names[old] = item.id
            item.response_id = ""
            item.is_on_server = item.is_replayed = item.has_pictures_there = False
        self.version += 1
        return names

    def replay(
        self, max_items: int = 40, outputs: Mapping[str, str] | None = None, *, max_pictures: int = 0
    ) -> list[dict[str, Any]]:
        """Return `conversation.item.create` events with the last messages as text, as they were heard.

        The newest message with pictures has them, and those that no server was sent; `max_pictures` in all.
        Tool calls are replayed in pairs, each with its output. `outputs`: outputs of the calls of this session, by
        the id of the call; others are replayed with the result that is shown. Call `reset_connection()` first.
        """
        chosen: list[tuple[Item, list[dict[str, Any]]]] = []
        room = MAX_REPLAY_CHARS_TEXT_ONLY if self.is_text_only else MAX_REPLAY_CHARS
        for item in reversed(list(self._items)):
            text, created, use = item.text.strip() if item.kind in MESSAGE_KINDS else "", [], item.tool_use
            if use is not None:
                created = replay_call(item.id, use, (outputs or {}).get(use.call_id))
                text = use.arguments if created else ""
            if not text:
                continue
            room -= len(text)
            if len(chosen) >= max_items or room < 0:
                break
            chosen.append((item, created))
        choose_replayed_pictures((item for item, _ in chosen), max_pictures)
        events = list[dict[str, Any]]()
        for item, created in reversed(chosen):
            item.is_on_server = item.is_replayed = True
            if item.kind in MESSAGE_KINDS:
                self._items.mark_unconfirmed(item)
                created = [item.to_message_item()]
            events += [{"type": "conversation.item.create", "item": each} for each in created]
        return events
