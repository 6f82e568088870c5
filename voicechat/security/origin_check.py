"""Origin check: which web pages may use the app. Pure.

A browser sends the origin of the requesting page (Origin) and the host name it looked up (Host). Programs send no
origin. Without this check any open web page could use an app on the visitor's own computer, at the visitor's cost. A
page whose name resolves to 127.0.0.1 (DNS rebinding) could also read the responses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from network.hosts import is_loopback_host
from voicechat.config.groups.security_settings import ANY_ORIGIN, normalize_origin


def parse_hostname(text: str) -> str:
    """Return the host name of a Host header, lower case and without the port; "" when it is invalid."""
    try:
        return urlsplit(f"//{text.strip()}").hostname or ""
    except ValueError:
        return ""


def own_origins(scheme: str, hosts: Collection[str]) -> frozenset[str]:
    """Return the origins of the app itself under these Host headers.

    Both http and https are included, because a proxy that terminates TLS does not always announce it.
    """
    origins = set()
    for host in hosts:
        for possible_scheme in {scheme, "http", "https"}:
            try:
                origins.add(normalize_origin(f"{possible_scheme}://{host}"))
            except ValueError:
                continue
    return frozenset(origins)


def origin_allowed(request_origin: str | None, ours: Collection[str], allowed: Collection[str]) -> bool:
    """Return whether a page of this origin may use the app. Programs send no origin (None)."""
    if request_origin is None or ANY_ORIGIN in allowed:
        return True
    try:
        page = normalize_origin(request_origin)
    except ValueError:  # also "null": a sandboxed frame, a file
        return False
    return page in ours or page in allowed


def cross_origin_headers(request_origin: str | None, allowed: Collection[str]) -> dict[str, str]:
    """Return the headers with which a page of this origin may read a response; none unless it is in `allowed`.

    Only a page that is allowed by name may use the visitor's cookies: with `ANY_ORIGIN` alone, every page of the web
    could otherwise act as the visitor who is logged in.
    """
    if request_origin is None:
        return {}
    if not origin_allowed(request_origin, (), [each for each in allowed if each != ANY_ORIGIN]):
        return {"Access-Control-Allow-Origin": "*"} if ANY_ORIGIN in allowed else {}
    return {"Access-Control-Allow-Origin": request_origin, "Access-Control-Allow-Credentials": "true"}


def preflight_headers(requested_headers: str) -> dict[str, str]:
    """Return the further headers for an allowed page that asks before a request. `requested_headers`: its own list."""
    headers = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "600"}
    return headers | ({"Access-Control-Allow-Headers": requested_headers} if requested_headers else {})


def is_known_host(host: str, allowed: Collection[str]) -> bool:
    """Return whether a Host header names this computer, for an app that listens on loopback only.

    Any other name may be a page's own that now resolves to this computer (DNS rebinding).
    """
    name = parse_hostname(host)
    if ANY_ORIGIN in allowed or is_loopback_host(name):
        return True
    try:
        ipaddress.ip_address(name)
        return True  # an IP address cannot be rebound
    except ValueError:
        return any(name == urlsplit(origin).hostname for origin in allowed)
