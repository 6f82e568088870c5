"""Visitor digest: how visitors appear in Redis. A key of a visitor may be an address, and never leaves the replica.

The secret of the digests is a random value of the deployment. Redis keeps it, and it is lost with it: then the first
replica that comes back stores its own copy again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from .redis_connection import RedisConnection

SECRET_BYTES = 32
DIGEST_CHARS = 16
"""Hexadecimal digits of a digest."""


class VisitorDigest:
    """Digests of visitors' keys, equal at all replicas of one deployment."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._secret: bytes | None = None

    @property
    def is_loaded(self) -> bool:
        """The secret is known."""
        return self._secret is not None

    async def load(self) -> None:
        """Fetch the secret, or store it where Redis has none. Raises `SharedStateUnavailable`."""
        key, offered = self._connection.key("visitor-secret"), self._secret or secrets.token_bytes(SECRET_BYTES)
        await self._connection.request(lambda client: client.set(key, offered, nx=True))
        stored = await self._connection.request(lambda client: client.get(key))
        self._secret = stored if isinstance(stored, bytes) else offered

    def of(self, visitor_key: str) -> str:
        """Return the digest of a visitor's key; "" for "", a visitor who is not known. Call `load` first."""
        if not visitor_key:
            return ""
        assert self._secret is not None
        return hmac.new(self._secret, visitor_key.encode(), hashlib.sha256).hexdigest()[:DIGEST_CHARS]
