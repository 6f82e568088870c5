"""The conversation as a pure fold: server events and local facts in, bubbles out. No clock, no I/O.

Built for servers that leave things out: no event but the ones with text in them is waited for, items are created by
whatever mentions them first, and unknown events or missing fields are never an error. An item is placed by
`previous_item_id` where the server gives it, else by order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .fields import Event, content_index, number, string, table, tables
from .gone import Gone
from .items import Bubble, BubbleState, Item, Items, Kind, Utterance
from .timeline import CallClock, Span
from .transcription import prompt_of, without_echo

__all__ = ["Bubble", "BubbleState", "Conversation", "Utterance"]

MAX_REPLAY_CHARS = 8000
"""Text of a spoken conversation told again to a new connection."""
MAX_REPLAY_CHARS_WRITTEN = 32_000
"""The same of a written one: its answers are longer, and nobody waits for a voice."""


class Conversation:
    """The owner of what was said. One per visitor; it outlives connections and calls."""

    def __init__(self, remember: int = 200, *, written: bool = False) -> None:
        """`written`: replies are read, not heard. What was shown of a reply counts, and stays as the model wrote it."""
        self.written = written
        self.clock = CallClock()
        """What the times of messages are told by. The calls keep it."""
        self._items = Items(remember)
        self._gone = Gone()
        self._prompt = ""
        """What the server's transcription was given as a hint: it is heard in silence."""
        self.version = 0
        """Grows whenever a bubble may have changed."""

    # ---------------------------------------------------------------- what is known

    def bubbles(self) -> tuple[Bubble, ...]:
        """All messages in order. Turns in which nothing was said are left out."""
        return tuple(bubble for item in self._items if (bubble := item.bubble()) is not None)

    def captions(self) -> tuple[Bubble, ...]:
        """The same as people read them: spoken Chinese in Traditional characters."""
        if self.written:
            return self.bubbles()
        return tuple(caption for item in self._items if (caption := item.caption()) is not None)

    def utterances(self) -> tuple[Utterance, ...]:
        """`captions()`, each with its time."""
        shown = ((item.bubble() if self.written else item.caption(), item.span) for item in self._items)
        return tuple(Utterance(bubble, span) for bubble, span in shown if bubble is not None)

    def server_id(self, item_id: str) -> str:
        """The id by which the server knows an item."""
        return self._items.server_id(item_id)

    def is_replayed(self, item_id: str) -> bool:
        """True when the server knows this item only as text."""
        item = self._items.find(item_id)
        return item is not None and item.replayed

    # ---------------------------------------------------------------- server events: the visitor's turns

    def receive(self, event: Event, at: float | None = None) -> None:
        """Fold in one server event, which came `at` seconds of the call clock. Never raises for what a server sends."""
        handler = _HANDLERS.get(str(event.get("type")))
        reply, item_id = string(event, "response_id"), string(event, "item_id")
        if handler is None or self._gone.has_reply(reply) or self._gone.has_item(item_id):
            return
        handler(self, event)
        if at is not None:
            self._spoken(event, at)
        self.version += 1

    def _spoken(self, event: Event, at: float) -> None:
        """A turn begins with the first event about it and ends with `speech_stopped`; later ones are not its time."""
        item = self._items.find(string(event, "item_id"))
        if item is None or item.kind is not Kind.USER:
            return
        if item.span is None or event.get("type") == "input_audio_buffer.speech_stopped":
            item.lasted(Span(at, at))

    def sounded(self, item_id: str, start: float, end: float) -> None:
        """The loudspeaker was given sound of this item, from `start` to `end` seconds of the call clock."""
        item = self._items.find(item_id)
        if item is not None:
            item.lasted(Span(start, end))

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

    # ---------------------------------------------------------------- server events: items

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
            self.cut(item.id, content_index(event), number(event.get("audio_end_ms")))

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
            item.raw.update({key: value for key, value in raw.items() if value is not None})
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

    # ---------------------------------------------------------------- server events: replies

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
            raw = self._items.get(item_id, Kind.OTHER).raw
            raw.setdefault("type", "function_call")
            raw.update({key: event[key] for key in ("call_id", "name", "arguments") if event.get(key)})

    def _response_done(self, event: Event) -> None:
        response = table(event, "response")
        if self._gone.has_reply(string(response, "id")):
            return
        for raw in tables(response, "output"):
            item = self._describe(raw)
            if item is not None:
                item.response_id = string(response, "id")
        whole = response.get("status", "completed") in ("completed", "incomplete")
        for item in self._open_replies(string(response, "id")):
            item.state = BubbleState.DONE if whole else BubbleState.INTERRUPTED

    def _open_replies(self, response_id: str) -> list[Item]:
        """Unfinished assistant items of a response; an item of which no response is known belongs to any."""
        return [i for i in self._items if i.kind is Kind.ASSISTANT and i.open and i.response_id in (response_id, "")]

    # ---------------------------------------------------------------- local facts

    def say(self, text: str, at: float | None = None) -> dict[str, Any]:
        """A message typed `at` seconds of the call clock: shown at once. Returns the `item` to create at the server."""
        item = self._items.create(Kind.USER, BubbleState.DONE)
        item.part(0).set_text(text)
        item.placed = True
        item.span = Span(at, at) if at is not None else None
        self._items.expect(item)
        self.version += 1
        return item.message()

    def audio(self, item_id: str, content_index: int, response_id: str, samples: int) -> None:
        """Audio of a reply came in: where its words are is learned from how text and sound take turns."""
        if self._gone.has_item(item_id):
            return
        item = self._items.get(item_id, Kind.ASSISTANT)
        item.response_id = item.response_id or response_id
        item.part(content_index).add_audio(samples)

    def cut(self, item_id: str, content_index: int, heard_ms: int) -> None:
        """A reply was interrupted after `heard_ms` of this part: what was not heard is not part of it any more."""
        item = self._items.find(item_id)
        if item is None:
            return
        item.part(content_index).cut_at(heard_ms * 24)
        for index, part in item.parts.items():
            if index > content_index:
                part.cut_at(0)
        item.state = BubbleState.INTERRUPTED
        self.version += 1

    def cancel(self, response_id: str) -> list[str]:
        """A reply is given up: late events of it are ignored, and what has no sound yet was not heard.

        Returns the server's ids of its spoken items that never had a sound: nothing of them was heard.
        """
        self._gone.give_up(response_id)
        silent = []
        for item in self._open_replies(response_id):
            if not item.has_sound and not self.written:
                if item.placed:
                    silent.append(self._items.server_id(item.id))
                else:  # the reply may be complete there before it is stopped
                    self._gone.forget_item(self._items.server_id(item.id))
                for part in item.parts.values():
                    part.cut_at(0)
            item.state = BubbleState.INTERRUPTED
        self.version += 1
        return silent

    def retell(self, item_id: str) -> list[dict[str, Any]]:
        """Client events that correct a replayed item after it was cut: gone, and again with what was heard."""
        item = self._items.find(item_id)
        if item is None:
            return []
        before = self._items.before(item)
        previous = self._items.server_id(before.id) if before is not None else "root"
        events = [{"type": "conversation.item.delete", "item_id": self._items.server_id(item.id)}]
        self._items.rename(item)
        self.version += 1
        if not item.text.strip():
            return events
        self._items.expect(item)
        return [*events, {"type": "conversation.item.create", "previous_item_id": previous, "item": item.message()}]

    def clear(self) -> list[str]:
        """Forget everything. Returns the server's ids of the items to delete there; see also `leftovers`."""
        there = []
        for item in self._items:
            name = self._items.server_id(item.id)
            if item.placed:
                there.append(name)
                self._gone.delete(name)
            else:
                self._gone.forget_item(name)
            self._gone.forget_reply(item.response_id)
        for item in self._items.unconfirmed():
            self._gone.forget_unnamed(item.text.strip())
        self._items.clear()
        self.version += 1
        return there

    def said(self, item_id: str) -> str:
        """What is understood so far of a turn."""
        item = self._items.find(item_id)
        return item.raw_text if item is not None else ""

    def dismiss(self, item_id: str) -> list[str]:
        """A turn in which nothing was said is none. Returns the server's id of it, to delete it there."""
        item = self._items.find(item_id)
        if item is None or not item.placed:
            self._gone.forget_item(item_id)
        else:
            self._gone.delete(item_id)
        if item is not None:
            self._items.remove(item)
        self.version += 1
        return [item_id] if item is not None and item.placed else []

    def forget_reply(self, response_id: str) -> None:
        """A reply to what was cleared: nothing of it is shown or kept, here or at the server."""
        self._gone.forget_reply(response_id)

    def forget_item(self, item_id: str) -> None:
        """An item that was begun before `clear()` and had no name yet."""
        self._gone.forget_item(item_id)

    def is_given_up(self, response_id: str) -> bool:
        """Whether what comes of this reply is ignored."""
        return self._gone.has_reply(response_id)

    def leftovers(self, event: Event) -> list[str]:
        """The server's ids of cleared items that it has only now, by this event: to be deleted there."""
        return self._gone.leftovers(event)

    # ---------------------------------------------------------------- a new connection

    def restart(self) -> dict[str, str]:
        """The connection is gone: settle what was open and give every item a new id. Returns old ids -> new ids.

        New ids, because servers that number their items begin at the same numbers again.
        """
        self._gone.clear()
        self._items.forget_server()
        names: dict[str, str] = {}
        for item in self._items:
            if item.kind is not Kind.OTHER and not item.raw_text.strip():
                self._items.remove(item)
                continue
            if item.open:
                item.state = BubbleState.INTERRUPTED if item.kind is Kind.ASSISTANT else BubbleState.DONE
            old = item.id
            self._items.rename(item)
            names[old] = item.id
            item.response_id = ""
            item.placed = item.replayed = False
        self.version += 1
        return names

    def replay(self, most: int = 40) -> list[dict[str, Any]]:
        """`conversation.item.create` events that tell a new server the last messages, as text, as they were heard.

        Call `restart()` first.
        """
        chosen: list[Item] = []
        room = MAX_REPLAY_CHARS_WRITTEN if self.written else MAX_REPLAY_CHARS
        for item in reversed(list(self._items)):
            text = item.text.strip()
            if item.kind is Kind.OTHER or not text:
                continue
            room -= len(text)
            if len(chosen) >= most or room < 0:
                break
            chosen.append(item)
        events = []
        for item in reversed(chosen):
            item.placed = item.replayed = True
            self._items.expect(item)
            events.append({"type": "conversation.item.create", "item": item.message()})
        return events


