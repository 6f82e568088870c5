"""Conversation store: the records of closed pages, each kept until its page opens again or the record expires.

A page is identified by a random token, which its tab keeps in `sessionStorage`, together with the browser's cookie. The
store in memory serves one process. `voicechat/shared_state` has one that several replicas share: it also keeps the
records of open pages, because a replica may die.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

from voicechat.audio.recording import Recording
from voicechat.config.call_preferences import CallPreferences
from voicechat.conversation.record import ConversationRecord

MIN_TOKEN_CHARS, MAX_TOKEN_CHARS = 32, 128
MAX_CHARS = 20_000_000
"""Characters of all records kept. Beyond it, the visitor who takes most of them loses their oldest record."""
MIN_RECORD_CHARS = 40_000
"""Characters for which a record counts at least, so that at most 500 records are kept."""
MAX_ACCEPTED_MESSAGES = 50
"""Ids of typed messages that a page remembers, and a record keeps. A page sends one message at a time."""
MAX_RECORDINGS = 100
"""Recordings of all records. Each has two open files."""
MAX_RECORDING_BYTES = 1_000_000_000
"""Bytes of all recordings in the temporary folder, about 3 hours. Beyond a limit, the visitor with most of them loses
their oldest one, and keeps its text."""


@dataclass(frozen=True, slots=True)
class ResumeKey:
    """Key of a page. All parts are hashes: who reads the store learns neither the cookie nor the token."""

    owner: str
    """Browser, or address of a client without cookies."""
    page: str
    """Token of the page, for this owner alone."""
    secret: bytes = field(default=b"", repr=False, compare=False)
    """Hash of the token from which a shared store derives its key. It leaves this process in no form."""


@dataclass(frozen=True, slots=True)
class VisitorRecord:
    """Conversations, preferences and recording of a page, without the visitor's own key. The `repr` has no content."""

    voice: ConversationRecord = field(repr=False)
    text: ConversationRecord = field(repr=False)
    preferences: CallPreferences = field(repr=False)
    recording: Recording | None = None
    """Only in memory: a shared store leaves it out."""
    accepted_messages: tuple[str, ...] = field(default=(), repr=False)
    """Ids of the newest typed messages that were accepted. A browser's copy leaves them out."""
    reply_due_at: float = 0.0
    """Unix time in seconds at which a call still owed the reply to its last message; 0.0 when it owed none. A browser's
    copy leaves it out."""

    @property
    def is_empty(self) -> bool:
        """Whether no message, no sound and no changed preference is in it."""
        has_sound = self.recording is not None and self.recording.sample_count > 0
        return not (self.voice.items or self.text.items or has_sound) and self.preferences == CallPreferences()

    @property
    def char_count(self) -> int:
        """Characters of both conversations."""
        return self.voice.char_count + self.text.char_count

    def follow_up(self, earlier: VisitorRecord, *, may_overlap: bool) -> VisitorRecord:
        """Return this record with the messages of an earlier one before its own.

        `may_overlap`: this one began with messages of the earlier one.
        """
        return replace(
            self,
            voice=self.voice.follow_up(earlier.voice, may_overlap=may_overlap),
            text=self.text.follow_up(earlier.text, may_overlap=may_overlap),
            preferences=earlier.preferences if self.preferences == CallPreferences() else self.preferences,
            accepted_messages=tuple(dict.fromkeys((*earlier.accepted_messages, *self.accepted_messages))),
        )

    def discard(self) -> None:
        """Erase the recording for good."""
        if self.recording is not None:
            self.recording.close()


class FollowedPage(Protocol):
    """Open page, or one that may be used again, of which a shared store keeps the record up to date."""

    @property
    def version(self) -> object:
        """Differs once `to_record` may; None when the page's session was dropped."""

    def to_record(self) -> VisitorRecord:
        """Return the record as it is now. A reply under way is cut where playback stands."""

    def restore_earlier(self, record: VisitorRecord, *, may_overlap: bool) -> bool:
        """Add what the page had before, which came after it was opened. Return False when its session was dropped.

        `may_overlap`: the page began with messages of this record.
        """

    def on_taken_over(self) -> None:
        """End and erase what is here: another replica has the page now, or its browser has erased it there."""


class ConversationStore(Protocol):
    """Records by key."""

    @property
    def is_enabled(self) -> bool:
        """Whether records are kept at all."""

    def put(
        self, key: ResumeKey, record: VisitorRecord, visitor_key: str = "", on_expired: Callable[[], None] | None = None
    ) -> None:
        """Keep a record, in place of an older one with this key.

        `visitor_key`: visitor whose records are dropped first when theirs are the most; "": the owner. `on_expired`:
        called when the record is not kept, or no longer: its time is over, or the store is full. Not for `erase`.
        """

    async def fetch(self, key: ResumeKey) -> None:
        """Get the record that another replica has kept, for `take`. From now on this one holds it. Never raises."""

    def follow(self, key: ResumeKey, page: FollowedPage) -> None:
        """Keep the record of this page, in place of an older one with this key, for other replicas."""

    def take(self, key: ResumeKey) -> VisitorRecord | None:
        """Return a record and forget it; None without one, or when it has expired."""

    def erase(self, key: ResumeKey) -> None:
        """Forget a record, its recording included."""

    def erase_owner(self, owner: str) -> None:
        """Forget all records of an owner (`ResumeKey.owner`)."""

    def expire(self) -> None:
        """Erase the expired records."""

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        """Write changed records in this event loop. On exit, write the newest changes."""

    def close(self) -> None:
        """Erase what only this process holds."""


