"""Changes of a record since the page received it last: a turn does not send a long conversation again. Pure.

The page joins the changes to its copy (history.js). A token names the state of that copy, so that a page that has lost
it, or has missed an answer, gets the whole record.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NAMES = ("voice", "text")
"""Names of both conversations in a record."""


@dataclass(frozen=True, slots=True)
class SentRecord:
    """State of a page's copy. Holds no words, only hashes of the messages."""

    token: str
    hashes: Mapping[str, tuple[int, ...]]
    """Of each message of both conversations, in order."""


def find_kept(old: Sequence[int], new: Sequence[int]) -> tuple[int, int]:
    """Return (drop, keep): `new` begins with `old[drop : drop + keep]`. The oldest messages may have been dropped."""
    drop = old.index(new[0]) if new and new[0] in old else len(old)
    keep = 0
    while drop + keep < len(old) and keep < len(new) and old[drop + keep] == new[keep]:
        keep += 1
    return drop, keep


def build_changes(
    conversations: Mapping[str, Mapping[str, Any]],
    dumped_items: Mapping[str, Sequence[str]],
    sent: SentRecord | None,
    known_token: object,
) -> tuple[dict[str, Any], SentRecord]:
    """Return the changes as values of JSON, and the state of the page's copy after them.

    `conversations`: both in the shape of `ConversationRecord.to_json`. `dumped_items`: JSON of each of their items.
    `sent`: state after the answer before. `known_token`: token of the page's copy, as the page says.
    """
    base = sent if sent is not None and sent.token == known_token else None
    hashes = {name: tuple(hash(item) for item in dumped_items[name]) for name in NAMES}
    now = SentRecord(secrets.token_urlsafe(9), hashes)
    changes: dict[str, Any] = {"token": now.token, "base": base.token if base else ""}
    for name in NAMES:
        drop, keep = find_kept(base.hashes[name], hashes[name]) if base else (0, 0)
        record = conversations[name]
        changes[name] = {**record, "drop": drop, "keep": keep, "items": record["items"][keep:]}
    return changes, now
