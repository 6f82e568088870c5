"""Configuration of HAProxy for the replicas of one computer. Pure."""

from __future__ import annotations

from collections.abc import Sequence

TEMPLATE = """\
defaults
    mode http
    option abortonclose
    option redispatch 1
    retries 2
    timeout connect 2s
    timeout check 1s
    timeout queue 5s
    timeout http-request 10s
    timeout http-keep-alive 15s
    timeout client 65s
    timeout server 65s
    timeout tunnel 1h
frontend voice
    bind {listen} tcp-ut 6500ms
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    default_backend pages
backend pages
    balance leastconn
    cookie voice_replica insert indirect nocache httponly dynamic attr "SameSite=Lax"
    dynamic-cookie-key {cookie_secret}
    option httpchk GET /health
    http-check expect ! string \\"draining\\" error-status L7OKC
    default-server check inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


def render_haproxy_config(listen: str, replicas: Sequence[str], cookie_secret: str) -> str:
    """Return the text of haproxy.cfg. `listen` and `replicas`: addresses with ports."""
    servers = "\n".join(f"    server replica{number} {address}" for number, address in enumerate(replicas, 1))
    return TEMPLATE.format(listen=listen, cookie_secret=cookie_secret, servers=servers)
