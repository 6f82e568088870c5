"""Which web pages may use this one. Pure.

A browser says which page a request comes from (Origin), and under which name it looked for us (Host). Programs say no
origin. Without this check any page that someone has open could talk to an app on their own computer: with their money,
and from a page whose name is made to point at 127.0.0.1, also read what it answers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from voicechat.config.security_settings import ANY_ORIGIN, normalize_origin
from voicechat.protocol.endpoint import is_loopback_host


def parse_hostname(text: str) -> str:
    """The host of a Host header without its port, in small letters; "" when it makes no sense."""
    try:
        return urlsplit(f"//{text.strip()}").hostname or ""
    except ValueError:
        return ""


def own_origins(scheme: str, hosts: Collection[str]) -> frozenset[str]:
    """Origins of our own page when it is reached under these names (Host headers). Either scheme counts where the name
    is the same: whoever ends TLS before us does not always say so."""
    found = set()
    for host in hosts:
        for each in {scheme, "http", "https"}:
            try:
                found.add(normalize_origin(f"{each}://{host}"))
            except ValueError:
                continue
    return frozenset(found)


def origin_allowed(request_origin: str | None, ours: Collection[str], allowed: Collection[str]) -> bool:
    """Whether a request from a page of this origin is to be served; `told` is None when it says none."""
    if request_origin is None or ANY_ORIGIN in allowed:
        return True
    try:
        page = normalize_origin(request_origin)
    except ValueError:  # also "null": a sandboxed frame, a file
        return False
    return page in ours or page in allowed


def is_known_host(host: str, allowed: Collection[str]) -> bool:
    """Whether a Host header names this computer: for an app that listens to this computer alone. A page that was served
    under another name and now points here is not to be trusted."""
    name = parse_hostname(host)
    if ANY_ORIGIN in allowed or is_loopback_host(name):
        return True
    try:
        ipaddress.ip_address(name)
        return True  # no name that could be made to point elsewhere
    except ValueError:
        return any(name == urlsplit(each).hostname for each in allowed)
