"""Conversation requests: what a replica asks of Redis, by the scripts."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from voicechat.logs import error_location
from voicechat.session.conversation_store import VisitorRecord
from voicechat.shared_state.redis_connection import Argument, RedisConnection, SharedStateFull, SharedStateUnavailable
from voicechat.shared_state.visitor_names import VisitorNames

from .conversation_scripts import ERASE, FORGET_OWNER, PLAIN_FIELDS, TAKE_OVER, WRITE, ScriptOutcome
from .conversation_seal import ConversationSeal
from .held_conversation import HeldConversation
from .record_fields import MAX_FIELD_BYTES, MAX_RECORD_BYTES, MAX_RECORD_FIELDS, FieldChanges, parse_fields

log = logging.getLogger(__name__)

FENCE_MS = 600_000
"""Milliseconds for which a page without a record is known to Redis, so that the replica before it writes nothing."""
TAKE_OVER_MS = 1500
"""Milliseconds in which Redis must carry out a take-over: a round trip and the lag of a busy event loop. A later one
might undo that of another replica, to which no page goes sooner."""
MAX_LATE_TAKE_OVERS = 3
"""Take-overs in a row that Redis may find too late. Each that is refused is sent again at once."""
MAX_PAGES_PER_OWNER = 50
"""Conversations of one browser in Redis. The one that was changed longest ago makes room."""


class ConversationFenced(Exception):
    """Another take-over of the conversation is newer."""

    def __init__(self, holder: str) -> None:
        super().__init__()
        self.holder = holder


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What Redis had of a conversation that this replica has taken over."""

    epoch: int
    """Epoch before."""
    holder: str
    """Holder before; "" without one."""
    fields: dict[bytes, bytes] = field(repr=False)
    forgotten_at: int = 0
    """Epoch from which on the browser has conversations: older ones were erased."""

    def unseal(self, seal: ConversationSeal) -> VisitorRecord | None:
        """Return the record; None without one, or for one that was not sealed by this page."""
        sealed = {name: value for name, value in self.fields.items() if name not in PLAIN_FIELDS}
        if not sealed:
            return None
        try:
            if max(map(len, sealed.values())) > MAX_FIELD_BYTES or sum(map(len, sealed.values())) > MAX_RECORD_BYTES:
                raise ValueError("a record beyond the limits")
            names = {name: name.decode() for name in sealed}
            return parse_fields({names[name]: seal.unseal(names[name], value) for name, value in sealed.items()})
        except ValueError as error:
            log.warning("conversations: record ignored error=%s", error_location(error))
            return None


