"""Who a request comes from: address, name looked for, cookies. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from voicechat.config.security_settings import Network

VISITOR_COOKIE = "voice_visitor"
"""Cookie: a browser, by an unguessable number and nothing else."""
LOGIN_COOKIE = "voice_passed"
"""Cookie: the password was right."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """What is known of whoever sends a request."""

    address: str
    """"" when there is none. An IPv6 visitor is their network (/64), of whose addresses one has plenty."""
    is_https: bool
    """Between the browser and whoever ends TLS, as far as that is told by someone who is believed."""
    hosts: tuple[str, ...]
    """The names under which we were looked for: Host, and what a trusted proxy says it was."""
    origin: str | None
    visitor_cookie: str
    """The cookie; "" without one."""
    login_cookie: str
    """The cookie; "" without one."""
    is_loopback: bool
    """It comes from this computer itself, a tunnel's end among it."""
    prefers_chinese: bool
    """Reads Chinese rather than English."""

    @property
    def visitor_key(self) -> str:
        """For the limits by visitor: the address, and where it says nothing (this computer, a tunnel) the browser; ""
        when visitors cannot be told apart."""
        if self.address and not self.is_loopback:
            return self.address
        return f"browser {self.visitor_cookie}" if self.visitor_cookie else ""

    @property
    def session_owner(self) -> str:
        """Whose a session is: the browser's, or, of one that keeps no cookies, the address's."""
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
    """Where a request comes from; None when that is not known. `peer`: who is connected to us; `forwarded`:
    X-Forwarded-For, each proxy having added at the end whom it saw. The last one that no trusted proxy stands behind is
    the visitor: what stands before it anyone may have written."""
    found = _parse_address(peer)
    if found is None:
        return None
    for text in reversed(forwarded_for):
        if not any(found in network for network in trusted_proxies):
            break
        further = _parse_address(text)
        if further is None:
            break
        found = further
    return found


def visitor_address(address: IpAddress) -> str:
    """The address as a visitor's: of IPv6 the network."""
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def parse_cookies(headers: Headers) -> dict[str, str]:
    """The cookies; none when they make no sense."""
    jar: SimpleCookie = SimpleCookie()
    for line in headers.getlist("cookie"):
        for part in line.split(";"):  # one by one: a strange cookie of someone else's spoils the whole line
            try:
                jar.load(part.strip())
            except CookieError:
                continue
    return {name: morsel.value for name, morsel in jar.items()}


def identify_client(scope: Scope, trusted_proxies: Sequence[Network]) -> ClientIdentity:
    """Reads the scope of an HTTP or WebSocket request. Never raises for what a client may send."""
    headers = Headers(scope=scope)
    peer = str((scope.get("client") or ("", 0))[0])
    believed = any(address in network for network in trusted_proxies) if (address := _parse_address(peer)) else False
    forwarded = [word for line in headers.getlist("x-forwarded-for") for word in line.split(",")] if believed else []
    scheme = headers.get("x-forwarded-proto", "").split(",")[0].strip() if believed else ""
    scheme = scheme or str(scope.get("scheme", "http"))
    hosts = [headers.get("host", "")]
    if believed:
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
