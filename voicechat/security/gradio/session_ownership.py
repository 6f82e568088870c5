"""A Gradio session belongs to the browser that began it, and a WebRTC connection to the session that offered it. Pure.

Gradio and fastrtc let in whoever names the right word, and their words are short: with another visitor's one could
hear, feed or end a call. Here a word is worth nothing without the browser's own cookie.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_OWNED_IDS = 10_000
"""Words remembered; those not used for the longest time go first."""


class OwnershipRegistry:
    """Which word belongs to whom; the first one to use it owns it."""

    def __init__(self, max_ids: int = MAX_OWNED_IDS) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._max_ids = max_ids

    def claim(self, resource_id: str, owner: str) -> bool:
        """Whether the word is this owner's, now or already."""
        known = self._owners.setdefault(resource_id, owner)
        self._owners.move_to_end(resource_id)
        while len(self._owners) > self._max_ids:
            self._owners.popitem(last=False)
        return known == owner

    def is_owned_by(self, resource_id: str, owner: str) -> bool:
        """Whether nobody else owns the word."""
        return self._owners.get(resource_id, owner) == owner
