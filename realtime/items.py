"""The items of a conversation and their order. Pure; `conversation.py` decides what happens to them.

An item is known by our id. Usually that is the server's own; where a server gives an item that we created another id,
the two are remembered as one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Any, Literal, NamedTuple

from .captions import GrowingCaption, traditional_parts
from .hearing import Part
from .timeline import Span

Role = Literal["user", "assistant"]

MOST_PARTS = 16
"""Of one item. Models make one or two."""
MAX_WAITING = 200
"""Links to items that have not been seen, and items of ours not yet confirmed. Older ones are given up."""


class BubbleState(StrEnum):
    """How final a message is."""

    PENDING = "pending"
    """Nothing to show yet: someone began to speak, or a reply was begun."""
    GROWING = "growing"
    DONE = "done"
    INTERRUPTED = "interrupted"


OPEN = (BubbleState.PENDING, BubbleState.GROWING)
"""More of it may come."""


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


class Utterance(NamedTuple):
    """A message and when it was said; None: it had no sound, or the server did not tell."""

    bubble: Bubble
    span: Span | None


class Kind(Enum):
    """What an item is. The values are the roles of the protocol."""

    USER = "user"
    ASSISTANT = "assistant"
    OTHER = "other"
    """Function calls, their outputs and system messages: kept, not shown."""


@dataclass(slots=True)
class Item:
    """One item, whatever is known of it so far."""

    id: str
    kind: Kind
    state: BubbleState = BubbleState.PENDING
    parts: dict[int, Part] = field(default_factory=dict)
    response_id: str = ""
    placed: bool = False
    """The server has it in its conversation."""
    stopped: bool = False
    """Of a spoken turn: the server noticed its end."""
    replayed: bool = False
    """Told again to this connection as text: it has no audio there that could be truncated."""
    span: Span | None = None
    """When it was said: the visitor's words as the server noticed them, a reply as the loudspeaker had it."""
    _caption: tuple[Bubble, Bubble] | None = None
    """The last bubble, and the same as people read it."""
    _growing: GrowingCaption = field(default_factory=GrowingCaption)

    def part(self, index: int) -> Part:
        """The content part at `index`, created when it is new; one that nobody keeps where there are too many."""
        if index not in self.parts and len(self.parts) >= MOST_PARTS:
            return Part()
        return self.parts.setdefault(index, Part())

    def cut_at(self, index: int, heard_ms: int) -> None:
        """It was interrupted after `heard_ms` of the part at `index`: what came behind that was not heard."""
        self.part(index).cut_at(heard_ms * 24)
        for later, part in self.parts.items():
            if later > index:
                part.cut_at(0)
        self.state = BubbleState.INTERRUPTED

    def lasted(self, span: Span) -> None:
        """It was being said then, too."""
        self.span = span if self.span is None else self.span.and_also(span)

    @property
    def open(self) -> bool:
        """More of it may come."""
        return self.state in OPEN

    @property
    def has_sound(self) -> bool:
        return any(part.samples for part in self.parts.values())

    @property
    def raw_text(self) -> str:
        """All of its text, heard or not."""
        return "".join(part.text for _, part in sorted(self.parts.items()))

    @property
    def text(self) -> str:
        """What was said, or heard."""
        return "".join(part.heard_text for _, part in sorted(self.parts.items()))

    @property
    def unheard(self) -> str:
        return "".join(part.unheard_text for _, part in sorted(self.parts.items()))

    def bubble(self) -> Bubble | None:
        """How it is shown; None for what is not: tools, turns in which nothing was said, replies without a word yet."""
        text, unheard = self.text, self.unheard
        if self.kind is Kind.OTHER or (self.kind is Kind.ASSISTANT and not self.raw_text):
            return None
        if not self.open and not text.strip() and not unheard.strip():
            return None
        role: Role = "user" if self.kind is Kind.USER else "assistant"
        return Bubble(self.id, role, text.strip(), unheard.rstrip(), self.state)

    def caption(self) -> Bubble | None:
        """`bubble()` as people read it: Chinese in Traditional characters. Converted once per change.

        While the item is open, its caption only gets longer; when it is finished, it is settled once.
        """
        bubble = self.bubble()
        if bubble is None:
            self._caption = None
            return None
        raw, shown = self._caption or (None, bubble)
        if raw != bubble:
            if self.open and not bubble.unheard:
                text, unheard = self._growing.grow(bubble.text), ""
            elif raw is None or raw.state in OPEN or (raw.text, raw.unheard) != (bubble.text, bubble.unheard):
                text, unheard = traditional_parts(bubble.text, bubble.unheard)
            else:
                text, unheard = shown.text, shown.unheard
            shown = replace(bubble, text=text, unheard=unheard)
            self._caption = bubble, shown
        return shown

    def message(self) -> dict[str, Any]:
        """It as a text item for `conversation.item.create`."""
        content = {"type": "input_text" if self.kind is Kind.USER else "output_text", "text": self.text.strip()}
        return {"id": self.id, "type": "message", "role": self.kind.value, "content": [content]}


