"""Picture store: uploaded pictures by name, each for its owner's browser alone.

A picture that was sent lives as long as the message that has it: Clear, "Forget me", a closed page whose record expires
and a dropped message erase it. Until it is sent, the store keeps it for some minutes, unless the visitor removes it.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakValueDictionary

from voicechat.limits.token_bucket import TokenBucket
from voicechat.pictures.image_file import ImageFile
from voicechat.pictures.picture import Picture

UNSENT_LIFETIME_S = 900.0
"""Seconds that an uploaded picture waits for its message."""
MAX_UNSENT_PER_OWNER = 12
"""Pictures of one browser that wait for their message; the oldest are dropped first."""
MAX_OWNER_BYTES = 16_000_000
"""Bytes of all pictures of one browser, those of its conversations included. The oldest are erased first."""
MAX_BYTES = 256_000_000
"""Bytes of all pictures. Beyond it, the browser with the most loses its oldest one."""
MAX_OWNERS = 5000
"""Browsers whose upload rate is remembered."""
UPLOADS_PER_S, UPLOAD_BURST = 0.5, 12.0
"""Uploads of one browser: per second in the long run, and at once."""


class PictureStore:
    """Pictures of one process."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_owner_bytes: int = MAX_OWNER_BYTES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._clock = clock
        self._max_owner_bytes, self._max_bytes = max_owner_bytes, max_bytes
        self._pictures: WeakValueDictionary[str, Picture] = WeakValueDictionary()
        """All pictures that a message or `_unsent` keeps alive."""
        self._owners: OrderedDict[str, str] = OrderedDict()
        """Owner of each name, the oldest first. Names of erased pictures are removed at the next upload."""
        self._unsent: OrderedDict[str, tuple[float, Picture]] = OrderedDict()
        """Pictures without a message, each with the time at which it expires."""
        self._rates: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pictures)

    def try_upload(self, owner: str) -> float:
        """Count an upload. Return the seconds to wait before it may be tried again; 0.0 when it is allowed."""
        now = self._clock()
        bucket = self._rates.setdefault(owner, TokenBucket(UPLOADS_PER_S, UPLOAD_BURST, now))
        self._rates.move_to_end(owner)
        while len(self._rates) > MAX_OWNERS:
            self._rates.popitem(last=False)
        wait_s = bucket.take(now)
        if wait_s:
            bucket.take(now, -1.0)  # a refused one is not counted
        return wait_s

    def put(self, owner: str, image: ImageFile) -> Picture:
        """Keep an uploaded picture until its message is sent."""
        self.expire()
        picture = Picture.of(secrets.token_urlsafe(32), image)
        name = picture.view.name
        self._pictures[name], self._owners[name] = picture, owner
        self._unsent[name] = self._clock() + UNSENT_LIFETIME_S, picture
        waiting = [each for each in self._unsent if self._owners[each] == owner]
        self.discard(owner, waiting[:-MAX_UNSENT_PER_OWNER])
        self._limit_bytes(owner)
        return picture

    def get(self, owner: str, name: str) -> Picture | None:
        """Return a picture with content; None for another browser's, and for an erased one."""
        self.expire()
        picture = self._pictures.get(name)
        is_shown = picture is not None and picture.image is not None and self._owners.get(name) == owner
        return picture if is_shown else None

    def find_unsent(self, owner: str, names: Iterable[str]) -> list[Picture]:
        """Return the owner's pictures that wait for their message, in this order, each once."""
        found = (self.get(owner, name) for name in dict.fromkeys(names) if name in self._unsent)
        return [picture for picture in found if picture is not None]

    def release(self, pictures: Sequence[Picture]) -> None:
        """Leave sent pictures to their message."""
        for picture in pictures:
            self._unsent.pop(picture.view.name, None)

    def forget_owner(self, owner: str) -> None:
        """Erase all pictures of a browser, sent or not."""
        for name in [name for name, each in self._owners.items() if each == owner]:
            self._unsent.pop(name, None)
            picture = self._pictures.get(name)
            if picture is not None:
                picture.erase()

    def discard(self, owner: str, names: Iterable[str]) -> None:
        """Erase pictures that wait for their message."""
        for name in names:
            if self._owners.get(name) == owner and name in self._unsent:
                self._unsent.pop(name)[1].erase()

    def expire(self) -> None:
        """Erase pictures whose message did not come, and forget the names of erased ones."""
        now = self._clock()
        while self._unsent and next(iter(self._unsent.values()))[0] <= now:
            self._unsent.popitem(last=False)[1][1].erase()
        if len(self._owners) > 2 * len(self._pictures):
            self._owners = OrderedDict((name, owner) for name, owner in self._owners.items() if name in self._pictures)

    def _limit_bytes(self, newest_owner: str) -> None:
        sizes = {name: picture.byte_count for name, picture in list(self._pictures.items())}
        totals: Counter[str] = Counter()
        for name, size in sizes.items():
            totals[self._owners[name]] += size
        while totals[newest_owner] > self._max_owner_bytes or totals.total() > self._max_bytes:
            is_owner_over = totals[newest_owner] > self._max_owner_bytes
            largest = newest_owner if is_owner_over else totals.most_common(1)[0][0]
            oldest = next(name for name, owner in self._owners.items() if owner == largest and sizes.get(name))
            totals[largest] -= sizes.pop(oldest)
            picture = self._pictures.get(oldest)
            if picture is not None:
                picture.erase()
            self._unsent.pop(oldest, None)
