"""Document references: removes scripts and links that the page does not use, and adds its first script. Pure.

Gradio's document names a script for frames, hosts of fonts, and a manifest. The page's policy refuses the script, and
the manifest exists only on a Space: the browser reports both as errors. `preconnect` reveals visitors to other hosts.
"""

from __future__ import annotations

import re

_URL = rb"""["']?\s*(?:https?:)?//"""
_EXTERNAL_SCRIPT = re.compile(rb"<script\b[^>]*?\ssrc\s*=\s*" + _URL + rb"[^>]*>.*?</script\s*>\s*", re.I | re.S)
_EXTERNAL_LINK = re.compile(rb"<link\b[^>]*?\shref\s*=\s*" + _URL + rb"[^>]*>\s*", re.I)
_MANIFEST_LINK = re.compile(rb"<link\b[^>]*?\srel\s*=\s*[\"']?manifest\b[^>]*>\s*", re.I)


def remove_unused_references(document: bytes) -> bytes:
    """Return the document without its manifest, and without `<script src>` and `<link href>` that name a host."""
    for unused in (_EXTERNAL_SCRIPT, _EXTERNAL_LINK, _MANIFEST_LINK):
        document = unused.sub(b"", document)
    return document


def insert_early_script(document: bytes, script: str) -> bytes:
    """Return the document with `script` before all other scripts; unchanged without a `<head>` or without a script."""
    head = b"<head>"
    return document.replace(head, head + f"<script>{script}</script>".encode(), 1) if script else document
