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
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count

from voicechat.logs import error_location
from voicechat.session.conversation_store import (
    FollowedPage,
    InMemoryConversationStore,
    ResumeKey,
    VisitorRecord,
)
from voicechat.shared_state.redis_connection import Argument, RedisConnection, SharedStateUnavailable

from .conversation_scripts import ERASE, FORGET_OWNER, PLAIN_FIELDS, TAKE_OVER, WRITE, ScriptOutcome
from .conversation_seal import hash_name
from .held_conversation import HeldConversation
from .record_fields import MAX_FIELD_BYTES, MAX_RECORD_BYTES, MAX_RECORD_FIELDS, FieldChanges, parse_fields

log = logging.getLogger(__name__)

WRITE_INTERVAL_S = 0.5
"""Seconds between two writes of the changed conversations."""
CLOSE_TIMEOUT_S = 2.0
"""Seconds for the last writes when the app ends."""
FENCE_MS = 600_000
"""Milliseconds for which a page without a record is known to Redis, so that the replica before it writes nothing."""
TAKE_OVER_MS = 300
"""Milliseconds in which Redis must carry out a take-over. A later one might undo that of another replica."""
MAX_PAGES_PER_OWNER = 50
"""Conversations of one browser in Redis. The one that was changed longest ago makes room."""
MAX_HELD_BYTES = 64_000_000
"""Sealed bytes of all conversations that this replica holds. Beyond it, the browser with the most loses its oldest."""
MAX_OWNERS_TO_FORGET = 1000
"""Browsers that are to be erased once Redis answers. Beyond it, the expiry erases them."""


