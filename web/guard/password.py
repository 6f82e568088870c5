"""The operator's password, and the cookie that stands for it. Guesses are counted by where they come from."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

from itsdangerous import BadSignature, TimestampSigner

LIFE_S = 30 * 86_400
"""Of the cookie, seconds."""
GUESSES = 6
"""At once; one more every `GUESS_S` seconds. A person mistypes a few times; a password of eight letters lasts."""
GUESS_S = 10.0
MOST_GUESSERS = 10_000
"""Addresses whose guesses are remembered; the oldest go first."""
_WORD = b"passed"


class Password:
    """What the cookie of one password is worth. Another password, other cookies."""

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._right = hashlib.sha256(password.encode()).digest()
        # From the password alone: the cookie outlives a restart. Slow to guess from, for whoever gets hold of a cookie.
        key = hashlib.scrypt(password.encode(), salt=b"realtime voice chat: cookie", n=2**14, r=8, p=1, dklen=32)
        self._signer = TimestampSigner(key, salt="voice_passed", digest_method=hashlib.sha256)
        self._clock = clock
        self._guessers: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: guesses left, and when that was counted."""

    def guess(self, text: str, address: str) -> bool | None:
        """Whether it is the password; None when so many were wrong from there that it is not even looked at."""
        now = self._clock()
        left, then = self._guessers.pop(address, (float(GUESSES), now))
        left = min(float(GUESSES), left + (now - then) / GUESS_S)
        if left < 1:
            self._guessers[address] = left, now
            return None
        right = hmac.compare_digest(hashlib.sha256(text.encode()).digest(), self._right)
        if not right:
            self._guessers[address] = left - 1, now
            while len(self._guessers) > MOST_GUESSERS:
                self._guessers.popitem(last=False)
        return right

    def cookie(self) -> str:
        """A cookie's value, for someone who knew the password."""
        return self._signer.sign(_WORD).decode()

    def passes(self, cookie: str) -> bool:
        """Whether this cookie was given for this password, and is not too old."""
        try:
            return bool(cookie) and self._signer.unsign(cookie, max_age=LIFE_S) == _WORD
        except BadSignature:  # too old is one of these
            return False
