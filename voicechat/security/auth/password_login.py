"""The operator's password, and the cookie that stands for it. Guesses are counted by address, and all together."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

from itsdangerous import BadSignature, TimestampSigner

LOGIN_COOKIE_MAX_AGE_S = 30 * 86_400
"""Of the cookie, seconds."""
ADDRESS_ATTEMPT_BURST = 6
"""At once; one more every `ADDRESS_ATTEMPT_REFILL_S` seconds. A person mistypes a few times; a password of eight letters lasts."""
ADDRESS_ATTEMPT_REFILL_S = 10.0
TOTAL_ATTEMPT_BURST = 60
"""At once, wherever they come from; one more every `TOTAL_ATTEMPT_REFILL_S` seconds. Behind a tunnel who guesses can be somebody
else each time. Who knows the password still finds a place between the guesses."""
TOTAL_ATTEMPT_REFILL_S = 0.5
MAX_TRACKED_ADDRESSES = 10_000
"""Addresses whose guesses are remembered; the oldest go first."""
_COOKIE_PAYLOAD = b"passed"


class PasswordLogin:
    """What the cookie of one password is worth. Another password, other cookies."""

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._password_hash = hashlib.sha256(password.encode()).digest()
        # From the password alone: the cookie outlives a restart. Slow to guess from, for whoever gets hold of a cookie.
        key = hashlib.scrypt(password.encode(), salt=b"realtime voice chat: cookie", n=2**14, r=8, p=1, dklen=32)
        self._signer = TimestampSigner(key, salt="voice_passed", digest_method=hashlib.sha256)
        self._clock = clock
        self._address_attempts: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By address: guesses left, and when that was counted."""
        self._total_attempts: tuple[float, float] | None = None
        """The same for all of them."""

    def check_password(self, text: str, address: str) -> bool | None:
        """Whether it is the password; None when so many were wrong from there that it is not even looked at."""
        now = self._clock()
        left = _attempts_left(
            self._address_attempts.pop(address, None), now, ADDRESS_ATTEMPT_BURST, ADDRESS_ATTEMPT_REFILL_S
        )
        together = _attempts_left(self._total_attempts, now, TOTAL_ATTEMPT_BURST, TOTAL_ATTEMPT_REFILL_S)
        if left < 1 or together < 1:
            if left < ADDRESS_ATTEMPT_BURST:
                self._address_attempts[address] = left, now
            return None
        right = hmac.compare_digest(hashlib.sha256(text.encode()).digest(), self._password_hash)
        if not right:
            self._total_attempts = together - 1, now
            self._address_attempts[address] = left - 1, now
            while len(self._address_attempts) > MAX_TRACKED_ADDRESSES:
                self._address_attempts.popitem(last=False)
        return right

    def issue_cookie(self) -> str:
        """A cookie's value, for someone who knew the password."""
        return self._signer.sign(_COOKIE_PAYLOAD).decode()

    def is_valid_cookie(self, cookie: str) -> bool:
        """Whether this cookie was given for this password, and is not too old."""
        try:
            return bool(cookie) and self._signer.unsign(cookie, max_age=LOGIN_COOKIE_MAX_AGE_S) == _COOKIE_PAYLOAD
        except BadSignature:  # too old is one of these
            return False


def _attempts_left(counted: tuple[float, float] | None, now: float, burst: int, refill_s: float) -> float:
    """Guesses left; `counted`: how many there were, and when."""
    left, then = counted or (burst, now)
    return min(float(burst), left + (now - then) / refill_s)
