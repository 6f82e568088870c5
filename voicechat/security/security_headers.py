"""Security headers: headers of every response, and the Content-Security-Policy of documents. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)

COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), screen-wake-lock=(self), camera=(), geolocation=(), display-capture=(), "
    "payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def common_headers(*, may_use_camera: bool) -> dict[str, str]:
    """Return the headers of every response. The page may ask for the camera only where messages may have pictures."""
    policy = COMMON_HEADERS["Permissions-Policy"]
    camera = "camera=(self)" if may_use_camera else "camera=()"
    return {**COMMON_HEADERS, "Permissions-Policy": policy.replace("camera=()", camera)}


def hash_inline_scripts(html: bytes) -> list[str]:
    """Return the CSP hash of every inline script of a document."""
    hashes = []
    for script in _INLINE_SCRIPT.findall(html):
        digest = hashlib.sha256(script.replace(b"\r\n", b"\n")).digest()
        hashes.append(f"'sha256-{base64.b64encode(digest).decode()}'")
    return list(dict.fromkeys(hashes))


def content_security_policy(script_hashes: Iterable[str], hosts: Iterable[str], frame_ancestors: Iterable[str]) -> str:
    """Return the Content-Security-Policy of a document.

    Only the page's own scripts run, and the page contacts no other host. So text of a model cannot reveal its reader.
    'unsafe-eval': Gradio compiles the `js=` code of its events. Inline styles: Gradio's components use them.
    `script_hashes`: hashes of the inline scripts that may run.
    `hosts`: host names of the app. Safari before 15.4 does not count WebSockets as 'self'.
    """
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
