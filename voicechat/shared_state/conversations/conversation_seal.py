"""Conversation seal: encrypts what Redis keeps of one page, under a key that Redis never sees.

The key is derived from the page's resume token, which the browser holds, and the browser's cookie. Redis, its dump and
its backups hold hashes of hashes and sealed values only, and a keyed hash of the browser (`VisitorNames`). A value
belongs to its page and its field: moved to another place it is refused.
"""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voicechat.session.conversation_store import ResumeKey

KEY_BYTES = 32
"""Bytes of the key: AES-256."""
NONCE_BYTES = 12
"""Random bytes before each sealed value. A page writes far fewer than the 2^32 values that one key allows."""
NAME_CHARS = 32
"""Hexadecimal characters of a name in Redis."""


class ConversationSeal:
    """Seal of one page. The `repr` has no key."""

    def __init__(self, key: ResumeKey) -> None:
        self.name = hashlib.sha256(f"conversation {key.page}".encode()).hexdigest()[:NAME_CHARS]
        """Name of the page in Redis."""
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"voicechat conversation 1").derive(key.secret)
        self._cipher = AESGCM(derived)
        self._owner = key.owner

    def seal(self, field: str, content: bytes) -> bytes:
        """Return the content of a field, sealed."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, self._associated_data(field))

    def unseal(self, field: str, sealed: bytes) -> bytes:
        """Return the content of a sealed field. Raises ValueError for one that was not sealed here."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._associated_data(field))
        except (InvalidTag, ValueError):
            raise ValueError("not a sealed field of this page") from None

    def _associated_data(self, field: str) -> bytes:
        """Return the associated data of a field: a value that was moved is refused."""
        return "\0".join((self._owner, self.name, field)).encode()
