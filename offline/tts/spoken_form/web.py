"""Web addresses and e-mail addresses: their patterns and how they are spelled out."""

from __future__ import annotations

import re

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_TOP_LEVEL = r"(?:com|org|net|edu|gov|info|io|tw|jp|uk|de|fr|eu|us|cn|hk|ai|dev|app|me|tv|co)"
_TAIL = r"(?:[^\s<>\"“”「」『』\u3000-\u9fff\uff00-\uffef]*[A-Za-z0-9/_#=&%~-])?"
EMAIL = rf"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]*@{_LABEL}(?:\.{_LABEL})+"
"""E-mail address."""
URL = (
    rf"(?:(?:https?|ftp|wss?)://(?:[A-Za-z0-9._%+:-]+@)?(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])"
    rf"|(?<![A-Za-z0-9@.-])www\.{_LABEL}(?:\.{_LABEL})*"
    rf"|(?<![A-Za-z0-9@./-])(?:{_LABEL}\.)+{_TOP_LEVEL}(?![A-Za-z0-9-]|\.[A-Za-z]))(?::\d{{1,5}})?(?:[/?#]{_TAIL})?"
)
"""URL with or without a protocol."""
DOTTED_NAME = r"(?<![A-Za-z0-9._-])[A-Za-z][A-Za-z0-9_-]+(?:\.[a-z][a-z0-9_-]+)+(?![A-Za-z0-9_])"
"""Name of a file, a module or a host."""
_URL = re.compile(URL)
_PARTS = re.compile(r"(?:[a-z]+://)?(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]+)(?::\d+)?(.*)", re.DOTALL)
_PLAIN_PATH = re.compile(r"/([A-Za-z]{2,12})/?")


def split_url(url: str) -> tuple[str, str]:
    """Return the host and the path with all behind it. `url` matches `URL`."""
    match = _PARTS.match(url)
    return (match[1], match[2]) if match else (url, "")


def plain_path(path: str) -> str:
    """Return the one short word of a path ("/docs"); "" for any other path."""
    match = _PLAIN_PATH.fullmatch(path)
    return match[1] if match else ""


def hosts_only(text: str) -> str:
    """Return `text` with its URLs reduced to their hosts."""
    return _URL.sub(lambda m: split_url(m[0])[0], text)


def spell(address: str, dot: str, at: str) -> str:
    """Return a host or an e-mail address with words for its signs."""
    return address.replace("@", at).replace(".", dot)
