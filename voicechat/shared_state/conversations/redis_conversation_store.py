"""Conversations in Redis: another replica goes on with a page whose replica has died.

Each page with a key is written behind: `WRITE_INTERVAL_S` after a change at the latest, the changed messages only, in a
background task. A call never waits for Redis, and loses at most that time of its transcript with its replica. A closed
page is also kept in memory, with its recording, for a reload at the same replica.

A page that opens takes over: the epoch of its conversation grows, and the replica that held it is refused from then on.
That replica, perhaps one that was frozen, ends the call and erases what it has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from voicechat.logs import error_location
from voicechat.session.conversation_store import (
    FollowedPage,
    InMemoryConversationStore,
    ResumeKey,
    VisitorRecord,
)
from voicechat.shared_state.redis_connection import RedisConnection, SharedStateFull, SharedStateUnavailable
from voicechat.shared_state.visitor_names import VisitorNames

from .conversation_requests import ConversationFenced, ConversationRequests, TakenOver, decode
from .held_conversation import HeldConversation, find_excess
from .overlapping_requests import MAX_AT_ONCE, request_each
from .record_fields import FieldChanges

log = logging.getLogger(__name__)

WRITE_INTERVAL_S = 0.5
"""Seconds between two writes of the changed conversations."""
FETCH_RETRIES, FETCH_RETRY_S = 10, 0.25
"""Times that a page which opens asks again, and seconds between them: longer than the pause after one failed request.
Redis that has been lost for longer is asked once."""
MAX_FETCH_S = 5.0
"""Seconds after which a page that opens does not ask again."""
CLOSE_TIMEOUT_S = 2.0
"""Seconds for the last writes when the app ends."""
MAX_HELD_BYTES = 64_000_000
"""Sealed bytes of all conversations that this replica holds. Beyond it, the browser with the most loses its oldest."""
MAX_OWNERS_TO_FORGET = 1000
"""Browsers that are to be erased once Redis answers. Beyond it, the expiry erases them."""
EXPIRY_INTERVAL_S = 10.0
"""Seconds between two searches for expired conversations."""


class RedisConversationStore:
    """Conversation store of one replica: its own in memory, and what all replicas share in Redis."""

    def __init__(
        self,
        connection: RedisConnection,
        names: VisitorNames,
        local: InMemoryConversationStore,
        ttl_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        max_held_bytes: int = MAX_HELD_BYTES,
        fetch_retries: int = FETCH_RETRIES,
    ) -> None:
        """`ttl_s`: seconds after the last change for which Redis keeps a record."""
        self._requests = ConversationRequests(connection, names, ttl_s)
        self._local = local
        self._ttl_s = ttl_s
        self._clock = clock
        self._sleep = sleep
        self._connection = connection
        self._lost_at: float | None = None
        """Time at which Redis was first seen not to answer; None while it answers."""
        self._max_held_bytes = max_held_bytes
        self._fetch_retries = fetch_retries
        self._held: dict[ResumeKey, HeldConversation] = {}
        self._owners_to_forget: dict[str, None] = {}
        self._is_full = False
        """Redis has refused a write of this pass for lack of memory. Erasures go on."""
        self._urgent = asyncio.Event()
        """An erasure is due: it does not wait for the next write."""
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._erasing = asyncio.Lock()  # a page that opens waits for the pass under way
        self._expiry_due_at = clock()
        self._is_ending = self._is_closing = False
        connection.subscribe(self._requests.channel, self._on_message)
        connection.on_return(self._on_return)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_enabled(self) -> bool:
        return self._local.is_enabled

    # ---------------------------------------------------------------- pages

    async def fetch(self, key: ResumeKey) -> None:
        held = self._new_held(key)
        if self._is_to_be_erased(key):
            await self._erase_due()
            if self._is_to_be_erased(key):  # Redis does not answer: the page must not get back what was erased
                self._held.setdefault(key, held).claim_again(held.opened_at)
                return
        try:
            found = await self._take_over_with_retries(held)
        except SharedStateUnavailable:  # the record comes later, with the first write
            held.is_read = key in self._local
            self._held.setdefault(key, held).claim_again(held.opened_at)
            return
        except Exception as error:  # the page starts without a record
            log.error("conversations: internal error error=%s", error_location(error))
            return
        held.is_read = True
        current = self._held.get(key)
        if current is not None and (current.epoch or 0) > (held.epoch or 0):
            return  # the page was loaded twice, and the other load came later
        is_stale = current is not None and current.epoch is not None and found.epoch > current.epoch
        is_forgotten = current is not None and current.epoch is not None and found.forgotten_at > current.epoch
        if current is not None and (is_forgotten or (is_stale and not self._requests.is_own(found.holder))):
            self._lose(current)  # another replica had the page meanwhile, or its browser was forgotten there
        elif current is not None and current.epoch is None:
            self._restore_late(current, found)
        self._held[key] = held
        record = found.unseal(held.seal)
        if record is not None and key not in self._local:
            self._local.put(key, record)

    async def _take_over_with_retries(self, held: HeldConversation) -> TakenOver:
        """Take over a page that opens. Two failed requests of any kind close the connection for a moment."""
        began_at = self._clock()
        for remaining in reversed(range(self._fetch_retries + 1)):
            try:
                found = await self._requests.take_over(held)
            except SharedStateFull:  # it has nothing of this page
                raise
            except SharedStateUnavailable:
                self._note_connection()
                if self._is_known_lost or not remaining or self._clock() - began_at >= MAX_FETCH_S:
                    raise
            else:
                self._lost_at = None
                return found
            await self._sleep(FETCH_RETRY_S)
        raise AssertionError("unreachable")

    def _note_connection(self) -> None:
        if self._connection.is_reachable:
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = self._clock()

    @property
    def _is_known_lost(self) -> bool:
        return self._lost_at is not None and self._clock() - self._lost_at >= FETCH_RETRIES * FETCH_RETRY_S

    def _is_to_be_erased(self, key: ResumeKey) -> bool:
        held = self._held.get(key)
        return key.owner in self._owners_to_forget or (held is not None and held.is_erasure_due)

    def _new_held(self, key: ResumeKey) -> HeldConversation:
        return HeldConversation(key, self._requests.next_holder(), self._clock())

    def follow(self, key: ResumeKey, page: FollowedPage) -> None:
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = self._new_held(key)
        held.page, held.final_record = page, None
        held.stored_version = None

    def put(
        self, key: ResumeKey, record: VisitorRecord, visitor_key: str = "", on_expired: Callable[[], None] | None = None
    ) -> None:
        held = self._held.get(key)
        if held is not None:
            held.final_record = replace(record, recording=None)
            if record.is_empty and not held.is_read:  # what it had before is not here yet, and must not be erased
                record.discard()
                return
        self._local.put(key, record, visitor_key, on_expired)  # it may erase at once what it has no room for

    def take(self, key: ResumeKey) -> VisitorRecord | None:
        return self._local.take(key)

    def erase(self, key: ResumeKey) -> None:
        self._local.erase(key)
        held = self._held.get(key)
        if held is not None and not self._is_closing:
            held.drop_contents()
            self._urgent.set()

    def erase_owner(self, owner: str) -> None:
        self._local.erase_owner(owner)
        for held in self._held.values():
            if held.key.owner == owner:
                held.drop_contents()
        if len(self._owners_to_forget) < MAX_OWNERS_TO_FORGET:
            self._owners_to_forget[owner] = None
        self._urgent.set()

    def expire(self) -> None:
        self._local.expire()

    def close(self) -> None:
        self._is_closing = True  # Redis keeps what this replica had, for the next one
        self._local.close()

    # ---------------------------------------------------------------- writing behind

    @asynccontextmanager
    async def run_in_background(self) -> AsyncIterator[None]:
        """Write changed records in this event loop. On exit, write the newest changes."""
        task = asyncio.create_task(self._run(), name="conversations")
        try:
            yield
        finally:
            self._is_ending = True
            self._urgent.set()  # not in the middle of a write, of which Redis may have carried out nothing or all
            await asyncio.wait([task], timeout=CLOSE_TIMEOUT_S)
            task.cancel()

    async def _run(self) -> None:
        due_at = self._clock()
        while not self._is_ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due_at - self._clock())):
                    await self._urgent.wait()
            self._urgent.clear()
            is_write_due = self._clock() >= due_at
            if is_write_due:
                due_at = self._clock() + WRITE_INTERVAL_S
            try:
                await (self.write_changes() if is_write_due else self._erase_due())
            except Exception as error:  # a fault must not end all writing
                log.error("conversations: internal error error=%s", error_location(error))
        await self.write_changes()

    async def write_changes(self) -> None:
        """Erase in Redis what is to be erased, and write what has changed. Never raises."""
        self._is_full = False
        await self._erase_due()
        self._note_connection()
        await self._for_each_held(self._is_write_due, self._write)
        self._limit_bytes()
        if self._clock() >= self._expiry_due_at:
            self._expiry_due_at = self._clock() + EXPIRY_INTERVAL_S
            self._drop_expired()

    def _is_write_due(self, held: HeldConversation) -> bool:
        return held.is_write_due and not self._is_to_be_erased(held.key)

    async def _erase_due(self) -> None:
        async with self._erasing:
            with suppress(SharedStateUnavailable):
                for owner in list(self._owners_to_forget):
                    await self._forget_owner(owner)
            await self._for_each_held(lambda held: held.is_erasure_due, self._erase)

    async def _for_each_held(
        self, is_due: Callable[[HeldConversation], bool], do: Callable[[HeldConversation], Awaitable[None]]
    ) -> None:
        """Do it for each conversation that is due, until Redis does not answer."""
        held = list(self._held.values())
        await request_each(
            held, lambda one: self._held.get(one.key) is one and is_due(one), do, self._on_failure, slots=self._slots
        )

    def _on_failure(self, held: HeldConversation, error: Exception) -> bool:
        """Note that a conversation was not written or erased; return whether Redis does not answer."""
        if isinstance(error, ConversationFenced):
            try:
                self._on_fenced(held, error.holder)
            except Exception as fault:
                log.error("conversations: internal error error=%s", error_location(fault))
        elif isinstance(error, SharedStateFull):
            self._is_full = True
        elif isinstance(error, SharedStateUnavailable):
            return True
        else:  # one record must not keep the others from being written
            held.forget_stored()
            log.error("conversations: internal error error=%s", error_location(error))
        return False

    async def _write(self, held: HeldConversation) -> None:
        if self._is_full and (held.epoch is None or not held.next_changes()[0].is_empty):
            return
        if held.epoch is None:
            self._restore_late(held, await self._claim(held))
        record, changes, version = held.next_changes()
        if record.is_empty:
            if held.stored_version is None or held.stored is not None:
                await self._erase(held)
            held.note_written(record, version)
            return
        if not await self._send_changes(held, changes):
            held.forget_stored()
            record, changes, version = held.next_changes()
            if record.is_empty or held.is_erasure_due or not await self._send_changes(held, changes):
                return
        held.note_written(record, version)

    async def _send_changes(self, held: HeldConversation, changes: FieldChanges) -> bool:
        """Send the changes, and note what Redis holds then; False when it does not hold what they are based on."""
        if changes.is_empty:
            held.stored = changes.state
            return True
        if not await self._requests.write(held, changes):
            return False
        held.changed_at = self._clock()
        return True

    async def _erase(self, held: HeldConversation) -> None:
        held.note_erased()
        if held.may_be_stored:
            held.is_erasure_due = True
            if held.epoch is None:
                await self._claim(held)
            await self._requests.erase(held)
            held.note_erased()  # a write may have been answered meanwhile
        held.is_erasure_due, held.is_read = False, True

    async def _forget_owner(self, owner: str) -> None:
        owned = [held.seal.name for held in self._held.values() if held.key.owner == owner]
        epochs = await self._requests.forget_owner(owner, owned)
        self._owners_to_forget.pop(owner, None)
        for held in self._held.values():
            if held.key.owner == owner and held.seal.name in epochs:
                held.epoch = epochs[held.seal.name]
                held.revision += 1
                held.is_erasure_due, held.is_read = False, True
                held.forget_stored()

    # ---------------------------------------------------------------- holder

    async def _claim(self, held: HeldConversation) -> TakenOver:
        """Take over a page that was opened a while ago."""
        return await self._requests.take_over(held, age_s=max(0.001, self._clock() - held.opened_at))

    def _restore_late(self, held: HeldConversation, found: TakenOver) -> None:
        """Add to the page what Redis had of it, unless that is what this replica wrote itself."""
        may_overlap, held.is_read = held.is_read, True
        record = found.unseal(held.seal) if not may_overlap or found.holder != held.holder else None
        if record is None:
            return
        log.info("conversations: record came after its page was opened")
        if held.page is not None and held.page.restore_earlier(record, may_overlap=may_overlap):
            return
        if held.final_record is not None:  # the page was closed, and its session dropped
            held.final_record = held.final_record.follow_up(record, may_overlap=may_overlap)
            kept = self._local.take(held.key)
            if kept is not None:
                self._local.put(held.key, kept.follow_up(record, may_overlap=may_overlap))

    def _on_fenced(self, held: HeldConversation, holder: str) -> None:
        if self._requests.is_own(holder):  # the page is loaded again here, or Redis was slow to carry out a take-over
            held.claim_again(self._clock())
        else:
            self._lose(held)

    def _on_message(self, message: bytes) -> None:
        """Take the message of a take-over: name, epoch and holder."""
        name, _, rest = decode(message).partition(" ")
        epoch, _, holder = rest.partition(" ")
        if not epoch.isdigit() or self._requests.is_own(holder):
            return
        for held in list(self._held.values()):
            if held.seal.name == name and held.epoch is not None and held.epoch < int(epoch):
                self._lose(held)

    def _lose(self, held: HeldConversation) -> None:
        """Erase here what another replica has now, and end its call."""
        if self._held.get(held.key) is not held:
            return
        del self._held[held.key]
        log.info("conversations: taken over by another replica")
        self._local.erase(held.key)
        if held.page is not None:
            held.page.on_taken_over()

    def _on_return(self) -> None:
        """Write all conversations whole: Redis may have been restarted empty."""
        for held in self._held.values():
            held.forget_stored()

    # ---------------------------------------------------------------- limits

    def _drop_expired(self) -> None:
        """Drop what is known of pages that have ended, and whose records have expired."""
        for key, held in list(self._held.items()):
            if not held.is_open and not held.is_erasure_due and self._clock() - held.changed_at > self._ttl_s:
                del self._held[key]

    def _limit_bytes(self) -> None:
        for held in find_excess(self._held.values(), self._max_held_bytes):
            held.skip()
            self._urgent.set()
