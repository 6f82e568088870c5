"""Who a request is from, as far as that can be told: a key that is the same for all that one visitor does."""

from __future__ import annotations

from ipaddress import ip_address

import gradio as gr
from starlette.requests import HTTPConnection


def visitor_key(connection: HTTPConnection | gr.Request) -> str:
    """What `scope["state"]["visitor"]` says, where something in front of the routes knows; else the client's address.

    "" when visitors cannot be told apart: without an address, and for this computer's own, which all have who come
    through a proxy or a public link's tunnel.
    """
    request = connection.request if isinstance(connection, gr.Request) else connection
    if request is None:
        return ""
    known = request.scope.get("state", {}).get("visitor")
    if isinstance(known, str) and known:
        return known
    host = request.client.host if request.client is not None else ""
    try:
        return "" if ip_address(host).is_loopback else host
    except ValueError:
        return ""
