"""Password login: checks the operator's password, issues the login cookie, rate-limits wrong passwords."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable

from itsdangerous import BadSignature, TimestampSigner

LOGIN_COOKIE_MAX_AGE_S = 30 * 86_400
"""Seconds a login cookie is valid."""
ADDRESS_ATTEMPT_BURST = 6
"""Wrong passwords of one address at once. A person mistypes a few times; a password of eight letters stays safe."""
ADDRESS_ATTEMPT_REFILL_S = 10.0
"""Seconds until one address may try once more."""
TOTAL_ATTEMPT_BURST = 60
"""Wrong passwords of all addresses at once: behind a tunnel an attacker can change the address each time."""
TOTAL_ATTEMPT_REFILL_S = 0.5
"""Seconds until one more attempt is accepted. Short, so that a visitor can still log in during an attack."""
MAX_TRACKED_ADDRESSES = 10_000
"""Addresses whose attempts are counted; the oldest are dropped first."""
_COOKIE_PAYLOAD = b"passed"


class PasswordLogin:
    """Checks one password and its cookies. Cookies of another password are invalid."""

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._password_hash = hashlib.sha256(password.encode()).digest()
        # Derived from the password alone, so cookies survive a restart. Scrypt slows guessing from a stolen cookie.
        key = hashlib.scrypt(password.encode(), salt=b"realtime voice chat: cookie", n=2**14, r=8, p=1, dklen=32)
        self._signer = TimestampSigner(key, salt="voice_passed", digest_method=hashlib.sha256)
        self._clock = clock
        self._address_attempts: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Attempts left and the time of the count, by address."""
        self._total_attempts: tuple[float, float] | None = None
        """The same for all addresses together."""

    def check_password(self, text: str, address: str) -> bool | None:
        """Return whether the password is correct; None when there were too many wrong ones to check this one."""
        now = self._clock()
        left = _attempts_left(
            self._address_attempts.pop(address, None), now, ADDRESS_ATTEMPT_BURST, ADDRESS_ATTEMPT_REFILL_S
        )
        total_left = _attempts_left(self._total_attempts, now, TOTAL_ATTEMPT_BURST, TOTAL_ATTEMPT_REFILL_S)
        if left < 1 or total_left < 1:
            if left < ADDRESS_ATTEMPT_BURST:
                self._address_attempts[address] = left, now
            return None
        is_correct = hmac.compare_digest(hashlib.sha256(text.encode()).digest(), self._password_hash)
        if not is_correct:
            self._total_attempts = total_left - 1, now
            self._address_attempts[address] = left - 1, now
            while len(self._address_attempts) > MAX_TRACKED_ADDRESSES:
                self._address_attempts.popitem(last=False)
        return is_correct

    def issue_cookie(self) -> str:
        """Return the value of a new login cookie."""
        return self._signer.sign(_COOKIE_PAYLOAD).decode()

    def is_valid_cookie(self, cookie: str) -> bool:
        """Return whether the cookie was issued for this password and has not expired."""
        try:
            return bool(cookie) and self._signer.unsign(cookie, max_age=LOGIN_COOKIE_MAX_AGE_S) == _COOKIE_PAYLOAD
        except BadSignature:  # includes SignatureExpired
            return False


def _attempts_left(counted: tuple[float, float] | None, now: float, burst: int, refill_s: float) -> float:
    """Return the attempts left now. `counted`: attempts left at an earlier time, and that time."""
    left, then = counted or (burst, now)
    return min(float(burst), left + (now - then) / refill_s)