class ConversationRequests:
    """Requests of one replica. Each raises `SharedStateUnavailable` without an answer."""

    def __init__(self, connection: RedisConnection, names: VisitorNames, ttl_s: float) -> None:
        """`ttl_s`: seconds after the last change for which Redis keeps a record."""
        self._connection = connection
        self._names = names
        self._ttl_ms = round(1000 * ttl_s)
        self._replica = secrets.token_hex(8)
        self._numbers = count(1)
        self.channel = connection.key("conversations")
        """Channel of the take-overs."""

    def next_holder(self) -> str:
        """Return the name of the next take-over by this replica."""
        return f"{self._replica}.{next(self._numbers)}"

    def is_own(self, holder: str) -> bool:
        """Return whether a take-over was this replica's."""
        return holder.split(".")[0] == self._replica

    async def take_over(self, held: HeldConversation, *, age_s: float = 0.0) -> TakenOver:
        """Become the holder, unless another take-over is newer. Raises `ConversationFenced`.

        `age_s`: seconds since the page was opened; 0: now.
        """
        await self._agree_again()
        seconds, microseconds = await self._connection.request(lambda client: client.time())
        keys = [self._conversation_key(held), self.channel, self._owner_key(held.key.owner)]
        first: list[Argument] = [held.holder, held.seal.name, round(1000 * age_s)]
        rest: list[Argument] = [MAX_RECORD_FIELDS + len(PLAIN_FIELDS), FENCE_MS]
        time_ms = 1000 * seconds + microseconds // 1000
        for _ in range(MAX_LATE_TAKE_OVERS):
            answer = await self._connection.run_script(TAKE_OVER, keys, [*first, *rest, time_ms + TAKE_OVER_MS])
            if ScriptOutcome(answer[0]) is not ScriptOutcome.LATE:
                break
            time_ms = int(answer[1])
        else:
            raise SharedStateUnavailable
        if ScriptOutcome(answer[0]) is ScriptOutcome.FENCED:
            raise ConversationFenced(decode(answer[1]))
        _, before, epoch, holder, fields, forgotten_at = answer
        found = dict(zip(fields[::2], fields[1::2], strict=True))
        held.epoch = int(epoch)
        held.may_be_stored = held.revision > 0 or found.keys() != PLAIN_FIELDS
        return TakenOver(int(before), decode(holder), found, int(float(forgotten_at)))

    async def write(self, held: HeldConversation, changes: FieldChanges) -> bool:
        """Write the changes; return False when Redis does not hold what they are based on.

        Raises `ConversationFenced`, and `SharedStateFull`, after which Redis holds what it did.
        """
        is_whole = held.stored is None
        if is_whole:  # else Redis was not emptied: it holds what the changes are based on
            await self._agree_again()
        base = -1 if is_whole else held.revision
        sealed = {name: held.seal.seal(name, text.encode("utf-8", "replace")) for name, text in changes.written.items()}
        before = held.stored, held.may_be_stored, held.revision
        held.stored = None  # unknown until Redis has answered
        held.may_be_stored = True
        held.revision += 1
        own_revision = held.revision
        limits: list[Argument] = [base, self._ttl_ms, MAX_PAGES_PER_OWNER, self._connection.key("conversation", "")]
        values = [len(changes.removed), *changes.removed, *(part for pair in sealed.items() for part in pair)]
        try:
            outcome = await self._run(held, WRITE, [*limits, *values])
        except SharedStateFull:
            if held.revision == own_revision:
                held.stored, held.may_be_stored, held.revision = before
            raise
        if outcome is ScriptOutcome.BASE_MISSING or held.revision != own_revision:  # it was erased meanwhile
            return False
        held.note_sizes({name: len(value) for name, value in sealed.items()}, changes.removed, is_whole=is_whole)
        held.stored = changes.state
        return True

    async def erase(self, held: HeldConversation) -> None:
        """Erase the record. Raises `ConversationFenced`."""
        await self._names.agree()
        held.revision += 1
        await self._run(held, ERASE, [self._ttl_ms])

    async def _run(self, held: HeldConversation, source: str, arguments: list[Argument]) -> ScriptOutcome:
        assert held.epoch is not None
        keys = [self._conversation_key(held), self._owner_key(held.key.owner)]
        first: list[Argument] = [held.holder, held.seal.name, held.epoch, held.revision]
        answer = await self._connection.run_script(source, keys, [*first, *arguments])
        if ScriptOutcome(answer[0]) is ScriptOutcome.FENCED:
            raise ConversationFenced(decode(answer[1]))
        return ScriptOutcome(answer[0])

    async def forget_owner(self, owner: str, names: Sequence[str]) -> dict[str, int]:
        """Erase all records of a browser; return their names, each with its new epoch.

        `names`: those that this replica holds. Redis may have been emptied, and not know them.
        """
        await self._agree_again()
        arguments: list[Argument] = [
            f"{self._replica}.0",
            self._ttl_ms,
            self._connection.key("conversation", ""),
            *names,
        ]
        erased = await self._connection.run_script(FORGET_OWNER, [self._owner_key(owner), self.channel], arguments)
        return {decode(name): int(epoch) for name, epoch in zip(erased[::2], erased[1::2], strict=True)}

    def _conversation_key(self, held: HeldConversation) -> str:
        return self._connection.key("conversation", held.seal.name)

    async def _agree_again(self) -> None:
        """Agree with the other replicas on the names of browsers: Redis may have been restarted empty."""
        self._names.renew()
        await self._names.agree()

    def _owner_key(self, owner: str) -> str:
        return self._connection.key("conversation-owner", self._names.name(f"conversation owner {owner}"))


def decode(word: bytes) -> str:
    """Return a word of Redis as text."""
    return word.decode("ascii", "replace")
