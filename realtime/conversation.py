"""The conversation as a pure fold: server events and local facts in, bubbles out. No clock, no I/O.

Built for servers that leave things out: no event but the ones with text in them is waited for, items are created by
whatever mentions them first, and unknown events or missing fields are never an error. An item is placed by
`previous_item_id` where the server gives it, else by order of arrival.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Literal

from .hearing import Part

Event = Mapping[str, Any]
Role = Literal["user", "assistant"]

MAX_REMEMBERED = 64
"""Cancelled responses whose late events are still recognised."""
MAX_REPLAY_CHARS = 8000
"""Text told again to a new connection."""


class BubbleState(StrEnum):
    """How final a bubble is."""

    PENDING = "pending"
    """Nothing to show yet: someone began to speak, or a reply was begun."""
    GROWING = "growing"
    DONE = "done"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message as a person sees it."""

    item_id: str
    role: Role
    text: str
    """What was said, or of an interrupted reply what was heard."""
    unheard: str
    """The rest of an interrupted reply; "" otherwise."""
    state: BubbleState


class _Kind(Enum):
    USER = "user"
    ASSISTANT = "assistant"
    OTHER = "other"
    """Function calls, their outputs and system messages: kept, not shown."""


@dataclass(slots=True)
class _Item:
    id: str
    kind: _Kind
    state: BubbleState = BubbleState.PENDING
    parts: dict[int, Part] = field(default_factory=dict)
    response_id: str = ""
    placed: bool = False
    """The server has it in its conversation."""
    stopped: bool = False
    """Of a spoken turn: the server noticed its end."""
    raw: dict[str, Any] = field(default_factory=dict)
    """Of kind OTHER: the item as the server described it."""
    replayed: bool = False
    """Told again to this connection as text: it has no audio there that could be truncated."""

    def part(self, index: int) -> Part:
        return self.parts.setdefault(index, Part())

    @property
    def text(self) -> str:
        return "".join(part.heard_text for _, part in sorted(self.parts.items()))

    @property
    def unheard(self) -> str:
        return "".join(part.unheard_text for _, part in sorted(self.parts.items()))

    @property
    def raw_text(self) -> str:
        return "".join(part.text for part in self.parts.values())


