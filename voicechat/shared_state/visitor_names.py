"""Visitor names: how a visitor is called in Redis, so that it holds no address and no cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import unquote, urlsplit

from voicechat.config.settings import Settings

from .redis_connection import RedisConnection

NAME_CHARS = 16
SECRET_SCRIPT = """
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SET', KEYS[1], ARGV[1]) end
return redis.call('GET', KEYS[1])
"""
"""Keep a secret unless there is one, and return the one that is kept. A full Redis returns it too."""


def deployment_secret(settings: Settings) -> bytes:
    """Return the secret that all replicas derive from the settings; empty when no setting is secret enough.

    Login cookies and API tokens are valid at all replicas, so these settings are the same at all of them.
    """
    password = unquote(urlsplit(settings.scale.redis_url).password or "")
    source = settings.security.app_password or ",".join(settings.security.api_tokens) or password
    if not source:
        return b""
    salt = b"realtime voice chat: visitors in redis"
    return hashlib.scrypt(source.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


class VisitorNames:
    """Names of visitors: keyed hashes. Without a secret in the settings, Redis keeps a random one.

    A reader of all of Redis then has the secret as well, and finds the address behind a name by trying out addresses.
    With a password or a token in the settings, Redis does not hold the secret.
    """

    def __init__(self, connection: RedisConnection, secret: bytes = b"") -> None:
        """`secret`: `deployment_secret`."""
        self._connection = connection
        self._secret = secret or secrets.token_hex(32).encode()
        self._is_agreed = self._is_from_settings = bool(secret)

    def renew(self) -> None:
        """Ask Redis for the secret at the next `agree`: it may have been lost."""
        self._is_agreed = self._is_from_settings

    async def agree(self) -> None:
        """Learn the secret of the replicas. Raises `SharedStateUnavailable`."""
        if not self._is_agreed:
            key = self._connection.key("visitor-secret")
            self._secret = bytes(await self._connection.run_script(SECRET_SCRIPT, [key], [self._secret]))
            self._is_agreed = True

    def name(self, visitor: str) -> str:
        """Return the name of a `ClientIdentity.visitor_key`. Call `agree` first."""
        return hmac.new(self._secret, visitor.encode(), hashlib.sha256).hexdigest()[:NAME_CHARS]
