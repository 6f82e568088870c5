"""Page resume: a page that was reloaded, or lost its server's event stream, gets back its conversations.

Pages are known by their key. A page that opens with the key of another one takes over from it, even if that one still
seems open: the older page's call ends first, so that what was heard is final.

A closed page whose call goes on may have lost its requests only, and not its sound. The call ends when the page comes
back, or by its own checks when the browser has vanished. Then the record is stored.

With several replicas a page may open at another one: the shared store fetches the record, and this one erases its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, WeakValueDictionary, ref

from .conversation_store import ConversationStore, ResumeKey, VisitorRecord
from .picture_store import PictureStore
from .visitor import Visitor

EXPIRY_INTERVAL_S = 5.0
"""Seconds between two checks for ended calls and expired records."""
CLOCK_STEP_S = 2.0
"""Seconds of a call after which its time alone counts as a change for a shared store."""


class PageResume:
    """Pages with a key, and the store of the closed ones. One per app, used in the event loop of the calls."""

    def __init__(
        self,
        store: ConversationStore,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
        *,
        pictures: PictureStore | None = None,
    ) -> None:
        """`clock`: the clock of the calls. `pictures`: those of the pages, which expire and are forgotten with them."""
        self._pictures = pictures
        self._store = store
        self.clock = clock
        """Clock of the calls."""
        self._sleep = sleep
        self._pages: WeakValueDictionary[ResumeKey, Visitor] = WeakValueDictionary()
        """Newest page of each key, open or closed. Gradio forgets pages that vanish; then they are not kept here."""
        self._keys: WeakKeyDictionary[Visitor, ResumeKey] = WeakKeyDictionary()
        self._stored_versions: WeakKeyDictionary[Visitor, object] = WeakKeyDictionary()
        """Closed pages in the store. A closed page may be used again: a computer that slept keeps its session."""
        self._calls_without_page: dict[ResumeKey, Visitor] = {}
        """Closed pages whose call goes on: at most as many as there are calls."""
        self._calls_to_erase: set[Visitor] = set()
        """The same of pages that cannot be resumed."""

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Check regularly in this event loop for ended calls and expired records. On exit, erase all records here."""
        try:
            async with self._store.run_in_background():
                task = asyncio.create_task(self._run(), name="page resume")
                try:
                    yield
                finally:
                    task.cancel()
                    await asyncio.wait([task])
        finally:
            self._store.close()

    async def _run(self) -> None:
        while True:
            await self._sleep(EXPIRY_INTERVAL_S)
            self.expire()

    def expire(self) -> None:
        """Store the closed pages whose call has ended, and erase expired records and pictures."""
        for key, visitor in list(self._calls_without_page.items()):
            if not visitor.is_in_call:
                del self._calls_without_page[key]
                self._put_in_store(key, visitor)
        for visitor in [each for each in self._calls_to_erase if not each.is_in_call]:
            self._calls_to_erase.discard(visitor)
            visitor.erase()
        self._store.expire()
        if self._pictures is not None:
            self._pictures.expire()

    # ---------------------------------------------------------------- pages

    async def fetch(self, key: ResumeKey | None, visitor: Visitor) -> None:
        """Get what another replica has kept of the page with this key. Call it right before `open_page`."""
        if key is not None and self._may_open(visitor):
            await self._store.fetch(key)

    def _may_open(self, visitor: Visitor) -> bool:
        return self._store.is_enabled and visitor not in self._keys and not visitor.is_in_call

    def open_page(self, key: ResumeKey | None, visitor: Visitor) -> bool:
        """Give a new page's visitor what the page with this key had; return whether there was anything."""
        self.expire()
        if key is None or not self._may_open(visitor):
            return False
        self._calls_without_page.pop(key, None)
        previous = self._pages.get(key)
        self._pages[key] = visitor
        self._keys[visitor] = key
        visitor.resume_id = key.page
        record = self._take_record(key, previous)
        has_any = record is not None and not record.is_empty
        if record is not None and has_any:
            visitor.restore(record)
        visitor.erase_stored = partial(self._store.erase, key)
        self._store.follow(key, _FollowedVisitor(self, key, visitor))
        return has_any

    def _take_record(self, key: ResumeKey, previous: Visitor | None) -> VisitorRecord | None:
        """Return the record of a page, and separate the page from it."""
        record = self._store.take(key)
        if previous is None:
            return record
        if previous not in self._stored_versions or self._stored_versions[previous] != previous.version:
            stored, record = record, previous.to_record(self.clock())  # it is open, or was used after it was closed
            if stored is not None and stored.recording is not record.recording:
                stored.discard()
        previous.on_handed_over()
        self._keys.pop(previous, None)
        self._stored_versions.pop(previous, None)
        return record

    def on_late_record(self, key: ResumeKey, visitor: Visitor) -> None:
        """Note that a page has got what it had before: the shared store answered after it was opened."""
        if visitor in self._stored_versions:  # closed meanwhile
            self._put_in_store(key, visitor)

    def on_taken_over(self, key: ResumeKey, visitor: Visitor) -> None:
        """End and erase a page that another replica has now."""
        if self._keys.get(visitor) != key:
            return
        if self._calls_without_page.get(key) is visitor:
            del self._calls_without_page[key]
        if self._pages.get(key) is visitor:
            del self._pages[key]
        del self._keys[visitor]
        self._stored_versions.pop(visitor, None)
        visitor.on_taken_over()

    def close_page(self, visitor: Visitor) -> None:
        """Keep the record of a page that was closed."""
        visitor.end_chat()
        key = self._keys.get(visitor)
        if key is None:  # it cannot be resumed, or another page has taken over
            visitor.on_page_closed()
            if visitor.is_in_call:
                self._calls_to_erase.add(visitor)
            else:
                visitor.erase()
        elif visitor.is_in_call:
            self._calls_without_page[key] = visitor
        else:
            self._put_in_store(key, visitor)

    def _put_in_store(self, key: ResumeKey, visitor: Visitor) -> None:
        record = visitor.to_record(self.clock())
        self._stored_versions[visitor] = visitor.version
        self._store.put(key, record, visitor.visitor_key, partial(self._on_expired, ref(visitor)))

    def _on_expired(self, closed: ReferenceType[Visitor]) -> None:
        """Erase a closed page's session, which Gradio keeps for longer, unless it was used again."""
        visitor = closed()
        if visitor is None or self._stored_versions.get(visitor) != visitor.version or visitor.is_active:
            return
        visitor.erase()
        self._stored_versions[visitor] = visitor.version

    def forget(self, visitor: Visitor) -> None:
        """Erase everything that is kept of this page's owner: of all pages, open and closed."""
        visitor.erase()
        if self._pictures is not None:
            self._pictures.forget_owner(visitor.picture_owner)
        key = self._keys.get(visitor)
        if key is None:
            return
        for other, page in list(self._pages.items()):
            if other.owner == key.owner:
                self._calls_without_page.pop(other, None)
                page.erase()
        self._store.erase_owner(key.owner)


class _FollowedVisitor:
    """Page of a visitor, as a shared store follows it. It does not keep the visitor alive."""

    def __init__(self, resume: PageResume, key: ResumeKey, visitor: Visitor) -> None:
        self._resume = resume
        self._key = key
        self._visitor = ref(visitor)

    @property
    def version(self) -> object:
        visitor = self._visitor()
        return visitor.shared_version(self._resume.clock(), CLOCK_STEP_S) if visitor is not None else None

    def to_record(self) -> VisitorRecord:
        visitor = self._visitor() or Visitor()
        return visitor.to_record(self._resume.clock(), end_call=False)

    def restore_earlier(self, record: VisitorRecord, *, may_overlap: bool) -> bool:
        visitor = self._visitor()
        if visitor is not None:
            visitor.restore_earlier(record, may_overlap=may_overlap)
            self._resume.on_late_record(self._key, visitor)
        return visitor is not None

    def on_taken_over(self) -> None:
        visitor = self._visitor()
        if visitor is not None:
            self._resume.on_taken_over(self._key, visitor)
