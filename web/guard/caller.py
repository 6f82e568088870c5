"""Who a request comes from: address, name looked for, cookies. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.types import Scope

from realtime.guard_settings import Network

VISITOR = "voice_visitor"
"""Cookie: a browser, by an unguessable number and nothing else."""
PASSED = "voice_passed"
"""Cookie: the password was right."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of whoever sends a request."""

    address: str
    """"" when there is none. An IPv6 visitor is their network (/64), of whose addresses one has plenty."""
    https: bool
    """Between the browser and whoever ends TLS, as far as that is told by someone who is believed."""
    hosts: tuple[str, ...]
    """The names under which we were looked for: Host, and what a trusted proxy says it was."""
    origin: str | None
    visitor: str
    """The cookie; "" without one."""
    passed: str
    """The cookie; "" without one."""
    here: bool
    """It comes from this computer itself, a tunnel's end among it."""
    chinese: bool
    """Reads Chinese rather than English."""

    @property
    def key(self) -> str:
        """For the limits by visitor: the address, and where it says nothing (this computer, a tunnel) the browser; ""
        when visitors cannot be told apart."""
        if self.address and not self.here:
            return self.address
        return f"browser {self.visitor}" if self.visitor else ""


def _address(text: str) -> Address | None:
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


def source_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Where a request comes from; None when that is not known. `peer`: who is connected to us; `forwarded`:
    X-Forwarded-For, each proxy having added at the end whom it saw. The last one that no trusted proxy stands behind is
    the visitor: what stands before it anyone may have written."""
    found = _address(peer)
    if found is None:
        return None
    for text in reversed(forwarded):
        if not any(found in network for network in trusted):
            break
        further = _address(text)
        if further is None:
            break
        found = further
    return found


def visitor_at(source: Address) -> str:
    """The address as a visitor's: of IPv6 the network."""
    return str(ipaddress.ip_network((source, 64), strict=False)) if source.version == 6 else str(source)


def cookies_of(headers: Headers) -> dict[str, str]:
    """The cookies; none when they make no sense."""
    jar: SimpleCookie = SimpleCookie()
    for line in headers.getlist("cookie"):
        for part in line.split(";"):  # one by one: a strange cookie of someone else's spoils the whole line
            try:
                jar.load(part.strip())
            except CookieError:
                continue
    return {name: morsel.value for name, morsel in jar.items()}


def caller_of(scope: Scope, trusted: Sequence[Network]) -> Caller:
    """Reads the scope of an HTTP or WebSocket request. Never raises for what a client may send."""
    headers = Headers(scope=scope)
    peer = str((scope.get("client") or ("", 0))[0])
    believed = any(address in network for network in trusted) if (address := _address(peer)) else False
    forwarded = [word for line in headers.getlist("x-forwarded-for") for word in line.split(",")] if believed else []
    scheme = headers.get("x-forwarded-proto", "").split(",")[0].strip() if believed else ""
    scheme = scheme or str(scope.get("scheme", "http"))
    hosts = [headers.get("host", "")]
    if believed:
        hosts += [word.strip() for word in headers.get("x-forwarded-host", "").split(",")]
    cookies = cookies_of(headers)
    source = source_of(peer, forwarded, trusted)
    return Caller(
        address=visitor_at(source) if source else "",
        https=scheme in ("https", "wss"),
        hosts=tuple(host for host in hosts if host),
        origin=headers.get("origin"),
        visitor=cookies.get(VISITOR, "")[:64],
        passed=cookies.get(PASSED, "")[:200],
        here=source is not None and source.is_loopback,
        chinese=headers.get("accept-language", "").strip().lower().startswith("zh"),
    )
