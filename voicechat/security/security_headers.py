"""Security headers, and a policy for scripts that the page truly runs under. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)

COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def hash_inline_scripts(html: bytes) -> list[str]:
    """A hash for every script that stands in the document itself, as the policy wants it."""
    found = []
    for script in _INLINE_SCRIPT.findall(html):
        digest = hashlib.sha256(script.replace(b"\r\n", b"\n")).digest()
        found.append(f"'sha256-{base64.b64encode(digest).decode()}'")
    return list(dict.fromkeys(found))


def content_security_policy(script_hashes: Iterable[str], hosts: Iterable[str], frame_ancestors: Iterable[str]) -> str:
    """The Content-Security-Policy of a document. Only its own scripts run, and nothing is fetched from, or told to,
    another host: whatever a model manages to write, its reader stays unknown.

    'unsafe-eval': Gradio makes functions of the `js=` of its events. Styles: Gradio's components carry theirs inline.
    `scripts`: hashes of those that may run inline. `hosts`: ours; before version 15.4 Safari's 'self' means no web
    socket."""
    sockets = " ".join(f"{scheme}://{host}" for host in dict.fromkeys(hosts) for scheme in ("ws", "wss"))
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "'unsafe-eval'", "blob:", *script_hashes]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' {sockets}".strip(),
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": " ".join(["'self'", *frame_ancestors]),
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
