"""Sockets that a process and its children listen on, and requests to them."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True)
class ListeningSockets:
    """Sockets of a process and its children that others may send to."""

    tcp: set[tuple[str, int]] = field(default_factory=set)
    udp: set[tuple[str, int]] = field(default_factory=set)
    unix: set[Path] = field(default_factory=set)
    """Unix sockets with a name, whether or not the file still exists."""


def find_listening_sockets(pid: int) -> ListeningSockets:
    """Return the sockets of the process `pid` and all its children."""
    found = ListeningSockets()
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        for each in process.net_connections("all"):
            if each.family == getattr(socket, "AF_UNIX", None):
                found.unix.update({Path(each.laddr)} if each.laddr else ())
            elif each.type == socket.SOCK_DGRAM:
                found.udp.add((each.laddr.ip, each.laddr.port))
            elif each.status == psutil.CONN_LISTEN:
                found.tcp.add((each.laddr.ip, each.laddr.port))
    return found


@dataclass(frozen=True)
class RawResponse:
    """Response to one request; status 0 when the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes


def send_http(port: int, method: str, path: str, headers: dict[str, str]) -> RawResponse:
    """Send a request with exactly these headers (`Host` by default) to 127.0.0.1. Return its response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
        sent = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body)), **headers}
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        is_stream = found.get("content-type", "").startswith("text/event-stream")
        return RawResponse(answer.status, found, b"" if is_stream else answer.read())
    except (http.client.HTTPException, ConnectionError):
        return RawResponse(0, {}, b"")
    finally:
        connection.close()


def send_datagram(address: tuple[str, int], data: bytes, timeout_s: float = 0.3) -> bytes:
    """Send a datagram. Return the answer, b"" without one."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.settimeout(timeout_s)
        try:
            sender.sendto(data, address)
            return sender.recv(4096)
        except (TimeoutError, OSError):
            return b""