def resume_key(token: object, owner: str) -> ResumeKey | None:
    """Return the key of a page; None for a token that the page cannot have made.

    `owner`: `ClientIdentity.session_owner`. For the same token, another browser gets another key.
    """
    if not isinstance(token, str) or not MIN_TOKEN_CHARS <= len(token) <= MAX_TOKEN_CHARS:
        return None
    if not token.isalnum() or not token.isascii() or not owner:
        return None
    page = hmac.new(token.encode(), owner.encode(), hashlib.sha256).hexdigest()
    secret = hmac.new(token.encode(), f"seal {owner}".encode(), hashlib.sha256).digest()
    return ResumeKey(hashlib.sha256(owner.encode()).hexdigest(), page, secret)


@dataclass(frozen=True, slots=True)
class _KeptRecord:
    record: VisitorRecord
    expires_at: float
    visitor: str
    char_count: int
    on_expired: Callable[[], None]

    @property
    def recording_bytes(self) -> int:
        return self.record.recording.byte_count if self.record.recording is not None else 0


class InMemoryConversationStore:
    """Conversation store of one process."""

    def __init__(
        self,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_chars: int = MAX_CHARS,
        max_recordings: int = MAX_RECORDINGS,
        max_recording_bytes: int = MAX_RECORDING_BYTES,
    ) -> None:
        """`ttl_s`: seconds for which a record is kept; 0 keeps none. The limits: see `MAX_CHARS` and the others."""
        self._ttl_s = ttl_s
        self._clock = clock
        self._max_chars = max_chars
        self._max_recordings, self._max_recording_bytes = max_recordings, max_recording_bytes
        self._kept: OrderedDict[ResumeKey, _KeptRecord] = OrderedDict()
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: ResumeKey) -> bool:
        return key in self._kept

    @property
    def is_enabled(self) -> bool:
        return self._ttl_s > 0

    def put(
        self, key: ResumeKey, record: VisitorRecord, visitor_key: str = "", on_expired: Callable[[], None] | None = None
    ) -> None:
        older = self._kept.pop(key, None)
        if older is not None and older.record.recording is not record.recording:
            older.record.discard()
        if not self.is_enabled or record.is_empty:
            record.discard()
            (on_expired or _do_nothing)()
            return
        self._kept[key] = _KeptRecord(
            record,
            self._clock() + self._ttl_s,
            visitor_key or key.owner,
            max(record.char_count, MIN_RECORD_CHARS),
            on_expired or _do_nothing,
        )
        self.expire()
        self._limit_recordings()
        self._limit_chars()

    def _limit_recordings(self) -> None:
        sizes = {key: kept.recording_bytes for key, kept in self._kept.items() if kept.record.recording is not None}
        totals: Counter[str] = Counter()
        for key, size in sizes.items():
            totals[self._kept[key].visitor] += max(size, self._max_recording_bytes // self._max_recordings)
        while len(sizes) > self._max_recordings or sum(sizes.values()) > self._max_recording_bytes:
            ((largest, _),) = totals.most_common(1)
            oldest = next(key for key in sizes if self._kept[key].visitor == largest)
            kept = self._kept[oldest]
            totals[largest] -= max(sizes.pop(oldest), self._max_recording_bytes // self._max_recordings)
            kept.record.discard()
            self._kept[oldest] = replace(kept, record=replace(kept.record, recording=None))

    def _limit_chars(self) -> None:
        totals: Counter[str] = Counter()
        for kept in self._kept.values():
            totals[kept.visitor] += kept.char_count
        while totals.total() > self._max_chars:
            ((largest, _),) = totals.most_common(1)
            oldest = next(key for key, kept in self._kept.items() if kept.visitor == largest)
            totals[largest] -= self._kept[oldest].char_count
            self._drop(oldest)

    def _drop(self, key: ResumeKey) -> None:
        on_expired = self._kept[key].on_expired
        self.erase(key)
        on_expired()

    async def fetch(self, key: ResumeKey) -> None:
        pass  # no other process has any

    def follow(self, key: ResumeKey, page: FollowedPage) -> None:
        pass  # the page's own session has it

    def run_in_background(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def take(self, key: ResumeKey) -> VisitorRecord | None:
        self.expire()
        kept = self._kept.pop(key, None)
        return kept.record if kept is not None else None

    def erase(self, key: ResumeKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            kept.record.discard()

    def erase_owner(self, owner: str) -> None:
        for key in [key for key in self._kept if key.owner == owner]:
            self.erase(key)

    def expire(self) -> None:
        now = self._clock()
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if kept.expires_at > now:
                return
            self._drop(key)

    def close(self) -> None:
        while self._kept:
            self._drop(next(iter(self._kept)))


def _do_nothing() -> None:
    pass
