"""Client identity: address, host names, origin and cookies of a request. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from voicechat.config.groups.security_settings import Network

VISITOR_COOKIE = "voice_visitor"
"""Cookie with a random id of the browser, and nothing else."""
LOGIN_COOKIE = "voice_passed"
"""Cookie that a browser gets for the correct password."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Facts about the sender of one request."""

    address: str
    """IP address, "" when unknown. Of IPv6 the /64 network, because one visitor has many addresses."""
    is_https: bool
    """The browser uses TLS, according to the connection or a trusted proxy."""
    hosts: tuple[str, ...]
    """Host names of the request: the Host header, then X-Forwarded-Host of a trusted proxy."""
    origin: str | None
    visitor_cookie: str
    """Value of `VISITOR_COOKIE`, or ""."""
    login_cookie: str
    """Value of `LOGIN_COOKIE`, or ""."""
    is_loopback: bool
    """The address is this computer's own, also for requests through a local tunnel."""
    prefers_chinese: bool
    """The first accepted language is Chinese."""

    @property
    def visitor_key(self) -> str:
        """Key for the limits per visitor: the address, or the browser where all addresses are alike (loopback, tunnel).

        "" when visitors cannot be distinguished.
        """
        if self.address and not self.is_loopback:
            return self.address
        return f"browser {self.visitor_cookie}" if self.visitor_cookie else ""

    @property
    def session_owner(self) -> str:
        """Owner of the client's Gradio sessions: the browser, or the address of a client without cookies."""
        return f"browser {self.visitor_cookie}" if self.visitor_cookie else f"address {self.address}"


def _parse_address(text: str) -> IpAddress | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def resolve_client_address(
    peer: str, forwarded_for: Sequence[str], trusted_proxies: Sequence[Network]
) -> IpAddress | None:
    """Return the client's address; None when it is unknown.

    `peer`: address of the connection. `forwarded_for`: X-Forwarded-For, to which each proxy appends its own peer.
    Addresses are read from the end. The first one outside `trusted_proxies` is the client; anyone may have written
    the ones before it.
    """
    address = _parse_address(peer)
    if address is None:
        return None
    for text in reversed(forwarded_for):
        if not any(address in network for network in trusted_proxies):
            break
        previous = _parse_address(text)
        if previous is None:
            break
        address = previous
    return address


def visitor_address(address: IpAddress) -> str:
    """Return the address that identifies a visitor: of IPv6 the /64 network."""
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def parse_cookies(headers: Headers) -> dict[str, str]:
    """Return the cookies by name; invalid ones are left out."""
    jar: SimpleCookie = SimpleCookie()
    for line in headers.getlist("cookie"):
        for part in line.split(";"):  # one by one: SimpleCookie drops the whole line for one invalid cookie
            try:
                jar.load(part.strip())
            except CookieError:
                continue
    return {name: morsel.value for name, morsel in jar.items()}


def identify_client(scope: Scope, trusted_proxies: Sequence[Network]) -> ClientIdentity:
    """Return the identity of an HTTP or WebSocket client. Never raises, whatever the client sends."""
    headers = Headers(scope=scope)
    peer = str((scope.get("client") or ("", 0))[0])
    is_trusted = any(address in network for network in trusted_proxies) if (address := _parse_address(peer)) else False
    forwarded = [word for line in headers.getlist("x-forwarded-for") for word in line.split(",")] if is_trusted else []
    scheme = headers.get("x-forwarded-proto", "").split(",")[0].strip() if is_trusted else ""
    scheme = scheme or str(scope.get("scheme", "http"))
    hosts = [headers.get("host", "")]
    if is_trusted:
        hosts += [word.strip() for word in headers.get("x-forwarded-host", "").split(",")]
    cookies = parse_cookies(headers)
    source = resolve_client_address(peer, forwarded, trusted_proxies)
    return ClientIdentity(
        address=visitor_address(source) if source else "",
        is_https=scheme in ("https", "wss"),
        hosts=tuple(host for host in hosts if host),
        origin=headers.get("origin"),
        visitor_cookie=cookies.get(VISITOR_COOKIE, "")[:64],
        login_cookie=cookies.get(LOGIN_COOKIE, "")[:200],
        is_loopback=source is not None and source.is_loopback,
        prefers_chinese=headers.get("accept-language", "").strip().lower().startswith("zh"),
    )
