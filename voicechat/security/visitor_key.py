"""Visitor key of a request: the same for all requests of one visitor, used by the limits per visitor."""

from __future__ import annotations

from ipaddress import ip_address

import gradio as gr
from starlette.requests import HTTPConnection


def visitor_key(connection: HTTPConnection | gr.Request) -> str:
    """Return `scope["state"]["visitor"]` as set by `Guard`; without it the client's address.

    "" when visitors cannot be distinguished: without an address, and for loopback addresses, which all visitors share
    behind a proxy or the tunnel of a public link.
    """
    request = connection.request if isinstance(connection, gr.Request) else connection
    if request is None:
        return ""
    key = request.scope.get("state", {}).get("visitor")
    if isinstance(key, str) and key:
        return key
    host = request.client.host if request.client is not None else ""
    try:
        return "" if ip_address(host).is_loopback else host
    except ValueError:
        return ""