class RedisConversationStore:
    """Conversation store of one replica: its own in memory, and what all replicas share in Redis."""

    def __init__(
        self,
        connection: RedisConnection,
        local: InMemoryConversationStore,
        ttl_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        """`ttl_s`: seconds after the last change for which Redis keeps a record."""
        self._connection = connection
        self._local = local
        self._ttl_s = ttl_s
        self._clock = clock
        self._max_held_bytes = max_held_bytes
        self._replica = secrets.token_hex(8)
        self._numbers = count(1)
        self._held: dict[ResumeKey, HeldConversation] = {}
        self._owners_to_forget: dict[str, None] = {}
        self._urgent = asyncio.Event()
        """An erasure is due: it does not wait for the next write."""
        self._is_ending = self._is_closing = False
        self._channel = connection.key("conversations")
        connection.subscribe(self._channel, self._on_message)
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
                self._held.setdefault(key, held).claim_again(self._clock())
                return
        try:
            before, stored_holder, fields = await self._take_over(held, age_s=0.0)
        except SharedStateUnavailable:
            self._held.setdefault(key, held).claim_again(self._clock())
            return
        except Exception as error:  # the page starts without a record
            log.error("conversations: internal error error=%s", error_location(error))
            return
        current = self._held.get(key)
        if current is not None and (current.epoch or 0) > (held.epoch or 0):
            return  # the page was loaded twice, and the other load came later
        is_stale = current is not None and current.epoch is not None and before > current.epoch
        if current is not None and is_stale and not self._is_own(stored_holder):
            self._lose(current)  # another replica had the page meanwhile
        self._held[key] = held
        record = self._unseal(held, fields)
        if record is not None and key not in self._local:
            self._local.put(key, record)

    def _is_to_be_erased(self, key: ResumeKey) -> bool:
        held = self._held.get(key)
        return key.owner in self._owners_to_forget or (held is not None and held.is_erasure_due)

    def _new_held(self, key: ResumeKey) -> HeldConversation:
        return HeldConversation(key, f"{self._replica}.{next(self._numbers)}", self._clock())

    def _is_own(self, holder: str) -> bool:
        return holder.split(".")[0] == self._replica

    def _unseal(self, held: HeldConversation, fields: dict[bytes, bytes]) -> VisitorRecord | None:
        """Return the record in the fields of a hash; None without one, or for one that was not sealed by this page."""
        sealed = {name: value for name, value in fields.items() if name not in PLAIN_FIELDS}
        if not sealed:
            return None
        try:
            if max(map(len, sealed.values())) > MAX_FIELD_BYTES or sum(map(len, sealed.values())) > MAX_RECORD_BYTES:
                raise ValueError("a record beyond the limits")
            names = {name: name.decode() for name in sealed}
            return parse_fields({names[name]: held.seal.unseal(names[name], value) for name, value in sealed.items()})
        except ValueError as error:
            log.warning("conversations: record ignored error=%s", error_location(error))
            return None

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
            await (self.write_changes() if is_write_due else self._erase_due())
        await self.write_changes()

    async def write_changes(self) -> None:
        """Erase in Redis what is to be erased, and write what has changed. Never raises."""
        await self._erase_due()
        await self._for_each_held(lambda held: held.is_write_due, self._write)
        self._drop_expired()

    async def _erase_due(self) -> None:
        with suppress(SharedStateUnavailable):
            for owner in list(self._owners_to_forget):
                await self._forget_owner(owner)
        await self._for_each_held(lambda held: held.is_erasure_due, self._erase)

    async def _for_each_held(
        self, is_due: Callable[[HeldConversation], bool], do: Callable[[HeldConversation], Awaitable[None]]
    ) -> None:
        for held in list(self._held.values()):
            try:
                if self._held.get(held.key) is held and is_due(held):
                    await do(held)
                    await asyncio.sleep(0)  # frames of calls come first
            except SharedStateUnavailable:
                return
            except Exception as error:  # one record must not keep the others from being written
                held.forget_stored()
                log.error("conversations: internal error error=%s", error_location(error))

    async def _write(self, held: HeldConversation) -> None:
        record, changes, version = held.next_changes()
        if record.is_empty:
            if held.stored_version is None or held.stored is not None:
                await self._erase(held)
            held.note_written(record, version)
            return
        outcome = await self._send_changes(held, changes)
        if outcome is ScriptOutcome.BASE_MISSING:
            held.forget_stored()
            record, changes, version = held.next_changes()
            outcome = await self._send_changes(held, changes)
        if outcome is ScriptOutcome.DONE:
            held.note_written(record, version)

    async def _send_changes(self, held: HeldConversation, changes: FieldChanges) -> ScriptOutcome:
        """Send the changes, and note what Redis holds then. Raises SharedStateUnavailable."""
        if changes.is_empty:
            held.stored = changes.state
            return ScriptOutcome.DONE
        is_whole = held.stored is None
        base = -1 if is_whole else held.revision
        sealed = {name: held.seal.seal(name, text.encode("utf-8", "replace")) for name, text in changes.written.items()}
        held.stored = None  # unknown until Redis has answered
        held.may_be_stored = True
        held.revision += 1
        limits: list[Argument] = [base, self._ttl_ms, MAX_PAGES_PER_OWNER, self._connection.key("conversation", "")]
        values = [len(changes.removed), *changes.removed, *(part for pair in sealed.items() for part in pair)]
        outcome = await self._run_held_script(held, WRITE, [*limits, *values])
        if outcome is ScriptOutcome.DONE:
            written = sum(map(len, sealed.values()))
            held.byte_count = written if is_whole else held.byte_count + written
            held.stored = changes.state
            held.changed_at = self._clock()
            self._limit_bytes()
        return outcome

    async def _erase(self, held: HeldConversation) -> None:
        held.forget_stored()
        held.byte_count = 0
        if held.may_be_stored:
            held.is_erasure_due = True
            held.revision += 1
            await self._run_held_script(held, ERASE, [self._ttl_ms])
        held.is_erasure_due = False

    async def _run_held_script(
        self, held: HeldConversation, source: str, arguments: Sequence[Argument]
    ) -> ScriptOutcome:
        """Run a script of the holder. One that is fenced loses the conversation. Raises SharedStateUnavailable."""
        if held.epoch is None:
            await self._take_over(held, age_s=max(0.001, self._clock() - held.opened_at))
            if held.epoch is None:
                return ScriptOutcome.FENCED
        keys = [self._conversation_key(held), self._owner_key(held)]
        first: list[Argument] = [held.holder, held.seal.name, held.epoch, held.revision]
        answer = await self._connection.run_script(source, keys, [*first, *arguments])
        outcome = ScriptOutcome(answer[0])
        if outcome is ScriptOutcome.FENCED:
            self._on_fenced(held, _decode(answer[1]))
        return outcome

    async def _forget_owner(self, owner: str) -> None:
        arguments: list[Argument] = [f"{self._replica}.0", self._ttl_ms, self._connection.key("conversation", "")]
        keys = [self._connection.key("conversation-owner", hash_name("owner", owner)), self._channel]
        erased = await self._connection.run_script(FORGET_OWNER, keys, arguments)
        self._owners_to_forget.pop(owner, None)
        epochs = {name.decode(): int(epoch) for name, epoch in zip(erased[::2], erased[1::2], strict=True)}
        for held in self._held.values():
            if held.key.owner == owner and held.seal.name in epochs:
                held.epoch = epochs[held.seal.name]
                held.is_erasure_due = False
                held.forget_stored()

    # ---------------------------------------------------------------- holder

    async def _take_over(self, held: HeldConversation, *, age_s: float) -> tuple[int, str, dict[bytes, bytes]]:
        """Become the holder, unless another take-over is newer. Return the epoch and the holder before, and the fields.

        `age_s`: seconds since the page was opened; 0: now. Raises SharedStateUnavailable.
        """
        seconds, microseconds = await self._connection.request(lambda client: client.time())
        latest = 1000 * seconds + microseconds // 1000 + TAKE_OVER_MS
        answer = await self._connection.run_script(
            TAKE_OVER,
            [self._conversation_key(held), self._channel, self._owner_key(held)],
            [held.holder, held.seal.name, round(1000 * age_s), MAX_RECORD_FIELDS + len(PLAIN_FIELDS), FENCE_MS, latest],
        )
        if ScriptOutcome(answer[0]) is ScriptOutcome.LATE:
            raise SharedStateUnavailable
        if ScriptOutcome(answer[0]) is ScriptOutcome.FENCED:
            self._on_fenced(held, _decode(answer[1]))
            return 0, "", {}
        _, before, epoch, holder, fields = answer
        found = dict(zip(fields[::2], fields[1::2], strict=True))
        held.epoch = int(epoch)
        held.may_be_stored = held.revision > 0 or found.keys() != PLAIN_FIELDS
        return int(before), _decode(holder), found

    def _on_fenced(self, held: HeldConversation, holder: str) -> None:
        if self._is_own(holder):  # the page is being loaded again here, or Redis was slow to carry out a take-over
            held.claim_again(self._clock())
        else:
            self._lose(held)

    def _on_message(self, message: bytes) -> None:
        """Take the message of a take-over: name, epoch and holder."""
        name, _, rest = _decode(message).partition(" ")
        epoch, _, holder = rest.partition(" ")
        if not epoch.isdigit() or self._is_own(holder):
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

    async def _on_return(self) -> None:
        """Write all conversations whole: Redis may have been restarted empty."""
        for held in self._held.values():
            held.forget_stored()

    # ---------------------------------------------------------------- limits

    @property
    def _ttl_ms(self) -> int:
        return round(1000 * self._ttl_s)

    def _conversation_key(self, held: HeldConversation) -> str:
        return self._connection.key("conversation", held.seal.name)

    def _owner_key(self, held: HeldConversation) -> str:
        return self._connection.key("conversation-owner", held.seal.owner_name)

    def _drop_expired(self) -> None:
        """Drop what is known of pages that have ended, and whose records have expired."""
        for key, held in list(self._held.items()):
            if not held.is_open and not held.is_erasure_due and self._clock() - held.changed_at > self._ttl_s:
                del self._held[key]

    def _limit_bytes(self) -> None:
        totals: Counter[str] = Counter()
        for held in self._held.values():
            totals[held.key.owner] += held.byte_count
        while totals.total() > self._max_held_bytes:
            ((largest, _),) = totals.most_common(1)
            owned = (held for held in self._held.values() if held.key.owner == largest and held.byte_count)
            oldest = min(owned, key=lambda held: held.changed_at)
            totals[largest] -= oldest.byte_count
            oldest.skip()
            self._urgent.set()


def _decode(word: bytes) -> str:
    return word.decode("ascii", "replace")
