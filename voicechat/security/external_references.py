"""External references: removes the scripts and links of other hosts from an HTML document. Pure.

Gradio's document names a script for frames and hosts of fonts. The page uses neither, and its policy refuses the script:
the browser would report an error at every load, and `preconnect` would reveal each visitor's address to those hosts.
"""

from __future__ import annotations

import re

_URL = rb"""["']?\s*(?:https?:)?//"""
_EXTERNAL_SCRIPT = re.compile(rb"<script\b[^>]*?\ssrc\s*=\s*" + _URL + rb"[^>]*>.*?</script\s*>\s*", re.I | re.S)
_EXTERNAL_LINK = re.compile(rb"<link\b[^>]*?\shref\s*=\s*" + _URL + rb"[^>]*>\s*", re.I)


def remove_external_references(document: bytes) -> bytes:
    """Return the document without `<script src>` and `<link href>` that name a host."""
    return _EXTERNAL_LINK.sub(b"", _EXTERNAL_SCRIPT.sub(b"", document))
