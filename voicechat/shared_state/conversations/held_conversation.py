"""Held conversation: what this replica knows of one page's record in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from voicechat.session.conversation_store import FollowedPage, ResumeKey, VisitorRecord

from .conversation_seal import ConversationSeal
from .record_fields import FieldChanges, StoredState, build_changes


@dataclass(slots=True, eq=False)
class HeldConversation:
    """Conversation that this replica has taken over, or is to take over when Redis answers."""

    key: ResumeKey
    holder: str
    """Replica and number of the take-over."""
    opened_at: float
    """Time of the take-over, in seconds of the store's clock."""
    epoch: int | None = None
    """Epoch of the take-over; None while Redis has not answered."""
    page: FollowedPage | None = None
    """Page whose record is written; None between the take-over and the opening of the page."""
    final_record: VisitorRecord | None = None
    """Record of the closed page that is to be written."""
    is_read: bool = False
    """What Redis had at the opening of the page is here, or was erased. Until then nothing is written over it."""
    may_be_stored: bool = True
    """Redis may have a record; False once it has said that there was none, and none was sent."""
    is_erasure_due: bool = False
    stored: StoredState | None = None
    """What Redis holds; None when it is unknown: the next write is whole."""
    stored_version: object = None
    """Version of the page that Redis holds."""
    skipped_version: object = None
    """Version of the page for which there was no room."""
    revision: int = 0
    """Number of the newest write that was sent."""
    changed_at: float = 0.0
    """Time of the newest write."""
    byte_count: int = 0
    """Sealed bytes that Redis holds."""
    field_sizes: dict[str, int] = field(default_factory=dict)
    """The same by field."""
    seal: ConversationSeal = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.seal = ConversationSeal(self.key)
        self.changed_at = self.opened_at

    @property
    def is_write_due(self) -> bool:
        """The record may have changed since the newest write."""
        if self.final_record is not None:
            return True
        return self._page_version not in (None, self.stored_version, self.skipped_version)

    @property
    def _page_version(self) -> object:
        return self.page.version if self.page is not None else None

    @property
    def is_open(self) -> bool:
        """The page's session exists: there may be more to write."""
        return self._page_version is not None

    def next_changes(self) -> tuple[VisitorRecord, FieldChanges, object]:
        """Return the newest record, its changes since the newest write, and the page's version that it has.

        Only while a write is due.
        """
        version, record = None, self.final_record
        if record is None:
            assert self.page is not None
            version, record = self.page.version, self.page.to_record()
        return record, build_changes(self.stored, record), version

    def note_written(self, record: VisitorRecord, version: object) -> None:
        """Note that Redis holds this record, which has this version of the page."""
        self.stored_version = version
        if self.final_record is record:
            self.final_record = None

    def note_sizes(self, written: Mapping[str, int], removed: Collection[str], *, is_whole: bool) -> None:
        """Note the sealed bytes of the fields that were written, alone or beside those that Redis has, and removed."""
        if is_whole:
            self.field_sizes = {}
        for name in removed:
            self.field_sizes.pop(name, None)
        self.field_sizes.update(written)
        self.byte_count = sum(self.field_sizes.values())

    def note_erased(self) -> None:
        """Note that Redis holds nothing, or something unknown that the next write replaces whole."""
        self.forget_stored()
        self.note_sizes({}, (), is_whole=True)

    def forget_stored(self) -> None:
        """Note that Redis may hold anything, or nothing. What is known here is written whole."""
        self.stored = self.stored_version = None

    def claim_again(self, opened_at: float) -> None:
        """Take over again with the next write: an earlier attempt of this replica was late, or failed."""
        self.epoch, self.opened_at = None, opened_at

    def drop_contents(self) -> None:
        """Erase the record in Redis next. Later changes of the page are written again."""
        self.final_record = None
        self.is_erasure_due = True

    def skip(self) -> None:
        """Erase the record in Redis next: the room is needed for others."""
        self.note_sizes({}, (), is_whole=True)
        self.skipped_version = self._page_version
        self.drop_contents()


def find_excess(conversations: Collection[HeldConversation], max_bytes: int) -> list[HeldConversation]:
    """Return the conversations that make room for the others, until the rest has at most `max_bytes`.

    Each is the one that was changed longest ago of the browser that has the most.
    """
    excess_bytes = sum(held.byte_count for held in conversations) - max_bytes
    if excess_bytes <= 0:
        return []
    totals: Counter[str] = Counter()
    kept: dict[str, list[HeldConversation]] = {}
    for held in sorted(conversations, key=lambda held: held.changed_at, reverse=True):
        totals[held.key.owner] += held.byte_count
        if held.byte_count:
            kept.setdefault(held.key.owner, []).append(held)
    found = []
    while excess_bytes > 0:
        ((largest, _),) = totals.most_common(1)
        oldest = kept[largest].pop()
        totals[largest] -= oldest.byte_count
        excess_bytes -= oldest.byte_count
        found.append(oldest)
    return found
