"""Password login: checks the operator's password and issues the login cookie."""

from __future__ import annotations

import hashlib
import hmac

from itsdangerous import BadSignature, TimestampSigner

from .password_attempts import LocalPasswordAttempts, PasswordAttempts

LOGIN_COOKIE_MAX_AGE_S = 30 * 86_400
"""Seconds a login cookie is valid."""
_COOKIE_PAYLOAD = b"passed"


class PasswordLogin:
    """Checks one password and its cookies. Cookies of another password are invalid."""

    def __init__(self, password: str, attempts: PasswordAttempts | None = None) -> None:
        """`attempts`: those of all replicas; None: those of this process alone."""
        self._password_hash = hashlib.sha256(password.encode()).digest()
        # Derived from the password alone, so cookies survive a restart. Scrypt slows guessing from a stolen cookie.
        key = hashlib.scrypt(password.encode(), salt=b"realtime voice chat: cookie", n=2**14, r=8, p=1, dklen=32)
        self._signer = TimestampSigner(key, salt="voice_passed", digest_method=hashlib.sha256)
        self._attempts = attempts or LocalPasswordAttempts()

    async def check_password(self, text: str, visitor: str) -> bool | None:
        """Return whether the password is correct; None when there were too many wrong ones to check this one."""
        if not await self._attempts.take(visitor):
            return None
        is_correct = hmac.compare_digest(hashlib.sha256(text.encode()).digest(), self._password_hash)
        if is_correct:
            await self._attempts.forgive(visitor)
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