class Items:
    """Items in order. Iterating gives a copy of the list, so items may be removed on the way."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: dict[str, Item] = {}
        self._order: list[str] = []
        self._followers: dict[str, str] = {}  # an id not seen yet -> the item that follows it
        self._links: dict[str, str] = {}  # an item -> the one before it, as the server said
        self._names: dict[str, str] = {}  # the server's id -> ours
        self._unconfirmed: deque[str] = deque(maxlen=MAX_WAITING)
        self._created = 0

    def __iter__(self) -> Iterator[Item]:
        return iter([self._items[item_id] for item_id in self._order])

    def __len__(self) -> int:
        return len(self._order)

    # ---------------------------------------------------------------- finding

    def find(self, name: str) -> Item | None:
        """By our id or the server's."""
        return self._items.get(self._names.get(name, name))

    def server_id(self, item_id: str) -> str:
        """The id by which the server knows an item."""
        return next((name for name, ours in self._names.items() if ours == item_id), item_id)

    def before(self, item: Item) -> Item | None:
        """The item right before this one."""
        place = self._order.index(item.id)
        return self._items[self._order[place - 1]] if place else None

    def open_replies(self, response_id: str) -> list[Item]:
        """Unfinished assistant items of a response; an item of which no response is known belongs to any."""
        return [i for i in self if i.kind is Kind.ASSISTANT and i.open and i.response_id in (response_id, "")]

    def get(self, name: str, kind: Kind) -> Item:
        """The item, put at the end when it is new."""
        item = self.find(name)
        if item is None:
            item = self._add(Item(name, kind))
        return item

    def recognise(self, raw: Mapping[str, Any], kind: Kind) -> Item | None:
        """The item that an item object describes, created when it is new; None when the object has no id."""
        name = raw.get("id")
        if not isinstance(name, str) or not name:
            return None
        item = self.find(name)
        if item is None:
            item = self._echo_of(raw, kind)
            if item is None:
                return self._add(Item(name, kind))
            self._names[name] = item.id
        if item.id in self._unconfirmed:
            self._unconfirmed.remove(item.id)
        return item

    def _echo_of(self, raw: Mapping[str, Any], kind: Kind) -> Item | None:
        """An item that we created and the server confirms under another id, told by its text."""
        content = raw.get("content")
        first = content[0] if isinstance(content, list) and content else None
        text = first.get("text") if isinstance(first, Mapping) else None
        for item in self.unconfirmed():
            if item.kind is kind and item.text.strip() == text:
                return item
        return None

    # ---------------------------------------------------------------- changing

    def create(self, kind: Kind, state: BubbleState) -> Item:
        """A new item of ours at the end."""
        return self._add(Item(self.fresh_id(), kind, state))

    def expect(self, item: Item) -> None:
        """The server was asked to create it: its next item of that text is this one."""
        self._unconfirmed.append(item.id)

    def unconfirmed(self) -> list[Item]:
        """Items that the server was asked to create and has not spoken of."""
        return [item for item_id in self._unconfirmed if (item := self._items.get(item_id)) is not None]

    def place(self, item: Item, previous: object) -> None:
        """Put an item after `previous`. null says nothing: some servers never fill it in."""
        if not isinstance(previous, str) or not previous:
            return
        before = self._names.get(previous, previous)
        if before == item.id:
            return
        self._links[item.id] = before
        if before in self._items:
            self._move_after(before, item.id)
        elif len(self._followers) < MAX_WAITING:
            self._followers[before] = item.id

    def _move_after(self, before: str, item_id: str) -> None:
        """The items that are linked to this one, one behind the other, go with it."""
        start = self._order.index(item_id)
        end = start + 1
        while end < len(self._order) and self._links.get(self._order[end]) == self._order[end - 1]:
            end += 1
        chain = self._order[start:end]
        if before in chain:  # a server that links in a circle
            return
        del self._order[start:end]
        place = self._order.index(before) + 1
        self._order[place:place] = chain

    def _add(self, item: Item) -> Item:
        self._items[item.id] = item
        self._order.append(item.id)
        follower = self._followers.pop(item.id, None)
        if follower is not None and follower in self._items:
            self._move_after(item.id, follower)
        while len(self._order) > self._most:
            self.remove(self._items[self._order[0]])
        return item

    def remove(self, item: Item) -> None:
        """Forget an item."""
        del self._items[item.id]
        self._order.remove(item.id)
        self._links.pop(item.id, None)
        self._forget_names(item.id)

    def rename(self, item: Item) -> None:
        """Give an item a fresh id of ours, which is also what the server will know it by."""
        old, new = item.id, self.fresh_id()
        self._order[self._order.index(old)] = new
        del self._items[old]
        self._links.pop(old, None)
        self._forget_names(old)
        item.id = new
        self._items[new] = item

    def _forget_names(self, item_id: str) -> None:
        self._names = {name: ours for name, ours in self._names.items() if ours != item_id}

    def fresh_id(self) -> str:
        """An id no server chooses."""
        self._created += 1
        return f"rvc_{self._created:06d}"

    def forget_server(self) -> None:
        """Another server, or another connection: its ids and promises mean nothing any more."""
        self._followers.clear()
        self._links.clear()
        self._names.clear()
        self._unconfirmed.clear()

    def clear(self) -> None:
        """Forget all items."""
        self._items.clear()
        self._order.clear()
        self.forget_server()