_HEARD = "conversation.item.input_audio_transcription"
_HANDLERS: dict[str, Callable[[Conversation, Event], None]] = {
    "session.updated": Conversation._session,
    "input_audio_buffer.speech_started": Conversation._speech_started,
    "input_audio_buffer.speech_stopped": Conversation._speech_stopped,
    "input_audio_buffer.committed": Conversation._committed,
    "input_audio_buffer.cleared": Conversation._input_cleared,
    f"{_HEARD}.delta": Conversation._heard_delta,
    f"{_HEARD}.completed": Conversation._heard_completed,
    f"{_HEARD}.updated": Conversation._heard_completed,
    f"{_HEARD}.failed": Conversation._heard_failed,
    "conversation.item.added": Conversation._item_added,
    "conversation.item.created": Conversation._item_added,
    "conversation.item.done": Conversation._item_done,
    "conversation.item.retrieved": Conversation._item_done,
    "conversation.item.deleted": Conversation._deleted,
    "conversation.item.truncated": Conversation._truncated,
    "response.output_item.added": Conversation._output_item,
    "response.output_item.done": Conversation._output_item,
    "response.output_text.delta": Conversation._reply_delta,
    "response.output_audio_transcript.delta": Conversation._reply_delta,
    "response.output_text.done": Conversation._reply_text_done,
    "response.output_audio_transcript.done": Conversation._reply_text_done,
    "response.function_call_arguments.done": Conversation._function_arguments,
    "response.done": Conversation._response_done,
}
