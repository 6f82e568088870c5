"""A Gradio session belongs to the browser that began it, and a WebRTC connection to the session that offered it. Pure.

Gradio and fastrtc let in whoever names the right word, and their words are short: with another visitor's one could
hear, feed or end a call. Here a word is worth nothing without the browser's own cookie.
"""

from __future__ import annotations

from collections import OrderedDict

MOST = 10_000
"""Words remembered; those not used for the longest time go first."""


class Bindings:
    """Which word belongs to whom; the first one to use it owns it."""

    def __init__(self, most: int = MOST) -> None:
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._most = most

    def claim(self, word: str, owner: str) -> bool:
        """Whether the word is this owner's, now or already."""
        known = self._owners.setdefault(word, owner)
        self._owners.move_to_end(word)
        while len(self._owners) > self._most:
            self._owners.popitem(last=False)
        return known == owner

    def owns(self, word: str, owner: str) -> bool:
        """Whether nobody else owns the word."""
        return self._owners.get(word, owner) == owner