class Conversation:
    """The owner of what was said. One per visitor; it outlives connections and calls."""

    def __init__(self, remember: int = 200) -> None:
        self._remember = remember
        self._items: dict[str, _Item] = {}
        self._order: list[str] = []
        self._waiting: dict[str, str] = {}  # previous_item_id not seen yet -> the item that follows it
        self._names: dict[str, str] = {}  # the server's id -> ours, where it chose another for an item of ours
        self._echoes: deque[str] = deque(maxlen=200)  # our items that the server has not confirmed yet
        self._cancelled: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._created = 0
        self.version = 0
        """Grows whenever a bubble may have changed."""

    # ---------------------------------------------------------------- what is shown

    def bubbles(self) -> tuple[Bubble, ...]:
        """All messages in order. Turns in which nothing was said are left out."""
        shown = []
        for item_id in self._order:
            item = self._items[item_id]
            if item.kind is _Kind.OTHER:
                continue
            text, unheard = item.text, item.unheard
            open_ = item.state in (BubbleState.PENDING, BubbleState.GROWING)
            if not open_ and not text.strip() and not unheard.strip():
                continue
            if item.kind is _Kind.ASSISTANT and not item.raw_text:
                continue  # a reply without a word yet is not worth a bubble
            role: Role = "user" if item.kind is _Kind.USER else "assistant"
            shown.append(Bubble(item.id, role, text.strip(), unheard.rstrip(), item.state))
        return tuple(shown)

    def item_ids(self) -> list[str]:
        """The server's ids of all items it has."""
        theirs = {ours: name for name, ours in self._names.items()}
        return [theirs.get(item_id, item_id) for item_id in self._order if self._items[item_id].placed]

    def server_id(self, item_id: str) -> str:
        """The id by which the server knows an item."""
        return next((name for name, ours in self._names.items() if ours == item_id), item_id)

    # ---------------------------------------------------------------- server events

    def receive(self, event: Event) -> None:
        """Fold one server event in. Never raises for what a server may send."""
        handler = _HANDLERS.get(str(event.get("type")))
        if handler is None:
            return
        response_id = _text(event.get("response_id"))
        if response_id and response_id in self._cancelled:
            return
        handler(self, event)
        self.version += 1

    def _speech_started(self, event: Event) -> None:
        item_id = self._id(event)
        if not item_id:
            return
        for other in list(self._items.values()):
            # A turn that was begun and never ended came to nothing; the server has thrown it away.
            if other.kind is _Kind.USER and not (other.placed or other.stopped or other.raw_text):
                self._remove(other.id)
        self._get(item_id, _Kind.USER)

    def _speech_stopped(self, event: Event) -> None:
        item_id = self._id(event)
        if item_id:
            self._get(item_id, _Kind.USER).stopped = True

    def _committed(self, event: Event) -> None:
        item_id = self._id(event)
        if item_id:
            item = self._get(item_id, _Kind.USER)
            item.placed = True
            self._place(item_id, event.get("previous_item_id"))

    def _cleared(self, event: Event) -> None:
        for item in list(self._items.values()):
            if item.kind is _Kind.USER and not (item.placed or item.raw_text):
                self._remove(item.id)

    def _item_added(self, event: Event) -> None:
        raw = event.get("item")
        if not isinstance(raw, Mapping):
            return
        item = self._describe(raw)
        if item is None:
            return
        item.placed = True
        self._place(item.id, event.get("previous_item_id"))

    def _item_done(self, event: Event) -> None:
        raw = event.get("item")
        if isinstance(raw, Mapping):
            item = self._describe(raw)  # its previous_item_id is null on the wire even where `added` had one
            if item is not None and event.get("type") == "conversation.item.done":
                item.placed = True

    def _output_item(self, event: Event) -> None:
        raw = event.get("item")
        if isinstance(raw, Mapping):
            item = self._describe(raw)
            if item is not None:
                item.response_id = _text(event.get("response_id"))

    def _deleted(self, event: Event) -> None:
        item_id = self._id(event)
        if item_id in self._items:
            self._remove(item_id)

    def _truncated(self, event: Event) -> None:
        item = self._items.get(self._id(event))
        if item is not None and item.kind is _Kind.ASSISTANT:
            index = _index(event)
            if item.part(index).cut is None:
                self.cut(item.id, index, _number(event.get("audio_end_ms")))

    def _user_delta(self, event: Event) -> None:
        item_id = self._id(event)
        delta = _text(event.get("delta"))
        if item_id and delta:
            item = self._get(item_id, _Kind.USER)
            if item.state in (BubbleState.PENDING, BubbleState.GROWING):
                item.part(_index(event)).add_text(delta)
                item.state = BubbleState.GROWING

    def _user_completed(self, event: Event) -> None:
        item_id = self._id(event)
        if item_id:
            item = self._get(item_id, _Kind.USER)
            item.part(_index(event)).set_text(_text(event.get("transcript")))
            item.state = BubbleState.DONE

    def _user_failed(self, event: Event) -> None:
        item_id = self._id(event)
        if item_id:
            self._get(item_id, _Kind.USER).state = BubbleState.DONE

    def _reply_delta(self, event: Event) -> None:
        item = self._reply_item(event)
        delta = _text(event.get("delta"))
        if item is not None and delta:
            item.part(_index(event)).add_text(delta)
            item.state = BubbleState.GROWING

    def _reply_text_done(self, event: Event) -> None:
        item = self._reply_item(event)
        text = event.get("transcript", event.get("text"))
        if item is not None and isinstance(text, str) and text:
            item.part(_index(event)).set_text(text)

    def _reply_item(self, event: Event) -> _Item | None:
        """The assistant item of an event, created when it is new; None when it no longer takes text."""
        response_id = _text(event.get("response_id"))
        item_id = self._id(event) or (response_id and f"{response_id}.message")
        if not item_id:
            return None
        item = self._get(item_id, _Kind.ASSISTANT)
        item.response_id = item.response_id or response_id
        return None if item.state in (BubbleState.DONE, BubbleState.INTERRUPTED) else item

    def _response_done(self, event: Event) -> None:
        response = event.get("response")
        if not isinstance(response, Mapping):
            return
        response_id = _text(response.get("id"))
        if response_id in self._cancelled:
            return
        completed = response.get("status", "completed") in ("completed", "incomplete")
        output = response.get("output")
        for raw in output if isinstance(output, list) else ():
            if isinstance(raw, Mapping):
                item = self._describe(raw)
                if item is not None:
                    item.response_id = response_id
        for item in self._items.values():
            open_ = item.state in (BubbleState.PENDING, BubbleState.GROWING)
            if item.kind is _Kind.ASSISTANT and open_ and item.response_id in (response_id, ""):
                item.state = BubbleState.DONE if completed else BubbleState.INTERRUPTED

    def _function_arguments(self, event: Event) -> None:
        item_id = self._id(event)
        if item_id:
            item = self._get(item_id, _Kind.OTHER)
            item.raw.setdefault("type", "function_call")
            item.raw.update({k: event[k] for k in ("call_id", "name", "arguments") if event.get(k)})

    def _describe(self, raw: Event) -> _Item | None:
        """Take in an item object: create it, or fill in what is not known of it yet."""
        item_id = self._resolve(raw)
        if not item_id:
            return None
        role = raw.get("role")
        known = {"user": _Kind.USER, "assistant": _Kind.ASSISTANT}
        is_message = raw.get("type", "message") == "message"
        kind = known.get(str(role), _Kind.OTHER) if is_message else _Kind.OTHER
        item = self._get(item_id, kind)
        if item.kind is _Kind.OTHER:
            item.raw.update({key: value for key, value in raw.items() if value is not None})
            item.state = BubbleState.DONE
            return item
        if item.state is BubbleState.INTERRUPTED:
            return item
        typed = False
        content = raw.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(part, Mapping):
                continue
            text = part.get("text") if isinstance(part.get("text"), str) else part.get("transcript")
            if isinstance(text, str) and text and (item.part(index).text == "" or raw.get("status") == "completed"):
                item.part(index).set_text(text)
            typed = typed or part.get("type") == "input_text" or (item.kind is _Kind.USER and bool(text))
        if typed or (item.kind is _Kind.ASSISTANT and raw.get("status") == "completed"):
            item.state = BubbleState.DONE
        return item

    # ---------------------------------------------------------------- local facts

    def say(self, text: str) -> dict[str, Any]:
        """A typed message: shown at once. Returns the `item` to create at the server."""
        item = self._new(_Kind.USER, BubbleState.DONE)
        item.part(0).set_text(text)
        self._order.append(item.id)
        self._echoes.append(item.id)
        self._forget()
        self.version += 1
        return _message(item)

    def audio(self, item_id: str, content_index: int, response_id: str, samples: int) -> None:
        """Audio of a reply came in: where its words are is learned from how text and sound take turns."""
        item = self._get(self._names.get(item_id, item_id), _Kind.ASSISTANT)
        item.response_id = item.response_id or response_id
        item.part(content_index).add_audio(samples)

    def cut(self, item_id: str, content_index: int, heard_ms: int) -> None:
        """A reply was interrupted after `heard_ms` of this part: what was not heard is not part of it any more."""
        item = self._items.get(self._names.get(item_id, item_id))
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

        Returns the server's ids of its items that never had a sound: nothing of them was heard.
        """
        if response_id and response_id not in self._cancelled:
            self._cancelled.append(response_id)
        silent = []
        for item in self._items.values():
            open_ = item.state in (BubbleState.PENDING, BubbleState.GROWING)
            if item.kind is _Kind.ASSISTANT and open_ and item.response_id in (response_id, ""):
                if not any(part.samples for part in item.parts.values()):
                    if item.placed:
                        silent.append(self.server_id(item.id))
                    for part in item.parts.values():
                        part.cut_at(0)
                item.state = BubbleState.INTERRUPTED
        self.version += 1
        return silent

    def is_replayed(self, item_id: str) -> bool:
        """True when the server knows this item only as text."""
        item = self._items.get(item_id)
        return item is not None and item.replayed

    def retell(self, item_id: str) -> list[dict[str, Any]]:
        """Client events that correct a replayed item after it was cut: gone, and again with what was heard."""
        item = self._items.get(item_id)
        if item is None:
            return []
        events: list[dict[str, Any]] = [{"type": "conversation.item.delete", "item_id": self.server_id(item_id)}]
        before = self._order.index(item_id)
        previous = self.server_id(self._order[before - 1]) if before else "root"
        self._rename(item, self._fresh_id())
        if item.text.strip():
            self._echoes.append(item.id)
            events.append({"type": "conversation.item.create", "previous_item_id": previous, "item": _message(item)})
        return events

    def clear(self) -> list[str]:
        """Forget everything. Returns the server's ids of the items to delete there."""
        gone = self.item_ids()
        for item in self._items.values():
            if item.response_id and item.response_id not in self._cancelled:
                self._cancelled.append(item.response_id)
        self._items.clear()
        self._order.clear()
        self._waiting.clear()
        self._names.clear()
        self._echoes.clear()
        self.version += 1
        return gone

    # ---------------------------------------------------------------- a new connection

    def restart(self) -> dict[str, str]:
        """The connection is gone: settle what was open and give every item a new id (old -> new).

        New ids, because servers that count their items begin at the same numbers again.
        """
        self._cancelled.clear()
        self._waiting.clear()
        self._echoes.clear()
        self._names.clear()
        names: dict[str, str] = {}
        for item in [self._items[item_id] for item_id in self._order]:
            if item.state is BubbleState.PENDING or (item.kind is not _Kind.OTHER and not item.raw_text.strip()):
                self._remove(item.id)
                continue
            if item.state is BubbleState.GROWING:
                item.state = BubbleState.INTERRUPTED if item.kind is _Kind.ASSISTANT else BubbleState.DONE
            old = item.id
            self._rename(item, self._fresh_id())
            names[old] = item.id
            item.response_id = ""
            item.placed = item.replayed = False
        self.version += 1
        return names

    def replay(self, items: int = 40) -> list[dict[str, Any]]:
        """`conversation.item.create` events that tell a new server the last messages, as text, as they were heard.

        Marks the messages as replayed. Call `restart()` first.
        """
        chosen: list[_Item] = []
        room = MAX_REPLAY_CHARS
        for item_id in reversed(self._order):
            item = self._items[item_id]
            text = item.text.strip()
            if item.kind is _Kind.OTHER or not text:
                continue
            room -= len(text)
            if len(chosen) >= items or room < 0:
                break
            chosen.append(item)
        events = []
        for item in reversed(chosen):
            item.replayed = True
            self._echoes.append(item.id)
            events.append({"type": "conversation.item.create", "item": _message(item)})
        return events

    # ---------------------------------------------------------------- items and their order

    def _id(self, event: Event) -> str:
        name = _text(event.get("item_id"))
        return self._names.get(name, name)

    def _resolve(self, raw: Event) -> str:
        """The id of an item object; an item of ours that the server gave another id is recognised by its text."""
        name = _text(raw.get("id"))
        if not name:
            return ""
        ours = self._names.get(name, name)
        if ours in self._items:
            if ours in self._echoes:
                self._echoes.remove(ours)
            return ours
        content = raw.get("content")
        first = content[0] if isinstance(content, list) and content else None
        if isinstance(first, Mapping) and first.get("type") in ("input_text", "output_text", "text"):
            for echo in self._echoes:
                item = self._items.get(echo)
                if item and str(raw.get("role")) == item.kind.value and item.text.strip() == first.get("text"):
                    self._echoes.remove(echo)
                    self._names[name] = echo
                    return echo
        return name

    def _get(self, item_id: str, kind: _Kind) -> _Item:
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item(item_id, kind)
            self._order.append(item_id)
            self._follow(item_id)
            self._forget()
        elif item.kind is _Kind.OTHER and kind is not _Kind.OTHER and not item.raw:
            item.kind = kind
        return item

    def _place(self, item_id: str, previous: object) -> None:
        """Put an item after `previous`. null says nothing: some servers never fill it in."""
        name = _text(previous)
        if not name or item_id not in self._items:
            return
        before = self._names.get(name, name)
        if before == item_id:
            return
        if before not in self._items:
            if len(self._waiting) < 200:
                self._waiting[before] = item_id
            return
        self._order.remove(item_id)
        self._order.insert(self._order.index(before) + 1, item_id)
        self._follow(item_id)

    def _follow(self, item_id: str) -> None:
        """An item that was told to come after this one, before this one was known, comes after it now."""
        follower = self._waiting.pop(item_id, None)
        if follower is not None and follower in self._items and follower != item_id:
            self._order.remove(follower)
            self._order.insert(self._order.index(item_id) + 1, follower)

    def _new(self, kind: _Kind, state: BubbleState) -> _Item:
        item_id = self._fresh_id()
        item = self._items[item_id] = _Item(item_id, kind, state)
        return item

    def _fresh_id(self) -> str:
        self._created += 1
        return f"rvc_{self._created:06d}"

    def _rename(self, item: _Item, new: str) -> None:
        self._order[self._order.index(item.id)] = new
        del self._items[item.id]
        self._names = {name: ours for name, ours in self._names.items() if ours != item.id}
        item.id = new
        self._items[new] = item

    def _remove(self, item_id: str) -> None:
        del self._items[item_id]
        self._order.remove(item_id)
        self._names = {name: ours for name, ours in self._names.items() if ours != item_id}

    def _forget(self) -> None:
        while len(self._order) > self._remember:
            self._remove(self._order[0])


