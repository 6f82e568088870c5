"""Content-Security-Policy and script hashes."""

from __future__ import annotations

import base64
import hashlib

from voicechat.security.security_headers import COMMON_HEADERS, content_security_policy, hash_inline_scripts


def test_inline_scripts_are_hashed() -> None:
    html = b'<script>one();\r\n</script><script src="a.js"></script><SCRIPT type="module">two()</SCRIPT>'
    digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (b"one();\n", b"two()")]
    assert hash_inline_scripts(html) == [f"'sha256-{digest}'" for digest in digests]


def test_policy_allows_own_hosts_only() -> None:
    rules = dict(
        rule.split(" ", 1)
        for rule in content_security_policy(["'sha256-x'"], ["app:1"], ["https://huggingface.co"]).split("; ")
    )
    assert rules["script-src"] == "'self' 'unsafe-eval' blob: 'sha256-x'"
    assert rules["connect-src"] == "'self' ws://app:1 wss://app:1"
    assert rules["frame-ancestors"] == "'self' https://huggingface.co"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'self'"


def test_permissions_policy_allows_microphone_and_wake_lock_only() -> None:
    rules = dict(rule.split("=", 1) for rule in COMMON_HEADERS["Permissions-Policy"].split(", "))
    assert {name for name, allowed in rules.items() if allowed == "(self)"} == {"microphone", "screen-wake-lock"}
    assert set(rules.values()) == {"(self)", "()"}
