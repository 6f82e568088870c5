"""Hosts: whether a name or an address stands for this computer or a private network. Pure; nothing is looked up."""

from __future__ import annotations

import ipaddress
import re

PRIVATE_NAMES = (".local", ".lan", ".internal", ".home.arpa", ".localdomain", ".ts.net")
"""Ends of host names that only a private network has, such as host.docker.internal."""
SHARED_NETWORK = ipaddress.ip_network("100.64.0.0/10")
"""Addresses of private overlay networks such as Tailscale's (RFC 6598)."""


def is_loopback_host(host: str) -> bool:
    """Return whether a host name or address stands for this computer: localhost, *.localhost, 127.0.0.0/8 and ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private_host(host: str) -> bool:
    """Return whether a host belongs to this computer or a private network: its address, or a name without a domain."""
    name = host.rstrip(".").lower()
    if is_loopback_host(name):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        # A name that ends in a number is an IPv4 address in an old form, such as 134744072.
        is_number = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None
        return not is_number and ("." not in name or name.endswith(PRIVATE_NAMES))
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_private or address.is_link_local or address in SHARED_NETWORK
