"""Session ownership: a Gradio session belongs to one browser, a WebRTC connection to one Gradio session. Pure.

Gradio and fastrtc accept any request with the right id, and their ids are short. With the id of another visitor one
could listen to, speak in or end a call. Here an id is accepted only together with its owner's cookie.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_OWNED_IDS = 10_000
"""Ids kept; the least recently used are dropped first."""


class OwnershipRegistry:
    """Owner of each id. The first to use an id owns it."""

    def __init__(self, max_ids: int = MAX_OWNED_IDS) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._max_ids = max_ids

    def claim(self, resource_id: str, owner: str) -> bool:
        """Take the id for this owner unless it is owned; return whether this owner has it."""
        current_owner = self._owners.setdefault(resource_id, owner)
        self._owners.move_to_end(resource_id)
        while len(self._owners) > self._max_ids:
            self._owners.popitem(last=False)
        return current_owner == owner

    def is_owned_by(self, resource_id: str, owner: str) -> bool:
        """Return whether this owner has the id, or it has no owner."""
        return self._owners.get(resource_id, owner) == owner