# -------------------------------------------------------------------- helpers


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(min(max(value, 0), 2**31)) if value == value else 0


def _index(event: Event) -> int:
    return _number(event.get("content_index"))


def _message(item: _Item) -> dict[str, Any]:
    user = item.kind is _Kind.USER
    kind = "input_text" if user else "output_text"
    content = [{"type": kind, "text": item.text.strip()}]
    return {"id": item.id, "type": "message", "role": "user" if user else "assistant", "content": content}


_Handler = Callable[[Conversation, Event], None]


def _named(handler: _Handler, names: Iterable[str]) -> dict[str, _Handler]:
    return dict.fromkeys(names, handler)


_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_HANDLERS: dict[str, _Handler] = {
    "input_audio_buffer.speech_started": Conversation._speech_started,
    "input_audio_buffer.speech_stopped": Conversation._speech_stopped,
    "input_audio_buffer.committed": Conversation._committed,
    "input_audio_buffer.cleared": Conversation._cleared,
    "conversation.item.added": Conversation._item_added,
    "conversation.item.created": Conversation._item_added,
    "conversation.item.retrieved": Conversation._item_done,
    "conversation.item.done": Conversation._item_done,
    "conversation.item.deleted": Conversation._deleted,
    "conversation.item.truncated": Conversation._truncated,
    f"{_TRANSCRIPTION}.delta": Conversation._user_delta,
    f"{_TRANSCRIPTION}.completed": Conversation._user_completed,
    f"{_TRANSCRIPTION}.updated": Conversation._user_completed,
    f"{_TRANSCRIPTION}.failed": Conversation._user_failed,
    "response.function_call_arguments.done": Conversation._function_arguments,
    "response.done": Conversation._response_done,
    **_named(Conversation._output_item, ("response.output_item.added", "response.output_item.done")),
    **_named(
        Conversation._reply_delta,
        (
            "response.output_text.delta",
            "response.text.delta",
            "response.output_audio_transcript.delta",
            "response.audio_transcript.delta",
        ),
    ),
    **_named(
        Conversation._reply_text_done,
        (
            "response.output_text.done",
            "response.text.done",
            "response.output_audio_transcript.done",
            "response.audio_transcript.done",
        ),
    ),
}
