"""Items of a conversation and their order. Pure; `conversation.py` decides what happens to them.

An item has an id of ours, which usually is the server's. Where a server gives another id to an item that we created,
the id is kept as an alias.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from voicechat.pictures.picture import Picture, picture_parts
from writing.chinese_script import ChineseScript, MessageEvidence, message_evidence

from .audio_text_alignment import ContentPart
from .call_clock import TimeSpan
from .chinese.traditional_chinese import IncrementalCaption, to_traditional_parts
from .incomplete_reason import IncompleteReason
from .shown.bubble import OPEN_STATES, Bubble, BubbleState, Role
from .shown.tool_use import ToolUse

MAX_CONTENT_PARTS = 16
"""Content parts of one item. Models make one or two."""
MAX_UNRESOLVED = 200
"""Links to unseen items, and unconfirmed items of ours, remembered. Older ones are dropped."""


class ItemKind(Enum):
    """Kind of an item. The values are the roles of the protocol."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    """A function call of the model."""
    OTHER = "other"
    """Outputs of function calls, and system messages: kept, not shown."""


MESSAGE_KINDS = frozenset({ItemKind.USER, ItemKind.ASSISTANT})


@dataclass(slots=True)
class Item:
    """One item, as far as it is known."""

    id: str
    kind: ItemKind
    state: BubbleState = BubbleState.PENDING
    parts: dict[int, ContentPart] = field(default_factory=dict)
    response_id: str = ""
    is_on_server: bool = False
    """The server has it in its conversation."""
    has_speech_stopped: bool = False
    """The server noticed the end of this spoken turn."""
    is_typed: bool = False
    """The visitor typed it."""
    pictures: tuple[Picture, ...] = ()
    has_pictures_there: bool = False  # the server has its pictures, or is sent them now
    is_replayed: bool = False
    """Replayed to this connection as text: it has no audio there that could be truncated."""
    span: TimeSpan | None = None
    """Time of a spoken turn as the server noticed it, of a reply as it was played."""
    tool_use: ToolUse | None = None
    """What is known of a function call."""
    _incomplete_reason: IncompleteReason | None = None
    _cached_caption: tuple[Bubble, Bubble] | None = None  # the last bubble, and its caption
    _incremental_caption: IncrementalCaption = field(default_factory=IncrementalCaption)
    _caption_style: tuple[ChineseScript, tuple[str, ...]] = ("traditional", ())  # of the last caption
    _evidence: tuple[str, MessageEvidence] = ("", MessageEvidence())  # text of a turn, and what it says of the script

    def choose_pictures(self, are_sent: bool) -> None:
        """Note whether the pictures go to the server with the item, which is sent next."""
        self.has_pictures_there = are_sent and any(picture.can_be_sent for picture in self.pictures)
        if self.has_pictures_there:
            for picture in self.pictures:
                picture.times_sent += 1

    def part(self, index: int) -> ContentPart:
        """Return the content part at `index`, created when it is new; one that is not kept after too many parts."""
        if index not in self.parts and len(self.parts) >= MAX_CONTENT_PARTS:
            return ContentPart()
        return self.parts.setdefault(index, ContentPart())

    def truncate(self, index: int, heard_ms: int) -> None:
        """Mark the item as interrupted after `heard_ms` of the part at `index`: the rest was not heard.

        One that was incomplete and heard to its last word stays incomplete.
        """
        self.part(index).truncate(heard_ms * 24)
        for later, part in self.parts.items():
            if later > index:
                part.truncate(0)
        if self.state is not BubbleState.INCOMPLETE or self.unheard.strip():
            self.state = BubbleState.INTERRUPTED

    def mark_incomplete(self, reason: IncompleteReason) -> None:
        """Mark the item as ended before its end."""
        self.state, self._incomplete_reason = BubbleState.INCOMPLETE, reason

    @property
    def incomplete_reason(self) -> IncompleteReason | None:
        """Why the rest is missing; None unless the state is INCOMPLETE."""
        return self._incomplete_reason if self.state is BubbleState.INCOMPLETE else None

    @property
    def is_untranscribed(self) -> bool:
        """It is a turn of the visitor whose text did not come, and which is shown all the same."""
        return self.kind is ItemKind.USER and self.state is BubbleState.INCOMPLETE and not self.full_text.strip()

    def close(self, *, is_text_only: bool) -> None:
        """Await no more text. A spoken reply under way without any audio counts as not heard."""
        if not self.is_open:
            return
        if self.kind is ItemKind.ASSISTANT and not is_text_only and not self.has_audio:
            for part in self.parts.values():
                part.truncate(0)
        self.state = BubbleState.INTERRUPTED if self.kind is ItemKind.ASSISTANT else BubbleState.DONE

    def extend_span(self, span: TimeSpan) -> None:
        """Add a time to the span."""
        self.span = span if self.span is None else self.span.union(span)

    @property
    def is_open(self) -> bool:
        """More text may come."""
        return self.state in OPEN_STATES

    @property
    def has_audio(self) -> bool:
        return any(part.received_samples for part in self.parts.values())

    @property
    def is_reply(self) -> bool:
        """It is a message of the model with text or audio."""
        return self.kind is ItemKind.ASSISTANT and (self.has_audio or bool(self.full_text.strip()))

    @property
    def full_text(self) -> str:
        """All text, heard or not."""
        return "".join(part.text for _, part in sorted(self.parts.items()))

    @property
    def text(self) -> str:
        """Text without the unheard part."""
        return "".join(part.heard_text for _, part in sorted(self.parts.items()))

    @property
    def unheard(self) -> str:
        return "".join(part.unheard_text for _, part in sorted(self.parts.items()))

    def to_bubble(self) -> Bubble | None:
        """Return the message to show; None for turns without words, replies without text and what is not shown."""
        if self.kind is ItemKind.TOOL and self.tool_use is not None and self.tool_use.is_shown:
            return Bubble(self.id, "tool", "", "", self.state, tool_use=self.tool_use)
        text, unheard = self.text, self.unheard
        if self.kind not in MESSAGE_KINDS or (self.kind is ItemKind.ASSISTANT and not self.full_text):
            return None
        if not (self.is_open or self.is_untranscribed or text.strip() or unheard.strip()):
            return None
        role: Role = "user" if self.kind is ItemKind.USER else "assistant"
        views = tuple(picture.view for picture in self.pictures)
        return Bubble(self.id, role, text.strip(), unheard.rstrip(), self.state, self.incomplete_reason, pictures=views)

    def script_evidence(self) -> MessageEvidence:
        """Return what a finished turn says about the script that the visitor reads. It is read once per change."""
        text = "" if self.is_open or self.kind is not ItemKind.USER else self.full_text
        if self._evidence[0] != text:
            self._evidence = text, message_evidence(text, is_typed=self.is_typed)
        return self._evidence[1]

    def to_caption(self, script: ChineseScript = "traditional", typed_texts: tuple[str, ...] = ()) -> Bubble | None:
        """Return the message with Chinese in Traditional characters. It is converted once per change.

        Typed messages, and all of `script` "simplified", stay as they are. The caption of an open item only grows; it
        is corrected once when the item is finished. `typed_texts` stay where a reply quotes them.
        """
        bubble = self.to_bubble()
        if self.is_typed or script == "simplified":
            return bubble
        if self._caption_style != (script, typed_texts):
            self._caption_style, self._cached_caption = (script, typed_texts), None
            self._incremental_caption = IncrementalCaption(typed_texts)
        if bubble is None or bubble.tool_use is not None:
            self._cached_caption = None
            return bubble
        raw, shown = self._cached_caption or (None, bubble)
        if raw != bubble:
            if self.is_open and not bubble.unheard:
                text, unheard = self._incremental_caption.update(bubble.text), ""
            elif raw is None or raw.state in OPEN_STATES or (raw.text, raw.unheard) != (bubble.text, bubble.unheard):
                text, unheard = to_traditional_parts(bubble.text, bubble.unheard, typed_texts)
            else:
                text, unheard = shown.text, shown.unheard
            shown = replace(bubble, text=text, unheard=unheard)
            self._cached_caption = bubble, shown
        return shown

    def to_message_item(self) -> dict[str, Any]:
        """Return the item for `conversation.item.create`: its text, and pictures that the server is to have."""
        text = {"type": "input_text" if self.kind is ItemKind.USER else "output_text", "text": self.text.strip()}
        content = [text, *picture_parts(self.pictures, are_sent=self.has_pictures_there)]
        return {"id": self.id, "type": "message", "role": self.kind.value, "content": content}


class Items:
    """Items in order. Iteration runs over a copy, so that items may be removed meanwhile."""

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: dict[str, Item] = {}
        self._order: list[str] = []
        self._followers: dict[str, str] = {}  # an id not seen yet -> the item that follows it
        self._previous_ids: dict[str, str] = {}  # an item -> the one before it, as the server said
        self._id_aliases: dict[str, str] = {}  # the server's id -> ours
        self._unconfirmed: deque[str] = deque(maxlen=MAX_UNRESOLVED)
        self._id_counter = 0

    def __iter__(self) -> Iterator[Item]:
        return iter([self._items[item_id] for item_id in self._order])

    def __len__(self) -> int:
        return len(self._order)

    @property
    def room(self) -> int:
        return self._max_items - len(self._order)

    # ---------------------------------------------------------------- finding

    def find(self, item_id: str) -> Item | None:
        """Return an item by our id or the server's; None when it is unknown."""
        return self._items.get(self._id_aliases.get(item_id, item_id))

    def find_call(self, call_id: str) -> Item | None:
        """Return the item of a function call; None when it is unknown."""
        found = (item for item in reversed(list(self)) if item.tool_use is not None)
        return next((item for item in found if item.tool_use and item.tool_use.call_id == call_id), None)

    def server_id(self, item_id: str) -> str:
        """Return the id by which the server knows an item."""
        return next((name for name, ours in self._id_aliases.items() if ours == item_id), item_id)

    def get_previous(self, item: Item) -> Item | None:
        """Return the item right before this one."""
        index = self._order.index(item.id)
        return self._items[self._order[index - 1]] if index else None

    def open_response_items(self, response_id: str) -> list[Item]:
        """Return the open assistant items of a response; an item without a known response belongs to any.

        Without an id, all open assistant items are returned: servers make one response at a time.
        """
        found = [item for item in self if item.kind is ItemKind.ASSISTANT and item.is_open]
        return [item for item in found if not response_id or item.response_id in (response_id, "")]

    def response_items(self, response_id: str) -> list[Item]:
        """Return the items of a response, of any kind. A last item without a known response counts as its."""
        items = list(self)
        return [
            item
            for item in items
            if (item.response_id == response_id and response_id)
            or (item is items[-1] and item.is_reply and not item.response_id and not item.is_replayed)
        ]

    def get_or_create(self, item_id: str, kind: ItemKind) -> Item:
        """Return the item, added at the end when it is new."""
        item = self.find(item_id)
        if item is None:
            item = self._add(Item(item_id, kind))
        return item

    def upsert(self, name: str, kind: ItemKind, typed_text: str) -> Item | None:
        """Return the item that the server calls `name`, created when it is new; None when `name` is "".

        `typed_text` is the text by which an item of ours is recognized under another id.
        """
        if not name:
            return None
        item = self.find(name)
        if item is None:
            item = self._find_unconfirmed_match(kind, typed_text)
            if item is None:
                return self._add(Item(name, kind))
            self._id_aliases[name] = item.id
        if item.id in self._unconfirmed:
            self._unconfirmed.remove(item.id)
        return item

    def _find_unconfirmed_match(self, kind: ItemKind, typed_text: str) -> Item | None:
        """Return an item of ours that the server confirms under another id."""
        found = (item for item in self.unconfirmed() if item.kind is kind and item.text.strip() == typed_text)
        return next(found, None) if typed_text else None

    # ---------------------------------------------------------------- changing

    def create(self, kind: ItemKind, state: BubbleState) -> Item:
        """Add a new item of ours at the end."""
        return self._add(Item(self.generate_id(), kind, state))

    def insert(self, index: int, kind: ItemKind, state: BubbleState) -> Item:
        """Add a new item of ours at a place. Only while there is `room`."""
        item = self.create(kind, state)
        self._order.insert(index, self._order.pop())
        return item

    def mark_unconfirmed(self, item: Item) -> None:
        """Expect the server's confirmation: its next item with that text is this one."""
        self._unconfirmed.append(item.id)

    def unconfirmed(self) -> list[Item]:
        """Return the items that the server was asked to create and has not confirmed."""
        return [item for item_id in self._unconfirmed if (item := self._items.get(item_id)) is not None]

    def set_previous(self, item: Item, previous_item_id: str) -> None:
        """Put an item after another one. "" says nothing: some servers never name it."""
        if not previous_item_id:
            return
        before = self._id_aliases.get(previous_item_id, previous_item_id)
        if before == item.id:
            return
        self._previous_ids[item.id] = before
        if before in self._items:
            self._move_after(before, item.id)
        elif len(self._followers) < MAX_UNRESOLVED:
            self._followers[before] = item.id

    def _move_after(self, before: str, item_id: str) -> None:
        """Move an item behind another one, together with the items that are linked to it one by one."""
        start = self._order.index(item_id)
        end = start + 1
        while end < len(self._order) and self._previous_ids.get(self._order[end]) == self._order[end - 1]:
            end += 1
        chain = self._order[start:end]
        if before in chain:  # a server that links in a circle
            return
        del self._order[start:end]
        index = self._order.index(before) + 1
        self._order[index:index] = chain

    def _add(self, item: Item) -> Item:
        self._items[item.id] = item
        self._order.append(item.id)
        follower = self._followers.pop(item.id, None)
        if follower is not None and follower in self._items:
            self._move_after(item.id, follower)
        while len(self._order) > self._max_items:
            self.remove(self._items[self._order[0]])
        return item

    def remove(self, item: Item) -> None:
        """Remove an item."""
        del self._items[item.id]
        self._order.remove(item.id)
        self._previous_ids.pop(item.id, None)
        self._remove_aliases(item.id)

    def assign_new_id(self, item: Item) -> None:
        """Give an item a new id of ours, by which the server will know it too."""
        old, new = item.id, self.generate_id()
        self._order[self._order.index(old)] = new
        del self._items[old]
        self._previous_ids.pop(old, None)
        self._remove_aliases(old)
        item.id = new
        self._items[new] = item

    def _remove_aliases(self, item_id: str) -> None:
        self._id_aliases = {name: ours for name, ours in self._id_aliases.items() if ours != item_id}

    def generate_id(self) -> str:
        """Return a new id that no server chooses."""
        self._id_counter += 1
        return f"rvc_{self._id_counter:06d}"

    def reset_connection(self) -> None:
        """Drop the server's ids, links and confirmations before another connection."""
        self._followers.clear()
        self._previous_ids.clear()
        self._id_aliases.clear()
        self._unconfirmed.clear()

    def clear(self) -> None:
        """Remove all items."""
        self._items.clear()
        self._order.clear()
        self.reset_connection()


def choose_replayed_pictures(newest_first: Iterable[Item], max_pictures: int) -> None:
    """Choose the pictures that are replayed: of the newest message, and those that no server was sent."""
    with_pictures = [item for item in newest_first if any(each.can_be_sent for each in item.pictures)]
    for item in with_pictures:
        is_due = item is with_pictures[0] or all(each.times_sent == 0 for each in item.pictures)
        item.choose_pictures(is_due and len(item.pictures) <= max_pictures)
        max_pictures -= len(item.pictures) if item.has_pictures_there else 0
