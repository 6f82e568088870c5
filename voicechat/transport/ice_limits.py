"""ICE limits: candidates of one peer that aioice keeps and sends connectivity checks to.

aioice keeps every candidate of an offer, every one that follows it, and every address from which a check arrives. It
pairs each with each of its own addresses, and sends up to seven packets for each pair to wherever the candidate points.
`patched_internals` lists what this relies on.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from typing import Any

from aioice import ice

from voicechat.dependency_checks import find_target, require_function, require_names
from voicechat.security.sdp_limits import MAX_CANDIDATES

MAX_REMOTE_CANDIDATES = MAX_CANDIDATES
"""Candidates of a peer, those learned from its checks included."""
_ADD = "aioice.ice:Connection._add_remote_candidate"
_CHECK = "aioice.ice:Connection.check_incoming"
_VALIDATE = "aioice.ice:validate_remote_candidate"
RELIED_ON = {"aioice.ice:Connection": {"_remote_candidates", "_network_host"}}
"""Attributes that the replacements use, by the class whose code must know them."""


def install_ice_limits() -> None:
    """Enforce the limits in every connection from now on. A second call does nothing.

    aioice has no setting for it: three of its functions are replaced. Raise DependencyChanged, with nothing replaced,
    when one of them is not as expected.
    """
    connection = find_target("aioice.ice:Connection")
    if hasattr(connection._add_remote_candidate, "__wrapped__"):
        return
    add = require_function(_ADD, ("self", "remote_candidate", "network_host"))
    check = require_function(_CHECK, ("self", "message", "addr", "protocol"))
    validate = require_function(_VALIDATE, ("candidate", "host"))
    for target, names in RELIED_ON.items():
        require_names(target, names)
    connection._add_remote_candidate = _limit_candidates(add)
    connection.check_incoming = _limit_learned_candidates(check)
    setattr(ice, _VALIDATE.rpartition(":")[2], _refuse_unreachable(validate))


def _limit_candidates(stock: Callable[..., None]) -> Callable[..., None]:
    """Return `_add_remote_candidate` that ignores candidates above the limit."""

    @functools.wraps(stock)
    def add_remote_candidate(self: Any, remote_candidate: Any, network_host: str) -> None:
        if len(self._remote_candidates) < MAX_REMOTE_CANDIDATES:
            stock(self, remote_candidate, network_host)

    return add_remote_candidate


def _limit_learned_candidates(stock: Callable[..., None]) -> Callable[..., None]:
    """Return `check_incoming` that learns no further address from checks above the limit. They are still answered."""

    @functools.wraps(stock)
    def check_incoming(self: Any, message: Any, addr: tuple[str, int], protocol: Any) -> None:
        if len(self._remote_candidates) < MAX_REMOTE_CANDIDATES or any(
            (each._network_host, each.port) == addr[:2] for each in self._remote_candidates
        ):
            stock(self, message, addr, protocol)

    return check_incoming


def _refuse_unreachable(stock: Callable[[Any, str], str]) -> Callable[[Any, str], str]:
    """Return `validate_remote_candidate` that raises ValueError, after which the candidate is ignored, for addresses
    that no browser has: loopback, multicast, broadcast and unassigned ones.

    Browsers name no loopback address. Private ones are needed in the same network.
    """

    @functools.wraps(stock)
    def validate_remote_candidate(candidate: Any, host: str) -> str:
        address = stock(candidate, host)
        parsed = ipaddress.ip_address(address)
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        checked = mapped or parsed
        is_broadcast = isinstance(checked, ipaddress.IPv4Address) and checked.is_reserved
        if checked.is_loopback or checked.is_multicast or checked.is_unspecified or is_broadcast:
            raise ValueError("no address of a peer")
        if not 0 < candidate.port <= 0xFFFF:
            raise ValueError("no port of a peer")
        return address

    return validate_remote_candidate
